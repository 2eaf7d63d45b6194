"""Errors: one line with a hint, known to Python callers by the built-in classes, flag-free."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from pathlib import Path

import pytest

import toonify
from toonify.cli.common import exit_status, with_options
from toonify.errors import Diverged, InputError, ModelError, ToonifyError, UsageError
from toonify.media.images import read_image

KIN = {
    InputError: (OSError, ValueError),
    UsageError: (ValueError,),
    ModelError: (RuntimeError,),
    Diverged: (RuntimeError,),
}


@pytest.mark.parametrize("kind", [ToonifyError, *KIN])
def test_message_and_hint_are_kept_between_processes(kind: type[ToonifyError]) -> None:
    error = kind("it\n  broke.", hint="Mend   it.")
    assert (error.message, error.hint, str(error)) == ("it broke", "Mend it.", "it broke. Mend it.")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert (again.message, again.hint, str(again)) == (error.message, error.hint, str(error))
    assert str(kind("it broke")) == "it broke" and kind("it broke").hint == ""


@pytest.mark.parametrize("kind", KIN)
def test_callers_catch_the_built_in_classes(kind: type[ToonifyError]) -> None:
    assert issubclass(kind, (ToonifyError, *KIN[kind]))
    for builtin in KIN[kind]:
        with pytest.raises(builtin, match="what is wrong"):
            raise kind("what is wrong")


def test_a_missing_photo_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nothing\.jpg"):
        read_image(tmp_path / "nothing.jpg")


def test_the_command_line_says_options_and_statuses() -> None:
    text = "Add `skip_existing`, or choose another `output`. See `toonify build-lut`."
    assert with_options(text) == (
        "Add --skip-existing, or choose another -o. See `toonify build-lut`."
    )
    kinds = (InputError, UsageError, ModelError, Diverged, ToonifyError)
    assert [exit_status(kind("x")) for kind in kinds] == [1, 2, 3, 1, 1]


@pytest.fixture(scope="module")
def modules() -> dict[Path, tuple[list[ast.AST], list[str]]]:
    """Nodes and lines of the package's modules that make or catch our errors, by their paths."""
    package = Path(toonify.__file__).parent
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    ours = re.compile("|".join(kind.__name__ for kind in (ToonifyError, *KIN)))
    return {
        path.relative_to(package): (list(ast.walk(ast.parse(text))), text.splitlines())
        for path, text in texts.items()
        if ours.search(text)
    }


def calls_of_errors(modules: dict[Path, tuple[list[ast.AST], list[str]]]) -> list[tuple[str, str]]:
    """(place, source) of every error that the library makes, and of hints that several share."""
    names = {kind.__name__ for kind in (ToonifyError, *KIN)}
    found = []
    for path, (nodes, lines) in modules.items():
        if "cli" in path.parts:
            continue
        for node in nodes:
            shared = isinstance(node, ast.Assign) and "HINT" in ast.unparse(node.targets[0])
            made = isinstance(node, ast.Call) and getattr(node.func, "id", "") in names
            if shared or made:
                source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                found.append((f"{path.name}:{node.lineno}", source))
    return found


def test_the_library_names_parameters_not_options(
    modules: dict[Path, tuple[list[ast.AST], list[str]]],
) -> None:
    found = calls_of_errors(modules)
    assert len(found) > 300
    flags = re.compile(r"(?<![\w-])(--[a-z]|-o\b)")
    assert [place for place, source in found if flags.search(source)] == []


def test_no_handler_of_built_in_errors_takes_ours(
    modules: dict[Path, tuple[list[ast.AST], list[str]]],
) -> None:
    """A `try` that raises one of ours and catches built-in kin lets ours through first."""
    ours = {kind.__name__: {b.__name__ for b in builtins} for kind, builtins in KIN.items()}
    taken = []
    for path, (nodes, _) in modules.items():
        for node in nodes:
            if not isinstance(node, ast.Try):
                continue
            raised = {
                name
                for part in node.body
                for inner in ast.walk(part)
                if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call)
                if (name := getattr(inner.exc.func, "id", "")) in ours
            }
            for handler in node.handlers:
                caught = ast.unparse(handler.type) if handler.type else ""
                if "ToonifyError" in caught or any(name in caught for name in raised):
                    break
                taken += [
                    f"{path.name}:{handler.lineno}"
                    for name in raised
                    if any(re.search(rf"\b{kin}\b", caught) for kin in ours[name])
                ]
    assert taken == []
