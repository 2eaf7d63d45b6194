"""Training encoders of every variant on a tiny generator's faces and on photographs."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.tiny_training import PixelDistance, tiny_generator
from toonify.checkpoints import load_encoder
from toonify.errors import Diverged, ModelError, UsageError
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.encoders.psp import PSPEncoder, ReStyleEncoder
from toonify.models.encoders.trainable import TrainableEncoder
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.core import pace
from toonify.training.core.runs import previews
from toonify.training.data.latent_samples import LatentSamples
from toonify.training.data.photos import PhotoSet
from toonify.training.encoders import train
from toonify.training.encoders.data import EncoderData, FreshSamples, StoredSamples
from toonify.training.encoders.losses import EncoderLoss, EncoderWeights
from toonify.training.encoders.pose_reader import PoseReader
from toonify.training.encoders.train import EncoderConfig, train_encoder
from toonify.training.encoders.variants import (
    check_fits,
    new_encoder,
    start_from_average,
)

LATENTS = EncoderWeights(l2=0.0, lpips=0.0, identity=0.0, w_norm=0.0)
SMALL = {"units": (1, 1, 1, 1), "channels": (16, 16, 16, 16), "head_channels": 8}


class Shade:
    """Offers `Identity`'s methods: who has the same mean color is the same."""

    def __call__(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        return 1 - (a - b).square().sum(1)


@pytest.fixture(scope="module")
def generator() -> MobileGenerator:
    return tiny_generator("mobile")


@pytest.fixture(scope="module")
def pairs(generator: MobileGenerator) -> LatentSamples:
    w = generator.mapping(torch.randn(40, 16))
    images = generator(w[:, None].expand(-1, 8, -1)).clamp(-1, 1) * 127.5 + 127.5
    return LatentSamples(w, images.byte().permute(0, 2, 3, 1).numpy(), num_ws=8)


@pytest.fixture(scope="module")
def photos(pairs: LatentSamples) -> PhotoSet:
    """Faces of the generator, but nobody says by which latents."""
    _, images = pairs.batch(torch.arange(30))
    pixels = (images * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return PhotoSet(pixels, [f"{i}.png" for i in range(30)], [])


def stored(pairs: LatentSamples) -> EncoderData:
    return EncoderData(pairs=StoredSamples(pairs, held_out=8), size=32)


def compact(generator: MobileGenerator, steps: int = 1) -> CompactEncoder:
    torch.manual_seed(1)
    encoder = CompactEncoder(
        num_ws=8, w_dim=16, input_size=32, widths=(8, 16), depth=1, steps=steps
    )
    start_from_average(encoder, generator)
    return encoder


def image_loss(generator: MobileGenerator, **weights: float) -> EncoderLoss:
    return EncoderLoss(
        generator, EncoderWeights(**weights), perceptual=PixelDistance(), identity=Shade()
    )


def config(**options) -> EncoderConfig:
    standard = {"kimg": 0.48, "batch_size": 8, "snapshot_kimg": 0.16, "lr": 1e-2}
    return EncoderConfig(**(standard | options))


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_latents_are_learnt_and_a_killed_run_ends_the_same(
    generator: MobileGenerator, pairs: LatentSamples, tmp_path: Path
) -> None:
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    loss, rows = EncoderLoss(generator, LATENTS), []
    whole = train_encoder(
        compact(generator),
        stored(pairs),
        tmp_path / "whole",
        config(),
        loss=loss,
        progress=rows.append,
    )
    assert [row["step"] for row in rows] == [20, 25, 40, 50, 60] and rows == lines(
        tmp_path / "whole"
    )
    assert {"pair_latent", "pair_features", "kimg", "images_per_second"} <= set(rows[-1])
    assert not whole.training
    w_plus, images = pairs.batch(torch.arange(40))
    with torch.no_grad():
        missed = (whole.encode(images) - w_plus).square().mean()
    assert missed < 0.8 * (w_plus - whole.w_mean).square().mean(), "better than the average face"
    assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())
    assert [kimg for kimg, _ in previews(tmp_path / "whole")] == [0.16, 0.32, 0.48]
    saved = load_encoder(tmp_path / "whole/encoder.safetensors")
    with torch.no_grad():
        assert torch.equal(saved.encode(images), whole.encode(images))

    class Killed(Exception):
        pass

    def kill(row: dict[str, float]) -> None:
        if row["step"] == 50:
            raise Killed

    out = tmp_path / "cut"
    options = config(log_every=10)
    with pytest.raises(Killed):
        train_encoder(compact(generator), stored(pairs), out, options, loss=loss, progress=kill)
    assert [line["step"] for line in lines(out)][-2:] == [40, 50]
    torch.manual_seed(5)
    resumed = train_encoder(compact(generator), stored(pairs), out, options, loss=loss, resume=True)
    expected = whole.state_dict()
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, expected[name]), name
    steps = [line["step"] for line in lines(out)]
    assert steps == sorted(set(steps)), "no line twice"


