"""Encoder and generator as one; refining latents; tuning the generator."""

import numpy as np
import pytest
import torch

from tests.tiny_bundle import tiny_generator as tiny_mobile
from tests.tiny_styleganex import PixelLoss, tiny_encoder, tiny_stylegan2
from toonify.errors import ModelError
from toonify.faces.alignment import Crop
from toonify.inversion.frames import AlignedInput
from toonify.inversion.latents import Latents, fit_w_plus
from toonify.inversion.model import FaceModel
from toonify.inversion.optimize import (
    RefineSettings,
    TuneSettings,
    Views,
    likeness,
    ramp,
    refine,
    target_of,
    tune,
)
from toonify.models.encoders.compact import CompactEncoder

LOSS = PixelLoss()
RNG = np.random.default_rng(0)
ALIGNED = AlignedInput(
    RNG.integers(0, 255, (256, 256, 3), np.uint8), RNG.integers(90, 160, (45, 61, 3), np.uint8)
)


def frames_model() -> FaceModel:
    return FaceModel(tiny_stylegan2(), tiny_encoder())


def faces_model() -> FaceModel:
    encoder = CompactEncoder(num_ws=6, w_dim=16, input_size=32, widths=(16, 16), depth=1)
    return FaceModel(tiny_mobile(), encoder)


def test_a_frame_of_any_size_is_read_and_rendered_at_the_generators_scale():
    model = frames_model()
    latents = model.encode(ALIGNED)
    assert latents.feature.shape == (1, 8, 6, 8) and latents.frame_size == (45, 61)
    # a generator of 64×64 gives two pixels a feature pixel, a quarter of the frame's
    assert model.render(latents).shape == (1, 3, round(45 / 4), round(61 / 4))


def test_without_a_frame_the_face_is_the_frame():
    model = frames_model()
    latents = model.encode(AlignedInput(ALIGNED.face, None))
    assert latents.feature.shape == (1, 8, 32, 32)
    assert model.render(latents).shape == (1, 3, 64, 64)


def test_other_encoders_give_latents_of_the_face_for_generators_of_other_sizes():
    model = faces_model()
    latents = model.encode(ALIGNED)
    assert latents.feature is None and latents.w_plus.shape == (1, model.generator.num_ws, 16)
    assert model.render(latents).shape[2] == model.generator.resolution


def headless_model() -> FaceModel:
    faces = CompactEncoder(num_ws=12, w_dim=16, input_size=32, widths=(16, 16), depth=1)
    torch.nn.init.normal_(faces.rows.weight, std=0.05)
    frames = tiny_encoder(heads=False, units=(1, 1, 1, 0))
    return FaceModel(tiny_stylegan2(), frames, face_encoder=faces)


def seated_input() -> AlignedInput:
    """A frame of 320×384 with the face's crop 32 px from its left and 64 px from its top."""
    frame = RNG.integers(90, 160, (384, 320, 3), np.uint8)
    return AlignedInput(ALIGNED.face, frame, Crop(ALIGNED.face, np.array([[1, 0, 32], [0, 1, 64]])))


def test_where_the_face_lies_a_frame_is_the_generators_own():
    model, aligned = headless_model(), seated_input()
    assert model.seats_faces and not frames_model().seats_faces
    feature = model.encode(aligned).feature
    own = model.refactored(8).first_feature()
    assert feature.shape == (1, 8, 48, 40)
    torch.testing.assert_close(feature[:, :, 8:40, 4:36], own)
    read = model.encode(AlignedInput(aligned.face, aligned.frame)).feature
    outside = torch.ones(48, 40, dtype=torch.bool)
    outside[8:40, 4:36] = False
    assert torch.equal(feature[:, :, outside], read[:, :, outside]), "the encoder's"
    alone = model.encode(AlignedInput(aligned.face, None))
    assert torch.equal(alone.feature, own)


def test_large_frames_are_seen_smaller_beside_their_faces():
    image = torch.rand(1, 3, 384, 768)
    views = Views((300, 40, 556, 296))(image)
    assert [view.shape[2:] for view in views] == [(256, 512), (256, 256)]
    assert torch.equal(views[1], image[:, :, 40:296, 300:556])
    assert len(Views((0, 0, 9, 9))(image[:, :, :256, :256])) == 1
    assert Views.of(seated_input()).face == (32, 64, 288, 320)
    assert Views.of(ALIGNED).face is None


def test_an_encoder_of_frames_may_leave_latents_to_one_of_faces():
    model = headless_model()
    latents = model.encode(ALIGNED)
    assert latents.feature.shape == (1, 8, 6, 8)
    face = torch.from_numpy(ALIGNED.face).permute(2, 0, 1)[None].float() / 127.5 - 1
    expected = fit_w_plus(model.face_encoder.encode(face), 10)
    torch.testing.assert_close(latents.w_plus, expected, atol=1e-4, rtol=1e-4)
    assert model.render(latents).shape[2] == round(45 / 4)
    with pytest.raises(ModelError, match="frames alone"):
        FaceModel(tiny_stylegan2(), tiny_encoder(heads=False, units=(1, 1, 1, 0))).encode(ALIGNED)
    other = CompactEncoder(num_ws=10, w_dim=8, input_size=32, widths=(16, 16), depth=1)
    with pytest.raises(ModelError, match="latents have 8 numbers"):
        FaceModel(model.generator, model.encoder, face_encoder=other)


