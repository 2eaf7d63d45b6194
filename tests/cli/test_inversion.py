"""invert, edit and translate on tiny networks."""

from pathlib import Path

import numpy as np
import published
import pytest
import torch
from PIL import Image

from tests.tiny_styleganex import PixelLoss, tiny_stylegan2, write_networks
from toonify.checkpoints import load_generator, save_generator
from toonify.errors import ModelError
from toonify.inversion.latents import Latents

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(autouse=True)
def pixel_loss(monkeypatch):
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PixelLoss)


@pytest.fixture
def networks(tmp_path):
    """Options that name a StyleGANEX encoder and its generator."""
    encoder, generator = write_networks(tmp_path)
    return ["--encoder", encoder, "--generator", generator]


@pytest.fixture
def faces(tmp_path):
    """Four aligned faces in two folders."""
    rng = np.random.default_rng(0)
    for index, side in enumerate(("dark", "dark", "light", "light")):
        path = tmp_path / side / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 120, (64, 64, 3)) + 120 * (side == "light")
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_the_default_bundle_inverts_and_edits_whole_photos_without_any_download(run, tmp_path):
    out, photo = tmp_path / "out", tmp_path / "astronaut.png"
    with Image.open(ASTRONAUT) as whole:  # more than her face, and few pixels
        whole.crop((80, 0, 360, 280)).save(photo)
    result = run("invert", photo, "-o", out, "--steps", 0, "--offline", "--json")
    assert result.status == 0, result.err
    latents, _ = Latents.load(out / "astronaut.safetensors")
    assert latents.feature is not None and latents.w_plus.shape[1:] == (14, 512)
    with Image.open(photo) as given, Image.open(out / "astronaut.png") as picture:
        assert picture.size == latents.frame_size[::-1]
        small = [np.asarray(x.convert("RGB").resize((64, 64)), float) for x in (given, picture)]
    likeness = np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1]
    assert likeness > 0.9, "it is that photograph but for the head"
    strip = tmp_path / "strip.png"
    edit = ["edit", out / "astronaut.safetensors", "-o", strip, "--direction", "sefa-1"]
    assert run(*edit, "--range", "-2:2", "--frames", 2).status == 0
    assert size(strip)[0] >= 2 * picture.size[0] * 0.9


def test_an_edit_keeps_the_photo_and_changes_the_face_alone(run, tmp_path):
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB"))

    def edited(name, *options, steps=0):
        command = ["edit", ASTRONAUT, "-o", tmp_path / name, "--offline", *options]
        command += ["--steps", steps]
        result = run(*command)
        assert result.status == 0, result.err
        return np.asarray(Image.open(tmp_path / name).convert("RGB"))

    assert np.array_equal(edited("a.png", "--direction", "smile", "--strength", 0), photo)
    older = edited("b.png", "--direction", "age", "--strength", 2, steps=1)
    changed = (older != photo).any(axis=2)
    assert changed[60:180, 160:290].mean() > 0.6, "the face"
    assert not changed[300:].any() and not changed[:, :60].any(), "shuttle, flag and suit stay"
    strip = edited("c.png", "--direction", "yaw", "--range", "-1:1", "--frames", 2)
    assert strip.shape == (512, 2 * 512 + 4, 3)
    assert not np.array_equal(edited("d.png", "--mix", ASTRONAUT, "--direction", "sefa-2"), photo)


def test_named_directions_are_listed_and_shown_all_at_once(run, tmp_path, monkeypatch):
    result = run("edit", "--list", "--json")
    names = [record["name"] for record in result.records]
    assert result.status == 0 and "smile" in names and all(r["unit"] for r in result.records)
    assert all(r["holds"][0] <= r["usual"] <= r["holds"][1] for r in result.records)
    steps = "toonify.editing.named.NamedDirection.steps"
    monkeypatch.setattr(steps, lambda self: (self.usual,))
    sheet = tmp_path / "sheet.png"
    command = ["edit", ASTRONAUT, "-o", sheet, "--attribute-strip", "--steps", 0]
    result = run(*command)
    assert result.status == 0, result.err
    assert size(sheet) == (256, len(names) * (256 + 20))


