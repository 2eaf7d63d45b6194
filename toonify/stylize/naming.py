"""How drawings are called, where the user says so."""

from __future__ import annotations

import re
import string
from pathlib import Path, PurePosixPath

from toonify.errors import ToonifyError, UsageError

WIDEST = 200  # characters of a field
FIELDS = ("stem", "character", "face", "level", "ext")


class NameTemplate:
    """A pattern such as "{stem}-{character}{ext}" or "{character}/{stem}-{face:02}{ext}".

    Args:
        text: with {stem}, {character} (or style), {face} (1 and up), {level} and {ext} (".png").

    Raises:
        UsageError: an unknown field, or names that would leave the output folder.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.fields: set[str] = set()
        try:
            for _, name, specification, conversion in string.Formatter().parse(text):
                if name is None:
                    continue
                if name not in FIELDS or conversion or "{" in (specification or ""):
                    raise UsageError(
                        f"`name` has no {{{name}}}",
                        hint="It has " + ", ".join(f"{{{field}}}" for field in FIELDS) + ".",
                    )
                if max(map(int, re.findall(r"\d+", specification or "")), default=0) > WIDEST:
                    raise UsageError(
                        f"`name` {text!r} makes names of any length",
                        hint=f"A field is {WIDEST} characters wide at most.",
                    )
                self.fields.add(name)
            example = self.of("a", character="b", face=1, level=6, ext=".png")
        except ToonifyError:
            raise
        except (ValueError, KeyError, IndexError) as error:
            raise UsageError(
                f"`name` {text!r} is no pattern ({error})",
                hint="Give e.g. '{stem}-{character}{ext}'.",
            ) from error
        parts = PurePosixPath(example).parts
        if not parts or ".." in parts or PurePosixPath(example).is_absolute() or "\\" in example:
            raise UsageError(
                f"`name` {text!r} leads out of the output folder", hint="Leave .. and / out."
            )
        if text.endswith("/") or PurePosixPath(example).suffix == "":
            raise UsageError(f"`name` {text!r} has no suffix", hint="End it with {ext}.")

    def check(self, *, characters: int, several_faces: bool) -> None:
        """Refuse a pattern by which drawings of one photograph would have the same name.

        Raises:
            UsageError: they would.
        """
        for needed, field in ((characters > 1, "character"), (several_faces, "face")):
            if needed and field not in self.fields:
                raise UsageError(
                    f"`name` {self.text!r} calls several drawings the same",
                    hint=f"Add {{{field}}}.",
                )

    def of(self, stem: str, *, character: str, face: int, level: int, ext: str) -> str:
        """The name, with / between folders."""
        values = {"stem": stem, "character": character, "face": face, "level": level, "ext": ext}
        return self.text.format(**values)

    def path(self, target: Path, *, character: str, face: int, level: int) -> Path:
        """The file beside `target` (a photograph's own name, with the suffix that is written)."""
        name = self.of(target.stem, character=character, face=face, level=level, ext=target.suffix)
        return target.parent / name
