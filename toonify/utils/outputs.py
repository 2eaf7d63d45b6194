"""Whether an output may be written: nothing that is read, or that somebody else made, gets lost."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from toonify.errors import InputError, UsageError
from toonify.utils import marks

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg", ".pdf")
GENERATOR_TAG = '<meta name="generator" content="toonify">'  # of every page
LOSS_TABLE = "kind,step,loss"  # first line of the tables that `invert` writes
RUN_FILES = (  # of a training
    "generator.safetensors",
    "encoder.safetensors",
    "characters.safetensors",
    "latents.safetensors",
    "codes.safetensors",  # the same, as once written
    "style.safetensors",
    "hfgi.safetensors",
    "drawing.safetensors",
    "fusion.safetensors",
    "stylemap.safetensors",
    "report.html",
    "adversarial/generator.safetensors",
    "adversarial/discriminator.safetensors",
)
_LARGEST_REPORT = 1 << 28  # bytes
REPORT_TITLE = "toonify check: "  # beginning of the summaries that `check` writes


class InputFiles:
    """Files that a run reads, known by device and inode, whatever they are called.

    The outputs that were checked against them are remembered too, so that two options never name
    one file.

    Args:
        paths: files, or folders with all that is in them; what isn't there (a registry's name,
            say) and None are passed over.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str] | None] = ()) -> None:
        self._files: dict[tuple[int, int], str] = {}
        self._folders: list[Path] = []
        self._outputs: dict[tuple[int, int] | str, str] = {}  # a file → the option that named it
        for path in paths:
            if path is not None:
                self.add(path)

    def add(self, path: str | os.PathLike[str]) -> None:
        """One more file or folder."""
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return
        if stat.S_ISDIR(status.st_mode):
            self._folders.append(Path(path))
            for file in _files_below(path):
                self._note(file)
        else:
            self._files[status.st_dev, status.st_ino] = os.fspath(path)

    def add_stream(self, number: int, name: str) -> None:
        """The file that a stream is redirected from, if it is one."""
        try:
            status = os.fstat(number)
        except OSError:
            return
        if stat.S_ISREG(status.st_mode):
            self._files[status.st_dev, status.st_ino] = name

    def find(self, path: str | os.PathLike[str] | int) -> str | None:
        """What the input that lies at `path` (or is an open file) is called; None: it is none."""
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        return self._files.get((status.st_dev, status.st_ino))

    def folder_around(self, path: str | os.PathLike[str]) -> Path | None:
        """The folder that is read and that `path` lies in, or is; None: there is none."""
        place = Path(path).resolve()
        within = (place, *place.parents)
        return next((folder for folder in self._folders if folder.resolve() in within), None)

    def claim(self, path: str | os.PathLike[str], option: str) -> None:
        """Note that an option's output is written there.

        Raises:
            UsageError: another option's is.
        """
        other = self._outputs.setdefault(_identity(path), option)
        if other != option:
            raise UsageError(
                f"{option} and {other} are one file, {os.fspath(path)}",
                hint=f"Choose another {option}.",
            )

    def is_taken(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file is read, or is an output that was checked already."""
        return self.find(path) is not None or _identity(path) in self._outputs

    def _note(self, path: str) -> None:
        try:
            status = os.stat(path)
        except OSError:
            return
        self._files[status.st_dev, status.st_ino] = path


def check_output(
    path: str | os.PathLike[str],
    inputs: InputFiles,
    *,
    option: str = "-o",
    named: bool = False,
    folder: str | os.PathLike[str] | None = None,
    streams: bool = False,
) -> None:
    """Refuse an output that would replace an input, another output, or what somebody else made.

    Args:
        path: the file that is to be written.
        inputs: all that the command reads.
        option: where the user said so, for the message.
        named: the user named this very file, so whatever lies there, but no input, may be
            replaced.
        folder: the folder that the user named, if `path` is within one: nothing below it is
            written through a link.
        streams: it is written line by line, so that pipes and devices do as well.

    Raises:
        UsageError: it must not be written.
        InputError: it can't be.
    """
    target = Path(path)
    _check_kind(target, option, streams=streams)
    source = inputs.find(target)
    if source is not None:
        what = "the input" if _same_spelling(source, target) else f"the input {source}"
        raise UsageError(
            f"{option} {target} is {what}: nothing is written over what is read",
            hint=f"Choose another {option}.",
        )
    for step in _steps(target, folder):
        if step.is_symlink() and not (named and step == target):
            raise UsageError(
                f"{step} is a link, and outputs are not written through links",
                hint=f"Remove it, or choose another {option}.",
            )
    inputs.claim(target, option)
    if named or not os.path.lexists(target) or is_ours(target):
        return
    why = "has been changed since toonify wrote it" if _marked(target) else "is not toonify's"
    raise UsageError(
        f"{target} is there and {why}: it stays",
        hint=f"Move it away, or choose another {option}.",
    )


def check_run_folder(folder: Path, inputs: InputFiles) -> None:
    """Refuse a training's folder within what is read, or with somebody else's files.

    Raises:
        UsageError: it must not be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", hint="Give a folder as `output`.")
    around = inputs.folder_around(folder)
    if around is not None:  # the run's previews would be read as data, when it goes on
        raise UsageError(
            f"{folder} lies in {around}, which is read",
            hint="Choose an `output` outside it.",
        )
    begun = (folder / "snapshot.pt").is_file()
    for name in RUN_FILES:
        check_output(folder / name, inputs, named=begun, folder=folder)


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether toonify wrote this file, and of pictures: whether it is still as it was written."""
    target = Path(path)
    suffix = target.suffix.lower()
    try:
        if not target.is_file():
            return False
        if suffix in PICTURES:
            return marks.is_unchanged(target)
        if suffix == ".safetensors":
            return _has_our_header(target)
        if suffix == ".json" and target.stat().st_size > _LARGEST_REPORT:
            return False
        if suffix == ".json":
            return "toonify" in json.loads(target.read_text(encoding="utf-8"))
        if suffix == ".jsonl":
            return is_manifest(target)
        with open(target, encoding="utf-8", errors="replace") as file:
            start = file.read(2000)
    except (OSError, ValueError, TypeError):
        return False
    if suffix == ".html":
        return GENERATOR_TAG in start
    if suffix == ".csv":
        return start.startswith(LOSS_TABLE)
    return suffix == ".txt" and start.startswith(REPORT_TITLE)


def is_manifest(path: Path) -> bool:
    """Whether a file is empty or holds a record a line, as manifests do."""
    try:
        with open(path, encoding="utf-8") as file:
            first = file.readline(1 << 20)
            record = json.loads(first) if first.strip() else {"source": "", "status": ""}
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and (
        {"source", "status"} <= record.keys() or {"name", "method"} <= record.keys()
    )


def made_by_toonify(path: str | os.PathLike[str]) -> bool:
    """Whether a picture in a folder of photographs is an output of an earlier run.

    Crops of `align` are none: they are made to be read.
    """
    mark = marks.read_mark(path)
    return mark is not None and mark.get("kind") != marks.CROP and marks.names(mark, path)


def _check_kind(target: Path, option: str, *, streams: bool) -> None:
    """Refuse what can't be a file: something else lies there, or the system has no such names."""
    shown, other = repr(str(target)[:200]), f"Choose another {option}."
    try:
        mode = os.stat(target).st_mode
    except ValueError as error:
        raise UsageError(f"no file can be called {shown} ({error})", hint=other) from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EINVAL):
            raise InputError(f"can't write {shown}: {error.strerror}", hint=other) from error
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or streams):
        raise UsageError(f"{option} {shown} is a pipe or device", hint=other)


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | str:
    """What tells a file, there or not, from others."""
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):
            return status.st_dev, status.st_ino
    except (OSError, ValueError):
        pass
    return os.path.normcase(os.path.realpath(path))


def _marked(path: Path) -> bool:
    mark = marks.read_mark(path)
    return mark is not None and marks.names(mark, path)


def _steps(target: Path, folder: str | os.PathLike[str] | None) -> Iterator[Path]:
    """The file, and the folders between it and the one that was named."""
    yield target
    if folder is None:
        return
    root = Path(folder)
    step = target.parent
    while step != root and root in step.parents:
        yield step
        step = step.parent


def _has_our_header(path: Path) -> bool:
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > 100_000_000:
            return False
        header = json.loads(file.read(length))
    metadata = header.get("__metadata__", {})
    return any(str(key).startswith("toonify") for key in metadata)


def _files_below(folder: str | os.PathLike[str]) -> Iterator[str]:
    for base, _, files in os.walk(folder):
        for name in files:
            yield os.path.join(base, name)


def _same_spelling(source: str, target: Path) -> bool:
    return os.path.normpath(source) == os.path.normpath(target)