def test_the_pose_term_asks_its_reader(generator: MobileGenerator, pairs: LatentSamples) -> None:
    torch.manual_seed(4)
    reader = PoseReader(["yaw"], channels=16, w_dim=16).eval().requires_grad_(False)
    weights = EncoderWeights(
        latent=0.0, features=0.0, pose=2.0, l2=0.0, lpips=0.0, identity=0.0, w_norm=0.0
    )
    loss = EncoderLoss(generator, weights, reader=reader, bfloat16=False)
    batch = stored(pairs).draw(4, torch.Generator().manual_seed(0))
    targets = loss.targets(batch)
    assert loss(batch.w_plus, targets)[0] == 0
    moved = (batch.w_plus + 0.5).requires_grad_(True)
    total, terms, _ = loss(moved, targets)
    assert set(terms) == {"pose"} and total == 2 * terms["pose"] > 0
    total.backward()
    assert moved.grad is not None and moved.grad.abs().sum() > 0
    # the reader sees plain activations, as it does when it reads
    features = generator.features(generator.styles(moved), resolution=16)
    other = generator.features(generator.styles(batch.w_plus), resolution=16)
    by_hand = reader(features, moved) - reader(other, batch.w_plus)
    zero = torch.zeros_like(by_hand)
    torch.testing.assert_close(
        terms["pose"], torch.nn.functional.smooth_l1_loss(by_hand, zero), rtol=1e-3, atol=1e-6
    )
    with pytest.raises(ValueError, match="needs its reader"):
        EncoderLoss(generator, weights)


def test_photographs_are_learnt_by_the_image_losses(
    generator: MobileGenerator, photos: PhotoSet, tmp_path: Path
) -> None:
    data = EncoderData(photos=photos, held_out=4, size=32)
    rows: list[dict[str, float]] = []
    train_encoder(
        compact(generator),
        data,
        tmp_path,
        config(kimg=0.8, augment=False),
        loss=image_loss(generator),
        progress=rows.append,
    )
    assert {"l2", "lpips", "identity", "w_norm"} <= set(rows[0])
    assert {"photo_l2", "photo_lpips", "photo_identity"} <= set(rows[0])
    assert not {"latent", "features", "pair_latent"} & set(rows[0])
    assert rows[-1]["photo_l2"] < 0.8 * rows[0]["photo_l2"]
    assert rows[-1]["photo_identity"] > rows[0]["photo_identity"]


@pytest.mark.parametrize(
    ("variant", "family"),
    [
        ("compact", "mobile"),
        ("compact", "stylegan2"),
        pytest.param("psp", "mobile", marks=pytest.mark.slow),
        ("psp", "stylegan2"),
        ("restyle", "mobile"),
        pytest.param("restyle", "stylegan2", marks=pytest.mark.slow),
    ],
)
def test_every_variant_on_both_families_resumes_exactly(
    variant: str, family: str, photos: PhotoSet, tmp_path: Path
) -> None:
    generator = tiny_generator(family)

    def fresh() -> TrainableEncoder:
        torch.manual_seed(2)
        encoder: TrainableEncoder
        if variant == "compact":
            return compact(generator, steps=2)
        if variant == "psp":
            encoder = PSPEncoder(num_ws=8, w_dim=16, **SMALL)
        else:
            encoder = ReStyleEncoder(num_ws=8, w_dim=16, steps=2, **SMALL)
        start_from_average(encoder, generator)
        return encoder

    data = EncoderData(
        photos=photos,
        pairs=FreshSamples(generator, held_out=2),
        photo_share=0.5,
        held_out=2,
        size=32,
    )
    options = config(kimg=0.006, batch_size=2, snapshot_kimg=0.004, log_every=1, lr=1e-3)
    loss = image_loss(generator)
    whole = train_encoder(fresh(), data, tmp_path / "whole", options, loss=loss)
    rows = lines(tmp_path / "whole")
    assert {"latent", "features", "l2", "lpips", "identity", "w_norm"} <= set(rows[-1])
    assert {"photo_lpips", "pair_latent"} <= set(rows[-1])

    def stop(row: dict[str, float]) -> None:
        if row["step"] == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_encoder(fresh(), data, tmp_path / "cut", options, loss=loss, progress=stop)
    assert lines(tmp_path / "cut")[-1]["step"] == 2, "the running step is finished"
    resumed = train_encoder(fresh(), data, tmp_path / "cut", options, loss=loss, resume=True)
    expected = whole.state_dict()
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_fresh_encoders_begin_with_the_average_face(generator: MobileGenerator) -> None:
    faces = torch.rand(1, 3, 256, 256)
    for variant, size in (("psp", "10"), ("restyle", "10"), ("restyle", "18"), ("compact", "")):
        encoder = new_encoder(variant, generator, size=size).eval()
        with torch.no_grad():
            w_plus = encoder.encode(faces, generator)
        if variant == "compact":
            torch.testing.assert_close(encoder.w_mean, generator.w_avg, atol=0.1, rtol=0)
        else:
            torch.testing.assert_close(w_plus, generator.w_avg.expand(1, 8, -1))
    assert torch.equal(
        new_encoder("psp", generator, size="10").net.body[0].res_layer[1].weight,
        new_encoder("psp", generator, size="10").net.body[0].res_layer[1].weight,
    )


