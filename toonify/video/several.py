"""Several clips in one call: which, where each goes, and what an earlier call has drawn."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toonify.errors import InputError, ToonifyError, UsageError
from toonify.media.encoding import SUFFIXES
from toonify.media.images import IMAGE_SUFFIXES
from toonify.media.scan import scan_images
from toonify.utils.durable import write_durably
from toonify.utils.memory import is_shortage
from toonify.utils.outputs import InputFiles, check_output

log = logging.getLogger(__name__)

CLIP_SUFFIXES = (
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"),
    *(".3gp", ".wmv", ".flv", ".ogv", ".mxf", ".vob"),
)
WRITTEN = tuple(suffix for suffix in SUFFIXES if suffix != ".gif")
LEDGER = ".toonify-clips.json"


def several_clips(sources: Sequence[Path]) -> list[Path] | None:
    """The clips that are meant, folders of clips taken apart; None for a single clip or a folder
    of frames.

    Raises:
        InputError: a folder among several inputs holds no clips.
    """
    found: list[Path] = []
    for source in sources:
        if not source.is_dir():
            found.append(source)
            continue
        clips = _files(source, CLIP_SUFFIXES)
        if not clips and len(sources) == 1:
            return None
        if not clips:
            raise InputError(f"no clips in {source}", hint="Give clips, or one folder of frames.")
        if len(sources) == 1 and _files(source, IMAGE_SUFFIXES):
            raise UsageError(
                f"{source} holds clips and pictures", hint="Name the clips, or take them out."
            )
        found += clips
    single = len(sources) == 1 and not sources[0].is_dir()
    return None if single else list(dict.fromkeys(found))


def targets(clips: Sequence[Path], folder: Path) -> list[Path]:
    """Where each clip's result goes: under its own name, as .mp4 where its container can't be
    written; a.avi and a.mp4 become a.avi.mp4 and a.mp4.mp4."""
    if folder.suffix.lower() in SUFFIXES:
        raise UsageError(
            f"several clips can't all go into the one file {folder}",
            hint="Give a folder as `output`.",
        )
    kept = [c.suffix.lower() if c.suffix.lower() in WRITTEN else ".mp4" for c in clips]
    names = [f"{clip.stem}{suffix}" for clip, suffix in zip(clips, kept, strict=True)]
    counts = Counter(name.lower() for name in names)
    named = [
        f"{clip.name}{suffix}" if counts[name.lower()] > 1 else name
        for clip, name, suffix in zip(clips, names, kept, strict=True)
    ]
    if len(set(named)) < len(named):
        raise UsageError(
            "two clips have the same name", hint="Draw them into folders of their own."
        )
    return [folder / name for name in named]


def failure_of(error: Exception) -> ToonifyError:
    """Why one clip among others failed, whatever it was: they go on."""
    if isinstance(error, ToonifyError):
        return error
    failure: ToonifyError
    if is_shortage(error):
        failure = InputError(
            "out of memory while drawing it",
            hint="Close other programs, draw it smaller (`max_size`), or take another `device`.",
        )
    elif isinstance(error, OSError) and error.errno is not None:
        where = "" if error.filename is None else f"{error.filename}: "
        failure = InputError(f"{where}{error.strerror or error}")
    else:
        log.debug("a clip failed", exc_info=error)
        failure = ToonifyError(
            f"{type(error).__name__}: {error}",
            hint="This is a bug in toonify; `debug` shows where.",
        )
    failure.__cause__ = error
    return failure


class Ledger:
    """What was drawn into a folder, by which a later call knows it again.

    Args:
        folder: of the results.
        inputs: all that is read.
    """

    def __init__(self, folder: Path, inputs: InputFiles) -> None:
        self._path, self._inputs = folder / LEDGER, inputs
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
            self._known: dict[str, Any] = known if isinstance(known, dict) else {}
        except (OSError, ValueError):
            self._known = {}

    def is_drawn(self, target: Path, plan: dict[str, Any]) -> bool:
        """Whether a result is there, of the same clip and options.

        Raises:
            UsageError: what is there is not what was written, and must stay.
        """
        check_output(target, self._inputs, named=self._is_ours(target), folder=target.parent)
        return self._is_ours(target) and self._known[target.name]["plan"] == _digest(plan)

    def _is_ours(self, target: Path) -> bool:
        known = self._known.get(target.name)
        return isinstance(known, dict) and target.is_file() and known.get("file") == _file(target)

    def note(self, target: Path, plan: dict[str, Any]) -> None:
        """Remember a result that was written."""
        self._known[target.name] = {"plan": _digest(plan), "file": _file(target)}
        write_durably(self._path, json.dumps({**self._known, "toonify": 1}, indent=1).encode())


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    found = scan_images(folder, suffixes=suffixes).images
    return [path for path in found if path.suffix.lower() in suffixes]


def _file(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _digest(plan: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
