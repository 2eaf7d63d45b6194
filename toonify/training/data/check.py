"""A look at a folder of drawings before hours are spent on it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from toonify.errors import InputError, ToonifyError
from toonify.faces.templates import CropBox
from toonify.faces.types import RGB, FaceDetector
from toonify.lut import is_name
from toonify.media.images import iter_images, pictures_under, read_image
from toonify.media.scan import EVERYDAY_FILES
from toonify.training.data.alignment import find_crops
from toonify.training.data.drawings import SMALLEST_SHARE, prepare
from toonify.training.data.similarity import (
    OUTLIER_IN_FOLDER,
    SIDE,
    duplicates,
    misplaced,
    outliers,
)

FEW = 10  # drawings of a character from which on its latent is an average worth the name
MANY_WITHOUT_FACE = 0.5  # share found, from which on "no face" says something about a drawing
# Framing: how far (sides; log sides) a face may sit from FFHQ's place, and how many may.
OFF_CENTER, OFF_SIDE, OFF_ANGLE, OFF_SHARE = 0.1, 0.25, 20.0, 0.2

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing to know about the drawings.

    Attributes:
        kind: "unreadable", "small", "not-image", "duplicate", "outlier", "misplaced", "framing",
            "no-face", "few", "name" or "shape".
        severity: an "error" is a file that can't be used, a "warning" should be looked at.
        text: one line, with the names of a few of the files.
        names: all files meant.
    """

    kind: str
    severity: Severity
    text: str
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Drawing:
    """One usable file. `face` is "found", "off" (elsewhere than in an FFHQ crop), "none", or
    "unknown" where none was looked for."""

    name: str
    character: str
    width: int
    height: int
    mode: str
    face: str = "unknown"


@dataclass(frozen=True, eq=False)
class DataReport:
    """What `check_drawings` found.

    Attributes:
        folder: where.
        size: the training size it was looked at for.
        drawings: every usable file, in the order of `load_drawings`.
        findings: errors first, then warnings, then notes.
        pictures: (N, 128, 128, 3) uint8, each as training sees it.
        faces_sought: how many of them were searched for a face.
    """

    folder: str
    size: int
    drawings: list[Drawing]
    findings: list[Finding]
    pictures: NDArray[np.uint8]
    faces_sought: int

    @property
    def characters(self) -> dict[str, int]:
        """Drawings a character."""
        return dict(Counter(d.character for d in self.drawings))

    @property
    def warnings(self) -> list[Finding]:
        """Findings that should be looked at before training: errors and warnings."""
        return [f for f in self.findings if f.severity != "note"]

    def mean(self, character: str | None = None) -> RGB:
        """The mean picture (128, 128, 3), of all or of one character: sharp where all agree."""
        rows = [
            i for i, d in enumerate(self.drawings) if character is None or d.character == character
        ]
        return np.asarray(np.rint(self.pictures[rows].mean(0, dtype=np.float64)), np.uint8)

    def marks(self) -> dict[str, str]:
        """Each drawing's gravest finding's kind, for those that have one."""
        marks: dict[str, str] = {}
        for finding in self.findings:
            for name in finding.names:
                marks.setdefault(name, finding.kind)
        return {d.name: marks[d.name] for d in self.drawings if d.name in marks}

    def headline(self) -> str:
        """One sentence: how many drawings of what kind."""
        sides = [min(d.width, d.height) for d in self.drawings]
        modes = ", ".join(f"{n} {m}" for m, n in Counter(d.mode for d in self.drawings).items())
        named = len([c for c in self.characters if c])
        text = f"{len(sides)} drawing{'s' if len(sides) > 1 else ''}"
        if named:
            text += f" of {named} character{'s' if named > 1 else ''}"
        text += f", {_range(sides)} px ({modes})"
        if self.faces_sought:
            found = sum(d.face in ("found", "off") for d in self.drawings)
            text += f"; a face found in {found} of {self.faces_sought}"
        return f"{text}."

    def summary(self) -> str:
        """One paragraph: what there is, and what to look at."""
        lines = [f"{f.text}." for f in self.warnings]
        return " ".join([self.headline(), *lines] if lines else [self.headline(), "Looks good."])

    def text(self, *severities: Severity) -> str:
        """The headline and a line a finding, of all or of these severities."""
        lines = [f for f in self.findings if f.severity in severities or not severities]
        return "\n".join([self.headline(), *(f"- {f.severity}: {f.text}" for f in lines)])

    def as_json(self) -> dict[str, Any]:
        """Everything but the pictures."""
        return {
            "folder": self.folder,
            "size": self.size,
            "count": len(self.drawings),
            "characters": self.characters,
            "faces_sought": self.faces_sought,
            "findings": [asdict(f) for f in self.findings],
            "drawings": [asdict(d) for d in self.drawings],
        }


