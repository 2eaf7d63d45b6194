"""`train-encoder --task …` as a user meets it: StyleGANEX's tasks on tiny networks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.test_training import PlainLoss
from tests.tiny_bundle import NAMES, tiny_generator, write_bundle
from tests.tiny_styleganex import tiny_encoder, tiny_stylegan2
from tests.training.styleganex.tiny_frames import TINY, write_cutouts
from toonify.checkpoints import load_encoder, load_generator, save_encoder, save_generator
from toonify.editing.directions import find_direction
from toonify.inversion.translation import label_colors
from toonify.training.styleganex.cutouts import INDEX, CutoutSet
from toonify.training.styleganex.tasks import SIZES, TASKS

SHORT = ["--kimg", 0.004, "--batch-size", 2, "--held-out", 4]
ALONE = ["--lpips", 0, "--identity", 0, "--adversarial", 0]  # squares alone, for what is quick
UPRIGHT = ["--photos", ".", "--aligned"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PlainLoss)
    monkeypatch.setitem(SIZES, "12", TINY)
    monkeypatch.setenv("TOONIFY_OFFLINE", "1")


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "generator.safetensors"
    save_generator(tiny_stylegan2(), path)
    return path


@pytest.fixture
def people(tmp_path):
    """Twenty aligned faces, with label maps and sketches of the same names."""
    random = np.random.default_rng(0)
    for index in range(20):
        pictures = {
            "people": random.integers(0, 255, (64, 64, 3), dtype=np.uint8),
            "masks": label_colors()[random.integers(0, 19, (32, 32))],
            "sketches": np.full((32, 32), 10 * index, np.uint8),
        }
        for folder, pixels in pictures.items():
            path = tmp_path / folder / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
    return tmp_path


def command(task, generator, out, *options):
    return ["train-encoder", "--task", task, "--generator", generator, "-o", out, *SHORT, *options]


def test_inversion_learns_of_the_generators_own_faces(run, generator, tmp_path):
    out = tmp_path / "run"
    result = run(*command("inversion", generator, out), "--json")
    assert result.status == 0, result.err
    assert "identity term is left out" in result.err and result.err.count("\n") == 1
    rows, last = result.records[:-1], result.records[-1]
    assert [row["step"] for row in rows] == [1, 2] and rows[1]["kimg"] == 0.004
    assert {"latent", "feature", "loss"} <= set(rows[0]) and "l2" not in rows[0], "latents first"
    assert {"l2", "lpips", "latent", "w_norm", "patches", "loss_d", "loss"} <= set(rows[1])
    assert "identity" not in rows[1] and "flicker" not in rows[1]
    assert last["path"] == str(out / "encoder.safetensors") and last["task"] == "inversion"
    encoder = load_encoder(last["path"])
    assert encoder.num_ws == 10 and not len(encoder.net.fusion)
    assert "train-encoder, inversion: run" in (out / "report.html").read_text()
    assert len(list(out.glob("preview-*.jpg"))) == 1
    assert not (out / "generator.safetensors").exists()
    config = torch.load(out / "snapshot.pt", weights_only=True)["config"]
    assert config["lr"] == 1e-3 and config["weights"]["w_norm"] == 1e-4, "the task's own"
    again = run(*command("inversion", generator, out))
    assert again.status == 2 and "--resume" in again.err
    assert run(*command("inversion", generator, out), "--resume").status == 0


def test_options_of_a_run_are_kept(run, generator, tmp_path):
    out = tmp_path / "run"
    options = ["--l2", 0.5, "--l1", 2, "--lpips", 0, "--adversarial", 0, "--flicker", 3]
    options += ["--identity", 0, "--w-norm", 0, "--lr", 0.01, "--train-from", 32, "--seed", 5]
    result = run(*command("super-resolution", generator, out, *options), "--json")
    assert result.status == 0, result.err
    assert {"l2", "l1", "coarse", "edges"} <= set(result.records[0])
    assert not {"lpips", "patches", "w_norm"} & set(result.records[0])
    config = torch.load(out / "snapshot.pt", weights_only=True)["config"]
    given = {"l2": 0.5, "l1": 2, "lpips": 0, "identity": 0, "w_norm": 0, "adversarial": 0}
    assert config["weights"] == given | {"flicker": 3, "latent": 0.0, "matte": 1.0}
    assert (config["lr"], config["train_from"], config["seed"]) == (0.01, 32, 5)
    learnt, before = load_generator(out / "generator.safetensors"), load_generator(generator)
    assert not torch.equal(learnt.blocks[3].conv.weight, before.blocks[3].conv.weight)
    assert torch.equal(learnt.conv1.weight, before.conv1.weight)


def test_latents_may_be_another_encoders_and_f_alone_is_learnt(run, generator, tmp_path):
    bundle, out = write_bundle(tmp_path / "bundle"), tmp_path / "run"
    more = ["--face-encoder", bundle, *ALONE, "--l2", 1]
    result = run(*command("inversion", generator, out, *more), "--json")
    assert result.status == 0, result.err
    assert set(result.records[0]) >= {"feature", "loss"} and "latent" not in result.records[0]
    assert "l2" in result.records[1] and "latent" not in result.records[1]
    encoder = load_encoder(out / "encoder.safetensors")
    assert not encoder.heads and not encoder.has_matte and not len(encoder.net.fusion)
    made = tmp_path / "made"
    parts = ["--inversion-generator", generator]
    parts += ["--inversion-encoder", out / "encoder.safetensors"]
    base = ["--generator", bundle / "generator.safetensors"]
    base += ["--table", bundle / "characters.safetensors", "--encoder", bundle]
    assert run("bundle", *base, *parts, "-o", made).status == 0
    photo = Path(__file__).parents[2] / "examples" / "astronaut.png"
    inverted = ["invert", photo, "-o", tmp_path / "out", "--steps", 0, "--encoder", made]
    result = run(*inverted)
    assert result.status == 0, result.err
    assert (tmp_path / "out/astronaut.png").is_file()


@pytest.mark.parametrize(
    ("task", "options", "labels"),
    [
        ("super-resolution", [], 0),
        ("sketch", [], 1),
        ("sketch", ["--drawings", "sketches"], 1),
        ("mask", ["--drawings", "masks"], 19),
    ],
)
def test_photographs_and_their_drawings(run, generator, people, task, options, labels):
    given = [people / item if item in ("sketches", "masks") else item for item in options]
    photos = ["--photos", people / "people", "--aligned", "--photo-share", 1]
    options = [*photos, *given, *ALONE, "--kimg", 0.002]
    result = run(*command(task, generator, people / "run", *options))
    assert result.status == 0, result.err
    encoder = load_encoder(people / "run/encoder.safetensors")
    assert encoder.label_channels == labels
    assert len(encoder.net.fusion) == min(TASKS[task].fusions, 4)


def test_an_edit_keeps_its_direction(run, generator, tmp_path):
    edit = ["--direction", "sefa-1", "--strength", 2, *ALONE, "--kimg", 0.002]
    result = run(*command("video-edit", generator, tmp_path / "run", *edit))
    assert result.status == 0, result.err
    encoder = load_encoder(tmp_path / "run/encoder.safetensors")
    wanted = find_direction("sefa-1", load_generator(generator), None)
    torch.testing.assert_close(encoder.direction, (wanted * 2).expand(10, -1))
    further = [*edit, "--start", tmp_path / "run/encoder.safetensors"]
    result = run(*command("video-edit", generator, tmp_path / "b", *further))
    assert result.status == 0, result.err
    config = torch.load(tmp_path / "b/snapshot.pt", weights_only=True)["config"]
    assert config["lr"] == 1e-4, "gently"


def test_frames_become_what_the_generator_draws_of_the_latents(run, generator, tmp_path):
    faces = tmp_path / "faces.safetensors"
    save_generator(tiny_generator(), faces)
    options = ["--faces", faces, *ALONE]
    result = run(*command("video-toonify", generator, tmp_path / "run", *options), "--json")
    assert result.status == 0, result.err
    assert load_encoder(tmp_path / "run/encoder.safetensors").heads
    assert "flicker" not in result.records[0] and "flicker" not in result.records[1]


@pytest.mark.parametrize("named", ["table", "toon"])
def test_frames_are_put_together_from_cutouts(run, generator, bundle, tmp_path, named):
    cutouts = write_cutouts(tmp_path / "cutouts", 12)
    rename(cutouts)
    w_plus = bundle / "characters.safetensors" if named == "table" else bundle
    options = ["--cutouts", cutouts, f"--{named}", w_plus, "--train-from", 4, *ALONE]
    out = tmp_path / "run"
    result = run(*command("video-toonify", generator, out, *options))
    assert result.status == 0, result.err
    assert not load_encoder(out / "encoder.safetensors").heads, "latents are the characters'"
    assert load_generator(out / "generator.safetensors").num_ws == 10
    again = [*options, "--start", out / "encoder.safetensors"]
    result = run(*command("video-toonify", generator, tmp_path / "again", *again))
    assert result.status == 0, result.err
    headed = tmp_path / "headed.safetensors"
    save_encoder(tiny_encoder(fusion_channels=(8,) * 4), headed)
    again[-1] = headed
    result = run(*command("video-toonify", generator, tmp_path / "other", *again))
    assert result.status == 2 and "no encoder of this generator for video-toonify" in result.err


def test_a_run_goes_on_with_batches_of_its_size(run, generator, tmp_path):
    out = tmp_path / "run"
    assert run(*command("inversion", generator, out, *ALONE)).status == 0
    more = command("inversion", generator, out, *ALONE, "--resume", "--batch-size", 3)
    result = run(*more)
    assert result.status == 2 and "has batches of" in result.err and "not 3" in result.err


def test_what_is_learnt_from_does_not_move_with_the_generator(
    run, generator, tmp_path, monkeypatch
):
    from toonify.training.styleganex import sources, step

    seen = []
    edits, trainer = sources.EditFrames.__init__, step.FrameTrainer.__init__

    def source(self, network, *args, **options):
        seen.append(network)
        edits(self, network, *args, **options)

    def training(self, config, task, encoder, network, *args, **options):
        seen.append(network)
        trainer(self, config, task, encoder, network, *args, **options)

    monkeypatch.setattr(sources.EditFrames, "__init__", source)
    monkeypatch.setattr(step.FrameTrainer, "__init__", training)
    for options in ([], ["--train-from", 32]):
        given = ["--direction", "sefa-1", *options, *ALONE]
        out = tmp_path / str(len(options))
        assert run(*command("video-edit", generator, out, *given)).status == 0
    assert seen[0] is seen[1] and seen[2] is not seen[3]


def rename(cutouts: Path) -> None:
    """The characters, as the tiny bundle's."""
    index = cutouts / INDEX
    index.write_text(index.read_text().replace('["mina", "jun"]', f'["{NAMES[0]}", "{NAMES[1]}"]'))


