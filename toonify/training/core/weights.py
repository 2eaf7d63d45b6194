"""Weights of loss terms: a task's own, with what a caller chose in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

from toonify.names import unknown_name
from toonify.utils.arguments import check_range

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Weights = TypeVar("Weights", bound=DataclassInstance)


def chosen_weights(default: Weights, chosen: Mapping[str, float | None]) -> Weights:
    """A dataclass of weights with some of them replaced.

    Args:
        chosen: term → weight, 0 and above; None leaves a term at its default.

    Raises:
        UsageError: a term that isn't one, or a weight below 0.
    """
    known = [field.name for field in fields(default)]
    for name, value in chosen.items():
        if value is None:
            continue
        if name not in known:
            raise unknown_name("loss term", name, known)
        check_range(name, value, 0)
    return replace(default, **{k: v for k, v in chosen.items() if v is not None})
