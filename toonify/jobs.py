"""Which photographs a run reads, and where each drawing goes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toonify.errors import InputError, UsageError
from toonify.media.images import FORMATS, iter_images

STREAM = "-"


@dataclass(frozen=True)
class Job:
    """One photograph and where its drawings go.

    Attributes:
        source: image file; None is stdin.
        target: output file before face numbers and character names are added; None when only
            a contact sheet is wanted, or with `to_stdout`.
        explicit: the user named this very file, so it may be replaced.
        to_stdout: the drawing is written to stdout as PNG.
    """

    source: Path | None
    target: Path | None
    explicit: bool = False
    to_stdout: bool = False

    @property
    def label(self) -> str:
        """How records call it: the path, or "-"."""
        return STREAM if self.source is None else str(self.source)

    @property
    def name(self) -> str:
        """How messages call it."""
        return "standard input" if self.source is None else str(self.source)


def plan(inputs: Sequence[str], output: str | None, *, recursive: bool = False) -> list[Job]:
    """Which photographs there are and where each drawing goes.

    Args:
        inputs: image files, folders (their tree is mirrored) or "-" for stdin.
        output: a file for one photograph, a folder for several, "-" for stdout; None for
            stdout when the input is stdin, else for no files at all.
        recursive: look into the folders' sub-folders too.

    Raises:
        UsageError: inputs and output don't go together.
        InputError: the only photograph is missing, or a folder has no images.
    """
    if STREAM in inputs:
        return [_stream_job(inputs, output)]
    single = len(inputs) == 1 and not Path(inputs[0]).is_dir()
    if output == STREAM:
        if not single:
            raise UsageError("stdout takes one photo", mend="Give a folder with -o.")
        return [Job(Path(inputs[0]), None, to_stdout=True)]
    if single:
        source = Path(inputs[0])
        if not source.exists():
            raise InputError(f"no such file: {source}", mend="Check the name.")
        if output is None:
            return [Job(source, None)]
        if _is_folder(output):
            return [Job(source, Path(output) / f"{source.stem}.png")]
        return [Job(source, _checked_file(Path(output)), explicit=True)]
    if output is not None and not _is_folder(output):
        raise UsageError(
            f"several photos can't all go into the one file {output}",
            mend="Give a folder with -o.",
        )
    pairs = []
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            found = list(iter_images(path, recursive=recursive))
            if not found:
                deeper = "" if recursive else " Add --recursive to look into sub-folders."
                raise InputError(f"no images in {path}", mend=deeper)
            pairs += [(source, source.relative_to(path)) for source in found]
        else:
            pairs.append((path, Path(path.name)))
    return _jobs(pairs, None if output is None else Path(output))


def _stream_job(inputs: Sequence[str], output: str | None) -> Job:
    if len(inputs) != 1:
        raise UsageError("- (stdin) is one photo and goes alone", mend="Run it separately.")
    if output is None or output == STREAM:
        return Job(None, None, to_stdout=True)
    if _is_folder(output):
        return Job(None, Path(output) / "stdin.png")
    return Job(None, _checked_file(Path(output)), explicit=True)


def _jobs(pairs: list[tuple[Path, Path]], folder: Path | None) -> list[Job]:
    """Mirror relative paths as PNG; a.jpg and a.png side by side become a.jpg.png, a.png.png."""
    if folder is None:
        return [Job(source, None) for source, _ in pairs]
    counts = Counter(relative.with_suffix("") for _, relative in pairs)
    jobs = []
    taken: dict[Path, Path] = {}
    for source, relative in pairs:
        stem = relative.with_suffix("")
        target = folder / (relative if counts[stem] > 1 else stem)
        target = target.with_name(f"{target.name}.png")
        if target in taken and taken[target] != source:
            raise UsageError(
                f"{taken[target]} and {source} would both become {target}",
                mend="Convert them in separate runs.",
            )
        if target not in taken:
            jobs.append(Job(source, target))
        taken[target] = source
    return jobs


def _is_folder(output: str) -> bool:
    path = Path(output)
    return path.is_dir() or output.endswith(("/", os.sep)) or not path.suffix


def _checked_file(path: Path) -> Path:
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise UsageError(f"can't write {path.suffix} files ({path})", mend=f"Use one of {known}.")
    return path


def numbered(target: Path, *, face: int | None = None, character: str | None = None) -> Path:
    """x.png → x-face1-mina.png, as far as given."""
    parts = [target.stem]
    if face is not None:
        parts.append(f"face{face}")
    if character is not None:
        parts.append(character)
    return target.with_name("-".join(parts) + target.suffix)
