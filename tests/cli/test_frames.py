"""StyleGANEX's networks of a bundle: photos and clips drawn, inverting, editing, shipping."""

import json
import shutil
from pathlib import Path

import numpy as np
import published
import pytest
import torch
from PIL import Image

import toonify.bundle
from tests.clips import ffmpeg, frame_hashes, times
from tests.tiny_bundle import NAMES
from tests.tiny_styleganex import tiny_stylegan2
from toonify.bundle import EXTRAS, FRAMES, INVERSION, has_parts, preferred_engine
from toonify.checkpoints import generator_hash, load_generator, save_generator
from toonify.inversion.latents import Latents

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """The astronaut, small, with a wide empty margin at the right."""
    path = tmp_path_factory.mktemp("photo") / "me.png"
    page = np.full((256, 640, 3), 128, np.uint8)
    page[:, :256] = np.asarray(Image.open(ASTRONAUT).convert("RGB").resize((256, 256)))
    Image.fromarray(page).save(path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Four frames of it that move."""
    folder = tmp_path_factory.mktemp("clip")
    photo = Image.open(ASTRONAUT).convert("RGB").resize((192, 192))
    for number in range(4):
        moved = photo.transform((192, 192), Image.Transform.AFFINE, (1, 0, -2 * number, 0, 1, 0))
        moved.save(folder / f"{number}.png")
    ffmpeg("-framerate", 12, "-i", folder / "%d.png", "-pix_fmt", "yuv420p", folder / "clip.mp4")
    return folder / "clip.mp4"


@pytest.fixture
def as_default(monkeypatch, whole_bundle, tmp_path):
    """The whole bundle in the shipped one's place."""
    shipped = tmp_path / "shipped"
    shutil.copytree(whole_bundle, shipped / "default")
    monkeypatch.setattr(toonify.bundle, "_SHIPPED", shipped)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.fixture
def checkpoint(tmp_path):
    """An official one for toonification, but for its widths and weights."""
    path = tmp_path / "styleganex_toonify_cartoon.pt"
    torch.manual_seed(0)  # of some weights the picture is all but one color
    state = {"state_dict": published.styleganex(), "latent_avg": torch.randn(64), "opts": {}}
    torch.save(state, path)
    return path


def test_a_photo_is_drawn_in_place(run, whole_bundle, photo, tmp_path):
    out = tmp_path / "toon.png"
    command = ["translate", photo, "-o", out, "--task", "toonify", "--bundle", whole_bundle]
    result = run(*command, "--json")
    assert result.status == 0, result.err
    assert result.records == [{"source": str(photo), "outputs": [str(out)], "faces": 1}]
    before, drawn = pixels(photo), pixels(out)
    assert drawn.shape == before.shape
    assert np.array_equal(drawn[:, 400:], before[:, 400:]), "away from the face"
    face = np.abs(drawn - before)[40:110, 70:150]
    assert face.max() > 30, "random networks draw something else"
    assert run(*command, "--character", NAMES[0]).status == 0
    assert np.array_equal(pixels(out), drawn), "the first one is meant"
    assert run(*command, "--character", NAMES[1]).status == 0
    assert not np.array_equal(pixels(out), drawn)
    by_place = run(*command, "--character", f"left={NAMES[1]}")
    assert by_place.status == 0


@pytest.mark.usefixtures("as_default")
def test_the_default_bundle_draws_by_default(run, photo, tmp_path):
    out = tmp_path / "toon.png"
    assert run("translate", photo, "-o", out, "--task", "toonify").status == 0
    assert not np.array_equal(pixels(out), pixels(photo))


def test_toonify_draws_the_first_style_where_no_character_is_named(run, tmp_path):
    photo = tmp_path / "photo.png"
    Image.open(ASTRONAUT).crop((96, 0, 352, 256)).save(photo)
    for name, options in (
        ("a.png", ()),
        ("b.png", ("--style", "ink")),
        ("c.png", ("--style", "soft")),
    ):
        command = ("translate", photo, "-o", tmp_path / name, "--task", "toonify", *options)
        assert run(*command).status == 0
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))
    assert not np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "c.png"))
    result = run(
        "translate", ASTRONAUT, "-o", tmp_path / "d.png", "--task", "mask", "--style", "ink"
    )
    assert result.status == 2 and "--style" in result.err
    command = ("translate", ASTRONAUT, "-o", tmp_path / "d.png", "--task", "toonify")
    result = run(*command, "--frame", "aligned")
    assert result.status == 2 and "--frame" in result.err
    assert not (tmp_path / "d.png").exists()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--bundle", "gone"], 3, "no bundle 'gone'"),
        (["--character", "rosa", "--bundle", "WHOLE"], 2, "rosa"),
        (["--character", "mina", "--checkpoint", "x.pt"], 2, "--character is of a bundle's"),
        (["--samples", "2", "--bundle", "WHOLE"], 2, "toonify has one answer"),
        (["--strength", "2", "--bundle", "WHOLE"], 2, "--strength belongs to edit"),
        (["--factor", "8", "--bundle", "WHOLE"], 2, "--factor belongs to super-resolution"),
        (["--generator", "x.pt", "--bundle", "WHOLE"], 2, "--generator is of a --checkpoint"),
        (["--checkpoint", "gone.pt"], 3, "no checkpoint"),
    ],
)
def test_photos_that_are_not_drawn(
    run, bundle, whole_bundle, photo, tmp_path, monkeypatch, options, status, message
):
    monkeypatch.chdir(tmp_path)
    names = {"SMALL": bundle, "WHOLE": whole_bundle}
    filled = [names.get(item, item) for item in options]
    result = run("translate", photo, "-o", "toon.png", "--task", "toonify", *filled)
    assert result.status == status and message in result.err, result.err
    assert result.err.count("\n") == 1 and not Path("toon.png").exists()