def test_glasses_are_drawn_before_the_eyes_alone(run, tmp_path):
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB")).astype(int)
    out = tmp_path / "glasses.png"
    result = run("edit", ASTRONAUT, "-o", out, "--direction", "glasses", "--steps", 0, "--json")
    assert result.status == 0, result.err
    assert result.records[0]["strengths"] == [2.0], "what is usual"
    changed = np.asarray(Image.open(out).convert("RGB")).astype(int) - photo
    dark = changed.sum(2) < -90
    rows, columns = np.nonzero(dark)
    assert rows.min() > 75 and rows.max() < 150 and columns.min() > 175 and columns.max() < 280
    assert 300 < dark.sum() < 3000
    again = run("edit", out, "-o", tmp_path / "twice.png", "--direction", "glasses", "--steps", 0)
    assert again.status == 0 and "worn already" in again.err


def test_what_goes_further_than_it_holds_is_told(run, tmp_path):
    command = ["edit", ASTRONAUT, "-o", tmp_path / "e.png", "--steps", 0, "--direction"]
    assert (
        "smile at 4: photos stay whole as far as 2" in run(*command, "smile", "--strength", 4).err
    )
    assert "stay whole as far as 1.4" in run(*command, "sefa-3", "--strength", 3).err
    assert not run(*command, "yaw").err


def test_without_lpips_weights_step_one_is_told_in_pixels(run, networks, tmp_path, monkeypatch):
    def missing(*arguments, **options):
        raise ModelError("checkpoint lpips-vgg could not be fetched")

    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", missing)
    out = tmp_path / "out"
    result = run("invert", ASTRONAUT, "-o", out, "--steps", 0, *networks, "--json")
    assert result.status == 0 and "LPIPS is not measured" in result.err
    assert set(result.records[0]["encoded"]) == {"mae", "mse"}
    assert (out / "astronaut.png").is_file()
    refused = run("invert", ASTRONAUT, "-o", out, "--steps", 1, *networks)
    assert refused.status == 3 and "could not be fetched" in refused.err


def test_a_whole_photo_is_inverted_and_edited(run, networks, tmp_path):
    out = tmp_path / "out"
    command = ["invert", ASTRONAUT, "-o", out, "--steps", "2", "--pti", "--pti-steps", "2"]
    result = run(*command, *networks, "--json")
    assert result.status == 0, result.err
    (record,) = result.records
    latents, metadata = Latents.load(out / "astronaut.safetensors")
    assert metadata["source"] == "astronaut.png" and latents.noises
    height, width = latents.frame_size
    assert height == width > 512  # the astronaut's eyes are less than 64 pixels apart
    assert size(out / "astronaut.png") == (round(width / 4), round(height / 4))
    assert record["curve"] == str(out / "astronaut-loss.png")
    stages = [record[name] for name in ("encoded", "refined", "tuned")]
    assert all(set(stage) == {"lpips", "mae", "mse"} for stage in stages)
    assert stages[0] != stages[1] != stages[2]
    lines = (out / "astronaut-loss.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["refine", "1"], ["refine", "2"], ["tune", "1"], ["tune", "2"]
    ]  # fmt: skip
    assert load_generator(out / "astronaut-generator.safetensors").resolution == 64

    strip = tmp_path / "strip.png"
    options = ["--direction", "sefa-1", "--range", "-2:2", "--frames", "3"]
    source = out / "astronaut.safetensors"
    result = run("edit", source, "-o", strip, *options, *networks)
    assert result.status == 0, result.err
    assert size(strip)[0] == 3 * round(width / 4) + 2 * 4


def test_a_checkpoint_with_its_decoder_needs_no_generator(run, faces):
    path = faces / "styleganex.pt"
    # the inversion checkpoint fuses no skips
    state = {k: v for k, v in published.styleganex().items() if "fusion" not in k}
    torch.save({"state_dict": state, "latent_avg": torch.randn(64), "opts": {}}, path)
    photo, out = faces / "dark" / "0.png", faces / "out"
    command = ["invert", photo, "-o", out, "--steps", "0", "--frame", "aligned"]
    result = run(*command, "--encoder", path)
    assert result.status == 0, result.err
    assert size(out / "0.png") == (256, 256) and "LPIPS" in result.out


