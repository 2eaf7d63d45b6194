"""The public names: what is promised to be there, imported lazily, and typed."""

import inspect
import re
import subprocess
import sys

import pytest

import toonify

PUBLIC = {
    "Bundle",
    "Character",
    "CharacterTable",
    "Diverged",
    "Evaluation",
    "InputError",
    "ModelError",
    "Toonifier",
    "ToonifyError",
    "UsageError",
    "convert_video",
    "edit",
    "edit_part",
    "evaluate",
    "finetune",
    "invert",
    "load_encoder",
    "load_engine",
    "load_generator",
    "load_style_engine",
    "project",
    "train_encoder",
    "train_pix2pix",
}
EXAMPLES = (
    "Bundle",
    "CharacterTable",
    "Toonifier",
    "convert_video",
    "edit",
    "edit_part",
    "evaluate",
    "finetune",
    "invert",
    "load_encoder",
    "load_engine",
    "load_generator",
    "load_style_engine",
    "project",
    "train_encoder",
    "train_pix2pix",
)
STYLIZE = (
    "self, image, *, character, style, level, trgb, color, aligned, paste, background, batch_size"
)


def test_public_names_are_there():
    assert set(toonify.__all__) >= PUBLIC
    for name in toonify.__all__:
        thing = getattr(toonify, name)
        assert inspect.getdoc(thing), f"{name} has no docstring"
    with pytest.raises(AttributeError):
        _ = toonify.nothing


def test_public_names_show_an_example():
    for name in EXAMPLES:
        thing = getattr(toonify, name)
        own = [thing, *(vars(thing).values() if inspect.isclass(thing) else ())]
        shown = [inspect.getdoc(part) or "" for part in own if hasattr(part, "__doc__")]
        assert any(">>> " in text for text in shown), name


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.islower()])
def test_docstrings_tell_of_every_parameter(name: str):
    call = getattr(toonify, name)
    reported = set(re.findall(r"^ {4}(\w+): ", inspect.getdoc(call), re.MULTILINE))
    assert set(inspect.signature(call).parameters) - {"options"} <= reported


def test_the_main_call_keeps_its_options():
    parameters = inspect.signature(toonify.Toonifier.stylize).parameters
    for name in STYLIZE.replace("*, ", "").split(", "):
        assert name in parameters
    assert all(
        p.kind is p.KEYWORD_ONLY for n, p in parameters.items() if n not in ("self", "image")
    )


def test_importing_and_drawing_a_style_need_no_torch():
    code = (
        "import sys, numpy as np, toonify\n"
        "from toonify.portrait import PortraitEngine\n"
        "engine = PortraitEngine.from_bundle('default')\n"
        "engine.stylize(np.full((64, 64, 3), 90, np.uint8), 'ink', faces=[])\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