def test_a_photo_without_a_face_and_other_tasks(run, whole_bundle, photo, tmp_path):
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "wall.png")
    command = ["translate", tmp_path / "wall.png", "-o", tmp_path / "a.png"]
    result = run(*command, "--task", "toonify", "--bundle", whole_bundle)
    assert result.status == 1 and "no face found" in result.err and result.err.count("\n") == 1
    command = ["translate", photo, "-o", tmp_path / "a.png", "--character", NAMES[0]]
    result = run(*command, "--task", "super-resolution")
    assert result.status == 2 and "--character is of a bundle's toonify" in result.err
    assert not (tmp_path / "a.png").exists()


def test_small_photos_are_enlarged_without_a_checkpoint(run, whole_bundle, photo, tmp_path):
    image = Image.open(photo).resize((160, 64))
    image.putalpha(Image.new("L", image.size, 128))
    image.save(tmp_path / "small.png")
    command = ["translate", tmp_path / "small.png", "--task", "super-resolution"]
    command += ["--bundle", whole_bundle]
    out = tmp_path / "large.png"
    result = run("--json", *command, "-o", out)
    assert result.status == 0, result.err
    (record,) = result.records
    with Image.open(out) as large:
        assert record["faces"] == 1 and record["times"] > 4
        assert abs(large.height - 64 * record["times"]) < 2 and large.getpixel((5, 5))[3] == 128
    assert run(*command, "-o", tmp_path / "face.png", "--frame", "face").status == 0
    assert Image.open(tmp_path / "face.png").width < Image.open(out).width / 1.5
    assert run(*command, "-o", tmp_path / "crop.png", "--frame", "aligned").status == 0
    assert Image.open(tmp_path / "crop.png").size == (256, 256)


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--generator", "default"], 2, "--generator is of a --checkpoint"),
        (["--style", "ink"], 2, "--style is of a bundle's toonify"),
        (["--bundle", "SMALL"], 3, "models pull styleganex-sr"),
        (["--frame", "aligned"], 1, "256 px across already"),
        (["--factor", "32"], 1, "too few to tell whose it is"),
    ],
)
def test_photos_that_are_not_enlarged(run, bundle, photo, tmp_path, options, status, message):
    out = tmp_path / "a.png"
    options = [bundle if option == "SMALL" else option for option in options]
    result = run("translate", photo, "-o", out, "--task", "super-resolution", *options)
    assert result.status == status and message in result.err and result.err.count("\n") == 1
    assert not out.exists()


