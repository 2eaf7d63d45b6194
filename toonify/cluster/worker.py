"""What every worker does before it draws: enter the run's folder, make an engine once."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from toonify.cluster.schedule import Task
from toonify.engines.base import Engine
from toonify.errors import InputError, ModelError

# What global options set; a worker of a running cluster doesn't inherit it.
VARIABLES = ("TOONIFY_MAX_PIXELS", "TOONIFY_FOLLOW_LINKS", "TOONIFY_OFFLINE", "TOONIFY_DOWNLOAD")


def variables() -> dict[str, str]:
    """Those of this process that workers need."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What every worker of a run needs to know.

    Attributes:
        make: gives an engine, to be pickled by reference: a module's function, or a bound method
            of something that can be pickled.
        folder: the caller's working folder, from which relative paths are meant.
        environment: variables that the worker sets.
    """

    make: Callable[[], Engine]
    folder: str
    environment: Mapping[str, str] = field(default_factory=variables)


OrdersT = TypeVar("OrdersT", bound=Orders)


class Worker(ABC, Generic[OrdersT]):
    """Draws tasks with one engine."""

    def __init__(self, orders: OrdersT) -> None:
        self._orders = orders

    @abstractmethod
    def prepare(self) -> None:
        """Load the networks.

        Raises:
            InputError: this machine doesn't have the run's folder.
            ModelError: the networks can't be loaded, or aren't the run's.
        """

    @abstractmethod
    def draw(self, task: Task[Any]) -> list[Any]:
        """A result a job, in the jobs' order; a failure stays with its own."""

    def _engine(self) -> Engine:
        os.environ.update(self._orders.environment)
        folder = self._orders.folder
        try:
            os.chdir(folder)
        except OSError as error:
            raise InputError(
                f"a worker can't enter {folder}: {error.strerror or error}",
                hint="All machines need the same files under the same paths.",
            ) from error
        return self._orders.make()

    @staticmethod
    def _check(what: str, own: Any, wanted: Any) -> None:
        """Raises: ModelError: this worker would draw by other networks than the run's."""
        if own != wanted:
            raise ModelError(
                f"a worker would draw {what} by other networks than this machine",
                hint="Install the same toonify and bundle on all machines.",
            )
