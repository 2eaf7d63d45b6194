"""No command replaces what it reads, nor what toonify did not write: every option that writes."""

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import typer
from PIL import Image

from toonify.cli.main import COMMANDS

# Every option that names something to write, and commands that would write over what they read
# there: x/ holds the inputs, other/ links to them. Where a folder is meant, one of its files is an
# input.
OVER_INPUTS = {
    ("stylize", "--output"): [
        "stylize x/a.png -o x/a.png {bundle} --aligned",
        "stylize x/a.png -o ./x/../x/a.png {bundle} --aligned",
        "stylize x/a.png -o other/link.png {bundle} --aligned",
        "stylize x/a.png -o other/hard.png {bundle} --aligned",
        "stylize other/link.png -o x/a.png {bundle} --aligned",
        "stylize x -o x {bundle} --aligned --overwrite",
        "stylize x -o other/x {bundle} --aligned --overwrite",
        "stylize x/a.png -o x {bundle} --aligned",
        "stylize x/a.png x/b.png -o x/ {bundle} --aligned --skip-existing",
        "stylize x/a-face1.png x/a.png -o x/a-mina.png {bundle} --aligned --character all",
    ],
    ("stylize", "--sheet"): [
        "stylize x/a.png -o new.png {bundle} --aligned --sheet x/a.png",
        "stylize x/a.png -o new.png {bundle} --aligned --sheet other/hard.png",
    ],
    ("stylize", "--manifest"): [
        "stylize x/a.png -o new.png {bundle} --aligned --manifest x/a.png",
        "stylize x/a.png -o new.png {bundle} --aligned --manifest other/link.png",
    ],
    ("video", "--output"): [
        "video x/clip.mp4 -o x/clip.mp4 {bundle}",
        "video frames -o frames {bundle}",
        "video frames -o frames/000001.png --preview {bundle}",
        "video x/clip.mp4 -o other/clip.mp4 {bundle}",
    ],
    ("check", "--output"): ["check x -o x", "check x -o x/report"],
    ("align", "--output"): ["align x -o x --overwrite", "align x -o other/x --overwrite"],
    ("align", "--sheet"): ["align x -o new --sheet x/a.png", "align x -o new --sheet anchor.png"],
    ("align", "--manifest"): [
        "align x -o new --manifest x/a.png",
        "align x -o new --anchor eyes.json --manifest eyes.json",
    ],
    ("finetune", "--output"): [
        "finetune --data x --base run/generator.safetensors -o run",
        "finetune --data x --base run/adversarial/generator.safetensors -o run --resume",
    ],
    ("train-encoder", "--output"): [
        "train-encoder --generator run/generator.safetensors -o run",
        "train-encoder --generator default --start run/encoder.safetensors -o run",
        "train-encoder --generator run/generator.safetensors --task inversion -o run",
        "train-encoder --generator default --task hfgi --face-encoder run/encoder.safetensors"
        " --pairs new -o run",
    ],
    ("distill", "--output"): ["distill run/generator.safetensors -o run"],
    ("train-style", "--output"): [
        "train-style --content x --style x -o x/a.png",
        "train-style --content x --style x --encoder run -o run",
    ],
    ("swap", "--output"): [
        "swap x/g.safetensors other/g.safetensors -o x/g.safetensors",
        "swap default x/g.safetensors -o other/glink.safetensors",
    ],
    ("invert-character", "--output"): [
        "invert-character x/a.png --name me --generator x/g.safetensors -o x/g.safetensors"
    ],
    ("build-lut", "--output"): [
        "build-lut drawings --generator x/g.safetensors -o x/g.safetensors",
        "build-lut drawings --generator x/g.safetensors --photos x -o x/a.safetensors",
    ],
    ("invert", "--output"): ["invert x/a.png -o x", "invert x/a.png x/b.png -o other/x"],
    ("edit", "--output"): [
        "edit x/a.png -o x/a.png --direction sefa-1",
        "edit x/a.png -o x/b.png --mix x/b.png --layers 8-",
        "edit x/a.png -o other/hard.png --direction sefa-1",
        "edit x/a.png -o x/v.safetensors --direction x/v.safetensors:age",
        "edit --fit x x -o x/v.safetensors --encoder x/v.safetensors",
    ],
    ("train-stylemap", "--output"): [
        "train-stylemap --photos x -o x/a.png",
        "train-stylemap --photos run -o run",
    ],
    ("local-edit", "--output"): [
        "local-edit x/a.png --from x/b.png --part eyes -o x/b.png",
        "local-edit x/a.png --from x/b.png --part eyes -o other/link.png",
        "local-edit x/a.png --from x/b.png --part x/sheet.png -o x/sheet.png",
    ],
    ("translate", "--output"): [
        "translate x/a.png -o x/a.png --task toonify",
        "translate x/a.png -o other/link.png --task sketch",
        "translate x/b-1.png -o x/b.png --task sketch --samples 2",
        "translate x/a.png -o x/a.png --task super-resolution",
    ],
    ("bundle", "--output"): [
        "bundle --generator x/g.safetensors --table x/t.safetensors -o x",
        "bundle --generator x/g.safetensors --table x/t.safetensors -o x/a.png",
    ],
    ("export", "--output"): ["export -o x/a.png {bundle}", "export -o other/link.png {bundle}"],
    ("evaluate", "--output"): ["evaluate x -o x --aligned {bundle}"],
    ("benchmark", "--output"): [
        "benchmark x/a.png -o other/hard.png",
        "benchmark -o {own}/manifest.json --bundle {own}",
    ],
    ("lut show", "--output"): ["lut show --table {own}/characters.safetensors -o other/table.png"],
    ("lut merge", "--output"): [
        "lut merge {own} {own} -o {own}/characters.safetensors",
        "lut merge x/t.safetensors -o x/t.safetensors",
    ],
    ("lut remove", "--output"): ["lut remove mina --table {own} -o {own}/characters.safetensors"],
    ("models convert", "--output"): [
        "models convert x/g.safetensors -o x/g.safetensors",
        "models convert x/g.safetensors -o other/glink.safetensors --role encoder",
    ],
}
# Files with names of toonify's own choosing, where somebody else's lie.
OVER_OTHERS = [
    "stylize x/a.png -o theirs/ {bundle} --aligned",
    "stylize x/a.png -o theirs/ {bundle} --aligned --overwrite",
    "stylize x/a.png -o theirs/ {bundle} --aligned --skip-existing",
    "stylize x/a.png -o theirs/a-x.png {bundle} --aligned --character all",
    "stylize x/a.png -o new.png {bundle} --aligned --manifest theirs/m.jsonl",
    "stylize x/a.png -o new.png {bundle} --aligned --manifest theirs/notes.txt",
    "video frames -o theirs {bundle}",
    "check x -o theirs --no-faces",
    "align x -o theirs --overwrite",
    "align x -o new --no-detect --manifest theirs/m.jsonl",
    "align x -o theirs-2 --no-detect",
    "finetune --data x --base default -o theirs",
    "train-encoder --generator default -o theirs",
    "train-encoder --task hfgi --generator default --face-encoder default --pairs new -o theirs",
    "train-encoder --task drawing --generator default --pairs new -o theirs",
    "train-encoder --task fusion --generator default -o theirs",
    "train-encoder --task restoration --generator default --face-encoder default --photos x"
    " -o theirs",
    "distill default -o theirs",
    "train-style --content x --style x -o theirs",
    "train-stylemap --photos x --aligned -o theirs",
    "build-lut drawings --generator default -o theirs/table.safetensors",
    "invert x/a.png -o theirs",
    "translate x/a.png -o theirs/s.png --task sketch --samples 2",
    "evaluate x -o theirs --aligned {bundle}",
    "bundle --generator x/g.safetensors --table x/t.safetensors -o theirs",
]
# Options of a path that only read, or fill a folder that is empty.
READING = {
    ("stylize", "--watch"), ("stylize", "--style-image"), ("stylize", "--style-network"),
    ("video", "--style-image"), ("video", "--style-network"),
    ("local-edit", "--from"), ("train-stylemap", "--photos"),
    ("train-stylemap", "--config"), ("bundle", "--stylemap"),
    ("bundle", "--drawing-encoder"),
    ("train-style", "--content"), ("train-style", "--style"), ("train-style", "--encoder"),
    ("align", "--anchor"), ("finetune", "--data"),
    ("train-encoder", "--photos"), ("train-encoder", "--scenes"),
    ("train-encoder", "--pairs"), ("train-encoder", "--drawings"),
    ("train-encoder", "--parser"), ("train-encoder", "--cutouts"), ("distill", "--pairs"),
    ("finetune", "--config"), ("train-encoder", "--config"), ("train-style", "--config"),
    ("distill", "--config"),
    ("invert", "--hfgi-network"), ("edit", "--hfgi-network"), ("edit", "--fusion"),
    ("build-lut", "--photos"), ("edit", "--mix"), ("edit", "--fit"), ("translate", "--parser"),
    ("bundle", "--generator"), ("bundle", "--table"), ("bundle", "--frame-generator"),
    ("bundle", "--frame-encoder"), ("bundle", "--inversion-generator"),
    ("bundle", "--inversion-encoder"), ("bundle", "--hfgi"), ("bundle", "--fusion"),
    ("bundle", "--restoration"),
    ("evaluate", "--drawings"),
}  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch, bundle):
    """A folder of inputs, links to them, and what somebody else made."""
    base = tmp_path / "base"
    for folder in ("x", "other", "frames", "drawings/mina", "theirs", "run"):
        (base / folder).mkdir(parents=True)
    names = ("a", "b", "a-mina", "a-face1", "b-1", "sheet")
    for shade, name in enumerate(names):
        Image.new("RGB", (64, 64), (shade * 20, 9, 9)).save(base / f"x/{name}.png")
    for name in ("a", "a-x-mina", "sheet", "mean", "000001", "table", "s-1", "s-2"):
        Image.new("RGB", (64, 64), "red").save(base / f"theirs/{name}.png")
    for name in ("m.jsonl", "notes.txt", "summary.txt", "report.json", "report.html", "a-loss.csv"):
        (base / "theirs" / name).write_text("my own words\n")
    for name in ("hfgi", "fusion", "stylemap"):
        (base / f"theirs/{name}.safetensors").write_bytes(b"theirs")
    for name in ("generator", "encoder"):
        (base / f"theirs/{name}.safetensors").write_bytes(b"theirs")
        shutil.copy(bundle / f"{name}.safetensors", base / f"run/{name}.safetensors")
    shutil.copytree(base / "run", base / "run/adversarial")
    (base / "theirs-2-manifest.jsonl").write_text("mine\n")
    shutil.copy(base / "x/a.png", base / "frames/000001.png")
    shutil.copy(base / "x/a.png", base / "drawings/mina/a.png")
    (base / "x/clip.mp4").write_bytes(b"no clip, but nothing gets so far")
    shutil.copy(bundle / "generator.safetensors", base / "x/g.safetensors")
    shutil.copy(bundle / "generator.safetensors", base / "other/g.safetensors")
    shutil.copy(bundle / "characters.safetensors", base / "x/t.safetensors")
    (base / "x/v.safetensors").write_bytes(b"v")
    (base / "eyes.json").write_text("{}")
    shutil.copytree(bundle, base / "own")
    links = {"link.png": "a.png", "clip.mp4": "clip.mp4", "glink.safetensors": "g.safetensors"}
    for name, target in links.items():
        (base / "other" / name).symlink_to(base / "x" / target)
    (base / "other/x").symlink_to(base / "x")
    (base / "other/table.png").symlink_to(base / "own/characters.safetensors")
    (base / "anchor.png").symlink_to("x/b.png")
    os.link(base / "x/a.png", base / "other/hard.png")
    monkeypatch.chdir(base)
    return base


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def arguments(line, bundle):
    return line.format(bundle=f"--bundle {bundle}", own="own").split()


