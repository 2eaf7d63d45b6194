"""Fingerprints of files."""

from __future__ import annotations

import errno
import hashlib
import os


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file.

    Raises:
        OSError: it can't be read, or is a pipe or device, which might never end.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "it is no ordinary file")
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
