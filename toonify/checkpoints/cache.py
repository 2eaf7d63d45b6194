"""Where downloaded checkpoints live, and which of them are there."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs

from toonify.checkpoints.registry import CheckpointFile, Entry, get
from toonify.errors import ModelError
from toonify.utils.atomic import write_text
from toonify.utils.hashing import file_sha256

Status = Literal["ok", "missing", "changed", "unverified"]


def home() -> Path:
    """toonify's cache folder: TOONIFY_HOME, or the platform's cache folder for "toonify"."""
    override = os.environ.get("TOONIFY_HOME")
    return Path(override).expanduser() if override else Path(platformdirs.user_cache_dir("toonify"))


def entry_folder(entry: Entry) -> Path:
    """The folder that holds an entry's files (it may not exist yet)."""
    if entry.torch_hub:
        cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
        torch_home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
        return Path(torch_home).expanduser() / "hub" / "checkpoints"
    return home() / "checkpoints" / entry.name


def file_path(entry: Entry, file: CheckpointFile) -> Path:
    """Where one file of an entry is, or belongs when put there by hand."""
    return entry_folder(entry) / file.name


def location(entry: Entry) -> Path:
    """What loaders take: the file of a one-file entry, else the folder."""
    folder = entry_folder(entry)
    return folder / entry.files[0].name if len(entry.files) == 1 else folder


def is_cached(entry: Entry) -> bool:
    """True if every file of the entry is in the cache (hashes are not looked at)."""
    return all(file_path(entry, file).is_file() for file in entry.files)


def resolve(name: str) -> Path:
    """Path of a cached checkpoint: its file, or its folder where it has several files.

    Nothing is downloaded.

    Raises:
        UsageError: unknown name.
        ModelError: not in the cache.
    """
    entry = get(name)
    if not is_cached(entry):
        raise ModelError(
            f"checkpoint {name} is not in the cache", hint=f"Run: toonify models pull {name}"
        )
    return location(entry)


def record_path(path: Path) -> Path:
    """The note beside a downloaded file: source and SHA-256 as downloaded."""
    return path.with_name(path.name + ".json")


def write_record(path: Path, *, source: str, sha256: str) -> None:
    """Write the note beside a downloaded file."""
    record = {"source": source, "sha256": sha256, "bytes": path.stat().st_size}
    write_text(record_path(path), json.dumps(record, indent=1) + "\n")


def _recorded(path: Path, key: str) -> Any:
    try:
        return json.loads(record_path(path).read_text())[key]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def damaged(entry: Entry, *, hashes: bool) -> list[CheckpointFile]:
    """Files of an entry that are there, but are not what was downloaded or published.

    Args:
        hashes: compare SHA-256, which takes a second a gigabyte; else sizes alone, as far as the
            notes beside the files know them.
    """
    found = []
    for file in entry.files:
        path = file_path(entry, file)
        if not path.is_file():
            continue
        size = _recorded(path, "bytes")
        if path.stat().st_size == 0 or (size is not None and path.stat().st_size != size):
            found.append(file)
        elif hashes:
            expected = file.sha256 or _recorded(path, "sha256")
            if expected is not None and file_sha256(path) != expected:
                found.append(file)
    return found


@dataclass(frozen=True)
class FileCheck:
    """What `verify` found about one file."""

    path: Path
    status: Status
    sha256: str | None
    detail: str


def verify(entry: Entry) -> list[FileCheck]:
    """Hash the files of an entry against the registry, or else against their download notes.

    Returns:
        one check a file: "ok", "missing", "changed" (hash differs) or "unverified" (no
        official hash is known and the file did not come through `pull`).
    """
    checks = []
    for file in entry.files:
        path = file_path(entry, file)
        if not path.is_file():
            checks.append(FileCheck(path, "missing", None, "not in the cache"))
            continue
        digest = file_sha256(path)
        recorded = _recorded(path, "sha256")
        if file.sha256 is not None:
            same = digest == file.sha256
            detail = "official SHA-256" if same else f"SHA-256 should be {file.sha256}"
            checks.append(FileCheck(path, "ok" if same else "changed", digest, detail))
        elif recorded is not None:
            same = digest == recorded
            detail = "as downloaded; no official SHA-256 is known"
            if not same:
                detail = f"SHA-256 was {recorded} when downloaded"
            checks.append(FileCheck(path, "ok" if same else "changed", digest, detail))
        else:
            detail = "no official SHA-256 is known"
            checks.append(FileCheck(path, "unverified", digest, detail))
    return checks