@pytest.mark.parametrize("line", [line for lines in OVER_INPUTS.values() for line in lines])
def test_inputs_stay(run, place, bundle, line):
    before = contents(place)
    result = run(*arguments(line, bundle))
    lines = [line for line in result.err.splitlines() if "left out" not in line]
    assert result.status == 2 and len(lines) == 1, result.err
    assert "--overwrite" not in result.err and "--skip-existing" not in result.err
    assert contents(place) == before


@pytest.mark.parametrize("line", OVER_OTHERS)
def test_what_somebody_else_made_stays(run, place, bundle, line):
    before = contents(place)
    result = run(*arguments(line, bundle))
    assert result.status in (1, 2) and "bug" not in result.err, result.err
    after = contents(place)
    assert {name: after.get(name) for name in before} == before


def commands():
    """Every command's name and function."""
    for command in COMMANDS:
        module = importlib.import_module(command.module)
        if hasattr(module, "app"):
            for one in module.app.registered_commands:
                yield f"{command.name} {one.name or one.callback.__name__}", one.callback
        else:
            yield command.name, getattr(module, command.name.replace("-", "_"))


def path_options(function):
    """Flags of the options that take a path; -o always does."""
    for name, hint in typing.get_type_hints(function, include_extras=True).items():
        if typing.get_origin(hint) is not typing.Annotated:
            continue
        kind, about = typing.get_args(hint)[:2]
        if not isinstance(about, typer.models.OptionInfo):
            continue
        given = (about.default, *(about.param_decls or ()))  # typer takes the first for a default
        flags = [flag for flag in given if isinstance(flag, str)] or [f"--{name.replace('_', '-')}"]
        if "-o" in flags or "Path" in str(kind):
            yield max(flags, key=len)


