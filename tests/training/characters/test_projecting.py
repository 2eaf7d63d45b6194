import numpy as np
import pytest
import torch

from tests.tiny_bundle import write_bundle
from toonify import project
from toonify.media.images import write_image


class PlainLoss(torch.nn.Module):
    """Offers what a projection needs of `PerceptualLoss`, without its weights."""

    def __init__(self, **_) -> None:
        super().__init__()

    def distance_to(self, images, wanted):
        return self.distance(self.features(images), wanted)

    def features(self, images):
        return [images]

    def distance(self, a, b):
        return (a[0] - b[0]).square().mean(dim=(1, 2, 3))


def test_files_and_arrays_are_projected_alike(tmp_path, monkeypatch):
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PlainLoss)
    bundle = str(write_bundle(tmp_path / "tiny"))
    picture = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    write_image(tmp_path / "a.png", picture)
    progress_seen: list[int] = []
    options = {"generator": bundle, "encoder": bundle, "steps": 3, "seed": 1}
    by_name = project(
        tmp_path / "a.png",
        **options,
        progress=lambda done, step, of, loss: progress_seen.append(step),
    )
    by_pixels = project([picture], **options)
    assert by_name.latents.shape[0] == 1 and by_name.latents.ndim == 3
    assert torch.allclose(by_name.latents, by_pixels.latents, atol=1e-4)
    assert by_name.reconstructions.dtype == torch.uint8 and len(progress_seen) == 3
    with pytest.raises(OSError, match="nothing"):
        project(tmp_path / "nothing.png", generator=bundle, steps=1)
