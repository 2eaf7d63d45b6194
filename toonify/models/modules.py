"""Lists of modules of one class, which type checkers know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from torch import nn

M = TypeVar("M", bound=nn.Module)


class Modules(nn.ModuleList, Generic[M]):
    """A `ModuleList` of modules of class M."""

    if TYPE_CHECKING:

        def __init__(self, modules: Iterable[M] | None = None) -> None: ...

        def __iter__(self) -> Iterator[M]: ...

        @overload  # type: ignore[override]
        def __getitem__(self, idx: int) -> M: ...
        @overload
        def __getitem__(self, idx: slice) -> Modules[M]: ...
        def __getitem__(self, idx: Any) -> Any: ...