def test_every_option_of_a_path_is_looked_at():
    found = {(name, flag) for name, function in commands() for flag in path_options(function)}
    known = OVER_INPUTS.keys() | READING
    assert found - known == set(), "does it write? Then it belongs into OVER_INPUTS"
    assert known - found == set(), "it is gone"


def test_named_files_may_be_replaced(run, place, bundle):
    shutil.copy("x/b.png", "mine.png")
    (place / "elsewhere").mkdir()
    Path("way.png").symlink_to("elsewhere/far.png")
    for target in ("mine.png", "way.png"):
        for _ in range(2):
            line = f"stylize x/a.png -o {target} {{bundle}} --aligned"
            assert run(*arguments(line, bundle)).status == 0
    assert (place / "elsewhere/far.png").is_file() and Path("way.png").is_symlink()
    assert Image.open("mine.png").size != (64, 64)


def test_stdin_and_stdout_are_told_from_other_files(place, bundle):
    command = [sys.executable, "-m", "toonify", "--offline", "stylize", "-", "--aligned"]
    before = contents(place)
    with open("x/a.png", "rb") as photo:
        done = subprocess.run(
            [*command, "-o", "x/a.png", "--bundle", bundle], stdin=photo, capture_output=True
        )
    assert done.returncode == 2 and b"standard input" in done.stderr
    assert contents(place) == before


