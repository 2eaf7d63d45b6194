"""Engines on a GPU: they draw what the CPU does, and wait for it only where they must."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.engines.test_cdsm import KNOWN, UNKNOWN
from tests.engines.test_cdsm import bundles as bundles  # fixtures
from tests.engines.test_styleganex_model import bundle as frames_bundle
from tests.engines.test_unet import network as network
from tests.fake_cuda import GPU, pretended
from toonify.engines.base import aligned_region
from toonify.engines.cdsm import CdsmEngine
from toonify.engines.mixing import UNDER_WAY
from toonify.engines.styleganex import FACE, StyleGANEXModel
from toonify.engines.unet import UNetEngine
from toonify.faces.no_faces import NoFaces
from toonify.faces.types import RGB, f32
from toonify.models.replay import WORTH_IT

__all__ = ["frames_bundle"]
NEAR = 6  # levels of 255, of networks of random weights in float16


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch):
    with pretended(monkeypatch) as pretending:
        yield pretending


def pictures(count: int, side: int) -> list[RGB]:
    random = np.random.default_rng(0)
    return list(random.integers(0, 256, (count, side, side, 3), np.uint8))


def apart(drawn: list[RGB], other: list[RGB]) -> int:
    return max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(drawn, other, strict=True))


@pytest.mark.parametrize("level", [6, 8])
def test_characters(gpu: type[GPU], bundles: tuple[Path, Path], level: int) -> None:
    regions = [aligned_region(picture) for picture in pictures(3, 32)]
    drawn: dict[str, list[list[RGB]]] = {}
    for device in ("cpu", "cuda"):
        engine = CdsmEngine.from_bundle(
            bundles[1], device=device, dtype="float32", level=level, batch_size=2
        )
        drawn[device] = []
        for _ in range(WORTH_IT + 1):
            gpu.waits.clear()
            latents = engine.encode(regions)
            assert dict(gpu.waits) == ({} if device == "cpu" else {"from the GPU": 2})
            drawn[device].append(engine.render(regions, latents, [KNOWN] * 3))
        assert sum(gpu.waits.values()) <= 2, "drawings come while the next ones are begun"
    assert gpu.recordings == 4, "two batches of two sizes, encoded and drawn"
    for found, expected in zip(drawn["cuda"], drawn["cpu"], strict=True):
        assert apart(found, expected) <= 1


def test_few_batches_are_under_way_at_once(
    bundles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = CdsmEngine.from_bundle(bundles[0], device="cpu", batch_size=1)
    regions = [aligned_region(picture) for picture in pictures(6, 32)]
    latents, waiting, most = engine.encode(regions), 0, 0

    def begin(images: list[RGB], *rest: object) -> Callable[[], list[RGB]]:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)

        def wait() -> list[RGB]:
            nonlocal waiting
            waiting -= 1
            return images

        return wait

    monkeypatch.setattr(engine, "_render", begin)
    drawn = engine.render(regions, latents, [KNOWN, UNKNOWN] * 3)
    assert apart(drawn, [region.image for region in regions]) == 0
    assert most == UNDER_WAY + 1 and waiting == 0


def test_styles(gpu: type[GPU], network: Path) -> None:
    (photo,) = pictures(1, 48)
    engines = [
        UNetEngine({"studio": network}, detector=NoFaces(), device=device, dtype=dtype)
        for device, dtype in (("cpu", "float32"), ("cuda", "auto"))
    ]
    for engine in engines:
        engine.draw(f32(photo), "studio")
    gpu.waits.clear()
    plain, fast = (engine.draw(f32(photo), "studio") for engine in engines)
    assert not gpu.waits and engines[1].runtime == "torch"
    assert apart([plain], [fast]) <= NEAR


def test_whole_frames(gpu: type[GPU], frames_bundle: Path) -> None:
    frames, faces = pictures(2, 64), pictures(2, FACE)
    drawn = []
    for device, dtype in (("cpu", "float32"), ("cuda", "auto")):
        model = StyleGANEXModel.from_bundle(frames_bundle, device=device, dtype=dtype)
        latents = model.encode(faces).cpu()
        model.render(frames, latents, "mina")  # filters go to the GPU once
        gpu.waits.clear()
        drawn.append(model.render(frames, latents, "mina"))
        assert not gpu.waits
    assert apart(*drawn) <= NEAR
