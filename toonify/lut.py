"""The look-up table: one averaged w+ a character, by name, in one safetensors file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from toonify.errors import InputError, ModelError, UsageError
from toonify.names import unknown_name
from toonify.utils.atomic import write_bytes

_KEY = "toonify.table"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def is_name(name: str) -> bool:
    """Whether a character may be called so."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raise UsageError for what can't name a character."""
    if not is_name(name):
        raise UsageError(
            f"{name!r} can't name a character", hint="Use letters, digits, '-' and '_'."
        )


@dataclass(frozen=True, kw_only=True)
class Character:
    """One drawn character.

    Attributes:
        name: letters, digits, "-" and "_".
        w_plus: (num_ws, w_dim) float32, the mean of its drawings' projections.
        k: how many projections were averaged.
        preview: (H, W, 3) uint8 thumbnail of the latent rendered, or None.
        provenance: where it came from: drawings, steps, license, …; JSON-able.
    """

    name: str
    w_plus: Tensor
    k: int
    preview: np.ndarray | None = None
    provenance: dict[str, Any] = field(default_factory=dict)


class CharacterTable:
    """Characters of one generator by name, in the order in which they were added.

    `table[name]`, `name in table` and `len(table)` are as of a mapping; iteration gives the
    characters.

    Args:
        generator_hash: `toonify.checkpoints.generator_hash` of the generator the latents live in.

    Examples:
        >>> table = CharacterTable.load("characters.safetensors")
        >>> table.names[0], table["mina"].w_plus.shape
        ('mina', torch.Size([16, 512]))
        >>> table.remove("mina")
        >>> table.save("others.safetensors")
    """

    def __init__(self, *, generator_hash: str) -> None:
        self.generator_hash = generator_hash
        self._characters: dict[str, Character] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Of its characters, in their order."""
        return tuple(self._characters)

    def __len__(self) -> int:
        return len(self._characters)

    def __iter__(self) -> Iterator[Character]:
        return iter(self._characters.values())

    def __contains__(self, name: object) -> bool:
        return name in self._characters

    def __getitem__(self, name: str) -> Character:
        """Raises UsageError for an unknown name, with the known ones and the nearest."""
        if name not in self._characters:
            raise unknown_name("character", name, self.names)
        return self._characters[name]

    def add(self, character: Character) -> None:
        """Add, or replace the one of that name.

        Raises:
            UsageError: a name with other signs, or a latent of another shape than the table's.
            ModelError: a latent that is not finite.
        """
        check_name(character.name)
        if not torch.isfinite(character.w_plus).all():
            raise ModelError(f"the latent of {character.name} is not finite", hint="Project again.")
        for other in self:
            if other.name != character.name and other.w_plus.shape != character.w_plus.shape:
                raise UsageError(
                    f"the latent of {character.name} is {tuple(character.w_plus.shape)}, the "
                    f"table's are {tuple(other.w_plus.shape)}",
                    hint="Project it into this table's generator.",
                )
        self._characters[character.name] = character

    def remove(self, name: str) -> None:
        """Take a character out.

        Raises:
            UsageError: an unknown name.
        """
        del self._characters[self[name].name]

    def merge(self, other: CharacterTable) -> None:
        """Add all of `other`'s characters, replacing equal names.

        Raises:
            ModelError: the other table belongs to another generator.
        """
        self.check(other.generator_hash)
        for character in other:
            self.add(character)

    def check(self, generator_hash: str) -> None:
        """Compare with the hash of the generator that is to draw.

        Raises:
            ModelError: the table is another generator's.
        """
        if generator_hash != self.generator_hash:
            raise ModelError(
                f"the character table belongs to generator {self.generator_hash[:12]}, "
                f"not to {generator_hash[:12]}",
                hint="Use the generator it was built with, or build the table again.",
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, whole or not at all.

        Raises:
            InputError: the file can't be written.
        """
        target = Path(path)
        tensors: dict[str, Tensor] = {}
        listed: dict[str, Any] = {}
        for character in self:
            # a copy: safetensors refuses tensors that share memory
            latent = character.w_plus.to("cpu", torch.float32, copy=True).contiguous()
            tensors[f"w_plus.{character.name}"] = latent
            if character.preview is not None:
                tensors[f"preview.{character.name}"] = torch.tensor(character.preview.copy())
            listed[character.name] = {"k": character.k, "provenance": character.provenance}
        about = {"version": 1, "generator_hash": self.generator_hash, "characters": listed}
        try:
            # not save_file, which makes the file readable by its owner alone
            write_bytes(target, save(tensors, metadata={_KEY: json.dumps(about)}))
        except (OSError, SafetensorError) as error:
            raise InputError(f"{target} can't be written ({error})") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CharacterTable:
        """Read a table.

        Raises:
            ModelError: missing, damaged, or not a character table.
        """
        source = Path(path)
        try:
            with safe_open(source, framework="pt") as file:
                about = json.loads((file.metadata() or {})[_KEY])
                table = cls(generator_hash=str(about["generator_hash"]))
                stored = set(file.keys())
                for name, entry in about["characters"].items():
                    preview = None
                    if f"preview.{name}" in stored:
                        preview = _preview(file.get_tensor(f"preview.{name}"))
                    table.add(
                        Character(
                            name=name,
                            w_plus=_latent(file.get_tensor(f"w_plus.{name}")),
                            k=int(entry["k"]),
                            preview=preview,
                            provenance=dict(entry["provenance"]),
                        )
                    )
        except FileNotFoundError as error:
            raise ModelError(f"there is no character table {source}") from error
        except (
            *(AttributeError, KeyError, TypeError, ValueError),
            *(UsageError, OverflowError, RecursionError),
        ) as error:
            raise ModelError(
                f"{source} is not a character table", hint="Build one with `toonify build-lut`."
            ) from error
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{source} can't be read as a character table ({error})",
                hint="Build it again with `toonify build-lut`.",
            ) from error
        return table


def _latent(value: Tensor) -> Tensor:
    if value.ndim != 2 or not value.is_floating_point() or not value.numel():
        raise ValueError(f"a latent of shape {tuple(value.shape)}")
    return value.float()


def _preview(value: Tensor) -> np.ndarray:
    if value.ndim != 3 or value.shape[2] != 3 or value.dtype != torch.uint8 or not value.numel():
        raise ValueError(f"a preview of shape {tuple(value.shape)}")
    return value.numpy()
