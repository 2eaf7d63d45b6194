"""Styles that networks draw: pictures, clips, bundles, the command line."""

import itertools
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.test_unet import tiny
from tests.tiny_bundle import write_bundle
from toonify import Toonifier, load_engine
from toonify.bundle import write_bundle as put_together
from toonify.checkpoints.loading import save_network
from toonify.checkpoints.safetensors_io import read_safetensors, write_safetensors
from toonify.engines.registry import style_engine
from toonify.engines.unet import UNetEngine, exposure, points_of, work_side
from toonify.errors import ModelError, UsageError
from toonify.faces import Face
from toonify.faces.no_faces import NoFaces
from toonify.models.graph_runtimes import fastest
from toonify.portrait.catalog import bundle_styles, network_styles, style_name
from toonify.video.clips import clip_engine


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "studio" / "style.safetensors"
    path.parent.mkdir()
    save_network(tiny(), path)
    return path


@pytest.fixture(scope="module")
def styled(tmp_path_factory, network):
    """A bundle whose only styles are networks'."""
    source = write_bundle(tmp_path_factory.mktemp("bundles") / "plain")
    folder = source.parent / "styled"
    put_together(
        folder,
        generator=source / "generator.safetensors",
        encoder=str(source),
        table=source / "characters.safetensors",
        extras={"unet_studio": network},
    )
    return folder


@pytest.fixture
def engine(network):
    return UNetEngine({"studio": network}, detector=NoFaces(), device="cpu", dtype="float32")


PHOTO = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)


