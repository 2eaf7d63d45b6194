"""Which pictures a folder holds, and what in it is left out."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toonify.errors import InputError
from toonify.utils.links import FOLLOW_LINKS, real_path
from toonify.utils.outputs import made_by_toonify

EVERYDAY_FILES = {"thumbs.db", "desktop.ini", "readme.md", "readme.txt", "license", "license.txt"}


@dataclass
class Scan:
    """What `scan_images` found.

    Attributes:
        images: in the order of their paths.
        unreadable: (sub-folder or file, reason), each a failure.
        linked: links that lead out of the folder or nowhere: not followed.
        made: what toonify itself drew there, if that was requested.
        others: ordinary files that are no pictures.
    """

    images: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    linked: list[Path] = field(default_factory=list)
    made: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def scan_images(
    folder: str | os.PathLike[str],
    *,
    recursive: bool = False,
    suffixes: Sequence[str],
    photographs: bool = False,
) -> Scan:
    """The image files of a folder by suffix, those without one by content, sorted by path.

    Hidden files and folders are left out and linked folders are not entered. Links to files are
    followed within the folder only, or everywhere with --follow-links.

    Args:
        photographs: leave out what earlier runs of toonify drew.

    Raises:
        InputError: the folder itself is missing or can't be read.
    """
    root = Path(folder)
    scan = Scan()

    def refuse(error: OSError) -> None:
        reason = error.strerror or str(error)
        if error.filename is None or Path(os.fsdecode(error.filename)) == root:
            raise InputError(f"can't read the folder {root}: {reason}") from error
        scan.unreadable.append((Path(os.fsdecode(error.filename)), reason))

    follow = bool(os.environ.get(FOLLOW_LINKS))
    for base, folders, files in os.walk(root, onerror=refuse):
        folders[:] = [f for f in folders if recursive and not f.startswith(".")]
        for name in files:
            path = Path(base, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() not in suffixes and not _is_bare_picture(path):
                everyday = name.lower() in EVERYDAY_FILES
                if not everyday and not path.is_symlink() and not _not_regular(path):
                    scan.others.append(path)
                continue
            if path.is_symlink() and not _leads_inside(path, root, anywhere=follow):
                scan.linked.append(path)
            elif kind := _not_regular(path):
                scan.unreadable.append((path, kind))
            elif photographs and made_by_toonify(path):
                scan.made.append(path)
            else:
                scan.images.append(path)
    for found in (scan.images, scan.linked, scan.made):
        found.sort(key=lambda path: path.relative_to(root).parts)
    scan.unreadable.sort()
    return scan


def others_note(scan: Scan, folder: str | os.PathLike[str]) -> str:
    """A line on the files of a folder that are no pictures; empty where there are none."""
    kinds = Counter(path.suffix.lower() or "no suffix" for path in scan.others)
    if not kinds:
        return ""
    count = len(scan.others)
    named = ", ".join(kind for kind, _ in kinds.most_common(4))
    more = ", …" if len(kinds) > 4 else ""
    what = "1 file is no picture" if count == 1 else f"{count} files are no pictures"
    return f"{what} in {folder} ({named}{more}): left out"


def _is_bare_picture(path: Path) -> bool:
    """Whether an ordinary file without a suffix begins like a picture."""
    from toonify.media.decoding import is_picture

    return not path.suffix and not path.is_symlink() and is_picture(path)


def _leads_inside(link: Path, root: Path, *, anywhere: bool) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # leads nowhere, or round in circles
        return False
    return anywhere or target.is_relative_to(real_path(root))


def _not_regular(path: Path) -> str:
    """What a file is that is none to read; empty for ordinary files."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return error.strerror or str(error)
    if stat.S_ISREG(mode):
        return ""
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    kind = next((name for is_kind, name in kinds.items() if is_kind(mode)), "a device")
    return f"it is {kind}, not a file"
