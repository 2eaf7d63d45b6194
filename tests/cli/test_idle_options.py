"""Options that can change nothing in their company are refused, by their names."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from toonify.checkpoints import load_generator


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("edit p.png -o e.png --direction sefa-1 --range -1:1 --strength 5", "--strength"),
        ("edit p.png -o e.png --mix p.png --strength 4", "--strength"),
        ("edit p.png --list", "SOURCE"),
        ("edit --list -o e.png", "-o"),
        ("edit --list --direction smile", "--direction"),
        ("edit p.png -o e.png --layers 0-3", "--layers"),
        ("edit p.png -o e.png --direction sefa-1 --hfgi-network p.png", "--hfgi-network"),
        ("edit p.png -o e.png --direction sefa-1 --frame whole --method flow", "--method"),
        ("edit p.png -o e.png --part eyes", "part"),
        ("edit p.png -o e.png --mix p.png --part eyes", "fusion"),
        ("edit p.png -o e.png --mix p.png --part eyes --fusion . --layers 8-", "part"),
        ("edit p.png -o e.png --mix p.png --part eyes --fusion . --method hfgi", "part"),
        ("edit p.png -o e.png --mix p.png --part eyes --fusion . --frame aligned", "part"),
        ("edit p.png -o e.png --direction yaw --fusion .", "fused"),
        ("edit p.png -o e.png --direction yaw --fusion . --domain any", "fus"),
        ("edit p.png -o e.png --direction sefa-1 --frame face --method hfgi", "--method"),
        (
            "edit p.png -o e.png --frame whole --direction yaw --keep-background",
            "--keep-background",
        ),
        ("edit p.png -o e.png --attribute-strip --no-keep-background", "--keep-background"),
        ("invert p.png -o i --hfgi-network p.png", "--hfgi-network"),
        ("invert p.png -o i --method hfgi --steps 5", "--steps"),
        ("invert p.png -o i --method hfgi --pti", "--pti"),
        ("invert p.png -o i --method hfgi --no-keep-background", "--keep-background"),
        ("invert p.png -o i --frame aligned --keep-background", "--keep-background"),
        ("invert p.png -o i --method hfgi --frame whole", "--frame"),
        ("invert p.png -o i --box 0,0,40,40", "--box"),
        ("edit p.png -o e.png --direction sefa-1 --box 0,0,40,40", "--box"),
        ("edit i.safetensors -o e.png --mix p.png --domain any --box 0,0,40,40", "--box"),
        ("edit p.png -o e.png --attribute-strip --domain any", "--attribute-strip"),
        (
            "edit p.png -o e.png --direction sefa-1 --domain any --keep-background",
            "--keep-background",
        ),
        ("edit p.png -o e.png --direction sefa-1 --domain any --method hfgi", "--method"),
        ("edit p.png -o e.png --direction sefa-1 --domain any --frame face", "--frame"),
        ("train-encoder --generator default -o r --align 1", "--align"),
        ("train-encoder --task hfgi --generator default -o r --size 18", "--size"),
        ("train-encoder --task hfgi --generator default -o r --flicker 1", "--flicker"),
        (
            "train-encoder --task fusion --generator default -o r --face-encoder default",
            "--face-encoder",
        ),
        ("train-encoder --task fusion --generator default -o r --size 18", "--size"),
        ("translate p.png -o t.png --task toonify --frame face", "--frame"),
        ("translate p.png -o t.png --task toonify --frame whole", "--frame"),
        ("translate p.png -o t.png --task toonify --strength 2", "--strength"),
        ("translate p.png -o t.png --task toonify --samples 2", "--samples"),
        ("translate p.png -o t.png --task toonify --factor 4", "--factor"),
        ("invert p.png -o i --steps 0 --pti-steps 10", "--pti-steps"),
        ("invert p.png -o i --pti-steps 350", "--pti-steps"),
        ("stylize p.png -o s.png --aligned --landmarks mtcnn", "--landmarks"),
        ("stylize p.png -o s.png --aligned --faces largest", "--faces"),
        ("stylize p.png -o s.png --aligned --min-face 20", "--min-face"),
        ("stylize p.png -o s.png --aligned --require-face", "--require-face"),
        ("stylize p.png -o s.png --quality 50", "--quality"),
        ("stylize p.png -o s.png --character mina --backend onnx", "--backend"),
        ("stylize p.png -o s.svg --backend opencv", "--backend"),
        ("stylize p.png -o s.svg --strip", "--strip"),
        ("video c.mp4 -o g.gif --pix-fmt yuv420p", "--pix-fmt"),
        ("video c.mp4 -o frames --pix-fmt yuv420p", "--pix-fmt"),
        ("video c.mp4 -o p.png --preview --side-by-side", "--side-by-side"),
        ("video c.mp4 -o p.png --preview --smooth 0", "--smooth"),
        ("video c.mp4 -o p.png --preview --codec hevc", "--codec"),
        ("video c.mp4 -o p.png --preview --crf 10", "--crf"),
        ("video c.mp4 -o p.png --preview --keep-partial", "--keep-partial"),
        ("video c.mp4 -o p.png --preview --no-resume", "--resume"),
    ],
)
def test_they_are_refused(run, tmp_path, monkeypatch, command, option):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save("p.png")
    (tmp_path / "i.safetensors").touch()
    (tmp_path / "c.mp4").touch()
    result = run(*command.split())
    assert result.status == 2 and option in result.err and result.err.count("\n") == 1


@pytest.mark.parametrize("options", [("--color", "0"), ("--color", "1"), ("--no-trgb",)])
def test_colors_are_mixed_where_there_are_layers_for_them(run, bundle, tmp_path, options):
    photo = tmp_path / "p.png"
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(photo)
    rows = load_generator(bundle / "generator.safetensors").num_ws
    command = ["stylize", photo, "--aligned", "--bundle", bundle, "--character", "mina"]
    low = run(*command, "-o", tmp_path / "low.png", "--level", 2, *options)
    assert low.status == 2 and options[0].removeprefix("--no-") in low.err.replace("--trgb", "trgb")
    whole = ["--level", rows]
    assert run(*command, "-o", tmp_path / "plain.png", *whole).status == 0
    assert run(*command, "-o", tmp_path / "mixed.png", *whole, *options).status == 0
    plain, mixed = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("plain", "mixed"))
    assert np.array_equal(plain, mixed) == (options == ("--color", "1"))
