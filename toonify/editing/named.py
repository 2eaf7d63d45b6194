"""Directions with names: smile, age, yaw and so on, and where in the picture each may act.

One file holds them for one W. They are regressions of W on what was measured in thousands of
sampled faces, all at once, so that each moves its own attribute and keeps the others (arXiv
2005.09635 removes such entanglement by projection instead).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.bundle import bundle_folder, check_part, read_manifest
from toonify.checkpoints.safetensors_io import read_safetensors, write_safetensors
from toonify.errors import ModelError, UsageError
from toonify.faces.types import Points, f32
from toonify.models.base import Generator

ARCHITECTURE = "directions"
PART = "directions"  # of a bundle
Region = Literal["face", "hair", "head", "glasses"]
PARSED_AT = 64  # resolution of the activations that regions are read off
ALIKE = 0.97  # cosine of mean latents from which two generators share a W
TURNING = ("yaw", "pitch")  # directions that move a head's outline far
TURNED = 0.3  # cosine to those from which another direction turns heads, too
_W_AVG, _PARSER = "w_avg", "parser"


@dataclass(frozen=True)
class NamedDirection:
    """A direction's description.

    Attributes:
        layers: entries of w+ that it moves, as `toonify.editing.edits.layer_range` reads them.
        region: what it may change: "face" is eyes, nose and mouth, "hair" hair alone, "head" all
            that and the neck; "glasses" are drawn on photographs (`Spectacles`), and the vector
            is for renderings.
        unit: what strength 1 is, in words.
        holds: least and greatest strength at which photographs come out whole.
        usual: the strength where none is given: it is seen, and looks natural.
    """

    layers: str
    region: Region
    unit: str
    holds: tuple[float, float] = (-3.0, 3.0)
    usual: float = 1.0

    def steps(self) -> tuple[float, ...]:
        """Five strengths from the least that holds over 0 to the greatest."""
        low, high = self.holds
        return (low, low / 2, 0.0, high / 2, high)


@dataclass(frozen=True, eq=False)
class NamedDirections:
    """Named directions of one W.

    Attributes:
        w_avg: (w_dim,) mean of that W.
        vectors: name → (w_dim,), as long as strength 1.
        about: name → its description.
        parser: (C + 1, 4) from activations at 64×64 and 1 to background, hair, face and neck;
            None where regions are guessed from the alignment alone.
    """

    w_avg: Tensor
    vectors: Mapping[str, Tensor]
    about: Mapping[str, NamedDirection]
    parser: Tensor | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, in float16; InputError where it can't be."""
        tensors = {_W_AVG: self.w_avg, **self.vectors}
        if self.parser is not None:
            tensors[_PARSER] = self.parser
        about = {name: asdict(direction) for name, direction in self.about.items()}
        config = {"architecture": ARCHITECTURE, "directions": about}
        write_safetensors(tensors, path, config=config, dtype=torch.float16)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> NamedDirections:
        """Read what `save` wrote; ModelError when it is not that."""
        tensors, config, _ = read_safetensors(path)
        try:
            if config["architecture"] != ARCHITECTURE:
                raise ValueError(f"it holds a {config['architecture']}")
            about = {name: _described(each) for name, each in config["directions"].items()}
            vectors = {name: tensors[name].float() for name in about}
            w_avg, parser = tensors[_W_AVG].float(), tensors.get(_PARSER)
            if any(v.shape != w_avg.shape or not v.isfinite().all() for v in vectors.values()):
                raise ValueError("its vectors don't have one shape")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{path} holds no named directions ({error})", hint="Install toonify again."
            ) from error
        return cls(w_avg, vectors, about, None if parser is None else parser.float())

    def fits(self, generator: Generator) -> bool:
        """Whether the generator has the W that these are of."""
        own = generator.w_avg.float().cpu()
        alike = own.shape == self.w_avg.shape
        return alike and bool(F.cosine_similarity(own, self.w_avg, dim=0) >= ALIKE)

    def check(self, generator: Generator) -> None:
        """UsageError unless the generator has the W that these are of."""
        if not self.fits(generator):
            raise UsageError(
                "named directions are of faces as in the FFHQ set, the generator has another W",
                hint="Take sefa-1 and so on, or `fit` one.",
            )

    def turns(self, name: str | None, vector: Tensor) -> bool:
        """Whether a direction, (w_dim,) or a row for each layer, turns heads.

        What has a name here is known; of others their likeness to these tells.
        """
        if name in self.vectors:
            return name in TURNING
        own = vector.float().cpu()
        own = own if own.ndim == 1 else own.mean(0)
        if own.shape != self.w_avg.shape:
            return False
        known = [self.vectors[name] for name in TURNING if name in self.vectors]
        return any(abs(float(F.cosine_similarity(own, one, dim=0))) > TURNED for one in known)

    def beyond(self, name: str | None, vector: Tensor, strength: float) -> float | None:
        """The strength up to which a direction holds, where `strength` is beyond that.

        Args:
            name, vector: as of `turns`. What has no name here holds as far as it turns heads no
                further than `TURNING` may.
        """
        if name is not None and name in self.about:
            low, high = self.about[name].holds
            return None if low <= strength <= high else (low if strength < low else high)
        own = vector.float().cpu()
        own = own if own.ndim == 1 else own.mean(0)
        if own.shape != self.w_avg.shape:
            return None
        held = strength
        for turning in TURNING:
            if turning not in self.vectors:
                continue
            known, (low, high) = self.vectors[turning], self.about[turning].holds
            turned = float(own @ known / known.square().sum()) * strength
            limit = low if turned < 0 else high
            if abs(turned) > abs(limit):
                held = min(held, strength * limit / turned, key=abs)
        return None if held == strength else held

    def parses(self, generator: Generator) -> bool:
        """Whether the parser is of activations as wide as this generator's."""
        channels = [x.channels for x in generator.layers if x.resolution == PARSED_AT]
        return self.parser is not None and self.parser.shape[0] - 1 in channels

    def parse(self, generator: Generator, styles: Sequence[Tensor]) -> Points | None:
        """(4, 64, 64) in 0..1: background, hair, face and neck of what styles (1, C_i) render.

        None for generators whose activations the parser doesn't know.
        """
        features = getattr(generator, "features", None)
        if self.parser is None or features is None or not self.parses(generator):
            return None
        with torch.inference_mode():
            x = features(styles, resolution=PARSED_AT)[0].float()
        if x.shape[0] != self.parser.shape[0] - 1:
            return None
        parser = self.parser.to(x)
        scores = torch.einsum("chw,ck->khw", x, parser[:-1]) + parser[-1][:, None, None]
        return f32(scores.clamp(0, 1).cpu().numpy())


def _described(about: Mapping[str, Any]) -> NamedDirection:
    """One of a file's descriptions; TypeError or ValueError where it is none."""
    direction = NamedDirection(**about)
    low, high = (float(value) for value in direction.holds)
    return replace(direction, holds=(low, high), usual=float(direction.usual))


def shipped_directions(bundle: str = "default") -> NamedDirections | None:
    """Those of a bundle; None where it has none.

    Raises:
        ModelError: they are damaged.
    """
    folder = bundle_folder(bundle)
    manifest = read_manifest(folder)
    if PART not in (manifest.get("files") or {}):
        return None
    return NamedDirections.load(check_part(folder, manifest, PART))
