"""Files that are on the disk, not only in its cache, once they have their name."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def replace_durably(temporary: Path, target: Path) -> None:
    """Give a whole file its name; after a power cut there is either the old file or all of this.

    Raises:
        OSError: it can't be written or renamed.
    """
    with open(temporary, "r+b") as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)
    with contextlib.suppress(OSError):  # not all systems can, nor need it
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_durably(target: Path, data: bytes) -> None:
    """Write a small file by way of a temporary one beside it.

    Raises:
        OSError: it can't be written, and the old one stays.
    """
    temporary = target.with_name(f"{target.name}.part")
    try:
        temporary.write_bytes(data)
        replace_durably(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
