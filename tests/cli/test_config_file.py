"""Options of a training from a TOML file."""

import pytest


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text):
    with open("run.toml", "w", encoding="utf-8") as file:
        file.write(text)


@pytest.fixture
def seen(monkeypatch):
    """What `train-style` would do, instead of doing it."""
    found = {}

    def settings(**options):
        found.clear()
        found.update(options)
        raise KeyboardInterrupt

    import toonify.training.style_transfer.decoder as training
    import toonify.training.style_transfer.layerwise  # noqa: F401  derives from what is replaced

    monkeypatch.setattr(training, "StyleTrainSettings", settings)
    return found


def test_the_file_gives_options_and_the_command_line_wins(run, folders, seen):
    write('content = "a"\nstyle = "b"\noutput = "o"\nbatch_size = 3\nsteps = 7\nlr = 0.5\n')
    run("train-style", "--config", "run.toml", "--steps", 9)
    assert (seen["batch_size"], seen["steps"], seen["lr"]) == (3, 9, 0.5)
    write('content = "a"\nstyle = "b"\noutput = "o"\nbatch-size = 5\n')
    run("train-style", "--config", "run.toml")
    assert seen == {"seed": 0, "batch_size": 5}  # of the rest, the training's own


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("step = 3", 2, "Did you mean 'steps'"),
        ("config = 'x'", 2, "called 'config'"),
        ("steps = 3.5\ncontent='a'\nstyle='b'\noutput='o'", 2, "--steps"),
        ("steps = 0\ncontent='a'\nstyle='b'\noutput='o'", 2, "--steps"),
        ("steps = {a = 1}", 2, "another kind"),
        ("steps = 1979-05-27", 2, "another kind"),
        ("steps =", 1, "can't read the options in run.toml"),
        ("\x00", 1, "can't read the options in run.toml"),
        (None, 1, "No such file"),
    ],
)
def test_what_a_file_can_not_say(run, folders, text, status, message):
    if text is not None:
        write(text)
    result = run("train-style", "--config", "run.toml")
    assert result.status == status and message in result.err and result.err.count("\n") == 1
    assert {path.name for path in folders.iterdir()} <= {"run.toml"}


def test_idle_options_of_a_file_are_refused_too(run, folders):
    write('data = "d"\nobjective = "pix2pix"\noutput = "o"\nkimg = 3\n')
    result = run("finetune", "--config", "run.toml")
    assert result.status == 2 and "--kimg" in result.err


def test_all_trainings_take_one():
    from typer.main import get_command

    from toonify.cli.main import app

    trainings = ("finetune", "train-encoder", "train-style", "distill")
    group = get_command(app)
    for name in trainings:
        found = group.get_command(None, name)  # type: ignore[union-attr]
        assert "config" in {param.name for param in found.params}
