"""Which photographs a run reads, and where each drawing goes."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from toonify.errors import InputError, UsageError
from toonify.media.images import FORMATS, IMAGE_SUFFIXES, same_kind
from toonify.media.scan import Scan, others_note, scan_images
from toonify.utils.links import real_path
from toonify.utils.outputs import made_by_toonify

STREAM = "-"
MOST_LISTED = 1 << 28  # bytes of a list of files


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
    listed: Sequence[str] = (),
    recursive: bool = False,
    suffix: str = ".png",
    note: Callable[[str], None] = lambda line: None,
) -> list[Job]:
    """Which photographs there are and where each drawing goes.

    What earlier runs drew, and what lies in the output folder, is no photograph, unless it is
    named itself.

    Args:
        inputs: image files, folders (their tree is mirrored), patterns such as
            "photos/**/*.jpg", or "-" for stdin.
        output: a file for one photograph, a folder for several, "-" for stdout; None for
            stdout when the input is stdin, else for no files at all.
        listed: more files and folders, whose relative paths are mirrored.
        recursive: look into the folders' sub-folders too.
        suffix: of the files in an output folder, and of an output file if it isn't an image's;
            empty for each photo's own kind, see `same_kind`.
        note: gets a line on what a folder holds that is left out.

    Raises:
        UsageError: inputs and output don't go together.
        InputError: the only photograph is missing, or a folder has no images.
    """
    if STREAM in inputs:
        return [_stream_job(inputs, output, suffix)]
    single = len(inputs) == 1 and not listed and not os.path.isdir(inputs[0])
    single = single and not _is_pattern(inputs[0])
    if output == STREAM:
        if not single:
            raise UsageError("stdout takes one photo", hint="Give a folder as `output`.")
        return [Job(Path(inputs[0]), None, to_stdout=True)]
    if single:
        source = Path(inputs[0])
        if not os.path.exists(source):  # False, too, where it may not be looked
            raise InputError(f"no such file: {source}", hint="Check the name.")
        if output is None:
            return [Job(source, None)]
        if is_folder(output):
            return mirrored([(source, Path(source.name))], Path(output), suffix)
        return [Job(source, _checked_file(Path(output), suffix), explicit=True)]
    if output is not None and not is_folder(output):
        raise UsageError(
            f"several photos can't all go into the one file {output}",
            hint="Give a folder as `output`.",
        )
    pairs: list[tuple[Path, Path]] = []
    unreadable: list[Job] = []
    folder = None if output is None else Path(output)
    for name in inputs:
        if _is_pattern(name):
            pairs += _matching(name, note)
        elif os.path.isdir(name):
            found, failed = _folder(Path(name), folder, recursive, note)
            pairs, unreadable = pairs + found, unreadable + failed
        else:
            pairs.append((Path(name), Path(Path(name).name)))
    for name, place in _listed_places(listed).items():
        if os.path.isdir(name):
            found, failed = _folder(Path(name), folder, recursive, note)
            pairs += [(source, place / relative) for source, relative in found]
            unreadable += failed
        else:
            pairs.append((Path(name), place))
    return mirrored(pairs, folder, suffix) + unreadable


def photographs(
    inputs: Sequence[Path], note: Callable[[str], None] = lambda line: None
) -> list[Path]:
    """Files as they are, and the photographs of folders, see `plan`.

    Args:
        note: gets a line on what a folder holds that is left out.

    Raises:
        InputError: a folder has none, or no file is there.
    """
    paths: list[Path] = []
    for item in inputs:
        if item.is_dir():
            jobs = plan([str(item)], None, note=note)
            paths += [job.source for job in jobs if job.source is not None]
        else:
            paths.append(item)
    if not any(path.exists() for path in paths):
        raise InputError(f"no such file: {paths[0]}", hint="Check the name.")
    return paths


def folder_jobs(
    path: Path, output: Path | None, *, recursive: bool = False, suffix: str = ".png"
) -> list[Job]:
    """Jobs of a folder's photographs, as `plan` has them; none where there are none.

    Raises:
        InputError: the folder can't be read.
    """
    scan = scan_images(path, recursive=recursive, suffixes=IMAGE_SUFFIXES, photographs=True)
    _leave_out_results(scan, path, output)
    pairs = [(source, source.relative_to(path)) for source in scan.images]
    unreadable = [Job(source, None, problem=reason) for source, reason in scan.unreadable]
    return mirrored(pairs, output, suffix) + unreadable


def read_list(stream: BinaryIO, name: str, *, null: bool = False) -> list[str]:
    """Names of files, a line each, or with NUL after each as `find -print0` writes them.

    Raises:
        InputError: there are none, or far too many, or NUL is between them unasked.
    """
    data = stream.read(MOST_LISTED + 1)
    if len(data) > MOST_LISTED:
        raise InputError(f"{name} is no list of files: it has no end")
    if not null and b"\0" in data:
        raise InputError(f"{name} has NUL characters", hint="Add `null` for lists of find -print0.")
    parts = data.split(b"\0") if null else data.splitlines()
    names = [os.fsdecode(part) for part in parts if part]
    if not names:
        raise InputError(f"{name} names no files")
    return names


def _folder(
    path: Path, output: Path | None, recursive: bool, note: Callable[[str], None]
) -> tuple[list[tuple[Path, Path]], list[Job]]:
    """(photograph, path within the folder) of a folder, and what in it can't be read."""
    scan = scan_images(path, recursive=recursive, suffixes=IMAGE_SUFFIXES, photographs=True)
    _leave_out_results(scan, path, output)
    _report_skipped(scan, path, note)
    if not scan.images and not scan.unreadable:
        raise _nothing_in(path, scan, recursive)
    pairs = [(source, source.relative_to(path)) for source in scan.images]
    return pairs, [Job(source, None, problem=reason) for source, reason in scan.unreadable]


