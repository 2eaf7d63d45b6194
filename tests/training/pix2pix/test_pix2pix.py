"""Teaching a style from pairs: what pairs are, that it learns, and that it resumes exactly."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from toonify.checkpoints.loading import save_network
from toonify.checkpoints.translators import load_translator, load_unet
from toonify.errors import InputError, UsageError
from toonify.models.styled_unet import StyledUNet
from toonify.models.unet import UNet
from toonify.training.pix2pix.pairs import PairFolder, camera
from toonify.training.pix2pix.step import Pix2PixConfig, Pix2PixTrainer, flat_loss
from toonify.training.pix2pix.train import train_pix2pix

TINY = {"batch_size": 2, "crop": 32, "bfloat16": False, "snapshot": 4, "sharpen_from": 0.0}


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """Discs on grounds; the drawing has them darker, and is twice as large."""
    folder = tmp_path_factory.mktemp("studio")
    for name in ("photos", "drawings"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :40]
    for number in range(4):
        photo = np.zeros((48, 40, 3), np.uint8) + rng.integers(60, 255, 3).astype(np.uint8)
        photo[np.hypot(y - 24, x - 20) < 10 + number] = rng.integers(60, 255, 3)
        Image.fromarray(photo).save(folder / f"photos/{number}.jpg", quality=95)
        drawn = Image.fromarray(photo // 2).resize((80, 96), Image.Resampling.NEAREST)
        drawn.save(folder / f"drawings/{number}.png")
    return folder


def test_pairs_stay_together(studio):
    pairs = PairFolder(studio, crop=32)
    photos, drawings = pairs.batch(16, seed=3)
    assert len(pairs) == 4 and photos.shape == drawings.shape == (16, 3, 32, 32)
    # cut, flipped and enlarged alike: half as bright wherever one looks
    half = ((photos + 1) / 2 - 1).clamp(-1, 1)
    assert (half - drawings).abs().mean() < 0.06
    again = pairs.batch(16, seed=3)
    assert torch.equal(photos, again[0]) and torch.equal(drawings, again[1])
    assert not torch.equal(photos, pairs.batch(16, seed=4)[0])


def test_a_camera_keeps_colors():
    photo = np.full((64, 64, 3), (200, 140, 90), np.uint8)
    seen = [camera(photo, np.random.default_rng(seed)) for seed in range(20)]
    means = np.array([picture.reshape(-1, 3).mean(0) for picture in seen])
    assert np.abs(means - (200, 140, 90)).max() < 4
    assert any(np.ptp(picture[..., 0]) > 10 for picture in seen)


@pytest.mark.parametrize("fault", ["none", "no pair", "alone", "shape", "broken"])
def test_what_is_no_pair(studio, tmp_path, caplog, fault):
    data = tmp_path / "data"
    if fault == "none":
        with pytest.raises(InputError, match="no folder photos"):
            PairFolder(tmp_path, crop=32)
        return
    for name in ("photos", "drawings"):
        (data / name).mkdir(parents=True)
    Image.new("RGB", (40, 40), "red").save(data / "photos/a.png")
    if fault == "no pair":
        with pytest.raises(InputError, match="same name"):
            PairFolder(data, crop=32)
        return
    Image.new("RGB", (80, 80 if fault != "shape" else 40)).save(data / "drawings/a.png")
    if fault == "alone":
        Image.new("RGB", (40, 40)).save(data / "drawings/b.png")
        assert len(PairFolder(data, crop=32)) == 1 and "such as b" in caplog.text
    elif fault == "shape":
        with pytest.raises(InputError, match="shape"):
            PairFolder(data, crop=32).batch(1, seed=0)
    else:
        (data / "drawings/a.png").write_bytes(b"no picture")
        with pytest.raises(InputError, match=r"a\.png"):
            PairFolder(data, crop=32).batch(1, seed=0)


def test_it_learns(studio):
    torch.manual_seed(0)
    network = UNet(widths=(8, 16), depths=(1, 1))
    config = Pix2PixConfig(**TINY | {"sharpen": 0.0}, steps=60, lr=3e-3)
    trainer = Pix2PixTrainer(config, network, PairFolder(studio, crop=32))
    losses = [float(trainer.step()["pixels"]) for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])
    assert trainer.preview().shape == (4, 3, 32, 96) and trainer.kimg == 0.12


def test_a_run_goes_on_exactly_where_it_was(studio, tmp_path):
    config = Pix2PixConfig(**TINY, steps=8)
    seen = []

    def stop(row):
        seen.append(row)
        if row["step"] == 4:
            raise RuntimeError("killed")

    whole = load_unet(train_pix2pix(studio, tmp_path / "whole", config=config, device="cpu"))
    with pytest.raises(RuntimeError, match="killed"):
        train_pix2pix(studio, tmp_path / "cut", config=config, device="cpu", progress=stop)
    with pytest.raises(RuntimeError, match="killed"):  # nothing was kept yet: from the start again
        train_pix2pix(
            studio, tmp_path / "cut", config=config, device="cpu", progress=stop, resume=True
        )
    config = Pix2PixConfig(**TINY | {"snapshot": 2}, steps=8)
    with pytest.raises(RuntimeError, match="killed"):
        train_pix2pix(studio, tmp_path / "cut2", config=config, device="cpu", progress=stop)
    made = train_pix2pix(studio, tmp_path / "cut2", config=config, device="cpu", resume=True)
    for a, b in zip(whole.parameters(), load_unet(made).parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    rows = (tmp_path / "cut2/report.html").read_text()
    assert "pix2pix" in rows and {"pixels", "patches"} <= seen[-1].keys()
    with pytest.raises(UsageError, match="already holds a run"):
        train_pix2pix(studio, tmp_path / "whole", config=config, device="cpu")
    other = Pix2PixConfig(**TINY | {"batch_size": 3}, steps=8)
    with pytest.raises(UsageError, match="batches of 2"):
        train_pix2pix(studio, tmp_path / "whole", config=other, device="cpu", resume=True)


@pytest.fixture(scope="module")
def styles(studio, tmp_path_factory):
    """The same photographs in two styles, darker and lighter."""
    folder = tmp_path_factory.mktemp("styles")
    shutil.copytree(studio / "photos", folder / "photos")
    shutil.copytree(studio / "drawings", folder / "drawings/dark")
    (folder / "drawings/light").mkdir()
    for path in sorted((studio / "drawings").iterdir()):
        drawn = 255 - np.asarray(Image.open(path))
        Image.fromarray(drawn).save(folder / "drawings/light" / path.name)
    return folder


def test_one_network_learns_several_styles(styles):
    pairs = PairFolder(styles, crop=32)
    assert pairs.styles == ("dark", "light") and len(pairs) == 8
    torch.manual_seed(0)
    network = StyledUNet.from_unet(UNet(widths=(8, 16), depths=(1, 1)), pairs.styles)
    config = Pix2PixConfig(**TINY | {"sharpen": 0.0}, steps=120, lr=3e-3)
    trainer = Pix2PixTrainer(config, network, pairs)
    losses = [float(trainer.step()["pixels"]) for _ in range(120)]
    for turn in (0, 1):  # a style a step
        own = losses[turn::2]
        assert np.mean(own[-10:]) < 0.6 * np.mean(own[:5])
    assert trainer.preview().shape == (12, 3, 32, 96)  # six a style


def test_runs_of_several_styles(styles, studio, tmp_path):
    config = Pix2PixConfig(**TINY | {"snapshot": 2}, steps=4)
    seen = []

    def stop(row):
        seen.append(row)
        if row["step"] == 3:
            raise RuntimeError("killed")

    base = tmp_path / "base.safetensors"
    save_network(UNet(widths=(8, 16), depths=(1, 1)), base)
    whole = train_pix2pix(styles, tmp_path / "whole", base=base, config=config, device="cpu")
    with pytest.raises(RuntimeError, match="killed"):
        train_pix2pix(
            styles, tmp_path / "cut", base=base, config=config, device="cpu", progress=stop
        )
    cut = train_pix2pix(
        styles, tmp_path / "cut", base=base, config=config, device="cpu", resume=True
    )
    both = [load_translator(path) for path in (whole, cut)]
    for a, b in zip(*(network.parameters() for network in both), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    for style in ("dark", "light"):  # each in a file of its own beside
        alone = load_unet(whole.with_name(f"{style}.safetensors"))
        folded = load_unet(whole, style=style)
        for a, b in zip(alone.parameters(), folded.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-6)
    more = Pix2PixConfig(**TINY, steps=1)
    train_pix2pix(styles, tmp_path / "on", base=whole, config=more, device="cpu")
    with pytest.raises(UsageError, match="draws dark, light"):
        train_pix2pix(studio, tmp_path / "other", base=whole, config=more, device="cpu")


def test_a_run_may_lie_beside_its_pairs(studio, tmp_path):
    data = tmp_path / "studio"
    shutil.copytree(studio, data)
    config = Pix2PixConfig(**TINY, steps=1)
    made = train_pix2pix(data, data / "run", config=config, device="cpu")
    more = Pix2PixConfig(**TINY, steps=2)
    assert train_pix2pix(data, data / "run", config=more, device="cpu", resume=True) == made
    # but not among them, where its previews would be photographs
    with pytest.raises(UsageError, match="which is read"):
        train_pix2pix(data, data / "photos/run", config=config, device="cpu")
    assert not (data / "photos/run").exists()


def test_what_is_flat_in_a_drawing_is_to_be_flat():
    target = torch.zeros(1, 3, 32, 32)
    target[..., 16:] = 1
    wobble = 0.02 * torch.sin(torch.arange(32.0)).expand(1, 3, 32, 32)
    assert flat_loss(target, target) == 0
    assert flat_loss(target + wobble, target) > 0.003
    # beside an edge nothing is said: where a line lies may be a pixel off
    assert flat_loss(target.roll(1, dims=3)[..., 4:-4], target[..., 4:-4]) == 0


def test_the_command(run_cli, studio, tmp_path):
    options = ["--steps", 2, "--batch-size", 1, "--json", "--snapshot", 0.001]
    command = ["finetune", "--data", studio, "--objective", "pix2pix", "-o", tmp_path / "run"]
    status, out, _ = run_cli(*command, *options)
    made = tmp_path / "run/style.safetensors"
    record = json.loads(out.splitlines()[-1])
    assert status == 0 and record["path"] == str(made) and made.is_file()
    status, _, err = run_cli(*command[:-1], tmp_path / "more", "--base", made, *options)
    assert status == 0, err
    # a style of the shipped network, which draws several
    status, _, err = run_cli(*command[:-1], tmp_path / "ink", "--base", "ink", *options)
    assert status == 0, err
    for more, message in (
        (["--kimg", 1], "--kimg"),
        (["--freeze-below", 32], "--freeze-below"),
        (["--base", "nobody"], "nobody"),
    ):
        status, _, err = run_cli(*command[:-1], tmp_path / "no", *more)
        assert status == 2 and message in err and err.count("\n") == 1
    status, _, err = run_cli("finetune", "--data", studio, "--base", "x", "-o", tmp_path / "no")
    assert status == 2 and "--objective pix2pix" in err
    status, _, err = run_cli("finetune", "--data", tmp_path, "-o", tmp_path / "no")
    assert status == 2 and "--base" in err and not (tmp_path / "no").exists()


@pytest.fixture
def run_cli(capsys):
    from toonify.cli.main import main

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run
