"""The private folder that visitors' files pass through, and what is taken out of them."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
import time
from http import HTTPStatus
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError
from toonify.media.decoding import open_picture, opened
from toonify.media.images import read_image
from toonify.media.probe import Clip, probe
from toonify.utils.links import real_path
from toonify.web.limits import Limits
from toonify.web.problems import Problem

RGB = NDArray[np.uint8]


class PrivateFolder:
    """A temporary folder that nobody else can read; gone with everything in it on `close`.

    Args:
        limits: how long files stay, and how large they may be together.
    """

    def __init__(self, limits: Limits) -> None:
        self.path = real_path(tempfile.mkdtemp(prefix="toonify-web-"))  # mode 0700
        self.limits = limits
        self._kept: set[Path] = set()

    def keep_all(self) -> None:
        """What lies in it by now stays until `close`."""
        self._kept = set(self.files())

    def files(self) -> list[Path]:
        """All that lie in it."""
        return [path for path in self.path.rglob("*") if path.is_file()]

    def full(self) -> bool:
        """Whether no more uploads fit."""
        return sum(_size(path) for path in self.files()) >= self.limits.folder_bytes

    def sweep(self) -> None:
        """Remove what has been there for too long."""
        now = time.time()
        for path in set(self.files()) - self._kept:
            with contextlib.suppress(OSError):
                if now - path.stat().st_mtime > self.limits.keep_seconds:
                    path.unlink()
        for folder in sorted((p for p in self.path.rglob("*") if p.is_dir()), reverse=True):
            with contextlib.suppress(OSError):  # those that still hold something
                if now - folder.stat().st_mtime > self.limits.keep_seconds:
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
