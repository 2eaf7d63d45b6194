"""Which part of a head each pixel shows: skin, hair, brows, glasses … by a small network in OpenCV.

The network (`toonify.models.parsing`, trained by `recipes/parsing`) ships as an ONNX file, so
that parsing needs no torch and takes some 40 ms a face on one core.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError, ModelError
from toonify.faces.types import RGB, Points, f32
from toonify.utils.channels import softmax, total

LABELS = (
    "background", "skin", "hair", "ear", "neck", "brow", "eye", "lips", "mouth", "glasses",
    "sunglasses", "beard", "headwear", "hand", "clothes", "person", "object",
)  # fmt: skip
# Further outputs: logits of four kinds of glasses, then of beard, moustache and headwear
GLASSES = ("none", "thin", "thick", "sun")
ATTRIBUTES = (*(f"glasses_{kind}" for kind in GLASSES), "beard", "moustache", "headwear")
INPUT = 256
DOUBTED = 0.4  # probability of headwear or glasses below which their labels are lowered
FILE = Path(__file__).parent.parent / "bundles" / "default" / "parsing.onnx"

Network = Callable[[Points], tuple[Points, Points]]
"""(1, 3, S, S) in 0..1 → logits of labels (1, 17, S/2, S/2) and of attributes (1, 7)."""


@dataclass(frozen=True, eq=False)
class Parsing:
    """What a crop shows.

    Attributes:
        labels: (h, w, 17) float32, probabilities of `LABELS`; h = w = half the network's input.
        glasses: probabilities of `GLASSES`, which sum to 1.
        beard: probability of one (stubble counts half).
        moustache: likewise.
        headwear: probability of a hat, scarf, helmet or the like.
    """

    labels: Points
    glasses: dict[str, float]
    beard: float
    moustache: float
    headwear: float

    def map(self, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """(h, w) uint8, the likeliest label's index; resized to `size` (height, width) first."""
        labels = self.labels if size is None else self.resized(size)
        return np.asarray(labels.argmax(axis=2), np.uint8)

    def resized(self, size: tuple[int, int]) -> Points:
        """(height, width, 17) probabilities at another size."""
        planes = [
            cv2.resize(np.ascontiguousarray(self.labels[..., i]), size[::-1])
            for i in range(self.labels.shape[2])
        ]
        return f32(np.stack(planes, axis=2))


class FaceParser:
    """Head crops → `Parsing`; threads may share it.

    Args:
        weights: the ONNX file; the default bundle's by default.
        mirrored: average with what the mirrored crop shows; right more often by a hundredth of
            the pixels, at twice the time.
        network: what computes instead of OpenCV, such as `TorchParsing`.

    Raises:
        ModelError: the file is not there, can't be read, or is no such network.
    """

    def __init__(
        self, weights: Path = FILE, *, mirrored: bool = True, network: Network | None = None
    ) -> None:
        self._mirrored = mirrored
        self._network = network or _OpenCVParsing(weights)

    def __call__(self, rgb: RGB, *, mirrored: bool | None = None) -> Points:
        """A square crop (H, W, 3) uint8 → probabilities (128, 128, 17) float32 of `LABELS`.

        The face as large as in an FFHQ crop is best; half to 1.3 times of that does.

        Args:
            mirrored: as of the parser, for this crop alone.
        """
        return self.parse(rgb, mirrored=mirrored).labels

    def parse(self, rgb: RGB, *, mirrored: bool | None = None) -> Parsing:
        """As `__call__`, with what the whole crop tells beside the map.

        Raises:
            InputError: not a picture of three channels.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
            raise InputError(f"a head crop of shape {rgb.shape} and {rgb.dtype} can't be parsed")
        shrinks = min(rgb.shape[:2]) > INPUT
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        small = cv2.resize(rgb, (INPUT, INPUT), interpolation=how)
        planes = f32(f32(small).transpose(2, 0, 1)[None] / 255)
        labels, numbers = self._run(planes)
        if self._mirrored if mirrored is None else mirrored:
            other, more = self._run(f32(planes[..., ::-1]))
            labels, numbers = f32((labels + other[:, ::-1]) / 2), f32((numbers + more) / 2)
        kinds = softmax(numbers[: len(GLASSES)])
        beard, moustache, headwear = 1 / (1 + np.exp(-numbers[len(GLASSES) :]))
        _doubt(labels, ("headwear",), float(headwear))
        _doubt(labels, ("glasses", "sunglasses"), 1 - float(kinds[0]))
        return Parsing(
            labels=labels,
            glasses={kind: float(p) for kind, p in zip(GLASSES, kinds, strict=True)},
            beard=float(beard),
            moustache=float(moustache),
            headwear=float(headwear),
        )

    def _run(self, planes: Points) -> tuple[Points, Points]:
        """(1, 3, S, S) in 0..1 → probabilities (S/2, S/2, 17) and logits of `ATTRIBUTES`."""
        logits, attributes = self._network(planes)
        if logits.shape[1] != len(LABELS) or attributes.size != len(ATTRIBUTES):
            raise ModelError("the parsing network has other labels than this version knows")
        return softmax(logits[0].transpose(1, 2, 0)), attributes.reshape(-1)


class _OpenCVParsing:
    """The ONNX file in OpenCV."""

    def __init__(self, weights: Path) -> None:
        if not weights.is_file():
            raise ModelError(f"no parsing network at {weights}", hint="Install toonify again.")
        try:
            self._network = cv2.dnn.readNetFromONNX(str(weights))
        except cv2.error as error:
            raise ModelError(
                f"{weights} can't be read as a parsing network ({error.err})",
                hint="Install toonify again.",
            ) from error
        self._lock = threading.Lock()  # a network remembers its input

    def __call__(self, planes: Points) -> tuple[Points, Points]:
        try:
            with self._lock:
                self._network.setInput(planes)
                logits, attributes = self._network.forward(["labels", "attributes"])
                logits, attributes = np.array(logits), np.array(attributes)
        except cv2.error as error:
            raise ModelError(f"the parsing network does not run ({error.err})") from error
        return f32(logits), f32(attributes)


class RememberingParser(FaceParser):
    """A parser that remembers each crop as long as it exists: different steps look at the same.

    Whoever gives crops doesn't change them afterwards, nor the options given with them.
    """

    def __init__(
        self, weights: Path = FILE, *, mirrored: bool = True, network: Network | None = None
    ) -> None:
        super().__init__(weights, mirrored=mirrored, network=network)
        self._seen: dict[tuple[int, bool], tuple[weakref.ref[RGB], Parsing]] = {}

    def parse(self, rgb: RGB, *, mirrored: bool | None = None) -> Parsing:
        """As `FaceParser.parse`."""
        key = (id(rgb), self._mirrored if mirrored is None else mirrored)
        seen = self._seen.get(key)
        if seen is not None:
            return seen[1]
        found = super().parse(rgb, mirrored=key[1])
        self.remember(rgb, found, mirrored=key[1])
        return found

    def remember(self, rgb: RGB, parsing: Parsing, *, mirrored: bool) -> None:
        """What `parse` is to say of a picture."""
        key = (id(rgb), mirrored)
        gone = weakref.ref(rgb, lambda _: self._seen.pop(key, None))
        self._seen[key] = (gone, parsing)


def _doubt(labels: Points, names: tuple[str, ...], whole: float) -> None:
    """Lower what points (h, w, 17) tell of things that the `whole` crop says are hardly there."""
    which = [LABELS.index(name) for name in names]
    labels[..., which] *= np.float32(np.clip(whole / DOUBTED, 0.05, 1))
    labels /= total(labels)[..., None]
