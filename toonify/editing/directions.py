"""Editing directions in W and W+: SeFa's from a generator, files, and ones fitted to photos."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from toonify.checkpoints.cache import resolve
from toonify.checkpoints.formats import read_torch
from toonify.checkpoints.registry import entries
from toonify.checkpoints.safetensors_io import write_safetensors
from toonify.editing.named import NamedDirections
from toonify.errors import InputError, UsageError
from toonify.models.base import Generator
from toonify.names import unknown_name

ARCHITECTURE = "direction"
MOST_BYTES = 1 << 26  # of a file of directions
LEAST_PHOTOS = 2  # on each side of a fitted direction


@torch.no_grad()
def sefa(generator: Generator, layers: range | None = None) -> Tensor:
    """Closed-form semantic directions (arXiv 2007.06600), strongest first.

    The eigenvectors of AᵀA, A being the weights of the affine layers that these entries of w+
    drive, each row of unit length.

    Args:
        layers: entries of w+ that are looked at; None for all.

    Returns:
        (w_dim, w_dim), a direction a row, each as long as W's deviation along it, so that a
        strength of 1 is one deviation; signs are such that the largest number is positive.
    """
    device, size = generator.w_avg.device, generator.w_dim
    zero = torch.zeros(1, generator.num_ws, size, device=device)
    basis = torch.eye(size, device=device)[:, None].expand(-1, generator.num_ws, -1)
    biases, images = generator.styles(zero), generator.styles(basis)
    rows = [
        (image - bias).T
        for image, bias, layer in zip(images, biases, generator.layers, strict=True)
        if layer.kind == "conv" and (layers is None or layer.latent_index in layers)
    ]
    if not rows:
        raise UsageError("these layers drive no convolution", hint="Choose a wider `layers`.")
    weights = F.normalize(torch.cat(rows).double(), dim=1)
    _, vectors = torch.linalg.eigh(weights.T @ weights)
    directions = vectors.flip(1).T
    largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    directions = directions * largest.sign()
    z = torch.randn(2048, generator.z_dim, generator=_seeded()).to(device)
    w = generator.mapping(z).double()
    spread = ((w - w.mean(dim=0)) @ directions.T).std(dim=0)
    return (directions * spread[:, None]).float()


def read_directions(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Directions of a file by name: .npy, .npz, .pt or .safetensors.

    Each is (w_dim,) for all entries of w+ (InterFaceGAN's) or (num_ws, w_dim); a file with one
    array has the name "". Nothing in a file is run.

    Raises:
        InputError: missing, damaged, or without such arrays.
    """
    file = Path(path)
    _check_file(file)
    try:
        found = _read(file)
        directions = {name: _shaped(value) for name, value in found.items()}
    except Exception as error:  # each reader has errors of its own for damaged files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{file} holds no directions ({reason:.100})",
            hint="Expected arrays (512,) or (18, 512) in .npy, .npz, .pt or .safetensors.",
        ) from error
    if not directions or not all(value.isfinite().all() for value in directions.values()):
        raise InputError(f"{file} holds no finite directions")
    return directions


def _check_file(file: Path) -> None:
    if not file.is_file():
        raise InputError(f"no directions at {file}", hint="Check the name.")


def _read(file: Path) -> Mapping[str, Tensor]:
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{file.stat().st_size >> 20} MB are too many")
    if file.suffix == ".safetensors":
        return load_file(file)
    if file.suffix == ".npy":
        content = np.load(file, mmap_mode="r", allow_pickle=False)  # refuses more than is there
        return {"": torch.from_numpy(np.array(content))}
    if file.suffix == ".npz":
        with zipfile.ZipFile(file) as archive:
            if sum(item.file_size for item in archive.infolist()) > MOST_BYTES:
                raise ValueError("it unpacks to too many bytes")
        arrays = np.load(file, allow_pickle=False)
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    content = read_torch(file)
    if not isinstance(content, Mapping):
        return {"": content}
    return _components(content) if content.keys() >= {"mean", "comp", "std"} else content


