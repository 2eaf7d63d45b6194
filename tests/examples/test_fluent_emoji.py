"""The second data set's recipe: which emoji it takes, and that the package is asked for by name."""

from pathlib import Path

import pytest

from examples.fluent_emoji.pick import HEADS, TONES, names, pick

RECIPE = Path(__file__).parents[2] / "examples" / "fluent_emoji"


def test_heads_of_every_tone_are_sorted(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    for tone in TONES.values():
        for name in names(tone):
            (assets / name).write_bytes(name.encode())
    assert pick(assets, tmp_path / "drawings") == 186
    for folder, tone in TONES.items():
        files = sorted((tmp_path / "drawings" / folder).iterdir())
        assert len(files) == len(HEADS) == 31
        assert all((tone in f.name) if tone else ("1f3f" not in f.name) for f in files)
    woman = tmp_path / "drawings" / "dark" / "1f469-1f3ff-200d-1f9b1.webp"
    assert woman.read_bytes() == woman.name.encode()


def test_another_packages_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pick(tmp_path, tmp_path / "drawings")


def test_recipe_runs_the_commands_in_order() -> None:
    text = (RECIPE / "Makefile").read_text()
    commands = ["npm pack", "check", "align", "models convert", "finetune", "swap", "build-lut"]
    places = [text.index(f"$(TOONIFY) {c}" if c != "npm pack" else c) for c in commands]
    assert places == sorted(places)
