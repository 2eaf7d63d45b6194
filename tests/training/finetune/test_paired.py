"""Paired fine-tuning: what it trains, exact resumption, Ctrl-C, divergence."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.toy_generator import ToyGenerator, register
from tests.training.tiny_training import FAMILIES, PixelDistance, tiny_generator
from toonify.errors import Diverged, UsageError
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.models.layer_swap import tensor_resolutions
from toonify.training.core.patches import PatchDiscriminator, discriminator_loss, generator_losses
from toonify.training.finetune import paired_step
from toonify.training.finetune.inversion_pairs import InvertedPairs
from toonify.training.finetune.paired import PairedConfig, drawing_losses, finetune_paired
from toonify.training.finetune.paired_step import PairedTrainer, random_crop

LOSS = PixelDistance()


class Faces:
    """Drawings that the characters' colors decide: two flat ones with a ramp."""

    def __init__(self, generator, count: int = 6, spoil: int | None = None) -> None:
        torch.manual_seed(3)
        self.faces = generator.mapping(torch.randn(count, generator.z_dim))[:, None].expand(
            -1, 8, -1
        )
        styles = generator.mapping(torch.randn(2, generator.z_dim))[:, None].expand(-1, 8, -1)
        self.styles = styles[torch.arange(count) % 2]
        ramp = torch.linspace(-0.3, 0.3, 32).expand(3, 32, 32)
        colors = torch.tensor([0.5, -0.5])[torch.arange(count) % 2].view(-1, 1, 1, 1)
        self.targets = colors + ramp
        self.calls, self.spoil = 0, spoil

    def __len__(self) -> int:
        return len(self.faces)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.calls += 1
        targets = self.targets[index]
        if self.spoil is not None and self.calls > self.spoil:
            targets = targets * float("nan")
        return self.faces[index], self.styles[index], targets


def config(**options) -> PairedConfig:
    defaults = {
        "steps": 8,
        "batch_size": 2,
        "freeze_below": 16,
        "level": 3,
        "perceptual_size": 16,
        "snapshot": 4,
        "lr": 1e-2,
    }
    return PairedConfig(**(defaults | options))


def tune(generator, source, folder: Path, settings: PairedConfig, **options):
    return finetune_paired(generator, source, folder, settings, perceptual=LOSS, **options)


def test_z_may_be_of_another_length_than_w(tmp_path: Path) -> None:
    channels = {4: 8, 8: 8, 16: 8, 32: 8}
    generator = StyleGAN2Generator(resolution=32, channels=channels, w_dim=16, z_dim=4)
    result = tune(generator, Faces(generator), tmp_path, config(steps=1))
    assert all(bool(p.isfinite().all()) for p in result.parameters())


def test_a_new_family_learns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    register(monkeypatch)
    generator = ToyGenerator(resolution=32, w_dim=16)
    before = {k: v.clone() for k, v in generator.named_parameters()}
    result = tune(generator, Faces(generator), tmp_path, config(freeze_below=4, level=1))
    assert all(not torch.equal(p, before[k]) for k, p in result.named_parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_upper_layers_change(family: str, tmp_path: Path) -> None:
    generator = tiny_generator(family)
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    result = tune(generator, Faces(generator), tmp_path, config())
    assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())
    assert not any(p.requires_grad for p in generator.parameters())
    resolutions, after = tensor_resolutions(generator), result.state_dict()
    for name, value in before.items():
        if resolutions[name] < 16:
            assert torch.equal(after[name], value), name
        elif name.endswith(("noise", "noise_const")):
            assert not after[name].any(), f"{name}: a drawing has no noise"
    for name, _ in generator.named_parameters():
        if resolutions[name] >= 16 and "noise" not in name:
            assert not torch.equal(after[name], before[name]), name
    assert not result.training