def test_pictures_keep_their_size(engine):
    (drawn,) = engine.draw_image(PHOTO, ["studio"])
    assert drawn.shape == PHOTO.shape and drawn.dtype == np.uint8
    with torch.no_grad():
        x = torch.from_numpy(np.pad(PHOTO, ((16, 16), (16, 16), (0, 0)), mode="reflect"))
        whole = tiny()(x.permute(2, 0, 1)[None].float() / 127.5 - 1)[0, :, 16:-16, 16:-16]
        wanted = ((whole.clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(engine.draw(np.float32(PHOTO), "studio") - wanted).max() <= 1
    assert np.abs(drawn - wanted).mean() < 40  # flattened, and its edges sharp
    engine.max_size = 30
    assert engine.draw_image(PHOTO, ["studio"])[0].shape == (20, 30, 3)
    large = np.zeros((700, 900, 3), np.uint8)
    engine.max_size = None
    assert engine.draw_image(large, ["studio"])[0].shape == large.shape
    with pytest.raises(UsageError, match="no style 'ink'"):
        engine.draw_image(PHOTO, ["ink"])


@pytest.mark.skipif(fastest() is None, reason="OpenCV 4 leaves networks to torch")
def test_torch_draws_the_same(engine, network):
    files = {"studio": network}
    other = UNetEngine(files, detector=NoFaces(), device="cpu", dtype="float32", runtime="torch")
    assert (engine.runtime, other.runtime) == (fastest(), "torch")
    a, b = (one.draw(np.float32(PHOTO), "studio") for one in (engine, other))
    assert np.abs(np.int16(a) - b).max() <= 1
    assert engine.identity("studio") != other.identity("studio")
    half = UNetEngine(files, detector=NoFaces(), dtype="bfloat16")
    assert half.runtime == "torch" and half.draw_image(PHOTO, ["studio"])[0].shape == PHOTO.shape
    with pytest.raises(UsageError, match="unknown device"):
        UNetEngine(files, detector=NoFaces(), device="abacus")


@pytest.mark.skipif(fastest() is None, reason="OpenCV 4 leaves networks to torch")
def test_networks_in_bfloat16_are_drawn_by_either(network, tmp_path):
    state, config, _ = read_safetensors(network)
    short = tmp_path / "short.safetensors"
    write_safetensors(state, short, config=config, dtype=torch.bfloat16)
    a, b = (
        UNetEngine(
            {"studio": short},
            detector=NoFaces(),
            device="cpu",
            dtype="float32",
            runtime=runtime,
        ).draw(np.float32(PHOTO), "studio")
        for runtime in ("auto", "torch")
    )
    assert np.abs(np.int16(a) - b).max() <= 1


def test_backgrounds(network):
    def matte(rgb):
        return np.repeat(np.float32([[0, 1]]), 30, axis=1).repeat(rgb.shape[0], axis=0)

    def drawn(background):
        engine = UNetEngine(
            {"studio": network},
            detector=NoFaces(),
            background=background,
            matte=matte,
            dtype="float32",
        )
        return engine.draw_image(PHOTO, ["studio"])[0]

    kept, clear, red = drawn("keep"), drawn("transparent"), drawn((255, 0, 0))
    assert np.array_equal(kept[:, :25], PHOTO[:, :25])
    assert clear.shape == (40, 60, 4) and clear[0, 0, 3] == 0 and clear[0, -1, 3] == 255
    assert (red[:, :25] == (255, 0, 0)).all()
    assert np.array_equal(kept[:, 35:], red[:, 35:])


def test_still_parts_of_a_clip_don_t_follow_noise(engine):
    rng = np.random.default_rng(1)
    still = np.full((32, 32, 3), 120, np.uint8)
    frames = [np.uint8(np.clip(still + rng.normal(0, 2, still.shape), 0, 255)) for _ in range(6)]

    def flicker(smooth):
        compositor = engine.compositor(smooth)
        drawn = [np.float32(compositor.compose(frame, [])) for frame in frames]
        return np.mean([np.abs(a - b).mean() for a, b in itertools.pairwise(drawn)])

    assert flicker(1.0) < 0.7 * flicker(0)
    # what moves is drawn where it is
    compositor = engine.compositor(1.0)
    compositor.compose(still, [])
    moved = np.full_like(still, 220)
    alone = UNetEngine.compositor(engine, 0).compose(moved, [])
    assert np.array_equal(compositor.compose(moved, []), alone)


def test_dark_frames_are_drawn_as_if_lit_and_not_suddenly(engine, monkeypatch):
    seen = []

    def draw(photo, style):
        seen.append(float(photo.max()))
        return np.full(photo.shape, 200, np.uint8)

    monkeypatch.setattr(engine, "draw", draw)
    compositor = engine.compositor(0.5)
    dark = [np.full((32, 32, 3), level, np.uint8) for level in (30, 34, 220)]
    drawn = [compositor.compose(frame, []) for frame in dark]
    assert seen[0] > 4 * 30 and drawn[0].max() < 60
    assert seen[1] / 34 > 0.95 * seen[0] / 30  # as before, while it grows light
    assert seen[2] == 220 and drawn[2].max() == 200  # at a cut at once


def test_a_clip_goes_on_from_its_state(engine):
    frames = [np.uint8(PHOTO // 2 + step) for step in range(3)]
    whole = engine.compositor(0.5)
    drawn = [whole.compose(frame, []) for frame in frames]
    first = engine.compositor(0.5)
    first.compose(frames[0], [])
    second = engine.compositor(0.5)
    second.restore(first.state())
    assert np.array_equal(second.compose(frames[1], []), drawn[1])


def test_bundles_offer_their_networks_styles(styled, network, monkeypatch):
    assert network_styles(styled) == bundle_styles(styled) == ("studio",)
    assert style_engine(["studio"], styled) == "unet" == style_engine([str(network)], "default")
    assert style_engine(["ink"], "default") == "portrait"
    assert style_engine(["wash", str(network)]) == style_engine(["wash"], engine="unet") == "unet"
    with pytest.raises(UsageError, match="unet does not draw wash"):
        style_engine(["wash"], styled, engine="unet")
    with monkeypatch.context() as patched:
        patched.setattr("toonify.engines.registry.program_styles", lambda bundle: ("wash",))
        with pytest.raises(UsageError, match="no engine draws all"):
            style_engine(["wash", "studio"], styled)
    engine = load_engine("unet", styled, detector=NoFaces())
    assert engine.characters == ("studio",)
    assert isinstance(clip_engine(styled, style="studio"), UNetEngine)
    size = (styled / "unet_studio.safetensors").stat().st_size
    assert size < network.stat().st_size
    toon = Toonifier.from_bundle(styled)
    assert toon.styles == ("studio",)
    assert toon.stylize(PHOTO, style="studio").shape == PHOTO.shape


def test_large_faces_are_drawn_smaller(engine):
    def face(apart):
        points = np.float32([[100, 200], [100 + apart, 200], [0, 0], [0, 0], [0, 0]])
        return Face(np.float32([50, 100, 300, 400]), 1.0, points)

    photo = np.zeros((1000, 800, 3), np.uint8)
    assert work_side(photo) == work_side(photo, points_of([face(40)])) == 512
    assert work_side(photo, points_of([face(40), face(200)])) == 400  # 80 px between the eyes
    (drawn,) = engine.draw_image(photo, ["studio"], faces=[face(200)])
    assert drawn.shape == photo.shape


def test_one_network_of_a_bundle_draws_several_styles(styled, tmp_path):
    from tests.models.test_styled_unet import styled as network_of_styles

    file = tmp_path / "both.safetensors"
    save_network(network_of_styles(), file)
    parts = {"generator": styled / "generator.safetensors", "encoder": str(styled)}
    parts["table"] = styled / "characters.safetensors"
    both = {"unet_ink": file, "unet_soft": file}
    put_together(tmp_path / "b", **parts, extras=both)
    manifest = json.loads((tmp_path / "b/manifest.json").read_text())
    assert {manifest["files"][part]["file"] for part in both} == {"unet_ink_soft.safetensors"}
    engine = load_engine("unet", tmp_path / "b", detector=NoFaces(), dtype="float32")
    ink, soft = engine.draw_image(PHOTO, ["ink", "soft"])
    assert engine.characters == ("ink", "soft") and not np.array_equal(ink, soft)
    with pytest.raises(ModelError, match="not wash"):
        put_together(tmp_path / "c", **parts, extras={"unet_wash": file})
    assert not (tmp_path / "c").exists()
    with pytest.raises(ModelError, match="draws ink, soft"):  # which one is not said
        load_engine("unet", style=str(file), detector=NoFaces()).draw_image(PHOTO, ["both"])


def test_a_bundle_says_what_draws_its_clips(styled, tmp_path, monkeypatch):
    from toonify.portrait import catalog
    from toonify.video import clips

    folder = tmp_path / "both"
    shutil.copytree(styled, folder)
    for module in (catalog, clips):  # a style that both draw
        monkeypatch.setattr(module, "program_styles", lambda bundle: ("studio", "ink"))
    monkeypatch.setattr("toonify.engines.registry.program_styles", lambda bundle: ("studio", "ink"))
    assert clips.clip_style_engine(folder, None) == "portrait"
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["defaults"] = {"clips": "unet"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert clips.clip_style_engine(folder, None) == "unet"
    assert clips.clip_style_engine(folder, "studio") == "unet"
    assert clips.clip_style_engine(folder, "ink") == "portrait"


def test_a_damaged_network_is_refused(styled, tmp_path):
    shutil.copytree(styled, tmp_path / "b")
    with (tmp_path / "b/unet_studio.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="SHA-256"):
        load_engine("unet", tmp_path / "b")


def test_names_of_files():
    assert style_name("runs/studio/style.safetensors") == "studio"
    assert style_name("mine.safetensors") == "mine" and style_name("ink") == "ink"


def test_the_command_line(run_cli, network, styled, tmp_path):
    photo = tmp_path / "p.png"
    Image.fromarray(PHOTO).save(photo)
    status, out, err = run_cli(
        "--json", "stylize", photo, "-o", tmp_path / "a.png", "--style", network
    )
    assert status == 0, err
    assert Image.open(tmp_path / "a.png").size == (60, 40)
    assert json.loads(out)["outputs"][0]["style"] == "studio"
    status, _, err = run_cli("stylize", photo, "-o", tmp_path / "b.png", "--bundle", styled)
    assert status == 0, err
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.size == (60, 40)
    for more, wanted, message in (
        (["--style", "gone.safetensors"], 3, "gone.safetensors"),
        (["--style", network, "--character", "mina", "--engine", "unet"], 2, "not characters"),
        (["--style", "comic", "--engine", "unet", "--bundle", styled], 2, "comic"),
        (["--style", network, "-o", tmp_path / "c.svg"], 2, "pixels"),
        (["--style", f"ink,{network}"], 3, "there is no file"),
    ):
        status, _, err = run_cli("stylize", photo, "-o", tmp_path / "c.png", *more)
        assert status == wanted and message in err and err.count("\n") == 1, err
    assert not (tmp_path / "c.png").exists()


def test_clips(run_cli, network, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        Image.fromarray(np.roll(PHOTO, number, axis=1)).save(frames / f"{number:06d}.png")
    status, out, err = run_cli("video", frames, "-o", tmp_path / "out", "--style", network)
    assert status == 0, err
    assert "3 frames" in out and "whole frames" in out
    drawn = sorted((tmp_path / "out").glob("*.png"))
    assert len(drawn) == 3 and Image.open(drawn[0]).size == (60, 40)


@pytest.fixture
def run_cli(capsys):
    from toonify.cli.main import main

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


def test_pictures_in_the_dark_are_drawn_as_if_lit(engine):
    dark = np.uint8(PHOTO * 0.2)
    seen = []
    draw = engine.draw
    engine.draw = lambda photo, style: seen.append(float(photo.max())) or draw(photo, style)
    drawn = engine.crisp(dark, "studio")
    assert 190 < seen[0] <= 255 and drawn.max() <= 255 / exposure(dark) + 1
    assert exposure(PHOTO) == 1.0 < exposure(dark) <= 5
    assert exposure(np.zeros_like(PHOTO)) == 5


def test_drawings_are_enlarged_as_far_as_they_are_needed(engine):
    longest = [max(engine.crisp(PHOTO, "studio", side=side).shape) for side in (50, 500, None)]
    assert 2 * 50 <= longest[0] < longest[1] == longest[2]


def test_older_opencvs_leave_the_network_to_torch(network, monkeypatch):
    monkeypatch.setattr("cv2.__version__", "4.10.0")
    monkeypatch.setattr("toonify.models.graph_runtimes.PACKAGES", {"opencv": "cv2"})
    engine = UNetEngine({"studio": network}, detector=NoFaces(), device="cpu")
    assert engine.runtime == "torch"
    assert engine.draw_image(PHOTO, ["studio"])[0].shape == PHOTO.shape


def test_backends_from_the_command_line(run_cli, styled, tmp_path, monkeypatch):
    Image.fromarray(PHOTO).save(tmp_path / "p.png")
    command = ["stylize", tmp_path / "p.png", "--bundle", styled, "--overwrite"]
    drawn = {}
    for backend in ("auto", "torch"):
        target = tmp_path / f"{backend}.png"
        status, _, err = run_cli(*command, "-o", target, "--backend", backend, "--dtype", "float32")
        assert status == 0, err
        drawn[backend] = np.asarray(Image.open(target)).astype(int)
    assert np.abs(drawn["auto"] - drawn["torch"]).mean() < 1
    status, _, err = run_cli(
        *command, "-o", tmp_path / "c.png", "--backend", "opencv", "--dtype", "bfloat16"
    )
    assert status == 2 and "opencv draws on the processor, in float32" in err
    assert "--backend" in err
    monkeypatch.setattr("toonify.models.graph_runtimes.available", lambda runtime: False)
    status, _, err = run_cli(*command, "-o", tmp_path / "c.png", "--backend", "openvino")
    assert status == 2 and "pip install openvino" in err
