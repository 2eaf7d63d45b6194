"""Whether the arguments of a call are what they may be; errors name the parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from toonify.errors import UsageError
from toonify.names import unknown_name


def check_range(
    name: str, value: object, low: float = -math.inf, high: float = math.inf, *, whole: bool = False
) -> None:
    """Raise UsageError where a number is outside low..high, NaN, or none at all.

    Args:
        value: None is what a parameter is left at, and always fits.
        whole: it must be an integer.

    Examples:
        >>> check_range("smooth", 0.5, 0, 1)
    """
    if value is None:
        return
    number = _number(name, value, whole)
    if low <= number <= high:
        return
    hint = f"Give {low:g} or more." if high == math.inf else f"Give {low:g} to {high:g}."
    raise UsageError(f"`{name}` {value} is out of range", hint=hint)


def check_positive(name: str, value: object, *, whole: bool = False) -> None:
    """Raise UsageError where a number isn't above 0 and finite; None always fits."""
    if value is not None and not 0 < _number(name, value, whole) < math.inf:
        raise UsageError(f"`{name}` must be positive, not {value}")


def check_choice(name: str, value: object, known: Sequence[str]) -> None:
    """Raise UsageError, with the nearest name, where a value is none of these; None fits."""
    if value is not None and value not in known:
        raise unknown_name(f"`{name}`", str(value), known)


def check_number(name: str, value: object) -> None:
    """Raise UsageError where a value is no number; NaN is one, and None fits."""
    if value is not None:
        _number(name, value, whole=False)


def _number(name: str, value: object, whole: bool) -> float:
    number = math.nan
    try:
        # a string that float() would read is none to those that compute with it
        number = float(None if isinstance(value, (str, bytes)) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"`{name}` {value!r} is no number") from error
    if whole and math.isfinite(number) and not hasattr(value, "__index__"):
        raise UsageError(f"`{name}` {value} is no whole number")
    return number