def test_it_learns_the_drawings(tmp_path: Path) -> None:
    generator = tiny_generator("mobile")
    source, rows = Faces(generator), []
    result = tune(generator, source, tmp_path, config(steps=80, lr=0.2), progress=rows.append)
    assert [row["step"] for row in rows] == list(range(1, 81))
    assert {"pixels", "edges", "lpips", "kimg", "seconds"} <= set(rows[0])
    start, end = (sum(r["pixels"] + r["lpips"] for r in part) for part in (rows[:8], rows[-8:]))
    assert end < 0.5 * start
    faces, styles, targets = source.batch(torch.arange(6))
    w_plus = torch.cat((faces[:, :3], styles[:, 3:]), 1)

    def error(network) -> Tensor:
        return (network.synthesize(network.styles(w_plus)) - targets).abs().mean()

    assert error(result) < 0.7 * error(generator), "the average has learnt too"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "options", [{}, {"detail_crops": True}, {"sharpen": 0.1, "detail_crops": True}]
)
def test_resumption_is_exact(
    family: str, options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paired_step, "_PATCH_WARM_UP", 2)
    generator = tiny_generator(family)
    settings = config(snapshot=3, **options)
    whole = tune(generator, Faces(generator), tmp_path / "whole", settings)

    class Killed(Exception):
        pass

    def kill(row: dict[str, float]) -> None:
        if row["step"] == 5:  # two steps after the snapshot
            raise Killed

    out = tmp_path / "cut"
    with pytest.raises(Killed):
        tune(generator, Faces(generator), out, settings, progress=kill)
    torch.manual_seed(99)
    resumed = tune(generator, Faces(generator), out, settings, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    states = [torch.load(p / "snapshot.pt", weights_only=True) for p in (tmp_path / "whole", out)]
    for name, value in states[0]["generator"].items():
        assert torch.equal(value, states[1]["generator"][name]), name
    again = tune(generator, Faces(generator), out, settings, resume=True)
    assert torch.equal(again(again.w_avg.expand(1, 8, -1)), whole(whole.w_avg.expand(1, 8, -1)))


def test_interrupt_keeps_a_snapshot_and_resumes(tmp_path: Path) -> None:
    generator = tiny_generator("mobile")
    whole = tune(generator, Faces(generator), tmp_path / "whole", config())

    def press(row: dict[str, float]) -> None:
        if row["step"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        tune(generator, Faces(generator), out, config(), progress=press)
    assert torch.load(out / "snapshot.pt", weights_only=True)["step"] == 2
    resumed = tune(generator, Faces(generator), out, config(), resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_patch_discriminator_has_its_say(tmp_path: Path) -> None:
    generator, rows = tiny_generator("mobile"), []
    torch.manual_seed(1)
    settings = config(sharpen=0.5, detail_crops=True, steps=3)
    tune(generator, Faces(generator), tmp_path, settings, progress=rows.append)
    assert {"patches", "matching", "loss_d"} <= set(rows[0])
    torch.manual_seed(2)  # its first weights come from the config's seed
    again: list[dict[str, float]] = []
    tune(generator, Faces(generator), tmp_path / "2", settings, progress=again.append)
    assert rows[-1]["loss_d"] == again[-1]["loss_d"] and rows[-1]["loss_d"] != rows[0]["loss_d"]


@pytest.mark.slow
def test_compiled_is_the_same(tmp_path: Path) -> None:
    generator = tiny_generator("mobile")
    results = [
        tune(generator, Faces(generator), tmp_path / str(flag), config(steps=2, compiled=flag))
        for flag in (False, True)
    ]
    for a, b in zip(results[0].parameters(), results[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0.05, atol=2e-3)


def test_metrics_and_previews(tmp_path: Path) -> None:
    generator = tiny_generator("mobile")
    (tmp_path / "metrics.jsonl").write_text('{"kimg": 9}\n')
    tune(generator, Faces(generator), tmp_path, config(steps=20, snapshot=10))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20]
    assert len(list(tmp_path.glob("preview-*.jpg"))) == 2


def test_divergence_keeps_the_last_snapshot(tmp_path: Path) -> None:
    generator = tiny_generator("mobile")
    out = tmp_path / "run"
    # six batches to train on, one for the snapshot's preview
    with pytest.raises(Diverged, match=r"no longer finite at step 6.*resume.*snapshot\.pt"):
        tune(generator, Faces(generator, spoil=7), out, config())
    state = torch.load(out / "snapshot.pt", weights_only=True)
    assert state["step"] == 4
    assert all(torch.isfinite(v).all() for v in state["average"].values())
    tune(generator, Faces(generator), out, config(), resume=True)
    with pytest.raises(Diverged, match=r"at step 0\. Lower the learning rate\.$"):
        tune(generator, Faces(generator, spoil=0), tmp_path / "new", config())


def test_weights_that_are_no_longer_finite_are_not_kept(tmp_path: Path) -> None:
    """A finite loss may still have an infinite gradient."""
    generator = tiny_generator("mobile")

    class Cliff(PixelDistance):
        calls = 0

        def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
            Cliff.calls += 1
            total = super().distance(a, b)
            # the root's derivative at zero is infinite
            return total + (total - total.detach()).abs().sqrt() if Cliff.calls == 8 else total

    with pytest.raises(Diverged, match="no longer finite at step 8"):
        finetune_paired(generator, Faces(generator), tmp_path, config(), perceptual=Cliff())
    state = torch.load(tmp_path / "snapshot.pt", weights_only=True)
    assert state["step"] == 4


def test_refusals(tmp_path: Path) -> None:
    generator = tiny_generator("mobile")
    with pytest.raises(UsageError, match="no pairs"):
        tune(generator, Faces(generator, 0), tmp_path / "none", config())
    with pytest.raises(UsageError, match=r"no layer to train.*at most 32"):
        tune(generator, Faces(generator), tmp_path / "none", config(freeze_below=64))
    assert not (tmp_path / "none").exists()
    tune(generator, Faces(generator), tmp_path, config(steps=1))
    with pytest.raises(UsageError, match=r"already holds a run.*`resume`"):
        tune(generator, Faces(generator), tmp_path, config())
    for other, settings in (
        (tiny_generator("stylegan2"), config()),
        (generator, config(freeze_below=32)),
    ):
        with pytest.raises(UsageError, match="of another run"):
            tune(other, Faces(other), tmp_path, settings, resume=True)


def test_losses() -> None:
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    same = drawing_losses(images, images, LOSS, size=16)
    assert set(same) == {"pixels", "edges", "lpips"}
    assert all(v == 0 for v in same.values())
    lighter = drawing_losses(images, images + 0.1, LOSS, size=16)
    torch.testing.assert_close(lighter["pixels"], torch.tensor(0.2))
    assert lighter["edges"] < 1e-6 < lighter["lpips"], "an offset moves no line"
    moved = drawing_losses(images, images.roll(1, 3), LOSS, size=16)
    assert moved["edges"] > moved["pixels"] > 0


@pytest.mark.parametrize(
    ("batch", "side", "drawn", "seen"),
    [
        (8, 8, [(6, 32), (2, 8)], "WWWWCCCC"),
        (4, 8, [(3, 32), (1, 8)], "WWCC"),
        (3, 8, [(3, 32)], "WWC"),
        (1, 8, [(1, 32)], "WC"),
        (4, 32, [(4, 32)], "WWWW"),
    ],
)
def test_half_of_a_batch_is_compared_and_a_quarter_drawn_by_crops_alone(
    batch: int,
    side: int,
    drawn: list[tuple[int, int]],
    seen: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LPIPS and drawing cost most: whole pictures and details share their time."""
    generator, made, looked_at = tiny_generator("mobile"), [], []

    class Watched(PixelDistance):
        def distance_to(self, images: Tensor, wanted: list[Tensor]) -> Tensor:
            assert len(images) == len(wanted[0])
            looked_at.append(images)
            return super().distance_to(images, wanted)

    def whole(self, styles: list[Tensor], **options) -> Tensor:
        made.append((len(styles[0]), 32))
        return torch.ones(len(styles[0]), 3, 32, 32) * self.to_img.bias.mean()

    def crop(self, styles: list[Tensor], rows: slice, columns: slice, **options) -> Tensor:
        made.append((len(styles[0]), rows.stop - rows.start))
        return torch.ones(len(styles[0]), 3, side, side) * self.to_img.bias.mean()

    settings = config(steps=1, batch_size=batch, perceptual_size=side, detail_crops=True)
    trainer = PairedTrainer(settings, generator, Faces(generator), Watched())
    monkeypatch.setattr(MobileGenerator, "synthesize", whole)
    monkeypatch.setattr(MobileGenerator, "synthesize_crop", crop)
    monkeypatch.setattr(paired_step, "_shrunk", lambda images, size: images[:, :, :size, :size] + 9)
    trainer.step()
    assert made == drawn
    for pictures in looked_at:
        assert "".join("CW"[int(p.mean() > 5)] for p in pictures) == seen


def test_features_of_drawings_are_kept_as_far_as_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, settings, results, computed = tiny_generator("mobile"), config(), [], []

    class Watched(PixelDistance):
        def features(self, images: Tensor) -> list[Tensor]:
            computed[-1] += not images.requires_grad
            return super().features(images)

    one = sum(level.nbytes for level in LOSS.features(torch.zeros(1, 3, 16, 16)))
    for room in (0, 2 * one, 100 * one):
        monkeypatch.setattr(paired_step, "_KEPT", room)
        computed.append(0)
        out = tmp_path / str(room)
        result = finetune_paired(generator, Faces(generator), out, settings, perceptual=Watched())
        results.append(torch.cat([p.detach().flatten() for p in result.parameters()]))
    assert computed[0] == 16 > computed[1] > computed[2] <= 6
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_crops_fall_everywhere() -> None:
    random = torch.Generator().manual_seed(0)
    places = [random_crop(12, 8, random) for _ in range(200)]
    assert all(part.stop - part.start == 8 for place in places for part in place)
    assert (
        {place[0].start for place in places}
        == {place[1].start for place in places}
        == set(range(5))
    )
    assert random_crop(8, 8, random) == (slice(0, 8), slice(0, 8)), "all there is"


def test_the_patch_discriminator_tells_and_is_fooled() -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(8)
    drawn = torch.sign(torch.randn(8, 3, 32, 32))
    blurred = torch.nn.functional.avg_pool2d(drawn, 3, 1, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    before = discriminator_loss(network, drawn, blurred)
    for _ in range(60):
        optimizer.zero_grad()
        discriminator_loss(network, drawn, blurred).backward()
        optimizer.step()
    assert discriminator_loss(network, drawn, blurred) < 0.3 * before
    fooled, matched = generator_losses(network, drawn, drawn)
    caught, apart = generator_losses(network, drawn, blurred)
    assert fooled < caught and float(matched) < 1e-4 < float(apart)


def test_inverted_pairs() -> None:
    latents, drawings = torch.randn(3, 16), torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    pairs = InvertedPairs(latents, drawings, ["a", "b", "a"], num_ws=8)
    faces, styles, targets = pairs.batch(torch.tensor([2, 1]))
    assert torch.equal(faces, latents[[2, 1]][:, None].expand(-1, 8, -1))
    torch.testing.assert_close(styles[0, 3], (latents[0] + latents[2]) / 2)
    torch.testing.assert_close(styles[1, 7], latents[1])
    torch.testing.assert_close(targets, drawings[[2, 1]].float() / 127.5 - 1)
    with pytest.raises(UsageError, match="differ in number"):
        InvertedPairs(latents, drawings[:2], ["a", "b"], num_ws=8)
