"""Edits that leave no ripples of the old outline: HFGI-SF.

HFGI brings a photograph's details along with an edit, those of the background too, and what lay
along the old outline stays as a ghost where the head moves far. HFGI-SF parts person and
background: the person is the edit's, the background the first inversion's, and StyleFusion's
FusionNet (arXiv 2107.07437) makes one latent of both.

Not stated by the paper, and so ours: the regions are the face parser's; the edited latent is the
common one; the details are consulted in the fused rendering too, the person's only where the edit
has the person, the background's, not moved, only where both have background; behind where the
head has been, the background's details go on smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toonify import bundle
from toonify.checkpoints.fusion import load_fusion_net
from toonify.errors import ModelError
from toonify.faces.parsing import LABELS, FaceParser
from toonify.faces.types import Points, f32
from toonify.models.base import Generator
from toonify.models.encoders.hfgi import SIZE, at_size
from toonify.models.encoders.hfgi_compact import CompactInversion, moved_along
from toonify.models.fusion_tree import PERSON as PERSON_TREE
from toonify.models.fusion_tree import StyleFusion
from toonify.utils.continuation import continued
from toonify.utils.tensors import smoothstep, to_rgb

_HINT = "Train one with `toonify train-encoder` (task fusion), or switch `keep_background` off."
BACKGROUND = "background"  # the region of StyleFusion's
BEHIND = ("background", "person", "object", "clothes")  # labels of what doesn't turn with a head
PERSON = (0.3, 0.6)  # probabilities between which the edited person begins
OWN = (0.15, 0.5)  # and the photographed one, whose details are taken along
WALL = (0.05, 0.35)  # probability of a person up to which, and from which, nothing is background
GROWN = 5  # px of 256 that the photographed person is widened by
NARROWED = 5  # and narrowed by, where its details are taken: the outline's are of the old place


@dataclass(frozen=True, eq=False)
class FusedRendering:
    """An edited person before the photograph's background.

    Attributes:
        image: (1, 3, R, R), not clamped.
        person: (1, 1, 256, 256) in 0..1, where the edited person is.
        been: (1, 1, 256, 256) in 0..1, where the photographed one is, widened.
        own: (1, 1, 256, 256) in 0..1, likewise, narrowed: pixels that may be moved along.
        behind: (1, 3, 256, 256), what is behind both in the photograph's light and colors.
    """

    image: Tensor
    person: Tensor
    been: Tensor
    own: Tensor
    behind: Tensor


class FusedDetails(Protocol):
    """HFGI's networks, ours (`CompactInversion`) or the published ones (`HFGI`)."""

    @property
    def generator(self) -> Generator: ...

    def drawn(self, styles: list[Tensor]) -> Tensor:
        """Styles rendered, (B, 3, 256, 256) in [-1, 1]."""
        ...

    def aligned_map(self, distortion: Tensor, source: Tensor, wanted: Tensor) -> Tensor:
        """A distortion map of `source` where `wanted` has what it is of."""
        ...

    def consulted(self, styles: list[Tensor], aligned: Tensor, rendering: Tensor) -> Tensor:
        """Styles rendered (B, 3, R, R) with the aligned map consulted; not clamped."""
        ...


def load_fusion(details: CompactInversion, encoder: str) -> BackgroundFusion:
    """What keeps backgrounds for the details of a bundle's, or of a file beside that bundle.

    Args:
        encoder: the bundle.

    Raises:
        ModelError: it holds no FusionNet, or a damaged one, or another generator's.
    """
    folder = bundle.bundle_folder(encoder)
    if not bundle.has_parts(folder, (bundle.FUSION,)):
        raise ModelError(f"the bundle {encoder} holds no FusionNet", hint=_HINT)
    manifest = bundle.read_manifest(folder)
    path = bundle.check_part(folder, manifest, bundle.FUSION)
    network = load_fusion_net(path, device=details.generator.w_avg.device)
    return BackgroundFusion(details, StyleFusion(PERSON_TREE, {"all": network}), FaceParser())


class BackgroundFusion:
    """Renders edits before the photograph's own background.

    Args:
        details: HFGI's networks, their generator and encoder.
        fusion: networks trained for that generator that part the background from the rest; None to
            leave the latents unfused, so that masks alone part the regions.
        parser: tells person and background apart.

    Raises:
        ModelError: the networks are another generator's, or don't part the background.
    """

    def __init__(
        self, details: FusedDetails, fusion: StyleFusion | None, parser: FaceParser
    ) -> None:
        self.details, self.fusion, self.parser = details, fusion, parser
        if fusion is None:
            return
        fusion.check(details.generator)
        if BACKGROUND not in fusion.regions:
            raise ModelError("these networks don't part the background from the rest", hint=_HINT)

    @torch.no_grad()
    def __call__(self, photo: Tensor, w_plus: Tensor, edit: Tensor) -> FusedRendering:
        """One edit, rendered.

        Args:
            photo: (1, 3, 256, 256) in [-1, 1].
            w_plus: its latent (1, L, D); `edit` the edited one.
        """
        details, generator = self.details, self.details.generator
        behind_w_plus, styles = generator.styles(w_plus), generator.styles(edit)
        source = details.drawn(behind_w_plus).float()
        rendering = details.drawn(styles)
        front = self._person(rendering)
        if self.fusion is not None:
            styles = self.fusion.swapped(generator, styles, {BACKGROUND: behind_w_plus})
            rendering = details.drawn(styles)
        rendering = rendering.float()
        photographed = self._person(photo)
        been = smoothstep(_grown(photographed, GROWN), *WALL)
        person = smoothstep(front, *PERSON)
        own = smoothstep(1 - _grown(1 - photographed, NARROWED), *OWN)
        tone = continued(photo - source, own)  # of sides that come into sight, the tone
        both = torch.cat((tone, source), dim=1)
        moved, source = moved_along(both, source, rendering).chunk(2, dim=1)
        aligned = details.aligned_map(moved, source, rendering)
        empty = 1 - smoothstep(_grown(front, 2), *WALL)
        wall = (1 - been) * empty
        behind = continued(photo - rendering, wall)
        distortion = behind + (aligned - behind) * person
        image = details.consulted(styles, distortion, rendering).float()
        small = at_size(image)
        seen = continued(small + continued(photo - small, wall), empty)
        return FusedRendering(image, person, been, own, seen)

    def _person(self, picture: Tensor) -> Tensor:
        """(1, 1, 256, 256) probability of the person in (1, 3, 256, 256)."""
        labels = self.parser(to_rgb(picture))
        person = 1 - labels[..., [LABELS.index(name) for name in BEHIND]].sum(axis=2)
        sized = cv2.resize(_largest(f32(person)), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        return torch.from_numpy(f32(sized))[None, None].to(picture.device)


def _largest(field: Points) -> Points:
    """(S, S) without what lies apart from its largest piece: others' faces, signs on a wall."""
    count, pieces, about, _ = cv2.connectedComponentsWithStats((field > 0.3).astype(np.uint8))
    if count < 3:  # one piece and what is around it
        return field
    largest = 1 + int(about[1:, cv2.CC_STAT_AREA].argmax())
    near = cv2.dilate((pieces == largest).astype(np.uint8), np.ones((3, 3), np.uint8))
    return f32(field * near)


def _grown(field: Tensor, pixels: int) -> Tensor:
    return F.max_pool2d(field, 2 * pixels + 1, 1, pixels)
