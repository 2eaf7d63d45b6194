"""The face descriptor, and its files as face-api ships them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from toonify.checkpoints.identity import MANIFEST, WEIGHTS, load_identity
from toonify.errors import ModelError
from toonify.models.identity import Identity

STAGES = (("32", 0, 3), ("64", 1, 3), ("128", 1, 2), ("256", 1, 2))
# the first numbers that face-api 1.7.15 (tfjs, CPU) gives for the files and the chip made below
PUBLISHED = [3.61494, -1.76401, 0.87327, -2.03873, -1.81338, 2.16024, -0.38365, -1.03657]


def shapes():
    """(name, shape) of every weight in the published order."""

    def affine(name, size, width, out):
        yield f"{name}/conv/filters", [size, size, width, out]
        for rest in ("conv/bias", "scale/weights", "scale/biases"):
            yield f"{name}/{rest}", [out]

    yield from affine("conv32_down", 7, 3, 32)
    width = 32
    for stage, down, count in STAGES:
        out = int(stage)
        for unit in (["down"] if down else []) + [str(i + 1) for i in range(count)]:
            yield from affine(f"conv{stage}_{unit}/conv1", 3, width, out)
            yield from affine(f"conv{stage}_{unit}/conv2", 3, out, out)
            width = out
    for conv in ("conv1", "conv2"):
        yield from affine(f"conv256_down_out/{conv}", 3, 256, 256)
    yield "fc", [256, 128]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Random weights in the published layout: bytes for the kernels, floats for the others."""
    folder = tmp_path_factory.mktemp("identity")
    random = np.random.default_rng(0)
    weights, data = [], b""
    for name, shape in shapes():
        row = {"name": name, "shape": shape, "dtype": "float32"}
        count = math.prod(shape)
        if len(shape) > 1:
            scale = float(np.float32(2 / 255 * math.sqrt(3 / math.prod(shape[:-1]))))
            row["quantization"] = {"dtype": "uint8", "scale": scale, "min": -127 * scale}
            data += random.integers(0, 256, count, dtype=np.uint8).tobytes()
        else:
            values = random.uniform(-0.1, 0.1, count).astype("<f4")
            data += (values + np.float32(name.endswith("weights"))).astype("<f4").tobytes()
        weights.append(row)
    (folder / MANIFEST).write_text(json.dumps([{"weights": weights, "paths": [WEIGHTS]}]))
    (folder / WEIGHTS).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def identity(files: Path) -> Identity:
    return load_identity(files)


def test_parity_with_the_published_code(identity: Identity) -> None:
    chip = np.random.default_rng(1).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    image = torch.from_numpy(chip).permute(2, 0, 1)[None].float() / 127.5 - 1
    found = identity.describe(image)[0]
    torch.testing.assert_close(found[:8], torch.tensor(PUBLISHED), atol=1e-4, rtol=0)


def test_any_size_and_gradients_to_the_face_alone(identity: Identity) -> None:
    images = torch.rand(2, 3, 64, 64).mul(2).sub(1).requires_grad_()
    descriptors = identity(images)
    assert descriptors.shape == (2, 128)
    assert identity(torch.zeros(1, 3, 256, 256)).shape == (1, 128)
    (1 - identity.similarity(descriptors[:1], descriptors[1:])).sum().backward()
    gradient = images.grad.abs().sum((0, 1))
    assert gradient[:15].sum() == 0 and gradient[20:60, 12:52].sum() > 0
    assert all(not p.requires_grad for p in identity.parameters())


def test_similarity(identity: Identity) -> None:
    a = torch.nn.functional.normalize(torch.randn(3, 128), dim=1)
    assert torch.allclose(identity.similarity(a, a), torch.ones(3))
    b = a + 0.65**0.5 * torch.nn.functional.normalize(torch.randn(3, 128), dim=1)
    assert identity.similarity(a, b).abs().max() < 1e-5
    torch.testing.assert_close(identity.distance(a, b), torch.full((3,), 0.65**0.5))


def test_damaged_files(files: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no face descriptor.*pull face-identity"):
        load_identity(tmp_path)
    manifest, data = (files / MANIFEST).read_text(), (files / WEIGHTS).read_bytes()
    for text, content in (
        (manifest, data[:-4]),
        (manifest, data + b"0"),
        (manifest[:-9], data),
        ("[]", data),
        (manifest.replace("conv256_1/conv2", "other"), data),
    ):
        (tmp_path / MANIFEST).write_text(text)
        (tmp_path / WEIGHTS).write_bytes(content)
        with pytest.raises(ModelError, match="holds no face descriptor"):
            load_identity(tmp_path)
