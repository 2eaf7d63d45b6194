"""Links: what a path leads to, and whether links in folders are followed out of them."""

from __future__ import annotations

import os
from pathlib import Path

FOLLOW_LINKS = "TOONIFY_FOLLOW_LINKS"  # what --follow-links sets, for worker processes too


def real_path(path: str | os.PathLike[str]) -> Path:
    """`path` from the root on, without links; one that leads in a circle stays as it is.

    `Path.resolve` raises for those, in Python 3.11 and 3.12 a RuntimeError.
    """
    return Path(os.path.realpath(path))
