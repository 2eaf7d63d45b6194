"""`--engine` takes the same names wherever pictures are drawn, and bundles name its defaults."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from tests.tiny_bundle import write_bundle
from toonify.bundle import Defaults, bundle_defaults
from toonify.cli.camera import live
from toonify.cli.engines import EngineName, EngineOption, check_engine
from toonify.cli.stylize import stylize
from toonify.cli.video import video
from toonify.engines.registry import ENGINES
from toonify.errors import ModelError, UsageError


def test_commands_know_all_engines() -> None:
    assert {name.value for name in EngineName} - {"auto"} == set(ENGINES)
    for command in (stylize, video, live):
        parameter = inspect.signature(command, eval_str=True).parameters["engine"]
        assert parameter.annotation == EngineOption and parameter.default is EngineName.auto


def test_engines_that_can_not_draw_what_is_asked() -> None:
    for name in EngineName:
        if name.value in ("adain", "wct2"):
            check_engine(name, pictures=True)
            with pytest.raises(UsageError, match="style picture"):
                check_engine(name)
        else:
            check_engine(name, styles=name is EngineName.portrait)
    with pytest.raises(UsageError, match="takes no --style-image"):
        check_engine(EngineName.cdsm, pictures=True)
    with pytest.raises(UsageError, match="draws styles"):
        check_engine(EngineName.portrait, characters=True)
    with pytest.raises(UsageError, match="draws characters"):
        check_engine(EngineName.styleganex, styles=True)


def test_a_manifest_says_the_defaults(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "tiny")
    path = folder / "manifest.json"
    about = json.loads(path.read_text(encoding="utf-8"))

    def defaults_of(defaults: object) -> Defaults:
        path.write_text(json.dumps({**about, "defaults": defaults}), encoding="utf-8")
        return bundle_defaults(folder)

    mixing = {"level": 4, "trgb": False, "color": 0.5}
    assert defaults_of(mixing) == Defaults(level=4, trgb=False, color=0.5)
    assert defaults_of({"clips": "unet"}).clips == "unet"
    assert defaults_of({}) == defaults_of(3) == Defaults()
    for wrong in ({"level": "six"}, {"level": True}, {"trgb": 1}, {"engine": 3}):
        with pytest.raises(ModelError, match="the manifest of"):
            defaults_of(wrong)
    assert bundle_defaults("default").engine == "cdsm"