def _components(pca: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """GANSpace's principal components (arXiv 2004.02546) by number, a deviation long each."""
    return {
        str(number): component * deviation
        for number, (component, deviation) in enumerate(zip(pca["comp"], pca["std"], strict=True))
    }


def _shaped(value: Tensor) -> Tensor:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise ValueError("not an array of floats")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ValueError("an array larger than the file")
    while value.ndim > 1 and value.shape[0] == 1:
        value = value[0]
    if value.ndim not in (1, 2):
        raise ValueError(f"an array of shape {tuple(value.shape)}")
    return value.float()


def check_direction(text: str, named: NamedDirections | None = None) -> None:
    """Refuse what can't be a direction before any network is loaded; as `find_direction`."""
    if text.startswith("sefa-") or (named is not None and text in named.vectors):
        return
    path, _ = _file_of(text, named)
    _check_file(path)


def find_direction(
    text: str,
    generator: Generator,
    layers: range | None,
    named: NamedDirections | None = None,
) -> Tensor:
    """A direction as the command line names it, (w_dim,) or (num_ws, w_dim).

    Args:
        text: one of `named`, "sefa-1" (the strongest) …, FILE, or FILE:NAME; a registry name for
            FILE.

    Raises:
        UsageError: no such name, or it doesn't fit the generator.
        InputError: unusable file.
        ModelError: a registry name that is not in the cache.
    """
    if named is not None and text in named.vectors:
        named.check(generator)
        return named.vectors[text].to(generator.w_avg.device)
    if text.startswith("sefa-") and not Path(text).exists():
        number = text.removeprefix("sefa-")
        if not number.isdigit() or not 1 <= int(number) <= generator.w_dim:
            raise UsageError(
                f"there is no direction {text!r}",
                hint=f"Take `direction` sefa-1 to sefa-{generator.w_dim}.",
            )
        return sefa(generator, layers)[int(number) - 1]
    path, name = _file_of(text, named)
    known = read_directions(path)
    if name not in known:
        if name or len(known) != 1:
            raise unknown_name("direction", name or "(none named)", sorted(known))
        name = next(iter(known))
    direction = known[name].to(generator.w_avg.device)
    fits = {(generator.w_dim,), (generator.num_ws, generator.w_dim)}
    if tuple(direction.shape) not in fits:
        raise UsageError(
            f"the direction {text} has shape {tuple(direction.shape)}, the generator takes "
            f"({generator.w_dim},) or ({generator.num_ws}, {generator.w_dim})",
            hint="Use one made for this generator.",
        )
    return direction


def _file_of(text: str, named: NamedDirections | None) -> tuple[Path, str]:
    """The file that FILE, FILE:NAME or a registry name means, and NAME."""
    path, name = Path(text), ""
    if not path.exists() and ":" in text:
        before, _, name = text.rpartition(":")
        path = Path(before)
    if not path.exists() and not path.suffix and len(path.parts) == 1:
        if named is not None and text not in {entry.name for entry in entries()}:
            raise unknown_name("direction", text, sorted(named.vectors))
        path = resolve(str(path))
    return path, name


def fit_direction(positive: Tensor, negative: Tensor) -> Tensor:
    """The normal of the hyperplane between two sets of latents (InterFaceGAN, arXiv 2005.09635).

    Of a linear classifier, ridge-regularized so that few samples do; it is as long as the way from
    one side's mean to the other's along it.

    Args:
        positive: (N, num_ws, w_dim) with the attribute.
        negative: (M, num_ws, w_dim) without.

    Returns:
        (num_ws, w_dim); adding it once leads from the negatives to the positives.
    """
    if min(len(positive), len(negative)) < LEAST_PHOTOS:
        raise UsageError(
            f"{len(positive)} photos with and {len(negative)} without are too few",
            hint=f"Give at least {LEAST_PHOTOS} on each side; 20 and more do well.",
        )
    x = torch.cat([positive, negative]).flatten(1).double().cpu()
    y = torch.cat([torch.ones(len(positive)), -torch.ones(len(negative))]).double()
    # both sides weigh the same, however many photos each has
    weight = torch.cat(
        [torch.full((len(side),), 0.5 / len(side)) for side in (positive, negative)]
    ).double()
    center = (weight[:, None] * x).sum(dim=0)
    scaled = (x - center) * weight.sqrt()[:, None]
    gram = scaled @ scaled.T  # of the samples: far fewer than a latent has numbers
    ridge = gram.diagonal().mean() * torch.eye(len(x), dtype=x.dtype)
    normal = scaled.T @ torch.linalg.solve(gram + ridge, y * weight.sqrt())
    unit = normal / normal.norm()
    sides = x @ unit
    way = sides[: len(positive)].mean() - sides[len(positive) :].mean()
    return (unit * way).view(positive.shape[1:]).float()


def save_direction(path: str | os.PathLike[str], direction: Tensor, **about: str) -> None:
    """Write a direction as safetensors, whole or not at all; InputError where it can't be."""
    config = {"architecture": ARCHITECTURE}
    write_safetensors({"direction": direction}, path, config=config, metadata=about)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