def test_other_families_invert_aligned_faces(run, faces, bundle):
    command = ["invert", faces / "dark", "-o", faces / "out", "--steps", "1", "--frame", "aligned"]
    result = run(*command, "--encoder", bundle, "--generator", bundle, "--json")
    assert result.status == 0, result.err
    assert [Path(r["reconstruction"]).name for r in result.records] == ["0.png", "1.png"]
    latents, _ = Latents.load(faces / "out" / "1.safetensors")
    assert latents.feature is None


def test_a_photo_that_fails_does_not_stop_the_others(run, faces, bundle):
    (faces / "dark" / "bad.png").write_text("no image")
    command = ["invert", faces / "dark", "-o", faces / "out", "--steps", "0", "--frame", "aligned"]
    result = run(*command, "--encoder", bundle, "--generator", bundle, "--json")
    assert result.status == 1 and len(result.records) == 2
    assert "bad.png" in result.err and len(result.err.splitlines()) == 1


def test_mixing_domain_transfer_and_animation(run, faces, networks):
    dark, light = faces / "dark" / "0.png", faces / "light" / "2.png"
    toon = faces / "toon.safetensors"
    save_generator(tiny_stylegan2(seed=5), toon)
    aligned = ["--frame", "aligned", *networks]

    def edited(name, *options):
        result = run("edit", dark, "-o", faces / name, *options)
        assert result.status == 0, result.err
        return np.asarray(Image.open(faces / name).convert("RGB"), np.int16)

    plain = edited("plain.png", *aligned)
    assert not np.array_equal(plain, edited("mix.png", "--mix", light, *aligned))
    assert not np.array_equal(plain, edited("toon.png", *aligned, "--generator", toon))
    edited("a.gif", "--direction", "sefa-2", "--range", "0:2", "--frames", "3", *aligned)
    with Image.open(faces / "a.gif") as animation:
        assert animation.n_frames == 4


def test_generators_of_few_layers_edit_too(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    channels = {4: 8, 8: 8, 16: 8}
    save_generator(tiny_stylegan2(resolution=16, channels=channels), "small.safetensors")
    Latents(torch.zeros(1, 6, 16)).save("me.safetensors", {})
    command = ["edit", "me.safetensors", "-o", "a.png", "--generator", "small.safetensors"]
    assert run(*command, "--direction", "sefa-1", "--strength", 2).status == 0
    assert size(Path("a.png")) == (16, 16)
    for options, words in (
        (["--direction", "smile"], "the generator has another W"),
        (["--mix", "me.safetensors"], "--layers is needed here. Give one within 0-5"),
        (["--mix", "me.safetensors", "--layers", "4-8"], "'4-8' is no range of layers"),
    ):
        result = run(*command, *options)
        assert result.status == 2 and words in result.err and "None" not in result.err, result.err
    assert run(*command, "--mix", "me.safetensors", "--layers", "3-").status == 0
    Latents(torch.zeros(1, 6, 8)).save("other.safetensors", {})
    for source, options in (("me", ["--mix", "other.safetensors"]), ("other", [])):
        command[1] = f"{source}.safetensors"
        result = run(*command, "--direction", "sefa-1", "--layers", "3-", *options)
        assert result.status == 3, result.err
        assert "other.safetensors: its latents have 8 numbers, the generator takes 16" in result.err


def test_an_edit_of_nothing_is_refused(run, tmp_path):
    result = run("edit", ASTRONAUT, "-o", tmp_path / "same.png")
    assert result.status == 2 and "nothing is changed" in result.err


def test_a_direction_is_learnt_from_two_folders_and_used(run, faces, networks):
    aligned = ["--frame", "aligned", *networks]
    fit = ["--fit", faces / "light", faces / "dark"]
    learnt = faces / "light.safetensors"
    result = run("edit", *fit, "-o", learnt, *aligned)
    assert result.status == 0, result.err
    photo, target = faces / "dark" / "0.png", faces / "edited.png"
    for options in (["--direction", learnt], fit):
        result = run("edit", photo, "-o", target, *options, *aligned)
        assert result.status == 0, result.err
        assert size(target) == (64, 64)


def test_drawings_and_small_photos_are_translated(run, faces):
    drawing = faces / "drawing.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 19, (40, 48)).astype(np.uint8)).save(
        drawing
    )
    for task, labels, extra in (
        ("sketch", 1, ["--samples", "2"]),
        ("mask", 19, ["--samples", "2"]),
        ("super-resolution", 0, ["--factor", "16", "--frame", "aligned"]),
    ):
        folder = faces / task
        folder.mkdir()
        encoder, generator = write_networks(folder, label_channels=labels, fusion_channels=(8,))
        networks = ["--checkpoint", encoder, "--generator", generator]
        source = faces / "dark" / "0.png" if labels == 0 else drawing
        output = folder / "face.png"
        result = run("translate", source, "-o", output, "--task", task, *extra, *networks)
        assert result.status == 0, result.err
        if labels:
            assert size(folder / "face-1.png") == size(folder / "face-2.png") == (12, 10)
        else:
            assert size(output) == (64, 64)