def test_cutouts_are_made_where_there_are_none(run, generator, bundle, tmp_path, monkeypatch):
    faces = tmp_path / "faces.safetensors"
    save_generator(tiny_generator(), faces)
    mask = np.zeros((256, 256), np.uint8)
    cv2.circle(mask, (128, 128), 70, 1, -1)
    matte = type("Matte", (), {"__init__": lambda self, path: None})
    matte.__call__ = lambda self, rgb: mask.astype(np.float32)
    monkeypatch.setattr("toonify.faces.person.PersonMatte", matte)
    monkeypatch.setattr("toonify.checkpoints.download.obtain", lambda name, offline: Path(name))
    options = ["--cutout-count", 16, "--toon", bundle, "--faces", faces, *ALONE, "--kimg", 0.002]
    noise = [*options, "--cutouts", tmp_path / "noise"]
    refused = run(*command("video-toonify", generator, tmp_path / "run", *noise))
    assert refused.status == 1 and "no drawing can be separated from its background" in refused.err
    assert refused.err.count("\n") == 1
    small = cv2.resize(mask, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    monkeypatch.setattr("toonify.training.styleganex.making.drawing_matte", lambda drawing: small)
    folder = tmp_path / "cutouts"
    options += ["--cutouts", folder]
    result = run(*command("video-toonify", generator, tmp_path / "run", *options))
    assert result.status == 0, result.err
    found = CutoutSet(folder)
    assert len(found) == 16 and found.characters == NAMES
    before = (folder / INDEX).stat().st_mtime_ns
    result = run(*command("video-toonify", generator, tmp_path / "again", *options))
    assert result.status == 0 and (folder / INDEX).stat().st_mtime_ns == before, "not again"


@pytest.mark.parametrize(
    ("task", "options", "status", "message"),
    [
        ("face", ["--l1", 1], 2, "--l1 is of StyleGANEX's tasks"),
        ("face", ["--flicker", 1], 2, "--flicker is of StyleGANEX's tasks"),
        ("face", ["--adversarial", 0], 2, "--adversarial is of StyleGANEX's tasks"),
        ("face", ["--train-from", 32], 2, "--train-from is of StyleGANEX's tasks"),
        ("face", ["--compile"], 2, "--compile is of StyleGANEX's tasks"),
        ("face", ["--drawings", "."], 2, "--drawings is of sketch and mask"),
        ("face", ["--variant", "psp", "--size", 12], 2, "--size 12 is of StyleGANEX's"),
        ("sketch", [*UPRIGHT, "--face-encoder", "BUNDLE"], 2, "--face-encoder is of inversion"),
        ("sketch", [*UPRIGHT, "--latent", 1], 2, "--latent is of face and inversion"),
        ("inversion", ["--face-encoder", "gone.pt"], 3, "no checkpoint"),
        ("inversion", ["--size", 18], 2, "--size 18 is of psp and restyle"),
        ("inversion", ["--variant", "psp"], 2, "--variant and --steps are of --task face"),
        ("inversion", ["--steps", 2], 2, "--variant and --steps are of --task face"),
        ("inversion", ["--start", "ENCODER", "--size", 12], 2, "--start brings its own size"),
        ("inversion", ["--direction", "sefa-1"], 2, "--direction is of video-edit"),
        ("inversion", ["--train-from", 128], 2, "no generator layer works at 128"),
        ("inversion", ["--start", "FUSING"], 2, "no encoder of this generator for inversion"),
        ("sketch", ["--parser", "p.onnx"], 2, "--parser is of mask"),
        ("sketch", [], 2, "--photos"),
        ("mask", [], 2, "Give --drawings FOLDER or --parser default"),
        ("mask", [*UPRIGHT, "--drawings", ".", "--parser", "p.onnx"], 2, "from a folder or from"),
        ("mask", ["--photos", ".", "--drawings", "."], 2, "add --aligned"),
        ("sketch", ["--photos", ".", "--drawings", "."], 2, "add --aligned"),
        (
            "inversion",
            ["--l2", 0, "--lpips", 0, "--adversarial", 0],
            2,
            "every loss has the weight",
        ),
        ("inversion", ["--dtype", "float16"], 2, "float16"),
        ("video-edit", ["--photos", ".", "--direction", "sefa-1"], 2, "--photos is of face"),
        ("video-toonify", ["--faces", "G", "--pairs", "."], 2, "--pairs is of face"),
        ("inversion", ["--strength", 2], 2, "--strength is of video-edit"),
        ("video-toonify", ["--faces", "G", "--toon", "BUNDLE"], 2, "go with --cutouts"),
        ("super-resolution", ["--toon", "BUNDLE"], 2, "--toon is of video-toonify"),
        ("super-resolution", ["--cutouts", "."], 2, "--cutouts is of video-toonify"),
        ("super-resolution", ["--start", "ENCODER"], 2, "for super-resolution"),
        ("super-resolution", ["--start", "BUNDLE"], 3, "names no inversion_encoder"),
        ("video-edit", [], 2, "an edit has a direction"),
        ("video-edit", ["--direction", "gone.pt"], 1, "gone.pt"),
        ("video-toonify", [], 2, "--cutouts FOLDER --toon BUNDLE, or --faces GENERATOR"),
        ("video-toonify", ["--cutouts", "c"], 2, "whose characters?"),
        ("video-toonify", ["--cutouts", "c", "--table", "TABLE"], 2, "holds no cutouts"),
        ("video-toonify", ["--cutouts", "BUNDLE", "--table", "TABLE"], 2, "holds no cutouts"),
        ("video-toonify", ["--faces", "gone.pt"], 3, "no checkpoint"),
    ],
)
def test_bad_input(run, generator, bundle, tmp_path, monkeypatch, task, options, status, message):
    monkeypatch.chdir(tmp_path)
    fusing, encoder = tmp_path / "fusing.safetensors", tmp_path / "e.safetensors"
    save_encoder(tiny_encoder(), encoder)
    save_encoder(tiny_encoder(fusion_channels=(8,) * 4), fusing)
    names = {"BUNDLE": bundle, "TABLE": bundle / "characters.safetensors"}
    names |= {"ENCODER": encoder, "FUSING": fusing}
    filled = [names.get(item, item) for item in options]
    result = run(*command(task, generator, "run", *filled, "--identity", 0))
    assert result.status == status and message in result.err, result.err
    assert result.err.count("\n") == 1
    assert not list(Path("run").glob("snapshot.pt"))


def test_generators_that_do_not_do(run, bundle, tmp_path):
    mobile = run(*command("inversion", bundle / "generator.safetensors", tmp_path / "run"))
    assert mobile.status == 2 and "need a generator of StyleGAN2's layout" in mobile.err
    assert "toonify distill" in mobile.err and mobile.err.count("\n") == 1
    without = run(*command("inversion", bundle, tmp_path / "run"))
    assert without.status == 3 and "names no inversion_generator" in without.err


def test_drawings_that_are_missing_are_named(run, generator, people):
    (people / "masks/7.png").unlink()
    photos = ["--photos", people / "people", "--aligned", "--photo-share", 1]
    options = [*photos, "--drawings", people / "masks", *ALONE]
    result = run(*command("mask", generator, people / "run", *options))
    assert result.status == 1 and "no drawing of 7.png" in result.err
    assert result.err.count("\n") == 1


def test_frames_of_anything_are_learnt_without_a_face(run, generator, people, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("faces are looked for")

    monkeypatch.setattr("toonify.training.data.photos.get_detector", never)
    monkeypatch.setattr("toonify.training.encoders.faces.load_identity", never)
    options = ["--domain", "any", "--photos", people / "people"]
    result = run(*command("inversion", generator, people / "run", *options), "--json")
    assert result.status == 0, result.err
    assert "identity" not in result.records[1] and "l2" in result.records[1]


def test_scenes_take_the_place_of_faces(run, generator, tmp_path, monkeypatch):
    astronaut = cv2.imread(str(Path(__file__).parents[2] / "examples" / "astronaut.png"))
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for index in range(5):
        cv2.imwrite(str(scenes / f"{index}.png"), astronaut[:400, index : index + 400])
    save_encoder(tiny_encoder(), tmp_path / "faces.safetensors")
    out = tmp_path / "run"
    options = ["--face-encoder", tmp_path / "faces.safetensors", "--scenes", scenes, "--l1", 1]
    result = run(*command("inversion", generator, out, *options, *ALONE), "--json")
    assert result.status == 0, result.err
    assert {"l1", "l2", "coarse"} <= set(result.records[0]) and "latent" not in result.records[0]
    assert not load_encoder(result.records[-1]["path"]).heads


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("inversion", "--scenes s", "Add --face-encoder"),
        ("inversion", "--scenes s --face-encoder default --photos p", "take the place of"),
        ("sketch", "--scenes s", "--scenes is of inversion"),
        ("hfgi", "--scenes s", "--scenes is of other tasks"),
    ],
)
def test_scenes_that_do_not_go_together_are_refused(run, tmp_path, task, options, words):
    base = ["train-encoder", "--task", task, "--generator", "default", "-o", tmp_path / "r"]
    result = run(*base, *options.split())
    assert result.status == 2 and words in result.err and len(result.err.splitlines()) == 1
    assert not (tmp_path / "r").exists()
