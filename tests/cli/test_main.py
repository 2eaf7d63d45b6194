"""The frame: global options, exit statuses, one line a failure."""

import subprocess
import sys
from pathlib import Path

import pytest

from toonify.cli import main as module
from toonify.cli.common import hoist_globals
from toonify.errors import InputError, ModelError, UsageError


def test_global_options_move_to_the_front():
    assert hoist_globals(["lut", "list", "--device", "cpu", "--json"]) == [
        "--device",
        "cpu",
        "--json",
        "lut",
        "list",
    ]
    assert hoist_globals(["x", "--seed=3"]) == ["--seed=3", "x"]
    assert hoist_globals(["x", "--", "--json"]) == ["x", "--", "--json"]


@pytest.mark.parametrize("command", module.COMMANDS, ids=lambda command: command.name)
def test_help_ends_with_examples(run, command):
    below = getattr(command.load(), "commands", {})  # of `lut` and `models`
    for words in [[command.name, name] for name in below] or [[command.name]]:
        result = run(*words, "--help")
        assert result.status == 0
        tail = result.out.split("Examples:\n")[1].strip().splitlines()
        assert tail[0].startswith("toonify ")


def test_every_command_is_in_the_guide():
    guide = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for command in module.COMMANDS:
        assert f"| `{command.name}" in guide or f"`toonify {command.name} " in guide, command.name


@pytest.mark.parametrize("command", module.COMMANDS, ids=lambda command: command.name)
def test_every_listed_command_is_there(command):
    loaded = command.load()
    assert loaded.name == command.name and loaded.help
    assert "completion" not in "".join(option.name or "" for option in loaded.params)
    assert len(command.summary) <= 60  # else a terminal of 80 columns cuts it


@pytest.mark.parametrize("arguments", [["--help"], ["stylize", "--help"], ["nonsense"]])
def test_help_loads_one_command_at_most_and_no_heavy_library(arguments):
    code = (
        "import sys; from toonify.cli.main import main, COMMANDS\n"
        f"main({arguments!r})\n"
        "print([m for m in ('torch', 'numpy', 'cv2', 'rich') if m in sys.modules],"
        " [c.name for c in COMMANDS if c.module in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ["stylize"] if "stylize" in arguments else []
    assert done.stdout.splitlines()[-1] == f"[] {loaded}"


def test_version(run):
    result = run("--version")
    assert result.status == 0 and result.out.startswith("toonify 0")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("stylize", "--frobnicate"),
        ("stylize",),
        ("stylize", "a.jpg", "--color", "3"),
        ("models", "list", "--device", "toaster"),
        ("models", "list", "--dtype", "float3"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(run, arguments):
    result = run(*arguments)
    assert result.status == 2 and result.out == ""
    assert result.err.startswith("toonify: ") and result.err.count("\n") == 1


def test_a_guess_ends_with_its_question_mark(run):
    err = run("stylise", "me.jpg").err
    assert "?." not in err and err.endswith(" See `toonify --help`.\n")


def test_no_arguments_shows_the_help(run):
    result = run()
    assert result.status == 2 and "stylize" in result.out + result.err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("a", hint="b."), 1),
        (UsageError("a"), 2),
        (ModelError("a"), 3),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("oh\nno"), 1),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_failures_become_a_line_and_a_status(run, monkeypatch, error, status, debug):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("toonify.checkpoints.registry.entries", fail)
    result = run("models", "list", *(["--debug"] if debug else []))
    assert result.status == status
    if not isinstance(error, KeyboardInterrupt):
        assert ("Traceback" in result.err) == debug
    if not debug:
        assert result.err.count("\n") == 1
    assert result.err.splitlines()[-1].startswith("toonify: ")


def test_unexpected_errors_hint_at_debug(run, monkeypatch):
    monkeypatch.setattr("toonify.checkpoints.registry.entries", lambda: 1 / 0)
    assert "--debug" in run("models", "list").err


def test_offline_reaches_the_whole_library(run, monkeypatch):
    monkeypatch.setenv("TOONIFY_OFFLINE", "")
    result = run("models", "pull", "psp-ffhq", "--offline")
    assert result.status == 3 and "offline" in result.err
    assert module.os.environ["TOONIFY_OFFLINE"] == "1"


def test_closed_pipe_is_quiet():
    command = f"{sys.executable} -m toonify models list --json | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(36, "File name too long", "y" * 300), "y" * 200 + "…: File name too long"),
        (PermissionError(13, "Permission denied", "a", None, "b"), "a and b: Permission denied"),
        (MemoryError(), "out of memory"),
    ],
)
def test_what_the_system_refuses_is_no_bug(run, monkeypatch, error, message):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr("toonify.cli.main.app", refuse)
    result = run("doctor")
    assert result.status == 1
    assert result.err == f"toonify: {message}\n"