def check_drawings(
    folder: str | os.PathLike[str],
    size: int,
    *,
    detector: FaceDetector | None = None,
    most_faces: int | None = 200,
    progress: Callable[[int, int], None] | None = None,
) -> DataReport:
    """Look through every drawing under `folder`, as training at `size` would use it.

    Args:
        detector: looks for faces; None leaves that out.
        most_faces: of more drawings, so many are searched for a face, evenly spread; None
            for all.
        progress: called with (files read, files in all).

    Raises:
        InputError: no such folder, no image in it, or not one that is usable (with the reason).
    """
    folder = Path(folder)
    paths = pictures_under(folder, "drawings")
    most = min(most_faces or len(paths), len(paths))
    sought = set(np.linspace(0, len(paths) - 1, most).round().astype(int))
    drawings, pictures, unreadable, small = [], [], [], []
    pixels: dict[str, list[str]] = {}
    for index, path in enumerate(paths):
        if progress:
            progress(index, len(paths))
        relative = path.relative_to(folder)
        name = relative.as_posix()
        try:
            image = read_image(path)
        except ToonifyError as error:
            unreadable.append((name, str(error)))
            continue
        height, width = image.rgb.shape[:2]
        if min(height, width) < SMALLEST_SHARE * size:
            small.append((name, f"{width}x{height} px"))
            continue
        shown = prepare(image.rgb, image.alpha, max(2 * SIDE, 1))
        face = "unknown"
        if detector and index in sought:
            face = _face(find_crops(shown, detector), len(shown))
        digest = hashlib.sha256(f"{width}x{height}".encode() + image.rgb.tobytes())
        if image.alpha is not None:
            digest.update(image.alpha.tobytes())
        pixels.setdefault(digest.hexdigest(), []).append(name)
        character = relative.parts[0] if len(relative.parts) > 1 else ""
        drawings.append(Drawing(name, character, width, height, _mode(path), face))
        pictures.append(_half(shown))
    if not drawings:
        name, reason = (unreadable + small)[0]
        raise InputError(
            f"none of the {len(paths)} images in {folder} is usable, such as {name}: {reason}",
            hint=f"Export them again, at least {size} px wide and high.",
        )
    stacked = np.stack(pictures)
    searched = sum(d.face != "unknown" for d in drawings)
    findings = [
        *_file_findings(folder, unreadable, small, size),
        *_copies(drawings, stacked, list(pixels.values())),
        *_mixed_up(drawings, stacked),
        *_faces(drawings),
        *_counts(drawings, size),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    findings.sort(key=lambda f: order[f.severity])
    return DataReport(str(folder), size, drawings, findings, stacked, searched)


def named(names: Sequence[str], most: int = 4) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _file_findings(
    folder: Path, unreadable: list[tuple[str, str]], small: list[tuple[str, str]], size: int
) -> list[Finding]:
    findings = [
        Finding("unreadable", "error", f"{name} is left out: {reason}", [name])
        for name, reason in unreadable
    ]
    if small:
        names = [f"{name} ({what})" for name, what in small]
        text = f"Left out as too small for {size} px: {named(names)}"
        findings.append(Finding("small", "error", text, [name for name, _ in small]))
    others = _not_images(folder)
    if others:
        text = f"No images, not used: {named(others)}"
        findings.append(Finding("not-image", "note", text, others))
    return findings


def _not_images(folder: Path) -> list[str]:
    """Files that training won't see, by name; those that every folder has are left out."""
    images = set(iter_images(folder, recursive=True))
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and path not in images
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.name.lower() not in EVERYDAY_FILES
    )


def _copies(
    drawings: list[Drawing], pictures: NDArray[np.uint8], same: list[list[str]]
) -> list[Finding]:
    findings = []
    exact = [names for names in same if len(names) > 1]
    repeated = {name for names in exact for name in names[1:]}
    if exact:
        text = f"The same picture more than once: {named([' = '.join(n) for n in exact], 3)}"
        findings.append(Finding("duplicate", "warning", text, sorted(repeated)))
    for kind, words in (("near", "Nearly the same picture"), ("mirrored", "Mirrored copies")):
        pairs = [
            (drawings[a].name, drawings[b].name)
            for a, b, k in duplicates(pictures)
            if k == kind and drawings[b].name not in repeated
        ]
        repeated |= {b for _, b in pairs}
        if pairs:
            text = f"{words}: {named([' ~ '.join(p) for p in pairs], 3)}"
            findings.append(Finding("duplicate", "warning", text, [b for _, b in pairs]))
    return findings


