"""Names of styles, characters and engines: choosing some, and what a wrong one may have meant."""

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


def choose_names(kind: str, chosen: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Names that were requested, against the known ones; the first one without any.

    Args:
        kind: what they name, for messages.
        chosen: names, several separated by commas, or "all".
        known: at least one.

    Raises:
        UsageError: an unknown name; lists the known ones and suggests the nearest.
    """
    names = [name.strip() for item in chosen for name in item.split(",") if name.strip()]
    if not names:
        return (known[0],)
    if "all" in names:
        return tuple(known)
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)
    return tuple(dict.fromkeys(names))
