"""From a folder of drawings to a fine-tuned generator, stage by stage."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tests.training.tiny_training import PixelDistance, tiny_generator
from toonify.checkpoints import load_discriminator, load_generator
from toonify.errors import UsageError
from toonify.models.discriminators import StyleGAN2Discriminator
from toonify.models.generators.stylegan2 import channel_table
from toonify.training.data.drawings import Drawings
from toonify.training.finetune import run as module
from toonify.training.finetune.adversarial import AdversarialConfig
from toonify.training.finetune.paired import PairedConfig
from toonify.training.finetune.run import OBJECTIVES, finetune

PAIRED = PairedConfig(
    steps=4, batch_size=2, freeze_below=16, level=3, perceptual_size=16, snapshot=2
)
ADVERSARIAL = AdversarialConfig(
    kimg=0.008,
    batch_size=4,
    freeze_below=16,
    snapshot_kimg=0.004,
    log_every=1,
    discriminator_base=256,
    discriminator_max=8,
)


@pytest.fixture
def drawings() -> Drawings:
    images = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8)
    images = images.repeat_interleave(8, 2).repeat_interleave(8, 3)
    names = [f"{'ab'[i % 2]}/{i}.png" for i in range(6)]
    return Drawings(images, names, [n[0] for n in names], [])


@pytest.fixture
def inversions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many drawings each inversion was asked for."""
    counts: list[int] = []
    original = module.invert_to_w

    def counted(generator, images, **options) -> Tensor:
        counts.append(len(images))
        return original(generator, images, steps=3, **options)

    monkeypatch.setattr(module, "invert_to_w", counted)
    return counts


