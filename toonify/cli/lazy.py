"""A command group that imports a command's module only when that command is run."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from click import Command, Context, HelpFormatter


@dataclass(frozen=True)
class LazyCommand:
    """Where a command lives.

    Attributes:
        name: as typed.
        module: holds a function of that name (- as _) and its `EPILOG`, or a typer `app`.
        summary: its line in the list of commands, shown without importing the module.
    """

    name: str
    module: str
    summary: str

    def load(self) -> Any:
        """The click command."""
        module = importlib.import_module(self.module)
        if hasattr(module, "app"):
            return typer.main.get_group(module.app)
        alone = typer.Typer(
            add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
        )
        function = getattr(module, self.name.replace("-", "_"))
        alone.command(name=self.name, epilog=module.EPILOG)(function)
        return typer.main.get_command(alone)


def lazy_group(commands: tuple[LazyCommand, ...]) -> type[TyperGroup]:
    """A group class for `typer.Typer(cls=...)` with these commands, listed in their order."""
    known = {command.name: command for command in commands}

    class LazyGroup(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            # only their names are read from here (to suggest one for a misspelt command)
            self.commands = dict.fromkeys(known)  # type: ignore[assignment, arg-type]
            self._loaded: dict[str, Any] = {}

        def list_commands(self, ctx: Context) -> list[str]:  # type: ignore[override]
            return list(known)

        def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # type: ignore[override]
            if cmd_name not in known:
                return None
            if cmd_name not in self._loaded:
                self._loaded[cmd_name] = known[cmd_name].load()
            return self._loaded[cmd_name]

        def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:  # type: ignore[override]
            with formatter.section("Commands"):
                formatter.write_dl([(name, command.summary) for name, command in known.items()])

    return LazyGroup