@pytest.mark.parametrize("make", [frames_model, headless_model, faces_model])
def test_refining_gets_closer_and_leaves_the_generator_alone(make):
    model = make()
    before = {k: v.clone() for k, v in model.generator.state_dict().items()}
    start = model.encode(ALIGNED)
    target = target_of(ALIGNED, start, model.device)
    settings = RefineSettings(steps=30, noise_weight=1.0)
    seen = []
    latents, losses = refine(
        model, start, target, loss=LOSS, settings=settings, progress=lambda *a: seen.append(a)
    )
    assert len(losses) == 30 and losses[-1] < losses[0] and seen[-1][:2] == (30, 30)
    assert (latents.w_plus - start.w_plus).abs().max() > 0.01
    assert bool(latents.noises) == model.reads_frames  # the compact generator's maps are zero
    assert all(torch.equal(v, before[k]) for k, v in model.generator.state_dict().items())
    nearer, before_it = (likeness(model, x, target, loss=LOSS) for x in (latents, start))
    assert nearer["lpips"] < before_it["lpips"] and nearer["mse"] > 0
    again, _ = refine(model, start, target, loss=LOSS, settings=settings)
    assert torch.equal(again.w_plus, latents.w_plus)


@pytest.mark.parametrize("make", [frames_model, faces_model])
def test_tuning_moves_a_copy_of_the_generator(make):
    model = make()
    before = {k: v.clone() for k, v in model.generator.state_dict().items()}
    latents = model.encode(ALIGNED)
    target = target_of(ALIGNED, latents, model.device)
    settings = TuneSettings(steps=10, lr=1e-2)
    tuned, losses = tune(model, latents, target, loss=LOSS, settings=settings)
    assert losses[-1] < losses[0]
    assert all(torch.equal(v, before[k]) for k, v in model.generator.state_dict().items())
    difference = (tuned.render(latents) - model.render(latents)).abs().max()
    assert difference > 1e-3
    assert not any(p.requires_grad for p in tuned.generator.parameters())


def test_likeness_is_of_pixel_values_in_minus_one_to_one():
    model = frames_model()
    latents = model.encode(ALIGNED)
    own = model.image(latents).clamp(-1, 1)
    same = likeness(model, latents, own, loss=LOSS)
    assert same["mae"] == same["mse"] == 0
    shifted = likeness(model, latents, own + 0.5, loss=LOSS)
    assert shifted["mae"] == pytest.approx(0.5, abs=0.05)
    assert shifted["mse"] == pytest.approx(0.25, abs=0.05)


def test_latents_survive_their_file_and_render_the_same(tmp_path):
    model = frames_model()
    start = model.encode(ALIGNED)
    target = target_of(ALIGNED, start, model.device)
    latents, _ = refine(model, start, target, loss=LOSS, settings=RefineSettings(steps=2))
    latents.save(tmp_path / "me.safetensors", {"source": "me.jpg"})
    again, metadata = Latents.load(tmp_path / "me.safetensors")
    assert metadata == {"source": "me.jpg"} and again.frame_size == (45, 61)
    assert torch.equal(model.render(again), model.render(latents))
    stored = model.render(Latents(latents.w_plus, latents.feature, {}, latents.frame_size))
    assert not torch.equal(model.render(again), stored)


def test_a_fine_tuned_generator_renders_the_same_latents():
    latents = frames_model().encode(ALIGNED)
    other = FaceModel(tiny_stylegan2(seed=7))
    assert other.render(latents).shape == frames_model().render(latents).shape


def test_latents_are_cut_or_continued_for_other_resolutions():
    w_plus = torch.randn(2, 4, 3)
    assert torch.equal(fit_w_plus(w_plus, 3), w_plus[:, :3])
    longer = fit_w_plus(w_plus, 6)
    assert torch.equal(longer[:, :4], w_plus) and torch.equal(longer[:, 5], w_plus[:, 3])


def test_networks_that_do_not_fit_are_refused_in_a_line(tmp_path):
    def refused(words, make):
        with pytest.raises(ModelError, match=words):
            make()

    refused("numbers", lambda: FaceModel(tiny_stylegan2(w_dim=8), tiny_encoder()))
    refused("8 channels", lambda: FaceModel(
        tiny_stylegan2(channels={4: 4, 8: 4, 16: 4, 32: 4, 64: 4}), tiny_encoder()))  # fmt: skip
    refused("whole frames need", lambda: FaceModel(tiny_mobile(), tiny_encoder()))
    latents = frames_model().encode(ALIGNED)
    refused("whole frames need", lambda: FaceModel(tiny_mobile()).render(latents))
    wide = FaceModel(tiny_stylegan2(w_dim=8))
    refused("16 numbers", lambda: wide.render(latents))
    refused("not a readable", lambda: Latents.load(__file__))


def test_the_published_ramp():
    assert ramp(0) == 0 and ramp(0.05) == 1 and ramp(0.5) == 1
    assert 0 < ramp(0.9) < ramp(0.8) < 1 and ramp(1) == 0
