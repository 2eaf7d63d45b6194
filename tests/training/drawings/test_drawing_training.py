"""Training the encoder of sketches and masks: drawings, what counts in w, learning, resuming."""

import numpy as np
import pytest
import torch

from tests.models.test_drawing import tiny
from tests.tiny_styleganex import NUM_WS, W_DIM, tiny_stylegan2
from toonify.errors import InputError, UsageError
from toonify.faces.celeba import CELEBA
from toonify.models.encoders.drawing import structure_features
from toonify.training.data.latent_samples import render, sample_w_plus
from toonify.training.drawings.job import train_drawing_encoder
from toonify.training.drawings.metric import fit_labels_and_metric
from toonify.training.drawings.pairs import DrawnFaces, sample_drawn_faces
from toonify.training.drawings.sketches import coarsened, draw_sketch
from toonify.training.drawings.train import DrawingSettings, DrawingTrainer, draw_batch
from toonify.utils.tensors import to_uint8

COUNT = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tiny faces whose labels are told by their brightness, and a mesh."""
    path, generator = tmp_path_factory.mktemp("faces"), tiny_stylegan2()
    w_plus = sample_w_plus(generator, COUNT, torch.Generator().manual_seed(0), mixed=0.0)
    images = to_uint8(render(generator, w_plus, size=64, bfloat16=False)).permute(0, 2, 3, 1)
    labels = (images.float().mean(3) / 256 * 19).to(torch.uint8)
    y, x = np.mgrid[:18, :26].reshape(2, -1)
    points = np.stack([x * 2 + 6, y * 2 + 10], 1).astype(np.float32)
    np.save(path / "w.npy", w_plus.half().numpy())
    np.save(path / "images.npy", images.numpy())
    np.save(path / "labels.npy", labels.numpy())
    np.save(path / "points.npy", np.repeat(points[None], COUNT, 0))
    return path


def test_sketches_are_dark_lines_on_white_and_differ(folder):
    face, labels, points = DrawnFaces(folder)[0]
    face = np.kron(face, np.ones((4, 4, 1), np.uint8))
    sketches = [draw_sketch(face, labels, points * 4, np.random.default_rng(i)) for i in range(12)]
    again = draw_sketch(face, labels, points * 4, np.random.default_rng(0))
    assert np.array_equal(sketches[0], again)
    for sketch in sketches:
        assert sketch.shape == (256, 256) and sketch.dtype == np.uint8
        paper = np.percentile(sketch, 95)
        assert paper > 150 and sketch.min() < paper - 50
    assert len({sketch.tobytes() for sketch in sketches}) == 12


def test_painted_masks_hold_no_label_that_was_not_there():
    labels = np.zeros((64, 64), np.uint8)
    labels[20:40, 20:40] = CELEBA.index("skin")
    labels[25:30, 25:30] = CELEBA.index("left brow")
    for seed in range(30):
        painted = coarsened(labels, np.random.default_rng(seed))
        assert set(np.unique(painted)) <= set(np.unique(labels))
    assert labels[26, 26] == CELEBA.index("left brow")  # a copy was painted on


def test_batches_are_sketches_or_masks_with_the_labels_below(folder):
    faces = DrawnFaces(folder)
    batch = draw_batch(faces, np.arange(24), np.random.default_rng(0))
    masks = batch.drawings[:, 1:].flatten(1).any(1)
    assert 2 < int(masks.sum()) < 20
    assert (
        not batch.drawings[masks, :1].any() and batch.drawings[~masks, :1].flatten(1).any(1).all()
    )
    assert batch.seen.shape == batch.labels.shape == (24, 64, 64)
    assert torch.equal(batch.w_plus, faces.latents(np.arange(24)))


def test_the_metric_tells_what_activations_do_and_labels_are_read_off_them(folder):
    generator, faces = tiny_stylegan2(), DrawnFaces(folder)
    reader, metric = fit_labels_and_metric(generator, faces, COUNT, rows=8, bfloat16=False)
    w_plus = faces.latents(np.arange(COUNT))
    with torch.no_grad():
        features = structure_features(generator, w_plus)
    features = features.flatten(2)
    features = (features - features.mean((0, 2), keepdim=True)) / features.std((0, 2), keepdim=True)
    i, j = torch.triu_indices(COUNT, COUNT, 1)
    predicted = ((w_plus[i, 0] - w_plus[j, 0]) @ metric.T).square().sum(1)
    true = (features[i] - features[j]).square().mean((1, 2))
    assert float(torch.corrcoef(torch.stack([predicted, true]))[0, 1]) > 0.6
    assert reader.weight.shape == (76, 8, 1, 1) and not reader.weight.requires_grad


def trainer(folder, steps=6, lr=1e-3) -> DrawingTrainer:
    generator, faces = tiny_stylegan2().requires_grad_(False), DrawnFaces(folder)
    settings = DrawingSettings(steps=steps, batch_size=4, lr=lr, bfloat16=False, rendered_share=0.4)
    return DrawingTrainer(tiny().train(), generator, faces, torch.eye(W_DIM), settings)


def test_it_learns_and_renders_at_the_end(folder):
    made = trainer(folder, steps=50, lr=0.05)
    rows = [made.step() for _ in range(50)]
    assert "rendered" not in rows[0] and {"rendered", "features"} <= set(rows[-1])
    seen = [float(row["seen"]) for row in rows]
    assert np.mean(seen[-10:]) < np.mean(seen[:3]) - 0.08
    assert made.finite() and made.preview().shape == (18, 3, 64, 64)


def test_a_resumed_training_ends_as_one_run_does(folder):
    whole, one, two = trainer(folder), trainer(folder), trainer(folder)
    for _ in range(6):
        whole.step()
    for _ in range(3):
        one.step()
    two.load_state_dict(one.state_dict())
    for _ in range(3):
        two.step()
    assert two.kimg == whole.kimg
    for a, b in zip(whole.average.parameters(), two.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_faces_are_sampled_with_labels_and_mesh(tmp_path):
    class Parsed:
        def resized(self, shape):
            parts = np.zeros((*shape, 15), np.float32)
            parts[..., 3] = 1
            return parts

    class Parser:
        def parse(self, face):
            return Parsed()

    class Mesh:
        def measure(self, face):
            return type("Measured", (), {"points": np.full((468, 3), 20.0)})()

    generator, seen = tiny_stylegan2(), []
    sample_drawn_faces(generator, tmp_path, 5, Parser(), Mesh(), progress=seen.append)
    faces = DrawnFaces(tmp_path)
    faces.check(generator)
    assert len(faces) == 5 and seen[-1] == 10
    assert faces.latents(np.arange(5)).shape == (5, NUM_WS, W_DIM)
    with pytest.raises(InputError, match="another generator's"):
        faces.check(tiny_stylegan2(1))
    (tmp_path / "points.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="no readable faces"):
        DrawnFaces(tmp_path)


def test_a_job_leaves_an_encoder_and_a_report(folder, tmp_path):
    from toonify.checkpoints import save_generator
    from toonify.checkpoints.loading import load_network
    from toonify.models.encoders.drawing import DrawingEncoder

    path = tmp_path / "g.safetensors"
    save_generator(tiny_stylegan2(), path)
    done = train_drawing_encoder(
        str(path), tmp_path / "run", folder, kimg=0.008, batch_size=4, dtype="float32"
    )
    assert load_network("drawing", done.encoder, DrawingEncoder).w_dim == W_DIM
    assert done.report.is_file()
    with pytest.raises(UsageError, match="resume"):
        train_drawing_encoder(str(path), tmp_path / "run", folder, kimg=0.008, batch_size=4)
