"""Telling users which name they may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from toonify.errors import UsageError


def unknown_name(kind: str, name: str, known: Sequence[str]) -> UsageError:
    """The error for a name that isn't one: lists the known ones and suggests the nearest."""
    near = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    guess = next((k for k in known if near and k.lower() == near[0]), None)
    hint = f"Did you mean {guess!r}? " if guess else ""
    return UsageError(
        f"there is no {kind} {name!r}", hint=f"{hint}Known: {', '.join(known) or 'none'}."
    )