def run(drawings: Drawings, folder: Path, generator=None, **options):
    arguments = {"paired": PAIRED, "adversarial": ADVERSARIAL, "perceptual": PixelDistance()}
    return finetune(generator or tiny_generator("mobile"), drawings, folder, **arguments | options)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_objective(objective: str, drawings, inversions, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    result = run(
        drawings,
        tmp_path,
        objective=objective,
        progress=lambda stage, done, total, metrics: seen.append((stage, done, total)),
    )
    stored = load_generator(tmp_path / "generator.safetensors")
    assert all(torch.equal(v, result.state_dict()[k]) for k, v in stored.state_dict().items())
    before = tiny_generator("mobile").state_dict()
    assert any(not torch.equal(v, before[k]) for k, v in stored.state_dict().items())
    expected = []
    if objective != "adversarial":
        expected += [("inverting", 4, 6), ("inverting", 6, 6)]
        expected += [("pairs", i, 4) for i in (1, 2, 3, 4)]
    if objective != "paired":
        expected += [("adversarial", 4, 8), ("adversarial", 8, 8)]
    assert seen == expected
    folders = {p.name for p in tmp_path.iterdir() if p.is_dir()}
    assert (
        folders
        == {
            "paired": {"pairs"},
            "adversarial": {"adversarial"},
            "both": {"pairs", "adversarial"},
        }[objective]
    )
    assert inversions == ([] if objective == "adversarial" else [4, 2])


def test_both_goes_on_from_the_pairs(drawings, inversions, tmp_path: Path) -> None:
    run(drawings, tmp_path, objective="paired")
    paired = torch.load(tmp_path / "pairs/snapshot.pt", weights_only=True)["average"]
    start = torch.load  # the adversarial stage's first preview is of the paired result
    result = run(drawings, tmp_path, objective="both", resume=True)
    state = start(tmp_path / "adversarial/snapshot.pt", weights_only=True)
    assert state["config"]["character_share"] == 0.5 and state["config"]["character_level"] == 3
    prior = tiny_generator("mobile").state_dict()

    def distance(a: dict, b: dict) -> float:
        return sum(float((a[k] - b[k]).square().sum()) for k in a if "noise" not in k)

    assert distance(result.state_dict(), paired) < distance(result.state_dict(), prior)


def test_resumption_inverts_nothing_twice(drawings, inversions, tmp_path: Path) -> None:
    whole = run(drawings, tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill_at(*moment: str | int):
        def kill(stage: str, done: int, total: int, metrics: dict) -> None:
            if (stage, done) == moment:
                raise Killed

        return kill

    out = tmp_path / "cut"
    inversions.clear()
    for kill in (kill_at("inverting", 4), kill_at("pairs", 3)):
        with pytest.raises(Killed):
            run(drawings, out, resume=True, progress=kill)
    assert inversions == [4, 2], "the second run began with the fifth drawing"
    resumed = run(drawings, out, resume=True)
    assert inversions == [4, 2]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_changed_drawings_are_inverted_anew(drawings, inversions, tmp_path: Path) -> None:
    run(drawings, tmp_path)
    fewer = Drawings(drawings.images[:3], drawings.names[:3], drawings.characters[:3], [])
    run(fewer, tmp_path, resume=True)
    assert inversions == [4, 2, 3]
    (tmp_path / "latents.safetensors").write_bytes(b"cut short")
    run(fewer, tmp_path, resume=True)
    assert inversions == [4, 2, 3, 3]


def test_latents_under_their_former_name_are_read(drawings, inversions, tmp_path: Path) -> None:
    run(drawings, tmp_path)
    found = tmp_path / "latents.safetensors"
    with safe_open(found, "pt") as file:
        latents, about = file.get_tensor("latents"), file.metadata()
    found.unlink()
    save_file({"codes": latents}, tmp_path / "codes.safetensors", about)
    run(drawings, tmp_path, resume=True)
    assert inversions == [4, 2], "nothing is inverted again"


def test_a_run_is_not_overwritten(drawings, inversions, tmp_path: Path) -> None:
    run(drawings, tmp_path)
    inversions.clear()
    for objective in ("paired", "both"):
        with pytest.raises(UsageError, match=r"already holds a run.*`resume`"):
            run(drawings, tmp_path, objective=objective)
    assert inversions == []


def test_inversions_start_from_the_encoder(drawings, tmp_path: Path, monkeypatch) -> None:
    generator, starts = tiny_generator("mobile"), []

    def invert(generator, images, *, perceptual, start) -> Tensor:
        starts.append(start)
        return start

    monkeypatch.setattr(module, "invert_to_w", invert)
    rows = torch.randn(8, 16)
    run(
        drawings,
        tmp_path,
        generator=generator,
        encode=lambda images: images.mean((1, 2, 3))[:, None, None] * rows,
    )
    expected = (drawings.images.float() / 127.5 - 1).mean((1, 2, 3))[:, None] * rows.mean(0)
    torch.testing.assert_close(torch.cat(starts), expected)
    with pytest.raises(UsageError, match=r"latents are 32 wide, the generator's 16"):
        run(
            drawings,
            tmp_path / "wide",
            encode=lambda images: torch.zeros(len(images), 8, 32),
        )


def test_more_steps_after_the_adversarial_stage_has_begun(
    drawings, inversions, tmp_path: Path
) -> None:
    first = run(drawings, tmp_path, objective="both")
    longer = {"objective": "both", "resume": True, "paired": replace(PAIRED, steps=6)}
    with pytest.raises(UsageError, match=r"begun from 4 steps.*`steps` 4.*remove .*adversarial"):
        run(drawings, tmp_path, **longer)
    more = replace(ADVERSARIAL, kimg=0.012)
    run(drawings, tmp_path, objective="both", resume=True, adversarial=more)
    shutil.rmtree(tmp_path / "adversarial")
    second = run(drawings, tmp_path, **longer).state_dict()
    assert any(not torch.equal(v, second[k]) for k, v in first.state_dict().items())


def test_starts_from_a_discriminator(drawings, tmp_path: Path) -> None:
    channels = channel_table(32, channel_base=256, channel_max=4)
    discriminator = StyleGAN2Discriminator(resolution=32, channels=channels)
    run(drawings, tmp_path, objective="adversarial", discriminator=discriminator)
    stored = load_discriminator(tmp_path / "adversarial/discriminator.safetensors")
    assert stored.config() == discriminator.config()
