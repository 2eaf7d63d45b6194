"""A step of every task: which losses there are, what learns from them, and what stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.tiny_styleganex import tiny_stylegan2
from tests.training.styleganex.tiny_frames import TINY, FlatSource
from tests.training.tiny_training import PixelDistance
from toonify.errors import UsageError
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.models.layer_swap import tensor_resolutions
from toonify.training.styleganex.batch import FrameConfig
from toonify.training.styleganex.step import FrameTrainer
from toonify.training.styleganex.tasks import SIZES, TASKS, FrameWeights, new_frame_encoder
from toonify.training.styleganex.warps import unwarped

PLAIN = FrameWeights(l2=1.0, lpips=0.0, identity=0.0, adversarial=0.0)


class Shade:
    """Offers `Identity`'s methods: who has the same mean color is the same."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.seen.append(images.detach())
        return images.mean((2, 3))

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        return 1 - (a - b).square().sum(1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(SIZES, "12", TINY)
    yield


def face_generator() -> StyleGAN2Generator:
    generator = tiny_stylegan2()
    with torch.no_grad():
        generator.w_avg.copy_(generator.mapping(torch.randn(64, 16)).mean(0))
    return generator


def trainer_of(
    name: str, weights: FrameWeights | None = None, *, heads: bool = True, **options
) -> FrameTrainer:
    generator, task = face_generator(), TASKS[name]
    settings = {"steps": 4, "batch_size": 2, "lr": 0.05, "perceptual_size": 16} | options
    return FrameTrainer(
        FrameConfig(weights=weights or task.weights, **settings),
        task,
        new_frame_encoder(task, generator, heads=heads),
        generator,
        FlatSource(task, generator),
        perceptual=PixelDistance(),  # type: ignore[arg-type]
        identity=Shade(),  # type: ignore[arg-type]
    )


def values(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_teaches_its_encoder_and_leaves_the_generator_alone(name: str) -> None:
    toonify = name == "video-toonify"
    trainer = trainer_of(name, heads=not toonify)
    encoder, base = values(trainer.encoder), trainer.base.state_dict()
    base = {k: v.clone() for k, v in base.items()}
    metrics = [trainer.step() for _ in range(2)]
    assert trainer.step_count == 2 and trainer.kimg == 0.004
    drawn = name in ("sketch", "mask")
    wanted = {"l2", "lpips", "patches", "matching", "loss_d", "loss"}
    wanted |= {"w_norm"} if drawn or name == "inversion" else set()
    wanted |= set() if name.startswith("video") else {"identity"}
    assert set(metrics[0]) == wanted
    for losses in metrics:
        assert all(bool(torch.isfinite(v)) and not v.requires_grad for v in losses.values())
    assert trainer.finite()
    changed = {k for k, v in trainer.encoder.named_parameters() if not torch.equal(v, encoder[k])}
    parts = {"featlayer", "body", "input_label_layer" if drawn else "input_layer"}
    parts |= {"fusion"} if name != "inversion" else set()
    parts |= set() if toonify else {"styles"}
    assert parts <= {k.split(".")[1] for k in changed}
    if name == "video-edit":
        assert "net.fusion.0.linear.0.weight" in changed, "the vector steers the attention"
    assert not any("skiplayer" in k for k in changed), "it is kept for parity, unused"
    assert all(torch.equal(v, base[k]) for k, v in trainer.base.state_dict().items())
    assert trainer.base_average is trainer.base
    assert not any(p.requires_grad for p in trainer.base.parameters())


@pytest.mark.parametrize("name", ["inversion", "video-toonify"])
def test_train_from_moves_the_generator_from_there_on_only(name: str) -> None:
    trainer = trainer_of(name, train_from=32)
    before = values(trainer.base)
    resolutions = tensor_resolutions(trainer.base)
    with torch.no_grad():
        first = trainer.base_average.blocks[3].conv.weight.clone()
    for _ in range(2):
        trainer.step()
    for key, value in trainer.base.named_parameters():
        if resolutions[key] < 32:
            assert torch.equal(value, before[key]), key
        elif key.endswith("noise_strength"):
            # moving pictures have no noise to scale
            assert torch.equal(value, before[key]) == (name == "video-toonify"), key
        elif not key.endswith("weight"):
            continue
        else:
            assert not torch.equal(value, before[key]), key
    average = trainer.base_average.blocks[3].conv.weight
    assert not torch.equal(average, first), "its average follows"
    assert not torch.equal(average, trainer.base.blocks[3].conv.weight)
    assert not any(p.requires_grad for p in trainer.base_average.parameters())


def test_the_generator_moves_faster_than_the_encoder() -> None:
    trainer = trainer_of("inversion", PLAIN, train_from=4, steps=100, lr=1e-2)
    trainer.step()
    rates = [group["lr"] for group in trainer.optimizer.param_groups]
    assert rates == pytest.approx([1e-4, 2e-4]), "a hundred steps of warm-up"
    trainer.step_count = 99
    trainer.step()
    assert [g["lr"] for g in trainer.optimizer.param_groups] == pytest.approx([2e-4, 4e-4])


def test_the_loss_is_the_weighted_sum() -> None:
    weights = FrameWeights(
        l2=2.0, l1=0.5, lpips=3.0, identity=0.25, w_norm=0.1, adversarial=0.0, flicker=7.0
    )
    metrics = trainer_of("inversion", weights, flicker_share=1.0).step()
    shares = {"l2": 2, "l1": 0.5, "coarse": 0.5, "edges": 0.5, "lpips": 3, "identity": 0.25,
              "w_norm": 0.1, "flicker": 7}  # fmt: skip
    assert set(metrics) == {*shares, "loss"}
    total = sum(share * float(metrics[key]) for key, share in shares.items())
    assert float(metrics["loss"]) == pytest.approx(total, rel=1e-5)


def test_terms_without_weight_are_left_out() -> None:
    assert set(trainer_of("inversion", PLAIN).step()) == {"l2", "loss"}
    alone = trainer_of("inversion", replace(PLAIN, lpips=1.0, identity=1.0))
    alone.perceptual = alone.identity = None
    assert set(alone.step()) == {"l2", "loss"}, "nor are those without a network"


def test_flicker_is_suppressed_in_the_second_half() -> None:
    trainer = trainer_of("video-toonify", steps=8)
    metrics = [trainer.step() for _ in range(8)]
    assert ["flicker" in row for row in metrics] == [False] * 4 + [True, False] * 2
    assert all(float(row["flicker"]) > 0 for row in metrics[4::2])
    late = trainer_of("video-toonify", steps=8, flicker_share=0.0)
    assert not any("flicker" in late.step() for _ in range(8))


def test_a_still_network_does_not_flicker() -> None:
    """Rendering the same for every frame, it differs by the warp alone."""
    trainer = trainer_of("video-edit")
    batch = trainer.source.draw(2, trainer.random)
    gray = torch.full((2, 3, 16, 16), 0.25)
    trainer._run = lambda w_plus, frames, v, coarse: (gray, None)
    assert float(trainer._flicker(batch, gray, None, torch.zeros(2, 10, 16))) < 1e-10
    striped = gray.clone()
    striped[..., ::2] = -0.25
    trainer._run = lambda w_plus, frames, v, coarse: (striped, None)
    assert float(trainer._flicker(batch, striped, None, torch.zeros(2, 10, 16))) > 1e-3


def test_faces_are_compared_where_they_lie_in_the_frame() -> None:
    trainer = trainer_of("inversion", replace(PLAIN, identity=1.0))
    state = trainer.random.get_state()
    metrics = trainer.step()
    again = torch.Generator()
    again.set_state(state)
    batch = trainer.source.draw(2, again)
    wanted, found = trainer.identity.seen
    torch.testing.assert_close(wanted, unwarped(batch.targets, batch.theta, 256))
    assert found.shape == wanted.shape == (2, 3, 256, 256)
    distance = (found.mean((2, 3)) - wanted.mean((2, 3))).square().sum(1).mean()
    assert float(metrics["identity"]) == pytest.approx(float(distance), rel=1e-4)
    nobody = trainer_of("video-toonify", replace(PLAIN, identity=1.0))
    assert "identity" not in nobody.step() and not nobody.identity.seen


@torch.no_grad()
def test_what_a_drawing_leaves_open_comes_from_the_picture() -> None:
    trainer = trainer_of("mask")
    encoder = trainer.average
    for head in encoder.net.styles:
        head.linear.weight.normal_()
    batch = trainer.source.held_out()
    w_plus = trainer._w_plus(batch, encoder)
    drawn = encoder.encode(batch.frames)
    own = encoder.encode(unwarped(batch.targets, batch.theta, 256))
    assert torch.equal(w_plus[:, :8], drawn[:, :8]) and torch.equal(w_plus[:, 8:], own[:, 8:])
    assert not torch.equal(drawn, own)
    given = replace(batch, w_plus=torch.ones(3, 10, 16))
    assert trainer._w_plus(given, encoder) is given.w_plus


def test_it_learns_the_frames() -> None:
    torch.manual_seed(0)
    trainer = trainer_of("video-toonify", PLAIN, heads=False, steps=60, lr=0.1, train_from=4)
    metrics = [float(trainer.step()["l2"]) for _ in range(60)]
    assert sum(metrics[-15:]) < 0.7 * sum(metrics[:15])


def test_a_step_that_is_not_finite_changes_nothing() -> None:
    trainer = trainer_of("inversion", PLAIN)
    trainer.source = FlatSource(trainer.task, trainer.base, spoil=0)
    before = values(trainer.encoder)
    assert not bool(torch.isfinite(trainer.step()["loss"]))
    assert trainer.step_count == 0 and trainer.finite()
    assert all(torch.equal(v, before[k]) for k, v in trainer.encoder.named_parameters())


@pytest.mark.parametrize("name", ["super-resolution", "sketch", "mask", "video-edit"])
def test_a_preview_shows_what_came_of_the_held_out_frames(name: str) -> None:
    trainer = trainer_of(name)
    picture = trainer.preview()
    assert picture.shape == (3, 3, 64, 192) and picture.dtype == torch.uint8
    batch = trainer.source.held_out()
    wanted = (batch.targets.clamp(-1, 1) * 127.5 + 127.5).round()
    assert (picture[..., 64:128] - wanted).abs().max() <= 1
    seen = picture[..., :64].float()
    if name == "sketch":
        wanted = F.interpolate(batch.frames, size=(64, 64), mode="bilinear") * 255
        assert (seen - wanted).abs().max() <= 1
    elif name == "mask":
        labels = batch.frames.argmax(1, keepdim=True)[:, :, 2::4, 2::4]
        grays = labels / 9 * 127.5
        assert ((seen - grays).abs() <= 1).float().mean() > 0.9, "one for each label"
    else:
        frames = F.interpolate(batch.frames, size=(64, 64)) * 127.5 + 127.5
        assert (seen - frames).abs().max() <= 1
    assert torch.equal(picture, trainer.preview())


@pytest.mark.parametrize("name", ["steps", "batch_size", "lr", "snapshot"])
def test_options_are_positive(name: str) -> None:
    with pytest.raises(UsageError, match=f"`{name}` must be positive, not 0"):
        FrameConfig(weights=PLAIN, **{name: 0})


def test_layers_that_there_are_not() -> None:
    with pytest.raises(UsageError, match=r"no generator layer works at 128.*at most 64"):
        trainer_of("inversion", train_from=128)


def test_crops_are_of_one_place_and_rather_of_what_changes() -> None:
    trainer = trainer_of("video-toonify", PLAIN, heads=False)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    targets = torch.stack([y, x, 0 * x]).expand(40, -1, -1, -1) / 64
    frames = targets.clone()
    frames[:, 2, 40:, 40:] = 1  # what is to become something else
    batch = replace(trainer.source.draw(40, trainer.random), frames=frames, targets=targets)
    found, wanted = trainer._crops(batch, targets + 5)
    assert found.shape == wanted.shape == (40, 3, 16, 16)
    torch.testing.assert_close(found, wanted + 5)
    corners = wanted[:, :2, 0, 0] * 64
    assert len(corners.unique(dim=0)) > 5, "anywhere"
    assert (corners > 24).all(1).float().mean() > 0.4, "of a quarter of the places"
    small = replace(batch, targets=targets[..., :16, :16])
    whole, _ = trainer._crops(small, targets[..., :16, :16])
    assert whole.shape[-1] == 16, "nothing is cut off where there is no more"


def test_a_share_of_the_steps_is_coarse_and_a_finished_run_is_of_its_last_kind() -> None:
    half = trainer_of("video-toonify", PLAIN, heads=False, coarse_share=0.5)
    kinds = []
    for _ in range(4):
        kinds.append(half._coarse)
        half.step()
    assert kinds == [True, True, False, False] and not half._coarse
    whole = trainer_of("video-toonify", PLAIN, heads=False, steps=2, coarse_share=1.0)
    for _ in range(2):
        assert whole._coarse
        whole.step()
    assert whole._coarse, "its preview is to be made as it was trained"


def test_only_what_the_matte_covers_is_the_drawings_business() -> None:
    trainer = trainer_of("video-toonify", PLAIN, heads=False)
    batch = trainer.source.draw(2, trainer.random)
    matte = torch.zeros_like(batch.targets[:, :1])
    matte[..., : matte.shape[-1] // 2] = 1
    images = torch.randn_like(batch.targets)
    covered = trainer._covered(replace(batch, matte=matte), images)
    half = matte.shape[-1] // 2
    torch.testing.assert_close(covered[..., :half], images[..., :half])
    assert torch.equal(covered[..., half + 8 :], batch.targets[..., half + 8 :])
    assert torch.equal(trainer._covered(batch, images), images), "nothing is known of it"


def test_a_matte_is_learnt() -> None:
    trainer = trainer_of("video-toonify", PLAIN, heads=False, steps=60, lr=0.05)
    draw = trainer.source.draw

    def with_matte(count: int, random: torch.Generator):
        batch = draw(count, random)
        return replace(batch, matte=torch.ones_like(batch.targets[:, :1]))

    trainer.source.draw = with_matte
    losses = [float(trainer.step()["matte"]) for _ in range(16)]
    assert losses[0] == pytest.approx(0.69, abs=0.2) and sum(losses[-4:]) < 0.6 * sum(losses[:4])
