"""Which photographs a run reads, and where each drawing goes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toonify.errors import InputError, UsageError
from toonify.media.images import FORMATS, IMAGE_SUFFIXES
from toonify.media.scan import Scan, scan_images

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
        folder: the output folder that the user named, which `target` is within.
        problem: why the photograph can't be read, where that is known before.
    """

    source: Path | None
    target: Path | None
    explicit: bool = False
    to_stdout: bool = False
    folder: Path | None = None
    problem: str = ""

    @property
    def label(self) -> str:
        """How records call it: the path, or "-"."""
        return STREAM if self.source is None else str(self.source)

    @property
    def name(self) -> str:
        """How messages call it."""
        return "standard input" if self.source is None else str(self.source)


def plan(
    inputs: Sequence[str],
    output: str | None,
    *,
    recursive: bool = False,
    suffix: str = ".png",
    note: Callable[[str], None] = lambda line: None,
) -> list[Job]:
    """Which photographs there are and where each drawing goes.

    What earlier runs drew, and what lies in the output folder, is no photograph, unless it is
    named itself.

    Args:
        inputs: image files, folders (their tree is mirrored) or "-" for stdin.
        output: a file for one photograph, a folder for several, "-" for stdout; None for
            stdout when the input is stdin, else for no files at all.
        recursive: look into the folders' sub-folders too.
        suffix: of the files in an output folder, and of an output file if it isn't an image's.
        note: gets a line on what a folder holds that is left out.

    Raises:
        UsageError: inputs and output don't go together.
        InputError: the only photograph is missing, or a folder has no images.
    """
    if STREAM in inputs:
        return [_stream_job(inputs, output, suffix)]
    single = len(inputs) == 1 and not os.path.isdir(inputs[0])
    if output == STREAM:
        if not single:
            raise UsageError("stdout takes one photo", mend="Give a folder with -o.")
        return [Job(Path(inputs[0]), None, to_stdout=True)]
    if single:
        source = Path(inputs[0])
        if not os.path.exists(source):  # False, too, where it may not be looked
            raise InputError(f"no such file: {source}", mend="Check the name.")
        if output is None:
            return [Job(source, None)]
        if _is_folder(output):
            return mirrored([(source, Path(source.name))], Path(output), suffix)
        return [Job(source, _checked_file(Path(output), suffix), explicit=True)]
    if output is not None and not _is_folder(output):
        raise UsageError(
            f"several photos can't all go into the one file {output}",
            mend="Give a folder with -o.",
        )
    pairs: list[tuple[Path, Path]] = []
    unreadable: list[Job] = []
    folder = None if output is None else Path(output)
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            scan = scan_images(path, recursive=recursive, suffixes=IMAGE_SUFFIXES, photographs=True)
            _leave_out_results(scan, path, folder)
            _tell(scan, path, note)
            if not scan.images and not scan.unreadable:
                raise _nothing_in(path, scan, recursive)
            pairs += [(source, source.relative_to(path)) for source in scan.images]
            unreadable += [Job(source, None, problem=reason) for source, reason in scan.unreadable]
        else:
            pairs.append((path, Path(path.name)))
    return mirrored(pairs, folder, suffix) + unreadable


def _leave_out_results(scan: Scan, path: Path, output: Path | None) -> None:
    """Pictures within an output folder that is itself within the folder of photographs."""
    if output is None or not output.is_dir():
        return
    root, results = path.resolve(), output.resolve()
    if root == results or not results.is_relative_to(root):
        return
    inside = [image for image in scan.images if image.resolve().is_relative_to(results)]
    scan.images = [image for image in scan.images if image not in set(inside)]
    scan.made += inside


def _tell(scan: Scan, path: Path, note: Callable[[str], None]) -> None:
    if scan.made:
        note(f"{len(scan.made)} of the pictures in {path} are toonify's own: left out")
    if scan.linked:
        count = len(scan.linked)
        links = f"{count} links in {path} lead" if count > 1 else f"{scan.linked[0]} leads"
        note(f"{links} out of the folder or nowhere: left out. --follow-links takes them.")


def _nothing_in(path: Path, scan: Scan, recursive: bool) -> InputError:
    if scan.made:
        return InputError(
            f"all pictures in {path} were drawn by toonify",
            mend="Name the files themselves to draw them again.",
        )
    if scan.linked:
        return InputError(
            f"all pictures in {path} are links that lead out of it", mend="Add --follow-links."
        )
    deeper = "" if recursive else " Add --recursive to look into sub-folders."
    return InputError(f"no images in {path}", mend=deeper)


def _stream_job(inputs: Sequence[str], output: str | None, suffix: str) -> Job:
    if len(inputs) != 1:
        raise UsageError("- (stdin) is one photo and goes alone", mend="Run it separately.")
    if output is None or output == STREAM:
        return Job(None, None, to_stdout=True)
    if _is_folder(output):
        return Job(None, Path(output) / f"stdin{suffix}", folder=Path(output))
    return Job(None, _checked_file(Path(output), suffix), explicit=True)


def mirrored(
    pairs: Sequence[tuple[Path, Path]], folder: Path | None, suffix: str = ".png"
) -> list[Job]:
    """Jobs whose drawings have the photographs' relative paths.

    x.jpg becomes x.png; where two would get the same name, as a.jpg beside a.png, they keep their
    whole names: a.jpg.png, a.png.png.

    Args:
        pairs: (photograph, its path below the output folder).

    Raises:
        UsageError: two photographs have the same relative path.
    """
    if folder is None:
        return [Job(source, None) for source, _ in pairs]
    sources: dict[Path, Path] = {}
    for source, relative in pairs:
        if sources.setdefault(relative, source) != source:
            raise UsageError(
                f"{sources[relative]} and {source} would both become"
                f" {folder / relative.with_suffix(suffix)}",
                mend="Convert them in separate runs.",
            )
    names = {relative: relative.with_suffix("") for relative in sources}
    while True:
        counts = Counter(names.values())
        double = [r for r, stem in names.items() if counts[stem] > 1 and stem != r]
        if not double:
            break
        names |= {relative: relative for relative in double}
    return [
        Job(source, folder / stem.with_name(f"{stem.name}{suffix}"), folder=folder)
        for (relative, source) in sources.items()
        for stem in [names[relative]]
    ]


def _is_folder(output: str) -> bool:
    path = Path(output)
    return path.is_dir() or output.endswith(("/", os.sep)) or not path.suffix


def _checked_file(path: Path, suffix: str) -> Path:
    if path.suffix.lower() not in (*FORMATS, suffix):
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
