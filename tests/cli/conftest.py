import io
import json
import sys
from dataclasses import dataclass

import pytest

from tests.tiny_bundle import add_frame_parts, write_bundle
from toonify.cli.main import main


@dataclass
class Outcome:
    status: int
    out: str
    err: str

    @property
    def records(self):
        """What --json printed."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(capsys):
    """Run a command line in this process."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return Outcome(status, *capsys.readouterr())

    return run


@pytest.fixture
def piped(capsysbinary, monkeypatch):
    """Run a command line with bytes on stdin; gives status, stdout and stderr as bytes."""

    def piped(data, *arguments):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        status = main([str(argument) for argument in arguments])
        return status, *capsysbinary.readouterr()

    return piped


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A real bundle of tiny networks with the characters mina and otto."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def whole_bundle(tmp_path_factory):
    """One that has StyleGANEX's networks too."""
    return add_frame_parts(write_bundle(tmp_path_factory.mktemp("bundles") / "whole"))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TOONIFY_HOME", str(folder))
    for name in ("TOONIFY_OFFLINE", "TOONIFY_DOWNLOAD", "TOONIFY_MAX_PIXELS"):
        monkeypatch.setenv(name, "")  # the command line sets them: put back afterwards
    return folder