def _mixed_up(drawings: list[Drawing], pictures: NDArray[np.uint8]) -> list[Finding]:
    findings = []
    odd = [drawings[i].name for i in outliers(pictures)]
    if odd:
        text = f"Unlike all the others: {named(odd)}"
        findings.append(Finding("outlier", "warning", text, odd))
    wrong, _ = misplaced(pictures, [d.character for d in drawings])
    elsewhere = [drawings[i].name for i, _ in wrong]
    if wrong:
        listed = [f"{drawings[i].name} (like {other or 'the top folder'}'s)" for i, other in wrong]
        text = f"In another character's folder? {named(listed)}"
        findings.append(Finding("misplaced", "warning", text, elsewhere))
    for character in dict.fromkeys(d.character for d in drawings):
        rows = [i for i, d in enumerate(drawings) if d.character == character]
        among = outliers(pictures[rows], times=OUTLIER_IN_FOLDER)
        names = [drawings[rows[i]].name for i in among]
        names = [name for name in names if name not in odd + elsewhere]
        if names:
            text = f"Unlike the others of {character or 'the top folder'}: {named(names)}"
            findings.append(Finding("outlier", "warning", text, names))
    return findings


def _faces(drawings: list[Drawing]) -> list[Finding]:
    searched = [d for d in drawings if d.face != "unknown"]
    found = [d for d in searched if d.face != "none"]
    off = [d.name for d in found if d.face == "off"]
    none = [d.name for d in searched if d.face == "none"]
    findings = []
    if len(found) >= 3 and len(off) > OFF_SHARE * len(found):
        text = (
            f"{len(off)} of {len(found)} faces found are not where FFHQ crops have them: run"
            " `toonify align` first"
        )
        findings.append(Finding("framing", "warning", text, off))
    elif off:
        text = f"Face elsewhere than in an FFHQ crop: {named(off)}"
        findings.append(Finding("framing", "note", text, off))
    if none and len(found) >= MANY_WITHOUT_FACE * len(searched):
        findings.append(Finding("no-face", "note", f"No face found in {named(none)}", none))
    elif none:
        text = "Faces are hardly found in this style: see that eyes and mouths are in place"
        findings.append(Finding("no-face", "note", text))
    return findings


def _counts(drawings: list[Drawing], size: int) -> list[Finding]:
    findings = []
    counts = Counter(d.character for d in drawings)
    few = [f"{name or 'the top folder'} ({n})" for name, n in counts.items() if n < FEW]
    if few:
        text = f"Few drawings, {FEW} and more are better: {named(few)}"
        findings.append(Finding("few", "warning" if len(drawings) < FEW else "note", text))
    if "" in counts and len(counts) > 1:
        loose = [d.name for d in drawings if not d.character]
        text = f"In no character's folder: {named(loose)}"
        findings.append(Finding("misplaced", "warning", text, loose))
    unnamed = [name for name in counts if name and not is_name(name)]
    if unnamed:
        text = f"Folders that can't name a character (letters, digits, - and _): {named(unnamed)}"
        findings.append(Finding("name", "warning", text))
    long = [d.name for d in drawings if max(d.width, d.height) > 1.2 * min(d.width, d.height)]
    if long:
        text = f"Not square, cropped to the middle: {named(long)}"
        findings.append(Finding("shape", "note", text, long))
    coarse = [d.name for d in drawings if min(d.width, d.height) < 0.75 * size]
    if coarse:
        text = f"Enlarged to {size} px: {named(coarse)}"
        findings.append(Finding("small", "note", text, coarse))
    return findings


def _face(crops: list[CropBox], side: int) -> str:
    """Whether the largest face is where the middle of an FFHQ crop would be."""
    crops = [f for f in crops if f.side > 0.25 * side]
    if not crops:
        return "none"
    f = crops[0]
    away = np.hypot(f.x - side / 2, f.y - side / 2) / side
    far = away > OFF_CENTER or abs(np.log(f.side / side)) > OFF_SIDE or abs(f.angle) > OFF_ANGLE
    return "off" if far else "found"


def _mode(path: Path) -> str:
    with PILImage.open(path) as image:
        return image.mode


def _half(picture: RGB) -> RGB:
    """(2 n, 2 n, 3) → (n, n, 3), the mean of each 2×2."""
    n = len(picture) // 2
    blocks = picture.reshape(n, 2, n, 2, 3).mean((1, 3))
    return np.asarray(np.rint(blocks), np.uint8)


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"
