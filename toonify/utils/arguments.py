"""Whether the numbers of a call are in range."""

from __future__ import annotations

from typing import SupportsFloat

from toonify.errors import UsageError


def check_range(name: str, value: SupportsFloat | None, low: float, high: float) -> None:
    """Raise UsageError, which names the parameter, where a number is outside low..high or NaN.

    Args:
        value: None is what a parameter is left at, and always fits.

    Example:
        >>> check_range("smooth", 0.5, 0, 1)
    """
    if value is None or low <= float(value) <= high:
        return
    raise UsageError(f"`{name}` {value} is out of range", hint=f"Give {low:g} to {high:g}.")
