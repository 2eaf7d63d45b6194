"""Adversarial fine-tuning: what it trains, exact resumption, Ctrl-C, divergence."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toy_generator import ToyGenerator, register
from tests.training.tiny_training import FAMILIES, tiny_generator
from toonify.checkpoints import load_discriminator, load_generator
from toonify.errors import Diverged, InputError, ModelError, UsageError
from toonify.models.discriminators import StyleGAN2Discriminator
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.generators.stylegan2 import channel_table
from toonify.models.layer_swap import tensor_resolutions
from toonify.training.core import pace
from toonify.training.core.distributed import World
from toonify.training.finetune import adversarial_step
from toonify.training.finetune.adversarial import AdversarialConfig, finetune_adversarial
from toonify.training.finetune.adversarial_step import AdversarialTrainer


def config(**changes: Any) -> AdversarialConfig:
    tiny = {
        "batch_size": 4,
        "kimg": 0.016,
        "freeze_below": 16,
        "r1_interval": 2,
        "snapshot_kimg": 0.008,
        "log_every": 1,
        "discriminator_base": 256,
        "discriminator_max": 16,
        "ada_interval": 1,
        "ada_kimg": 0.02,  # so that p is far from 0 after a step or two
        "ada_target": -2.0,
    }
    return AdversarialConfig(**{**tiny, **changes})


def drawings(count: int = 6) -> torch.Tensor:
    source = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 3, 32, 32), generator=source, dtype=torch.uint8)


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_changes_only_unfrozen_layers(family: str, tmp_path: Path) -> None:
    generator = tiny_generator(family)
    before = weights(generator)
    result = finetune_adversarial(config(path_weight=2.0), generator, drawings(), tmp_path)
    sizes = tensor_resolutions(generator)
    after = weights(result)
    for name, old in before.items():
        if sizes[name] < 16 or "noise" in name.split(".")[-1].split("_const"):
            assert torch.equal(after[name], old), name
    changed = {name for name, old in before.items() if not torch.equal(after[name], old)}
    trainable = {n for n, p in generator.named_parameters() if sizes[n] >= 16}
    assert len(changed) > 0.8 * len(trainable) and changed <= trainable
    assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
def test_resumes_bit_for_bit(family: str, tmp_path: Path) -> None:
    generator, images = tiny_generator(family), drawings()
    options: dict[str, Any] = {"path_weight": 2.0, "style_mixing": 0.5, "augment": "bgcfnc"}
    whole = finetune_adversarial(config(**options), generator, images, tmp_path / "whole")
    out = tmp_path / "parts"
    finetune_adversarial(config(**options, kimg=0.008), generator, images, out)
    torch.manual_seed(999)  # whatever happened in between
    resumed = finetune_adversarial(config(**options), generator, images, out, resume=True)
    expected = weights(whole)
    for name, tensor in resumed.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    a, b = (torch.load(f / "snapshot.pt", weights_only=True) for f in (tmp_path / "whole", out))
    assert all(
        torch.equal(a["discriminator"][k], b["discriminator"][k]) for k in a["discriminator"]
    )
    assert a["ada"] == b["ada"] and a["ada"]["p"] > 0


def test_a_new_family_learns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    register(monkeypatch)
    generator = ToyGenerator(resolution=32)
    before = weights(generator)
    options = config(freeze_below=4, discriminator_base=None, discriminator_max=8)
    result = finetune_adversarial(options, generator, drawings(), tmp_path)
    after = weights(result)
    assert all(not torch.equal(after[k], v) for k, v in before.items() if k != "w_avg")


def test_writes_what_it_says(tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    result = finetune_adversarial(
        config(), tiny_generator("mobile"), drawings(), tmp_path, progress=seen.append
    )
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == seen
    assert [line["kimg"] for line in lines] == [0.004, 0.008, 0.012, 0.016]
    assert {"images_per_second", "loss_g", "loss_d", "r1", "r_t", "p"} <= set(lines[0])
    assert len(list(tmp_path.glob("preview-*.jpg"))) == 3
    stored = load_generator(tmp_path / "generator.safetensors")
    assert all(torch.equal(v, result.state_dict()[k]) for k, v in stored.state_dict().items())


def test_probability_adapts_is_fixed_or_off(tmp_path: Path) -> None:
    generator = tiny_generator("mobile")

    def last(**options: Any) -> float:
        seen: list[dict[str, float]] = []
        folder = tmp_path / str(options)
        finetune_adversarial(config(**options), generator, drawings(), folder, progress=seen.append)
        return seen[-1]["p"]

    assert last() > 0
    assert last(augment_p=0.3) == 0.3
    assert last(augment="off") == 0.0


def test_first_discriminator_layers_stay(tmp_path: Path) -> None:
    channels = channel_table(32, channel_base=256, channel_max=8)
    discriminator = StyleGAN2Discriminator(resolution=32, channels=channels)
    before = weights(discriminator)
    frozen = config(freeze_d=4, kimg=0.008)
    generator, images = tiny_generator("mobile"), drawings()
    finetune_adversarial(frozen, generator, images, tmp_path / "a", discriminator=discriminator)
    after = load_discriminator(tmp_path / "a/discriminator.safetensors").state_dict()
    for name, old in before.items():
        kept = name.startswith(("from_rgb", "blocks.0"))
        assert torch.equal(after[name], old) == kept, name
    finetune_adversarial(config(freeze_d=4), generator, images, tmp_path / "a", resume=True)
    with pytest.raises(UsageError, match=r"fresh discriminator.*`discriminator`"):
        finetune_adversarial(frozen, generator, images, tmp_path / "b")
    with pytest.raises(UsageError, match="leaves nothing"):
        finetune_adversarial(
            config(freeze_d=99), generator, images, tmp_path / "b", discriminator=discriminator
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_learns_and_resumes_in_float32(family: str, tmp_path: Path) -> None:
    generator, images = tiny_generator(family), drawings()
    half = config(bfloat16=True, augment="bgcfnc", augment_p=0.8, kimg=0.008)
    finetune_adversarial(half, generator, images, tmp_path)
    full = config(augment="bgcfnc", augment_p=0.8, lr=1e-3, r1_weight=1.0)
    trained = finetune_adversarial(full, generator, images, tmp_path, resume=True)
    assert all(torch.isfinite(value).all() for value in trained.state_dict().values())
    state = torch.load(tmp_path / "snapshot.pt", weights_only=True)
    rates = {group["lr"] for group in state["d_optimizer"]["param_groups"]}
    assert rates == {1e-3 * 2 / 3}, "the rate given at resumption counts"


def test_characters_latents_take_part(tmp_path: Path) -> None:
    generator = tiny_generator("stylegan2")
    latents = torch.randn(2, generator.num_ws, 16)
    mixed = config(character_share=1.0, character_level=2)
    trainer = adversarial_step.AdversarialTrainer(mixed, generator, drawings(), None, latents)
    w_plus = trainer._latents()
    assert all(any(torch.equal(w[2:], c[2:]) for c in latents) for w in w_plus)
    assert not any(torch.equal(w[:2], c[:2]) for w in w_plus for c in latents)
    finetune_adversarial(mixed, generator, drawings(), tmp_path, latents=latents)


def test_a_snapshot_with_former_names_is_gone_on_from(tmp_path: Path) -> None:
    generator, latents = tiny_generator("stylegan2"), torch.randn(2, 6, 16)
    latents = latents[:, :1].expand(-1, generator.num_ws, -1)
    options = {"generator": generator, "drawings": drawings(), "latents": latents}
    mixed = config(character_share=0.5, character_level=2)
    whole = finetune_adversarial(mixed, out=tmp_path / "whole", **options)
    finetune_adversarial(replace(mixed, kimg=0.008), out=tmp_path / "parts", **options)
    path = tmp_path / "parts" / "snapshot.pt"
    state = torch.load(path, weights_only=True)
    state["fields"] = state.pop("noise_rng")
    for name in ("share", "level"):
        state["config"][f"code_{name}"] = state["config"].pop(f"character_{name}")
    torch.save(state, path)
    resumed = finetune_adversarial(mixed, out=tmp_path / "parts", resume=True, **options)
    for name, value in weights(whole).items():
        assert torch.equal(resumed.state_dict()[name], value), name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_keeps_a_snapshot_and_resumes(number: int, tmp_path: Path) -> None:
    generator, images = tiny_generator("mobile"), drawings()
    whole = finetune_adversarial(config(), generator, images, tmp_path / "whole")

    def press(line: dict[str, float]) -> None:
        if line["kimg"] == 0.004:
            os.kill(os.getpid(), number)

    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        finetune_adversarial(config(), generator, images, out, progress=press)
    assert torch.load(out / "snapshot.pt", weights_only=True)["images"] <= 8
    resumed = finetune_adversarial(config(), generator, images, out, resume=True)
    expected = weights(whole)
    assert all(torch.equal(v, expected[k]) for k, v in resumed.state_dict().items())


def test_killed_run_leaves_consistent_metrics(tmp_path: Path) -> None:
    generator, images = tiny_generator("mobile"), drawings()
    finetune_adversarial(config(kimg=0.008), generator, images, tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kimg": 0.012}\n{"kimg": 0.0')  # after the snapshot, then cut
    finetune_adversarial(config(), generator, images, tmp_path, resume=True)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["kimg"] for line in lines] == [0.004, 0.008, 0.012, 0.016]
    assert all("loss_g" in line for line in lines)


def test_divergence_keeps_the_last_good_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, images = tiny_generator("mobile"), drawings()
    original = adversarial_step.generator_logistic
    calls = []

    def explode(fake: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return original(fake) * (float("nan") if len(calls) == 4 else 1.0)

    monkeypatch.setattr(adversarial_step, "generator_logistic", explode)
    with pytest.raises(
        Diverged, match=r"0\.02 kimg\. Resume with a lower `lr`.*`r1`.*0\.01 kimg is good"
    ):
        finetune_adversarial(config(), generator, images, tmp_path)
    state = torch.load(tmp_path / "snapshot.pt", weights_only=True)
    assert state["images"] == 8
    assert all(torch.isfinite(v).all() for v in state["generator"].values())


def test_given_discriminator_is_continued_from(tmp_path: Path) -> None:
    channels = channel_table(32, channel_base=512, channel_max=8)
    discriminator = StyleGAN2Discriminator(resolution=32, channels=channels)
    generator, images = tiny_generator("mobile"), drawings()
    short = config(kimg=0.008)
    finetune_adversarial(short, generator, images, tmp_path, discriminator=discriminator)
    state = torch.load(tmp_path / "snapshot.pt", weights_only=True)
    assert state["discriminator_config"] == discriminator.config()
    finetune_adversarial(config(), generator, images, tmp_path, resume=True)


def test_refusals(tmp_path: Path) -> None:
    generator, images = tiny_generator("mobile"), drawings()
    with pytest.raises(UsageError, match="32x32"):
        finetune_adversarial(config(), generator, images[:, :, ::2, ::2], tmp_path)
    with pytest.raises(UsageError, match="no layer to train"):
        finetune_adversarial(config(freeze_below=64), generator, images, tmp_path)
    with pytest.raises(UsageError, match="latents"):
        finetune_adversarial(config(character_share=0.5), generator, images, tmp_path)
    large = StyleGAN2Discriminator(resolution=64, channels=channel_table(64, channel_max=8))
    with pytest.raises(UsageError, match="64 pixels"):
        finetune_adversarial(config(), generator, images, tmp_path, discriminator=large)
    for wrong in ({"augment_p": 2.0}, {"lr": 0.0}, {"r1_weight": -1.0}, {"style_mixing": 7.0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            config(**wrong)
    with pytest.raises(UsageError, match="unknown augmentation"):
        finetune_adversarial(config(augment="bcg"), generator, images, tmp_path)
    with pytest.raises(UsageError, match="3 processes"):
        finetune_adversarial(config(), generator, images, tmp_path, world=World(0, 3))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't make the folder"):
        finetune_adversarial(config(), generator, images, tmp_path / "file" / "out")


def test_existing_runs(tmp_path: Path) -> None:
    generator, images = tiny_generator("mobile"), drawings()
    short = config(kimg=0.004)
    finetune_adversarial(short, generator, images, tmp_path)
    with pytest.raises(UsageError, match="`resume`"):
        finetune_adversarial(short, generator, images, tmp_path)
    with pytest.raises(UsageError, match=r"batch_size: 4 against 2"):
        finetune_adversarial(config(batch_size=2), generator, images, tmp_path, resume=True)
    other = MobileGenerator(resolution=64, channels=[16] * 4, w_dim=16)
    larger = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    with pytest.raises(UsageError, match=r"resolution: 32 against 64"):
        finetune_adversarial(short, other, larger, tmp_path, resume=True)
    (tmp_path / "snapshot.pt").write_bytes(b"cut short")
    with pytest.raises(ModelError, match="can't be read"):
        finetune_adversarial(short, generator, images, tmp_path, resume=True)


def test_full_disk_leaves_the_snapshot_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, images = tiny_generator("mobile"), drawings()
    whole = finetune_adversarial(config(), generator, images, tmp_path / "whole")
    out, original = tmp_path / "cut", torch.save

    def full(state: dict[str, Any], path: Path) -> None:
        original(state, path)
        if state["images"] == 16:
            path.write_bytes(path.read_bytes()[:1000])
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(InputError, match=r"No space left.*previous one is intact"):
            finetune_adversarial(config(), generator, images, out)
    assert torch.load(out / "snapshot.pt", weights_only=True)["images"] == 8
    assert not list(out.glob(".snapshot*"))
    resumed = finetune_adversarial(config(), generator, images, out, resume=True)
    expected = weights(whole)
    assert all(torch.equal(v, expected[k]) for k, v in resumed.state_dict().items())


def test_killed_outright_loses_only_what_came_after_the_snapshot(tmp_path: Path) -> None:
    whole = finetune_adversarial(config(), tiny_generator("mobile"), drawings(), tmp_path / "whole")
    out = tmp_path / "killed"
    child = multiprocessing.get_context("spawn").Process(target=hang_at, args=(0.012, out))
    child.start()
    while not (out / "hanging").exists():
        assert child.is_alive()
        time.sleep(0.05)
    child.kill()
    child.join()
    assert torch.load(out / "snapshot.pt", weights_only=True)["images"] == 8
    resumed = finetune_adversarial(config(), tiny_generator("mobile"), drawings(), out, resume=True)
    expected = weights(whole)
    assert all(torch.equal(v, expected[k]) for k, v in resumed.state_dict().items())


def hang_at(kimg: float, out: Path) -> None:
    """Train, and stop for good after that many thousand images; run in a process of its own."""
    torch.set_num_threads(1)

    def hang(line: dict[str, float]) -> None:
        if line["kimg"] == kimg:
            (out / "hanging").touch()
            time.sleep(1000)

    finetune_adversarial(config(), tiny_generator("mobile"), drawings(), out, progress=hang)


def test_the_time_left_is_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, announced = [0.0], []

    def step(trainer: AdversarialTrainer) -> dict[str, float]:
        trainer.images += 4
        trainer.steps += 1
        clock[0] += 1 if trainer.steps % 16 else 4  # R1
        return {}

    def preview(trainer: AdversarialTrainer) -> torch.Tensor:
        clock[0] += 30
        return torch.zeros(1, 3, 4, 4, dtype=torch.uint8)

    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(AdversarialTrainer, "step", step)
    monkeypatch.setattr(AdversarialTrainer, "preview", preview)
    finetune_adversarial(
        config(kimg=1.0, snapshot_kimg=0.2),
        tiny_generator("mobile"),
        drawings(),
        tmp_path,
        progress=lambda line: announced.append((clock[0], line["seconds_left"])),
    )
    assert len(announced) == 250
    for now, left in announced[60:]:
        assert abs(now + left - clock[0]) <= max(0.05 * left, 9)
