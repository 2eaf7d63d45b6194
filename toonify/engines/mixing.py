"""What engines share that mix styles: networks with their characters, and the options."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from toonify.cdsm import DEFAULT_LEVEL
from toonify.checkpoints import generator_hash
from toonify.device import arithmetic, pick_device
from toonify.engines.base import Engine
from toonify.faces import Alignment, Face, FaceDetector, get_detector
from toonify.faces.types import RGB, Points, f32
from toonify.lut import CharacterTable
from toonify.models.replay import R, Replayed
from toonify.tuning import choose_dtype
from toonify.utils.arguments import check_range

UNDER_WAY = 2  # batches whose pictures lie in pinned memory, which is scarce

T = TypeVar("T")


class MixingModel(ABC):
    """A generator and an encoder, in evaluation mode on one device, with their characters.

    Args:
        generator, encoder: are moved to `device`, frozen.
        table: latents of characters; None where the generator has one style of its own.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        dtype: "auto", "float32", "bfloat16" or "float16", of the networks' arithmetic.
    """

    def __init__(
        self,
        generator: nn.Module,
        encoder: nn.Module,
        table: CharacterTable | None,
        *,
        device: str | torch.device = "auto",
        dtype: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        self.dtype = choose_dtype(dtype, self.device, generator, encoder)
        self.table = table
        self._networks = {"generator": generator, "encoder": encoder}
        self._hashes: dict[str, str] = {}
        for network in self._networks.values():
            network.eval().requires_grad_(False)
            network.to(self.device).to(memory_format=torch.channels_last)

    @property
    def num_ws(self) -> int:
        """Entries of w+, the highest level of mixing."""
        return int(self._networks["generator"].num_ws)  # type: ignore[arg-type]

    @property
    @abstractmethod
    def characters(self) -> tuple[str, ...]:
        """Names that can be drawn."""

    def identity(self, character: str) -> dict[str, str]:
        """What tells drawings of a character by these networks from others, JSON-able."""
        if not self._hashes:
            self._hashes = self._network_hashes()
        if self.table is None:
            return self._hashes | {"code": character}
        latent = self.table[character].w_plus.float().cpu().numpy().tobytes()
        return self._hashes | {"code": hashlib.sha256(latent).hexdigest()}

    def _network_hashes(self) -> dict[str, str]:
        return {name: generator_hash(network) for name, network in self._networks.items()}

    def autocast(self) -> AbstractContextManager[object]:
        """Arithmetic in `dtype`."""
        return arithmetic(self.device, self.dtype)

    def _replayed(self, function: Callable[..., R]) -> Replayed[R]:
        """The function, which computes in `dtype`, from CUDA graphs on a GPU."""
        return Replayed(function, state=lambda: self.dtype)


M = TypeVar("M", bound=MixingModel)


class MixingEngine(Engine, Generic[M]):
    """Draws regions by a model that mixes a person's w+ with a character's.

    Args:
        model: networks and characters.
        detector: finds faces; None takes the default one on first use.
        level: m of cross-domain style mixing, 0 (all character) to num_ws (all photo).
        trgb: replace the tRGB styles by the character's.
        color: how far they are replaced, 0 to 1.
        landmarks: name of the detector to take when `detector` is None.
        offline: never fetch a detector's weights.
        min_face: height in px of the smallest faces that are looked for; None takes a 120th of a
            photograph's longest side, at least 24.
        batch_size: regions drawn together.
    """

    def __init__(
        self,
        model: M,
        *,
        detector: FaceDetector | None = None,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
        color: float = 1.0,
        landmarks: str = "auto",
        offline: bool = True,
        min_face: float | None = None,
        batch_size: int = 8,
    ) -> None:
        self.model, self.batch_size = model, batch_size
        self.level, self.trgb, self.color = level, trgb, color
        self._landmarks, self._min_face = landmarks, min_face

        @cache  # shared by copies with other options
        def find() -> FaceDetector:
            if detector is not None:
                return detector
            device = str(model.device)
            return get_detector(landmarks, device=device, offline=offline, min_face=min_face)

        self._find = find

    def check_mixing(self) -> None:
        """Raise UsageError for a level or blend of colors that the model doesn't have."""
        check_range("level", self.level, 0, self.model.num_ws, whole=True)
        check_range("color", self.color, 0, 1)

    def mixing(self, *, level: int, trgb: bool = True, color: float = 1.0) -> Self:
        """The same engine with other options of mixing; networks and detector are shared."""
        other = copy.copy(self)
        other.level, other.trgb, other.color = level, trgb, color
        return other

    @property
    def characters(self) -> tuple[str, ...]:
        """Names in the look-up table, or of the model's own style."""
        return self.model.characters

    @property
    def detector(self) -> FaceDetector:
        """The face detector, made on first use."""
        return self._find()

    def identity(self, character: str) -> dict[str, Any]:
        """Networks, latent and the detector's name."""
        return {**self.model.identity(character), "landmarks": self._landmarks}

    def settings(self) -> dict[str, Any]:
        """The mixing, and what it is computed in."""
        return {
            "level": self.level,
            "trgb": self.trgb,
            "color": self.color,
            "min_face": self._min_face,
            "landmarks": self.detector.name,
            "device": str(self.model.device),
            "dtype": str(self.model.dtype),
        }

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """w+ (N, num_ws, w_dim)."""
        parts = [
            self._latents([self._face(region) for region in part]).cpu().numpy()
            for part in chunks(regions, self.batch_size)
        ]
        return f32(np.concatenate(parts))

    def render(
        self, regions: Sequence[Alignment], latents: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """A drawing a region; each network call is of one character."""
        # a GPU's pictures arrive, and are finished, while it draws the next ones
        under_way: deque[tuple[Sequence[int], Callable[[], list[RGB]]]] = deque()
        drawn: dict[int, RGB] = {}

        def finish_first() -> None:
            part, toons = under_way.popleft()
            drawn.update(zip(part, toons(), strict=True))

        for name in sorted(set(characters)):
            rows = [row for row, wanted in enumerate(characters) if wanted == name]
            for part in chunks(rows, self.batch_size):
                w_plus = torch.from_numpy(latents[part])
                toons = self._render([regions[row].image for row in part], w_plus, name)
                under_way.append((part, toons))
                if len(under_way) > UNDER_WAY:
                    finish_first()
        while under_way:
            finish_first()
        return [drawn[row] for row in range(len(characters))]

    @abstractmethod
    def region(self, rgb: RGB, face: Face) -> Alignment:
        """See `Engine.region`."""

    def _face(self, region: Alignment) -> RGB:
        """The aligned face that w+ is read from."""
        return region.image

    @abstractmethod
    def _latents(self, faces: Sequence[RGB]) -> Tensor:
        """w+ of aligned faces."""

    @abstractmethod
    def _render(
        self, images: Sequence[RGB], w_plus: Tensor, character: str
    ) -> Callable[[], list[RGB]]:
        """What waits for the drawings (S, S, 3) of one character, see `start_download`; w+ is on
        the CPU."""


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """`items` in parts of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), max(size, 1))]