def _is_pattern(name: str) -> bool:
    """Whether a name has wildcards, which the shell has not filled in, and is no file's own."""
    return glob.has_magic(name) and not os.path.lexists(name)


def _matching(pattern: str, note: Callable[[str], None]) -> list[tuple[Path, Path]]:
    """(photograph, path below the pattern's fixed beginning) of all that a pattern matches."""
    fixed = Path()
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed /= part
    pairs, made = [], 0
    for name in sorted(glob.glob(pattern, recursive=True)):
        path = Path(name)
        if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
            continue
        if made_by_toonify(path):
            made += 1
            continue
        pairs.append((path, path.relative_to(fixed)))
    if made:
        note(f"{made} of the pictures that {pattern} matches are toonify's own: left out")
    if not pairs:
        raise InputError(f"no picture matches {pattern}", hint="Check the pattern.")
    return pairs


def _listed_places(names: Sequence[str]) -> dict[str, Path]:
    """Where listed files belong in the output folder, never out of it: a relative path as it is,
    an absolute one by its name, or all of it where names are the same."""
    paths = {name: Path(os.path.normpath(name)) for name in names}
    counts = Counter(path.name for path in paths.values() if path.is_absolute())
    places = {}
    for name, path in paths.items():
        if path.is_absolute() and counts[path.name] == 1:
            places[name] = Path(path.name)
        else:
            parts = path.parts[1:] if path.is_absolute() else path.parts
            places[name] = Path(*(part for part in parts if part != ".."))
    return places


def _leave_out_results(scan: Scan, path: Path, output: Path | None) -> None:
    """Pictures within an output folder that is itself within the folder of photographs."""
    if output is None or not output.is_dir():
        return
    root, results = real_path(path), real_path(output)
    if root == results or not results.is_relative_to(root):
        return
    inside = [image for image in scan.images if real_path(image).is_relative_to(results)]
    scan.images = [image for image in scan.images if image not in set(inside)]
    scan.made += inside


def _report_skipped(scan: Scan, path: Path, note: Callable[[str], None]) -> None:
    if others := others_note(scan, path):
        note(others)
    if scan.made:
        note(f"{len(scan.made)} of the pictures in {path} are toonify's own: left out")
    if scan.linked:
        count = len(scan.linked)
        links = f"{count} links in {path} lead" if count > 1 else f"{scan.linked[0]} leads"
        note(f"{links} out of the folder or nowhere: left out. `follow_links` takes them.")


def _nothing_in(path: Path, scan: Scan, recursive: bool) -> InputError:
    if scan.made:
        return InputError(
            f"all pictures in {path} were drawn by toonify",
            hint="Name the files themselves to draw them again.",
        )
    if scan.linked:
        return InputError(
            f"all pictures in {path} are links that lead out of it", hint="Add `follow_links`."
        )
    deeper = "" if recursive else " Add `recursive` to look into sub-folders."
    return InputError(f"no images in {path}", hint=deeper)


def _stream_job(inputs: Sequence[str], output: str | None, suffix: str) -> Job:
    if len(inputs) != 1:
        raise UsageError("- (stdin) is one photo and goes alone", hint="Run it separately.")
    if output is None or output == STREAM:
        return Job(None, None, to_stdout=True)
    if is_folder(output):
        return Job(None, Path(output) / f"stdin{suffix or '.png'}", folder=Path(output))
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
                f" {folder / relative.with_suffix(suffix or same_kind(source))}",
                hint="Convert them in separate runs.",
            )
    endings = {relative: suffix or same_kind(source) for relative, source in sources.items()}
    names = {r: r.with_name(f"{r.stem}{endings[r]}") for r in sources}
    while True:
        counts = Counter(names.values())
        longest = {r: r.with_name(f"{r.name}{endings[r]}") for r in sources}
        double = [r for r, name in names.items() if counts[name] > 1 and name != longest[r]]
        if not double:
            break
        names |= {relative: longest[relative] for relative in double}
    return [
        Job(source, folder / names[relative], folder=folder) for relative, source in sources.items()
    ]


def is_folder(output: str) -> bool:
    """Whether an output is meant as a folder: it is one, ends with / or has no suffix."""
    return os.path.isdir(output) or output.endswith(("/", os.sep)) or not Path(output).suffix


def _checked_file(path: Path, suffix: str) -> Path:
    if path.suffix.lower() not in (*FORMATS, suffix):
        known = ", ".join(sorted(FORMATS))
        raise UsageError(f"can't write {path.suffix} files ({path})", hint=f"Use one of {known}.")
    return path


def numbered(target: Path, *, face: int | None = None, character: str | None = None) -> Path:
    """x.png → x-face1-mina.png, as far as given."""
    parts = [target.stem]
    if face is not None:
        parts.append(f"face{face}")
    if character is not None:
        parts.append(character)
    return target.with_name("-".join(parts) + target.suffix)