def test_a_photo_is_labeled_by_what_ships(run, tmp_path):
    encoder, generator = write_networks(tmp_path, label_channels=19, fusion_channels=(8,))
    command = ["translate", ASTRONAUT, "-o", tmp_path / "like.png", "--task", "mask"]
    command += ["--checkpoint", encoder, "--generator", generator, "--frame", "face"]
    result = run(*command, "--parser", "default")
    assert result.status == 0, result.err
    assert (tmp_path / "like.png").is_file()
    refused = run(*command, "--parser", tmp_path / "gone.onnx")
    assert refused.status == 1
    assert "no such file" in refused.err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("edit -o a.png", 2, "nothing to edit"),
        ("edit {photo}", 2, "nowhere to put the picture"),
        ("edit {photo} -o a.xyz", 2, "can't write a picture"),
        ("edit {photo} -o a.png --direction smile", 1, "no face found"),
        ("edit {photo} -o a.png --direction smlie", 2, "Did you mean 'smile'"),
        ("edit {photo} -o a.png --attribute-strip --direction smile", 2, "named directions alone"),
        ("edit {photo} -o a.png --attribute-strip --frame whole", 2, "edits a photo"),
        ("edit {photo} -o a.png --frame photo {networks}", 2, "draws the whole picture"),
        ("edit x.safetensors -o a.png --frame photo", 1, "no such file"),
        ("edit {photo} -o a.png --direction smile --frame aligned {networks}", 2, "another W"),
        ("edit {photo} -o a.gif --direction sefa-1", 2, "needs a --range"),
        ("edit {photo} -o a.png --range 1:2 {networks}", 2, "needs a direction"),
        ("edit {photo} -o a.png --direction sefa-1 --range up {networks}", 2, "is no range"),
        (
            "edit {photo} -o a.png --direction sefa-1 --layers 3-99 {networks}",
            2,
            "no range of layers",
        ),
        ("edit nowhere.safetensors -o a.png {generator}", 1, "no such file"),
        (
            "edit gone.png -o a.png --encoder {encoder} --generator gone.pt",
            1,
            "no such file: gone.p",
        ),
        ("edit {photo} -o a.png --mix gone.png --generator gone.pt", 1, "no such file: gone.png"),
        ("edit {photo} -o a.png --fit gone also --generator gone.pt", 2, "gone is not a folder"),
        ("invert gone.png lost.png -o out --generator gone.pt", 1, "no such file: gone.png"),
        ("translate gone.png -o a.png --task mask", 1, "no such file: gone.png"),
        ("invert {photo} -o out --encoder styleganex-inversion", 3, "models pull styleganex-inv"),
        ("invert {photo} -o out --generator ffhq-mobile", 3, "models pull ffhq-mobile"),
        ("invert {photo} -o out --encoder {encoder}", 3, "holds no generator"),
        ("invert {photo} {photo} -o out {networks}", 2, "two photos"),
        ("invert {photo} -o {folder} {networks}", 2, "nothing is written over what is read"),
        ("invert me.jpg {photo} me-loss.jpg -o out {networks}", 2, "both become me-loss.png"),
        ("invert {photo} -o out --steps 0 {networks}", 1, "no face found"),
        (
            "translate {photo} -o a.png --task mask --checkpoint styleganex-mask2face",
            3,
            "models pull styleganex-mask2face",
        ),
        (
            "translate {photo} -o a.png --task mask --checkpoint {encoder} {generator}",
            3,
            "for mask",
        ),
        ("translate {photo} -o a.png --task sketch --factor 8", 2, "super-resolution"),
        ("translate {photo} -o a.gif --task sketch", 2, "can't write a picture"),
    ],
)
def test_failures_are_one_line_with_their_hint(run, faces, networks, arguments, status, words):
    values = {
        "photo": faces / "dark" / "0.png",
        "folder": faces / "dark",
        "networks": " ".join(map(str, networks)),
        "encoder": networks[1],
        "generator": f"--generator {networks[3]}",
    }
    result = run(*arguments.format(**values).split())
    assert result.status == status and words in result.err
    assert len(result.err.splitlines()) == 1
    assert not (faces / "out").exists() and not Path("a.png").exists()