def test_a_second_run_does_as_expected(run, place, bundle):
    line = "stylize x -o x/toons {bundle} --aligned --recursive --sheet x/all.png"
    first = run(*arguments(line, bundle))
    before = contents(place)
    again = run(*arguments(line, bundle))
    assert (first.status, again.status) == (0, 0), again.err
    assert again.out.count("there already") == 6 and contents(place) == before
    assert run(*arguments(f"{line} --overwrite", bundle)).status == 0
    assert contents(place) == before
    for name in ("check", "evaluate"):
        more = "--aligned --limit 1 {bundle}" if name == "evaluate" else "--no-faces --size 32"
        line = f"{name} x -o report {more}"
        for _ in range(2):
            result = run(*arguments(line, bundle))
            assert result.status == 0, result.err
        shutil.rmtree("report")


def test_drawings_among_photos_are_no_photos(run, place, bundle):
    line = "stylize x -o x {bundle} --aligned --character all"
    assert run(*arguments(line, bundle)).status == 2  # x/a-mina.png is somebody's photo
    Path("x/a-mina.png").unlink()
    assert run(*arguments(line, bundle)).status == 0
    result = run(*arguments("--json evaluate x -o report --aligned {bundle}", bundle))
    assert result.status == 0 and "10 of the pictures in x are toonify's own" in result.err


@pytest.mark.parametrize(
    "line",
    [
        "stylize x/a.png -o new.png {bundle} --aligned --sheet new.png",
        "stylize x/a.png -o new.png {bundle} --aligned --manifest new.png",
        "stylize x/a.png -o new/ {bundle} --aligned --sheet new/a.png",
        "stylize x -o new/ {bundle} --aligned --sheet s.png --manifest s.png",
        "stylize x -o new/ {bundle} --aligned --sheet new/b.png",
        "align x -o new --no-detect --sheet s.png --manifest s.png",
    ],
)
def test_outputs_never_take_each_others_place(run, place, bundle, line):
    before = contents(place)
    result = run(*arguments(line, bundle))
    lines = [line for line in result.err.splitlines() if "left out" not in line]
    assert result.status == 2 and len(lines) == 1, result.err
    assert contents(place) == before and not (place / "new").exists()


def test_an_empty_output_is_no_folder(run, place, bundle):
    before = contents(place)
    result = run("stylize", "x/a.png", "-o", "", "--bundle", str(bundle), "--aligned")
    assert result.status == 2 and "-o is empty" in result.err
    assert contents(place) == before