def test_an_official_checkpoint_draws_a_whole_frame(run, photo, checkpoint, tmp_path):
    out = tmp_path / "toon.png"
    command = ["translate", photo, "-o", out, "--task", "toonify", "--checkpoint", checkpoint]
    result = run(*command, "--frame", "face")
    assert result.status == 0, result.err
    height, width = pixels(out).shape[:2]
    assert height > 256 and width > 256, "a frame, not the face alone"


def test_a_clip_is_drawn_by_whole_frames(run, whole_bundle, bundle, clip, tmp_path):
    hashes = {}
    for engine in ("styleganex", "auto", "cdsm"):
        out = tmp_path / f"{engine}.mkv"
        options = ["--engine", engine, "--bundle", whole_bundle, "--character", NAMES[1]]
        result = run("video", clip, "-o", out, *options, "--codec", "ffv1", "--json")
        assert result.status == 0, result.err
        (record,) = result.records
        assert record["frames"] == record["frames_with_faces"] == 4
        assert record["people"] == [{"person": 1, "character": NAMES[1], "frames": 4}]
        assert len(times(out)) == len(times(clip)) == 4
        hashes[engine] = frame_hashes(out)
    assert hashes["styleganex"] == hashes["auto"] != hashes["cdsm"]
    small = tmp_path / "small.mkv"
    options = ["--bundle", bundle, "--character", NAMES[1], "--codec", "ffv1"]
    assert run("video", clip, "-o", small, *options).status == 0
    assert frame_hashes(small) == hashes["cdsm"], "what a bundle holds decides"