def test_an_edited_photo_keeps_date_and_opacity(run, whole_bundle, tmp_path):
    photo = Image.open(ASTRONAUT).convert("RGBA")
    photo.putalpha(Image.new("L", photo.size, 128))
    exif = Image.Exif()
    exif[306] = "2026:11:26 19:00:00"
    photo.save(tmp_path / "me.png", exif=exif)
    edit = ["edit", tmp_path / "me.png", "--direction", "sefa-1", "--encoder", whole_bundle]
    edit += ["--steps", 0]
    assert run(*edit, "-o", tmp_path / "a.png").status == 0
    with Image.open(tmp_path / "a.png") as edited:
        assert edited.getexif()[306] == exif[306] and edited.getpixel((5, 5))[3] == 128
    assert run(*edit, "-o", tmp_path / "b.png", "--strip").status == 0
    with Image.open(tmp_path / "b.png") as edited:
        assert 306 not in edited.getexif()
    idle = run(*edit, "-o", tmp_path / "c.png", "--strip", "--range", "-1:1")
    assert idle.status == 2 and "--strip" in idle.err


@pytest.fixture
def things(tmp_path, monkeypatch):
    """A generator of no faces, and a picture with something left of its middle."""

    def never(*arguments, **options):
        raise AssertionError("faces are looked for")

    monkeypatch.setattr("toonify.inversion.reading.get_detector", never)
    generator = tiny_stylegan2(seed=3)
    save_generator(generator, tmp_path / "things.safetensors")
    with torch.no_grad():
        w_plus = generator.mapping(torch.randn(1, 16))[:, None].expand(-1, generator.num_ws, -1)
        thing = generator(w_plus)[0].permute(1, 2, 0).numpy()
    picture = np.full((80, 140, 3), 200, np.uint8)
    picture[8:72, 20:84] = np.clip(thing * 127.5 + 127.5, 0, 255).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    return tmp_path


def test_a_generator_of_anything_inverts_a_box_from_its_average_latent(run, things):
    options = ["--domain", "any", "--generator", things / "things.safetensors"]
    command = ["invert", things / "picture.png", *options, "--json"]
    result = run(*command, "-o", things / "out", "--box", "20,8,64,64", "--steps", "40")
    assert result.status == 0, result.err
    (record,) = result.records
    assert record["refined"]["mse"] < 0.8 * record["encoded"]["mse"]
    latents, _ = Latents.load(things / "out" / "picture.safetensors")
    assert latents.feature is None and latents.w_plus.shape == (1, 10, 16)
    assert size(things / "out" / "picture.png") == (64, 64)
    middle = run(*command, "-o", things / "middle", "--steps", "0")
    assert middle.status == 0 and middle.records[0]["encoded"] != record["encoded"]


