"""Training the compact encoder on a tiny generator's faces."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.tiny_training import tiny_generator
from toonify.errors import ModelError, UsageError
from toonify.models.compact_encoder import CompactEncoder
from toonify.models.mobile import MobileGenerator
from toonify.training.encoder import EncoderConfig, train_encoder
from toonify.training.pairs import PairSet


@pytest.fixture(scope="module")
def generator() -> MobileGenerator:
    return tiny_generator("mobile")


@pytest.fixture(scope="module")
def pairs(generator: MobileGenerator) -> PairSet:
    w = generator.mapping(torch.randn(40, 16))
    images = generator(w[:, None].expand(-1, 8, -1)).clamp(-1, 1) * 127.5 + 127.5
    return PairSet(w, images.byte().permute(0, 2, 3, 1).numpy(), num_ws=8)


def encoder() -> CompactEncoder:
    torch.manual_seed(1)
    return CompactEncoder(num_ws=8, w_dim=16, input_size=64, widths=(8, 16, 16), depth=1)


def config(**options) -> EncoderConfig:
    return EncoderConfig(
        **(
            {"steps": 100, "batch": 8, "held_out": 8, "snapshot": 25, "learning_rate": 1e-2}
            | options
        )
    )


def test_training(generator: MobileGenerator, pairs: PairSet, tmp_path: Path) -> None:
    """It learns, and a run killed after a checkpoint ends with the same weights."""
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    rows: list[dict[str, float]] = []
    whole = train_encoder(
        encoder(), generator, pairs, tmp_path / "whole", config(), progress=rows.append
    )
    assert [row["step"] for row in rows] == [25, 50, 75, 100]
    assert not whole.training
    w_plus, images = pairs.batch(torch.arange(40))
    with torch.no_grad():
        missed = (whole.encode(images) - w_plus).square().mean()
    assert missed < 0.8 * (w_plus - pairs.w_mean).square().mean(), "better than the average face"
    torch.testing.assert_close(whole.w_mean, pairs.w_mean)
    average = generator(generator.w_avg.expand(1, 8, -1)).clamp(-1, 1)
    torch.testing.assert_close(whole.average_image[None], whole.resample(average))
    assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())
    lines = [
        json.loads(line) for line in (tmp_path / "whole/metrics.jsonl").read_text().splitlines()
    ]
    assert lines == rows and {"val_w", "val_features"} <= set(rows[-1])

    class Killed(Exception):
        pass

    def kill(row: dict[str, float]) -> None:
        if row["step"] == 75:
            raise Killed

    out = tmp_path / "cut"
    with pytest.raises(Killed):
        train_encoder(encoder(), generator, pairs, out, config(), progress=kill)
    torch.manual_seed(5)
    resumed = train_encoder(encoder(), generator, pairs, out, config(), resume=True)
    expected = whole.state_dict()
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, expected[name]), name
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [25, 50, 75, 100], "no line twice"
    assert sorted(p.name for p in out.iterdir()) == ["checkpoint.pt", "metrics.jsonl"]


def test_too_few_pairs(generator: MobileGenerator, pairs: PairSet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"40 pairs are too few for a batch of 33"):
        train_encoder(encoder(), generator, pairs, tmp_path / "run", config(batch=33))
    assert not (tmp_path / "run").exists()


def test_the_last_checkpoint_survives_divergence(
    generator: MobileGenerator, pairs: PairSet, tmp_path: Path
) -> None:
    train_encoder(encoder(), generator, pairs, tmp_path, config(steps=4, snapshot=4))
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    broken = PairSet(
        torch.full((40, 16), float("nan")), np.zeros((40, 8, 8, 3), np.uint8), num_ws=8
    )
    with pytest.raises(ModelError, match=r"no longer finite at step 4.*checkpoint\.pt"):
        train_encoder(encoder(), generator, broken, tmp_path, config(steps=8), resume=True)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_damaged_checkpoint(generator: MobileGenerator, pairs: PairSet, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"cut short")
    with pytest.raises(ModelError, match=r"checkpoint\.pt can't be read"):
        train_encoder(encoder(), generator, pairs, tmp_path, config(steps=1), resume=True)