def test_a_bundle_says_how_it_is_drawn_best(whole_bundle, bundle, tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(whole_bundle, mine)
    manifest = json.loads((mine / "manifest.json").read_text())
    for message, engine in (({"engine": "cdsm"}, "cdsm"), ({}, "styleganex"), (3, "styleganex")):
        (mine / "manifest.json").write_text(json.dumps(manifest | {"defaults": message}))
        assert preferred_engine(mine) == engine
    assert preferred_engine(whole_bundle) == "styleganex" and preferred_engine(bundle) == "cdsm"


def test_a_clip_by_an_official_checkpoint(run, bundle, clip, checkpoint, tmp_path):
    out = tmp_path / "look.png"
    command = ["video", clip, "-o", out, "--preview", "--checkpoint", checkpoint]
    result = run(*command)
    assert result.status == 0 and "1, 1, 1 faces" in result.out, result.err
    assert pixels(out).std() > 10
    wrong = run(*command, "--engine", "cdsm", "--bundle", bundle)
    assert wrong.status == 2 and "--checkpoint is of the engine styleganex" in wrong.err
    part = run("video", clip, "-o", out, "--checkpoint", bundle / "encoder.safetensors")
    assert part.status == 3 and "holds no StyleGANEX encoder with its generator" in part.err
    other = run(*command, "--character", NAMES[0])
    assert other.status == 2 and "toonify_cartoon" in other.err
    assert all(r.err.count("\n") == 1 for r in (wrong, part, other))


def own_hash(folder):
    return generator_hash(load_generator(folder / "inversion_generator.safetensors"))


@pytest.mark.usefixtures("as_default")
def test_photos_are_inverted_by_the_bundles_own_networks(run, whole_bundle, tmp_path):
    pictures = []
    for options in ([], ["--encoder", whole_bundle, "--no-keep-background"]):
        out = tmp_path / f"out{len(options)}"
        result = run("invert", ASTRONAUT, "-o", out, "--steps", 0, *options)
        assert result.status == 0, result.err
        latents, about = Latents.load(out / "astronaut.safetensors")
        assert latents.w_plus.shape == (1, 10, 16) and latents.feature is not None
        assert about["generator"] == own_hash(whole_bundle)
        pictures.append(pixels(out / "astronaut.png").astype(int))
    corner = pixels(ASTRONAUT)[-40:, -40:].mean(axis=(0, 1))
    within, rendered = (picture[-15:, -15:].mean(axis=(0, 1)) for picture in pictures)
    assert np.abs(within - corner).max() < 12 < np.abs(rendered - corner).max()
    assert latents.frame_size is not None
    height, width = latents.frame_size
    assert height == width > 512  # the astronaut's eyes are less than 64 pixels apart
    assert pixels(out / "astronaut.png").shape[:2] == (round(height / 4), round(width / 4))
    strip = tmp_path / "strip.png"
    edit = ["--direction", "sefa-1", "--range", "-2:2", "--frames", 3]
    result = run("edit", ASTRONAUT, "-o", strip, *edit)
    assert result.status == 0, result.err
    assert pixels(strip).shape[1] == 3 * pixels(ASTRONAUT).shape[1] + 2 * 4


@pytest.mark.usefixtures("as_default")
def test_latents_are_edited_by_what_they_were_inverted_with(run, whole_bundle, photo, tmp_path):
    """No photo is read, so no encoder is needed, but the generator is the bundle's still."""
    assert run("invert", photo, "-o", tmp_path, "--steps", 0, "--frame", "face").status == 0
    latents, plain = tmp_path / "me.safetensors", pixels(tmp_path / "me.png")
    out = tmp_path / "edited.png"
    for options in ([], ["--encoder", whole_bundle], ["--generator", whole_bundle]):
        result = run("edit", latents, "-o", out, *options)
        assert result.status == 0, result.err
        assert np.array_equal(pixels(out), plain), options
    toon = tmp_path / "toon.safetensors"
    save_generator(tiny_stylegan2(seed=9), toon)
    assert run("edit", latents, "-o", out, "--generator", toon).status == 0
    assert not np.array_equal(pixels(out), plain)


def test_a_bundle_without_them_reads_faces_as_before(run, bundle, photo, tmp_path):
    result = run("invert", photo, "-o", tmp_path, "--steps", 0, "--encoder", bundle)
    assert result.status == 3 and "ffhq-mobile" in result.err, "it holds no face generator"
    options = ["--encoder", bundle, "--generator", bundle, "--steps", 0]
    assert run("invert", photo, "-o", tmp_path, *options).status == 0
    assert Latents.load(tmp_path / "me.safetensors")[0].feature is None


@pytest.mark.usefixtures("as_default")
def test_a_generator_of_another_layout_gets_the_face_alone(run, whole_bundle, photo, tmp_path):
    options = ["--generator", whole_bundle / "generator.safetensors", "--steps", 0]
    result = run("invert", photo, "-o", tmp_path, *options)
    assert result.status == 0, result.err
    assert Latents.load(tmp_path / "me.safetensors")[0].feature is None


def parts(folder, *names):
    options = ["--generator", folder / "generator.safetensors", "--encoder", folder]
    options += ["--table", folder / "characters.safetensors"]
    for name in names:
        options += [f"--{name.replace('_', '-')}", folder / f"{name}.safetensors"]
    return options


def test_a_bundle_is_shipped_with_them(run, whole_bundle, photo, tmp_path):
    mine = tmp_path / "mine"
    result = run("bundle", *parts(whole_bundle, *EXTRAS), "-o", mine, "--json")
    assert result.status == 0, result.err
    assert result.records == [{"path": str(mine), "characters": list(NAMES)}]
    files = json.loads((mine / "manifest.json").read_text())["files"]
    assert set(files) == {"generator", "encoder", "characters", *EXTRAS}
    out = tmp_path / "toon.png"
    assert run("translate", photo, "-o", out, "--task", "toonify", "--bundle", mine).status == 0
    half = tmp_path / "half"
    assert run("bundle", *parts(whole_bundle, *FRAMES), "-o", half).status == 0
    assert has_parts(half, FRAMES) and not has_parts(half, INVERSION)


@pytest.mark.parametrize("alone", EXTRAS)
def test_half_a_pair_is_not_shipped(run, whole_bundle, tmp_path, alone):
    result = run("bundle", *parts(whole_bundle, alone), "-o", tmp_path / "mine")
    kind = alone.partition("_")[0]
    assert result.status == 2
    assert f"--{kind}-generator and --{kind}-encoder go together" in result.err
    assert result.err.count("\n") == 1 and not (tmp_path / "mine").exists()


def test_networks_that_do_not_fit_are_not_shipped(run, whole_bundle, tmp_path):
    wrong = ["--frame-generator", whole_bundle / "generator.safetensors"]
    wrong += ["--frame-encoder", whole_bundle / "frame_encoder.safetensors"]
    result = run("bundle", *parts(whole_bundle), *wrong, "-o", tmp_path / "mine")
    assert result.status == 3 and "are not StyleGANEX's" in result.err
    assert result.err.count("\n") == 1 and not list(tmp_path.glob("*mine*"))