def test_whole_frames_of_anything_by_a_stylegan_ex_encoder(run, things, networks):
    options = ["--domain", "any", "--box", "20,8,64,64", "--steps", "0", *networks]
    result = run("invert", things / "picture.png", "-o", things / "out", *options)
    assert result.status == 0, result.err
    latents, _ = Latents.load(things / "out" / "picture.safetensors")
    assert latents.frame_size == (320, 560), "the box is 256 pixels in it"


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--domain", "any"], 2, "--generator"),
        (["--domain", "any", "--box", "1,2,3"], 2, "--box has 3 numbers"),
        (["--domain", "any", "--box", "a,b,c,d"], 2, "no X,Y,W,H"),
        (["--domain", "any", "--box", "0,0,4,4"], 2, "--box 4 is out of range"),
        (["--box", "0,0,40,40"], 2, "--domain any"),
        (["--domain", "any", "--frame", "face"], 2, "--frame"),
        (["--domain", "any", "--method", "hfgi"], 2, "--method"),
        (["--domain", "any", "--box", "0,0,400,40", "G"], 1, "140x80 px"),
        (["--domain", "any", "--encoder", "E"], 3, "holds no generator"),
    ],
)
def test_what_a_domain_does_not_have_is_refused_in_one_line(
    run, things, bundle, options, status, words
):
    names = {
        "G": ["--generator", things / "things.safetensors"],
        "E": [bundle / "encoder.safetensors"],
    }
    options = [each for option in options for each in names.get(option, [option])]
    result = run("invert", things / "picture.png", "-o", things / "out", "--steps", "0", *options)
    assert result.status == status and words in result.err, result.err
    assert result.err.count("\n") == 1 and not list(things.glob("out/*"))


def test_what_is_in_a_box_is_edited_within_its_photo(run, things):
    photo = np.asarray(Image.open(things / "picture.png"))
    anything = ["--domain", "any", "--generator", things / "things.safetensors"]
    boxed = [*anything, "--box", "20,8,64,64"]

    def edited(name, *options):
        command = ["edit", things / "picture.png", "-o", things / name, "--steps", 20, *options]
        result = run(*command)
        assert result.status == 0, result.err
        return np.asarray(Image.open(things / name).convert("RGB"))

    sefa = ["--direction", "sefa-1", "--strength"]
    assert np.array_equal(edited("same.png", *boxed, *sefa, 0), photo)
    changed = (edited("other.png", *boxed, *sefa, 3) != photo).any(axis=2)
    assert changed[16:64, 30:74].mean() > 0.5
    changed[8:72, 20:84] = False
    assert not changed.any(), "the rest of the photo stays"
    mixed = edited("mix.png", *boxed, "--mix", things / "picture.png", "--layers", "0-")
    assert not np.array_equal(mixed, photo)
    strip = edited("strip.png", *anything, "--direction", "sefa-2", "--range", "-1:1")
    assert strip.shape == (80, 7 * 140 + 6 * 4, 3)

    out = things / "out"
    inverted = run("invert", things / "picture.png", "-o", out, "--steps", 2, *boxed)
    assert inverted.status == 0, inverted.err
    latents = ["edit", out / "picture.safetensors", "-o", out / "e.png", *sefa, 2, *anything]
    assert run(*latents).status == 0 and size(out / "e.png") == (64, 64)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--direction", "smile", "G"], "smile"),
        (["--direction", "sefa-1"], "--generator"),
        (["--direction", "sefa-1", "G", "--frame", "whole"], "--encoder"),
        (["--fit", "F", "F", "G"], "--encoder"),
    ],
)
def test_edits_that_a_domain_does_not_have(run, things, options, words):
    folder = things / "folder"
    folder.mkdir()
    (things / "picture.png").rename(folder / "picture.png")
    named = {"G": ["--generator", things / "things.safetensors"], "F": [folder]}
    options = [each for option in options for each in named.get(option, [option])]
    command = ["edit", folder / "picture.png", "-o", things / "e.png", "--domain", "any"]
    result = run(*command, *options)
    assert result.status == 2 and words in result.err and result.err.count("\n") == 1, result.err
