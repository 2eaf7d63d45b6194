"""Shell completion, as a shell asks for it."""

import os
import shutil
import subprocess
import sys

import pytest

PROGRAM = "import sys; sys.argv[0] = 'toonify'; from toonify.cli.main import main; sys.exit(main())"


def toonify(*arguments, **variables):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=False,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("toonify ser", {"serve"}),
        ("toonify video --clu", {"--cluster"}),
        ("toonify live --to ", {"window", "http", "camera"}),
    ],
)
def test_what_is_offered(words, offered):
    count = str(len(words.split(" ")) - 1)
    environment = {"_TOONIFY_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": count}
    assert set(toonify(**environment).split()) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_scripts(shell):
    # named, not detected: tests may run without a shell above them
    environment = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = toonify("--show-completion", shell, **environment)
    assert "_TOONIFY_COMPLETE" in script
    if shell != "powershell" and (program := shutil.which(shell)):
        subprocess.run([program, "-n"], input=script, text=True, check=True)
