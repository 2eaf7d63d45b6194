"""The private folder that visitors' files pass through, and what is taken out of them."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError
from toonify.media.decoding import open_picture, opened
from toonify.media.images import read_image
from toonify.media.probe import Clip, probe
from toonify.utils.atomic import is_abandoned, locked
from toonify.utils.links import real_path
from toonify.web.limits import Limits
from toonify.web.problems import Problem

RGB = NDArray[np.uint8]
PREFIX = "toonify-serve-"


class PrivateFolder:
    """A temporary folder that nobody else can read; gone with everything in it on `close`.

    What a server that was killed outright has left is removed by the next one.

    Args:
        limits: how long files stay, and how large they may be together.
    """

    def __init__(self, limits: Limits) -> None:
        _remove_abandoned()
        self.path = real_path(tempfile.mkdtemp(prefix=PREFIX))  # mode 0700
        self.limits = limits
        self._lock = locked(self.path)
        self._kept: set[Path] = set()
        self._used: set[Path] = set()
        self._receiving = 0
        self._counting = threading.Lock()

    def keep_all(self) -> None:
        """What lies in it by now stays until `close`."""
        self._kept = set(self.files())

    def files(self) -> list[Path]:
        """All that lie in it."""
        return [path for path in self.path.rglob("*") if path.is_file()]

    def full(self) -> bool:
        """Whether no more uploads fit."""
        return sum(_size(path) for path in self.files()) >= self.limits.folder_bytes

    def use(self, *paths: Path) -> None:
        """Files, or folders with all in them, that an order needs: they stay until `drop`."""
        self._used |= set(paths)  # a new set: another thread may be looking at the old one

    def drop(self, *paths: Path) -> None:
        """Remove them."""
        self._used = self._used - set(paths)
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """While an upload of the page comes in: what is left of those whose client has hung up is
        removed once none comes in any more."""
        with self._counting:
            self._receiving += 1
        try:
            yield
        finally:
            with self._counting:
                self._receiving -= 1
                if not self._receiving:  # whole ones have been moved to folders of their own
                    self.drop(*self.path.glob(f"{tempfile.gettempprefix()}*"))

    def sweep(self) -> None:
        """Remove what has been there for too long, and isn't needed by an order."""
        now, used = time.time(), self._used

        def is_old(path: Path) -> bool:
            if path in used or not used.isdisjoint(path.parents):
                return False
            return now - path.stat().st_mtime > self.limits.keep_seconds

        for path in set(self.files()) - self._kept:
            with contextlib.suppress(OSError):
                if is_old(path):
                    path.unlink()
        for folder in sorted((p for p in self.path.rglob("*") if p.is_dir()), reverse=True):
            with contextlib.suppress(OSError):  # those that still hold something
                if is_old(folder):
                    folder.rmdir()

    def new_file(self, name: str | None) -> Path:
        """Where an upload goes; of the name its client gave only the suffix is kept."""
        suffix = Path(name or "").suffix.lower()
        known = suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 5
        return self.path / f"{secrets.token_hex(8)}{suffix if known else ''}"

    def holds(self, path: str | Path) -> bool:
        """Whether a path that a client named lies in here."""
        return real_path(path).is_relative_to(self.path)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _remove_abandoned() -> None:
    """Folders of servers that ended without removing them, killed for memory, say."""
    if not hasattr(os, "getuid"):  # there is no telling those of servers that run
        return
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if not entry.name.startswith(PREFIX) or not entry.is_dir(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):
                mine = entry.stat(follow_symlinks=False).st_uid == os.getuid()
                if mine and is_abandoned(entry):
                    shutil.rmtree(entry.path, ignore_errors=True)


def take_photo(source: bytes | Path, limits: Limits) -> RGB:
    """A visitor's photograph, upright, no larger than is worked on: pixels alone, without EXIF.

    Raises:
        Problem: too many bytes or pixels, not a picture, or the file is there no more.
    """
    if isinstance(source, Path):
        if not source.is_file():
            raise forgotten(limits)
        if _size(source) > limits.photo_bytes:
            raise too_large(limits.photo_bytes)
        source = source.read_bytes()
    if len(source) > limits.photo_bytes:
        raise too_large(limits.photo_bytes)
    try:
        _check_pixels(source, limits)
        rgb = read_image(source).flat
    except InputError as error:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from error
    k = limits.photo_side / max(rgb.shape[:2])
    if k < 1:
        size = (max(1, round(rgb.shape[1] * k)), max(1, round(rgb.shape[0] * k)))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return rgb


def _check_pixels(data: bytes, limits: Limits) -> None:
    """By the header alone, before a pixel is decoded."""
    with contextlib.suppress(OSError, ValueError):  # a damaged one: reading it says in what way
        with opened(data) as (file, name), open_picture(file, name) as picture:
            width, height = picture.size
        if width * height > limits.photo_pixels:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the photo has {width}x{height} pixels, {limits.photo_pixels / 1e6:g} million are"
                " allowed. Scale it down.",
            )


def take_clip(path: Path, limits: Limits) -> Clip:
    """What a visitor's clip holds.

    Raises:
        Problem: too many bytes or seconds, or not a clip.
    """
    if not path.is_file():
        raise forgotten(limits)
    if _size(path) > limits.clip_bytes:
        raise too_large(limits.clip_bytes)
    try:
        clip = probe(path)
    except InputError as error:
        text = str(error).replace(str(path), "the file")
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text) from error
    if clip.duration is None or clip.duration > limits.clip_seconds:
        length = "of unknown length" if clip.duration is None else f"{clip.duration:.1f} s long"
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the clip is {length}, {limits.clip_seconds:g} s are allowed. Cut it shorter.",
        )
    return clip


def too_large(allowed: int) -> Problem:
    """The answer to more bytes than allowed."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the upload is too large: {allowed / 1_000_000:g} MB are allowed.",
    )


def forgotten(limits: Limits) -> Problem:
    """The answer to a file that has been swept away."""
    return Problem(
        HTTPStatus.GONE,
        f"files are kept for {limits.keep_seconds / 60:g} minutes, and this one is gone. Add it"
        " again.",
    )


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