def test_what_does_not_fit(
    generator: MobileGenerator, pairs: LatentSamples, photos: PhotoSet, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="40 pairs are too few"):
        StoredSamples(pairs, held_out=40)
    with pytest.raises(UsageError, match="nothing to learn from"):
        EncoderData()
    with pytest.raises(UsageError, match="one step"):
        new_encoder("psp", generator, size="10", steps=3)
    with pytest.raises(UsageError, match=r"\(8, 16\) latents, the generator takes \(6, 16\)"):
        other = MobileGenerator(resolution=32, channels=(8, 8, 8), w_dim=16)
        other.num_ws = 6
        check_fits(compact(generator), other)
    with pytest.raises(UsageError, match="Linear can't be trained"):
        check_fits(torch.nn.Linear(1, 1), generator)
    run = tmp_path / "run"
    options = {"loss": EncoderLoss(generator, LATENTS)}
    with pytest.raises(UsageError, match="all of weight 0"):
        train_encoder(compact(generator), EncoderData(photos=photos), run, config(), **options)
    nothing = EncoderLoss(
        generator, EncoderWeights(latent=0, features=0, l2=0, lpips=0, identity=0)
    )
    with pytest.raises(UsageError, match="every loss has weight 0"):
        train_encoder(compact(generator), stored(pairs), run, config(), loss=nothing)
    assert not run.exists()


def test_the_last_snapshot_survives_divergence(
    generator: MobileGenerator, pairs: LatentSamples, tmp_path: Path
) -> None:
    loss = EncoderLoss(generator, LATENTS)
    short = config(kimg=0.032, snapshot_kimg=0.032)
    train_encoder(compact(generator), stored(pairs), tmp_path, short, loss=loss)
    kept = (tmp_path / "snapshot.pt").read_bytes()
    broken = LatentSamples(
        torch.full((40, 16), float("nan")), np.zeros((40, 8, 8, 3), np.uint8), num_ws=8
    )
    longer = config(kimg=0.064)
    with pytest.raises(Diverged, match=r"no longer finite at step 4.*learning rate.*snapshot"):
        train_encoder(compact(generator), stored(broken), tmp_path, longer, loss=loss, resume=True)
    assert (tmp_path / "snapshot.pt").read_bytes() == kept
    with pytest.raises(UsageError, match="already holds a run"):
        train_encoder(compact(generator), stored(pairs), tmp_path, longer, loss=loss)
    with pytest.raises(UsageError, match="of another run"):
        train_encoder(
            compact(generator, steps=2), stored(pairs), tmp_path, longer, loss=loss, resume=True
        )
    larger = config(kimg=0.064, batch_size=16)
    with pytest.raises(UsageError, match=r"batches of 8, not 16"):
        train_encoder(compact(generator), stored(pairs), tmp_path, larger, loss=loss, resume=True)
    (tmp_path / "snapshot.pt").write_bytes(b"cut short")
    with pytest.raises(ModelError, match=r"snapshot\.pt can't be read"):
        train_encoder(compact(generator), stored(pairs), tmp_path, longer, loss=loss, resume=True)


def test_the_time_left_is_what_it_takes(
    generator: MobileGenerator,
    pairs: LatentSamples,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, announced = [0.0], []

    def learn(encoder, *_) -> dict[str, float]:
        clock[0] += 1
        return {"loss": 1.0}

    def validate(*_) -> tuple[dict[str, float], torch.Tensor]:
        clock[0] += 30
        return {}, torch.zeros(1, 3, 4, 4, dtype=torch.uint8)

    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(train, "_learn", learn)
    monkeypatch.setattr(train, "validate", validate)
    train_encoder(
        compact(generator),
        stored(pairs),
        tmp_path,
        config(log_every=1),
        loss=EncoderLoss(generator, LATENTS),
        progress=lambda row: announced.append((clock[0], row["seconds_left"])),
    )
    assert len(announced) == 60 and announced[-1][1] == 0
    for now, left in announced[19:]:
        assert now + left == pytest.approx(clock[0])
