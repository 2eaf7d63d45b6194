"""Sampled (w+, face) pairs on disk."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from toonify.errors import InputError
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.data.latent_samples import LatentSamples, write_samples


@pytest.fixture
def generator() -> MobileGenerator:
    network = MobileGenerator(resolution=32, channels=(16, 16, 16), w_dim=16, mapping_layers=2)
    torch.nn.init.normal_(network.mapping_net[-1].weight)
    network.w_avg.normal_()
    return network


def test_images_belong_to_their_latents(generator: MobileGenerator, tmp_path: Path) -> None:
    done: list[int] = []
    write_samples(generator, tmp_path, 5, size=16, batch=2, progress=done.append)
    assert done == [2, 4, 5]
    assert sorted(os.listdir(tmp_path)) == ["generator.txt", "images.npy", "w.npy"]
    pairs = LatentSamples.load(tmp_path, num_ws=8)
    assert len(pairs) == 5
    w_plus, images = pairs.batch(torch.tensor([4, 0]))
    assert w_plus.shape == (2, 8, 16) and images.shape == (2, 3, 16, 16)
    with torch.no_grad():
        expected = torch.nn.functional.avg_pool2d(generator(w_plus), 2).clamp(-1, 1)
    assert (images - expected).abs().mean() < 0.02


def test_mixed_latents(generator: MobileGenerator, tmp_path: Path) -> None:
    for share in (0.0, 1.0):
        folder = tmp_path / str(share)
        write_samples(generator, folder, 8, size=32, mixed=share)
        w_plus, _ = LatentSamples.load(folder, num_ws=8).batch(torch.arange(8))
        rows = [len(set(map(tuple, w.tolist()))) for w in w_plus]
        assert rows == ([2] * 8 if share else [1] * 8)


def test_seed_decides(generator: MobileGenerator, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_samples(generator, tmp_path / name, 2, size=32, seed=seed)
    read = {n: (tmp_path / n / "w.npy").read_bytes() for n in "abc"}
    assert read["a"] == read["b"] != read["c"]


def test_files_in_the_way_and_other_widths(generator: MobileGenerator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="can't keep pairs in"):
        write_samples(generator, tmp_path / "file", 2, size=16)
    (tmp_path / "pairs/w.npy").mkdir(parents=True)
    with pytest.raises(InputError, match="can't keep pairs in"):
        write_samples(generator, tmp_path / "pairs", 2, size=16)
    assert os.listdir(tmp_path / "pairs") == ["w.npy"]
    write_samples(generator, tmp_path / "narrow", 2, size=16)
    with pytest.raises(InputError, match="16 wide, the generator's 512"):
        LatentSamples.load(tmp_path / "narrow", num_ws=8, w_dim=512)


def test_another_generators_pairs_are_refused(generator: MobileGenerator, tmp_path: Path) -> None:
    write_samples(generator, tmp_path, 2, size=16)
    assert len(LatentSamples.load(tmp_path, num_ws=8, generator=generator)) == 2
    generator.w_avg.add_(1)
    with pytest.raises(InputError, match=r"another generator's.*empty folder"):
        LatentSamples.load(tmp_path, num_ws=8, generator=generator)
    (tmp_path / "generator.txt").unlink()  # as in folders written before
    assert len(LatentSamples.load(tmp_path, num_ws=8, generator=generator)) == 2


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)


def test_single_latents_fill_every_row() -> None:
    w = torch.randn(3, 16)
    pairs = LatentSamples(w, pictures(3), num_ws=8)
    w_plus, images = pairs.batch(torch.tensor([2]))
    assert torch.equal(w_plus, w[2].expand(1, 8, -1))
    assert images.min() >= -1 and images.max() <= 1


def test_latents_of_a_larger_generator_are_cut() -> None:
    w = torch.randn(3, 18, 16)
    w_plus, _ = LatentSamples(w, pictures(3), num_ws=8).batch(torch.arange(3))
    assert torch.equal(w_plus, w[:, :8])


def test_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="3 latents but 2 images"):
        LatentSamples(torch.randn(3, 16), pictures(2), num_ws=8)
    with pytest.raises(InputError, match=r"\(2, 6, 16\) do not hold 8 rows"):
        LatentSamples(torch.randn(2, 6, 16), pictures(2), num_ws=8)
    with pytest.raises(InputError, match="the images are"):
        LatentSamples(torch.randn(2, 16), pictures(2)[..., 0], num_ws=8)


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut"])
@pytest.mark.parametrize("name", ["w.npy", "images.npy"])
def test_unreadable_pairs(tmp_path: Path, damage: str, name: str) -> None:
    np.save(tmp_path / "w.npy", np.zeros((3, 16), np.float16))
    np.save(tmp_path / "images.npy", pictures(3))
    assert len(LatentSamples.load(tmp_path, num_ws=8)) == 3
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "text": b"pairs", "cut": content[:-4]}[damage])
    with pytest.raises(InputError, match=r"holds no readable pairs.*Sample them again"):
        LatentSamples.load(tmp_path, num_ws=8)
