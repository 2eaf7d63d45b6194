"""(w, face) pairs sampled from a generator: drawn afresh, or kept as files for fast access."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.checkpoints import generator_hash
from toonify.errors import InputError
from toonify.models.base import Generator
from toonify.utils.atomic import replacing
from toonify.utils.tensors import to_float, to_uint8

MIXED = 0.3
GENERATOR = "generator.txt"  # whose faces they are, by `generator_hash`


class LatentSamples:
    """Latents and the faces they render.

    Args:
        w_plus: (N, num_ws, w_dim) float, or (N, w_dim) when every row is the same.
        images: (N, H, W, 3) uint8 RGB, may be memory-mapped.
        num_ws: rows of the w+ that `batch` returns.
    """

    def __init__(self, w_plus: Tensor, images: np.ndarray, *, num_ws: int) -> None:
        if len(w_plus) != len(images):
            raise InputError(f"{len(w_plus)} latents but {len(images)} images")
        if w_plus.ndim not in (2, 3) or (w_plus.ndim == 3 and w_plus.shape[1] < num_ws):
            raise InputError(
                f"latents of shape {tuple(w_plus.shape)} do not hold {num_ws} rows each",
                hint="Sample the pairs from a generator of this resolution or a larger one.",
            )
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise InputError(f"the images are {images.dtype} of shape {images.shape}")
        self._w, self._images, self._num_ws = w_plus, images, num_ws

    def __len__(self) -> int:
        return len(self._images)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """w+ (B, num_ws, w_dim) and images (B, 3, H, W) in [-1, 1]."""
        w = self._w[index].float()
        if w.ndim == 2:
            w = w[:, None].expand(-1, self._num_ws, -1)
        images = torch.from_numpy(np.asarray(self._images[index.numpy()]))
        return w[:, : self._num_ws], to_float(images.permute(0, 3, 1, 2))

    def image(self, number: int) -> np.ndarray:
        """One face (H, W, 3) uint8."""
        return np.array(self._images[number])

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        num_ws: int,
        w_dim: int | None = None,
        generator: Generator | None = None,
    ) -> LatentSamples:
        """Read what `write_samples` wrote.

        Args:
            generator: whose faces they have to be, where the folder says whose they are.

        Raises:
            InputError: the folder holds no pairs, none of that many rows or that width, or
                another generator's.
        """
        try:
            w = torch.from_numpy(np.load(folder / "w.npy"))
            images = np.load(folder / "images.npy", mmap_mode="r")
        except (EOFError, OSError, ValueError) as error:
            raise InputError(
                f"{folder} holds no readable pairs ({error})", hint="Sample them again."
            ) from error
        if w_dim is not None and w.shape[-1] != w_dim:
            raise InputError(
                f"the latents in {folder} are {w.shape[-1]} wide, the generator's {w_dim}",
                hint="Sample pairs from this generator.",
            )
        if generator is not None and (folder / GENERATOR).is_file():
            try:
                drawn_by = (folder / GENERATOR).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise InputError(f"can't read {folder / GENERATOR} ({error})") from error
            if drawn_by != generator_hash(generator):
                raise InputError(
                    f"the pairs in {folder} are another generator's",
                    hint="Name an empty folder for this generator's.",
                )
        return cls(w, images, num_ws=num_ws)


@torch.no_grad()
def sample_w_plus(
    generator: Generator, count: int, random: torch.Generator, *, mixed: float = MIXED
) -> Tensor:
    """w+ (count, num_ws, w_dim) at truncation 0.6 to 1, on the generator's device.

    Args:
        random: source of every random number, on the CPU.
        mixed: share whose rows come from two latents, crossed at a random layer, so that latents
            beyond W are seen too.
    """
    z = torch.randn(2 * count, generator.z_dim, generator=random)
    psi = torch.empty(2 * count, 1).uniform_(0.6, 1.0, generator=random)
    w = generator.mapping(z.to(generator.w_avg))
    w = generator.w_avg + psi.to(w) * (w - generator.w_avg)
    w_plus = w[:count, None].repeat(1, generator.num_ws, 1)
    for i in range(count):
        if float(torch.rand((), generator=random)) < mixed:
            cross = int(torch.randint(2, generator.num_ws, (), generator=random))
            w_plus[i, cross:] = w[count + i]
    return w_plus


@torch.no_grad()
def render(generator: Generator, w_plus: Tensor, *, size: int, bfloat16: bool = True) -> Tensor:
    """Faces (B, 3, s, s) in [-1, 1], s being `size` or the generator's resolution if smaller."""
    with torch.autocast(w_plus.device.type, torch.bfloat16, enabled=bfloat16):
        images = generator.synthesize(generator.styles(w_plus))
    if images.shape[-1] > size:
        images = F.adaptive_avg_pool2d(images.float(), size)
    return images.float().clamp(-1, 1)


@torch.no_grad()
def write_samples(
    generator: Generator,
    folder: Path,
    count: int,
    *,
    size: int = 256,
    mixed: float = MIXED,
    batch: int = 8,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Draw faces (see `sample_w_plus`) and write `w.npy` (float16 w+) and `images.npy`.

    `generator.txt` beside them names the generator by its hash.

    Args:
        size: side of the stored images, at most the generator's resolution.

    Raises:
        InputError: `folder` can't be made or written to (a full disk, say).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    random = torch.Generator().manual_seed(seed)
    latents = np.zeros((count, generator.num_ws, generator.w_dim), np.float16)
    images = np.zeros((count, size, size, 3), np.uint8)
    for start in range(0, count, batch):
        n = min(batch, count - start)
        w_plus = sample_w_plus(generator, n, random, mixed=mixed)
        latents[start : start + n] = w_plus.half().cpu().numpy()
        rendered = to_uint8(render(generator, w_plus, size=size))
        images[start : start + n] = rendered.permute(0, 2, 3, 1).cpu().numpy()
        if progress:
            progress(start + n)
    identity = generator_hash(generator)
    for name, content in (("w.npy", latents), ("images.npy", images), (GENERATOR, identity)):
        try:
            with replacing(folder / name) as temporary:
                if isinstance(content, str):
                    temporary.write_text(f"{content}\n", encoding="utf-8")
                else:
                    with temporary.open("wb") as stream:
                        np.save(stream, content)
        except OSError as error:
            raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"can't keep pairs in {folder}: {error.strerror or error}",
        hint="Make room, or choose another folder.",
    )
