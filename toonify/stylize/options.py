"""Options and results of a batch: options, and a result a photograph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from toonify.stylize.naming import NameTemplate
from toonify.utils import marks

Mode = Literal["crop", "paste", "whole"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How photographs are drawn.

    Attributes:
        characters: names, all known to the engine, each of which everybody is drawn as; or rules
            that cast a character per person, see `toonify.video.CharacterAssignment`.
        styles: those of them that are styles.
        level: first latent index taken from the character.
        trgb: take the character's color layers.
        color: how much of them, 0..1.
        mode: "crop" gives the drawn portrait, "paste" puts it back into the photograph, "whole"
            draws the photograph as it is.
        require_face: a photograph without a face fails; else "whole" draws it as a scene.
        faces: every face of a photograph or its largest.
        only: the one who is drawn instead: "left", "middle", "right", or a number counted from
            the left, "1" being the first.
        min_face: height in px of the smallest faces that the engine looks for; None, its default.
        aligned: photographs are FFHQ crops already, no face is looked for.
        identity: character → whatever else its drawings depend on (networks, latent), JSON-able.
        strip: drawings say nothing of the photograph (date, camera, …).
        quality: 1..100 of JPEG and WebP; None for 95.
        existing: what becomes of drawings that are there. Those of the same photograph and
            options always stay, unless "overwrite" is said or their file was named; the others
            are an "error", are drawn anew ("skip"), or all are ("overwrite"). What toonify did
            not draw is never replaced, but by name.
        format: of what goes to stdout.
        batch_size: faces drawn together.
        name: how drawings in a folder are called; None: see `toonify.stylize.jobs.numbered`.
        fail_fast: stop at the first failure.
        max_failures: stop after so many.
    """

    characters: tuple[str, ...]
    styles: tuple[str, ...] = ()
    level: int = 6
    trgb: bool = True
    color: float = 1.0
    mode: Mode = "crop"
    require_face: bool = False
    faces: Literal["all", "largest"] = "largest"
    only: str | None = None
    min_face: float | None = None
    aligned: bool = False
    identity: Mapping[str, Any] = field(default_factory=dict)
    strip: bool = False
    quality: int | None = None
    existing: Literal["error", "skip", "overwrite"] = field(
        default="error", metadata={"drawing": False}
    )
    format: str = field(default="png", metadata={"drawing": False})
    batch_size: int = field(default=8, metadata={"drawing": False})
    name: NameTemplate | None = field(default=None, metadata={"drawing": False})
    fail_fast: bool = field(default=False, metadata={"drawing": False})
    max_failures: int | None = field(default=None, metadata={"drawing": False})

    def settings(self) -> dict[str, Any]:
        """All that drawings depend on, but the characters: every field that isn't marked."""
        apart = ("characters", "styles", "identity")
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.metadata.get("drawing", True) and f.name not in apart
        }

    def digest(self, character: str) -> str:
        """What tells drawings of one character by these options from others."""
        about = {"character": character, "identity": self.identity.get(character)}
        return marks.digest(self.settings() | about)


@dataclass
class Result:
    """What became of one photograph; `record()` is its line in a manifest.

    Attributes:
        sha256: of the photograph's file.
        settings: all that the drawings depend on.
        faces: how many were drawn.
        min_face: height in px of the smallest faces that were looked for.
        outputs: a record a drawing: path, character or style, and face and box or the number of
            faces.
        picture: the file that goes to stdout.
        note: what is to be said of it, though it was drawn.
        rows: photograph and drawings of each face, for a contact sheet.
        seconds: None where an earlier run drew it.
    """

    source: str
    status: Literal["ok", "skipped", "failed"]
    outputs: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    seconds: float | None = 0.0
    rows: list[list[np.ndarray]] = field(default_factory=list)
    picture: bytes | None = None
    sha256: str | None = None
    settings: dict[str, Any] | None = None
    faces: int | None = None
    min_face: float | None = None
    note: str | None = None

    def record(self) -> dict[str, Any]:
        """JSON-able."""
        record: dict[str, Any] = {"source": self.source, "status": self.status}
        for name in ("sha256", "settings", "faces", "min_face", "error", "note"):
            if (value := getattr(self, name)) is not None:
                record[name] = value
        if self.outputs:
            record["outputs"] = self.outputs
        seconds = None if self.seconds is None else round(self.seconds, 3)
        return record | {"seconds": seconds}

    def entry(self) -> dict[str, Any]:
        """Its line in a manifest, where what an earlier run drew is as good as drawn now."""
        return self.record() | ({"status": "ok"} if self.status == "skipped" else {})


def is_rule(name: str) -> bool:
    """Whether what stands for a character casts one per person."""
    return "=" in name
