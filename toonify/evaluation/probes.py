"""What is measured on one picture and between a photo and its drawing, as far as weights reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from toonify.bundle import bundle_folder
from toonify.checkpoints.identity import load_identity
from toonify.errors import ModelError
from toonify.evaluation.features import FeatureNetwork, load_feature_network
from toonify.evaluation.heads import Head, compare_heads, see_head
from toonify.faces.mesh import FaceMeasures, FaceMesh
from toonify.faces.parsing import FaceParser
from toonify.metrics.lpips import PerceptualLoss
from toonify.utils.tensors import to_tensor

LPIPS_SIZE = 256
NOSE_TIP = 1  # of the mesh's 468 points

# Measured on both pictures and correlated. `nose` is the nose tip's place between the eyes, in eye
# distances: a yaw that hangs on no depth estimate, which drawings give little ground for.
MEASURES = (
    "nose", "yaw", "pitch", "roll", "mouth_open", "smile", "eyes", "gaze_x", "gaze_y",
)  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """What the probes see in one picture; None for a probe that isn't there."""

    perceptual: list[Tensor] | None
    identity: Tensor | None
    measures: dict[str, float] | None
    head: Head | None = None


class Probes:
    """The measuring networks that can be reached.

    Args:
        features: load a feature network for KID and FID too.
        offline: never fetch weights.
        device: of the networks (the face mesh always runs on the CPU).

    Attributes:
        unavailable: what is not measured → why.
    """

    def __init__(
        self,
        *,
        features: bool = False,
        offline: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.unavailable: dict[str, str] = {}
        self.perceptual = self._try("lpips", lambda: PerceptualLoss("alex").to(self.device))
        self.identity = self._try(
            "identity", lambda: load_identity(device=self.device, offline=offline)
        )
        self.mesh = self._try("pose and expression", lambda: FaceMesh(bundle_folder("default")))
        self.parser = self._try("heads", FaceParser)
        self.features: FeatureNetwork | None = None
        if features:
            self.features = self._try(
                "kid and fid", lambda: load_feature_network(offline=offline, device=self.device)
            )
            if self.features is not None and self.features.instead:
                self.unavailable["kid and fid of Inception"] = self.features.instead

    def _try(self, what: str, load: Callable[[], T]) -> T | None:
        try:
            return load()
        except ModelError as error:
            self.unavailable[what] = str(error)
            return None

    @torch.inference_mode()
    def look(self, picture: np.ndarray) -> Look:
        """One (H, W, 3) uint8 RGB picture: an FFHQ-aligned photo, or a drawing of it."""
        x = to_tensor(picture).to(self.device)
        small = F.interpolate(
            x, size=(LPIPS_SIZE,) * 2, mode="bilinear", align_corners=False, antialias=True
        )
        found = None if self.mesh is None else self.mesh.measure(picture)
        head = None
        if self.parser is not None:
            head = see_head(picture, self.parser, None if found is None else found.points)
        return Look(
            perceptual=None if self.perceptual is None else self.perceptual.features(small),
            identity=None if self.identity is None else self.identity(x),
            measures=None if found is None else face_measures(found),
            head=head,
        )

    def compare(self, photo: Look, drawing: Look) -> dict[str, float]:
        """`lpips` (0 alike, about 0.7 unrelated), `identity` (1 the same face, about 0 strangers)
        and what `compare_heads` tells, as far as measured."""
        figures = {}
        if self.perceptual is not None and photo.perceptual and drawing.perceptual:
            distance = self.perceptual.distance(photo.perceptual, drawing.perceptual)
            figures["lpips"] = float(distance)
        if self.identity is not None and photo.identity is not None:
            assert drawing.identity is not None
            figures["identity"] = float(self.identity.similarity(photo.identity, drawing.identity))
        if photo.head is not None and drawing.head is not None:
            figures |= compare_heads(photo.head, drawing.head)
        return figures


def face_measures(found: FaceMeasures) -> dict[str, float]:
    """`MEASURES` of one FFHQ-aligned picture: angles in degrees, the rest without a unit."""
    left, right = found.eye_center_left, found.eye_center_right
    axis = right - left
    nose = found.points[NOSE_TIP] - (left + right) / 2
    scalars = {
        **found.scalars(),
        "nose": float(nose @ axis / (axis @ axis)),
        "eyes": (found.eye_left + found.eye_right) / 2,
    }
    return {name: scalars[name] for name in MEASURES}
