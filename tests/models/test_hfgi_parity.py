"""HFGI, whole: what the published code answered from the photograph to the edited picture."""

import pytest
import torch
import torch.nn.functional as F
from parity import answers, decoder_256
from seeded import seeded_array
from seeded_more import seeded_image

from tests.models.test_style_transfer import GRADIENT, assert_answers, seeded
from toonify.editing.directions import read_directions
from toonify.editing.edits import moved
from toonify.models.encoders.hfgi import HFGI, AlignmentNetwork, ConsultationEncoder, at_size
from toonify.models.encoders.psp import PSPEncoder
from toonify.training.hfgi.data import homography

IMAGE = 1e-4
CORNERS = [[0, 0], [255, 0], [255, 255], [0, 255]]
MOVED = [[9, 5], [249, 12], [241, 250], [3, 238]]
# The alignment network's first gradient moves by 1.5e-3 with the last bits of the warped map, in
# float64, too.
FIRST_GRADIENT = 5e-3

pytestmark = pytest.mark.slow


def array(name, *shape):
    return torch.from_numpy(seeded_array(f"hfgi.{name}", shape)).float()


@pytest.fixture(scope="module")
def latents():
    """What the published encoder says of the pictures, before the mean of w."""
    encoder = seeded(PSPEncoder(num_ws=18, deltas=True).net, "e4e.")
    with torch.no_grad():
        return encoder(photos())


def photos():
    return torch.from_numpy(seeded_image("hfgi.x", (2, 3, 256, 256)))


def method():
    return HFGI(
        decoder_256(),
        None,
        residue=seeded(ConsultationEncoder(), "residue."),
        grid_align=seeded(AlignmentNetwork(), "grid_align."),
    )


def w_plus(latents):
    return (latents + 0.3 * array("latent_avg", 512))[:, :14]


@torch.no_grad()
def test_inversion_and_edit_answer_as_published(latents):
    wanted, hfgi, x, w = answers("hfgi_256"), method(), photos(), w_plus(latents)
    assert_answers(latents, wanted["encoder_codes"])
    assert_answers(hfgi.generator(w), wanted["initial_image"], IMAGE)
    distortion = hfgi.distortion(x, w)
    assert_answers(distortion, wanted["distortion_map"], IMAGE)
    direction = array("direction", 1, 512)
    edit = moved(w, direction / direction.norm(), 9.0, range(14))
    for name, latent in (("inversion", w), ("edit", edit)):
        rendering = hfgi.generator(latent)
        aligned = hfgi.aligned(distortion, rendering)
        assert_answers(aligned, wanted[f"{name}_aligned_map"], IMAGE)
        scale, shift = hfgi.residue(aligned)
        assert_answers(scale, wanted[f"{name}_scale"], IMAGE)
        assert_answers(shift, wanted[f"{name}_shift"], IMAGE)
        assert_answers(hfgi.edited(x, w, latent), wanted[f"{name}_fused_image"], IMAGE)
    assert_answers(hfgi.generator(edit), wanted["edit_initial_image"], IMAGE)


@torch.no_grad()
def test_a_ganspace_edit_is_a_step_of_w_plus(latents, tmp_path):
    components = F.normalize(array("pca_comp", 3, 1, 512), dim=2)
    mean, std = 0.3 * array("pca_mean", 1, 512), 1 + array("pca_std", 3).abs()
    torch.save({"mean": mean, "comp": components, "std": std}, tmp_path / "pca.pt")
    direction = read_directions(tmp_path / "pca.pt")["1"]
    for one, answer in zip(
        w_plus(latents), answers("hfgi_256")["ganspace_latent_change"], strict=True
    ):
        # a published strength is where to go to, ours how far
        coordinate = (one[0] - mean[0]) @ components[1, 0] / std[1]
        step = moved(one[None], direction, 20 - float(coordinate), range(7, 9)) - one
        assert_answers(step, answer[None])


@pytest.fixture(scope="module")
def warped(latents):
    """The distortion map in the fixture's perspective, the rendering, and the map itself."""
    hfgi, w = method(), w_plus(latents)
    with torch.no_grad():
        distortion, rendering = hfgi.distortion(photos(), w), at_size(hfgi.generator(w))
    # torchvision's points are those of pixels' edges
    given, wanted = (torch.tensor(x).double() / 128 - 1 for x in (CORNERS, MOVED))
    matrix = homography(wanted[None], given[None])
    axis = (torch.arange(256).double() + 0.5) / 128 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), dim=2).flatten(0, 1) @ matrix[0].T
    grid = (points[:, :2] / points[:, 2:]).view(1, 256, 256, 2).expand(2, -1, -1, -1).float()
    there = torch.cat((distortion, torch.ones_like(distortion[:, :1])), dim=1)
    moved_map = F.grid_sample(there, grid, align_corners=False)
    return moved_map[:, :3] * moved_map[:, 3:], rendering, distortion  # its border is dimmed twice


@torch.no_grad()
def test_alignment_of_a_warped_map_answers_as_published(warped):
    wanted, hfgi = answers("hfgi_modules_256"), method()
    moved_map, rendering, distortion = warped
    assert_answers(moved_map, wanted["train_warped_map"], IMAGE)
    aligned = hfgi.aligned(moved_map, rendering)
    assert_answers(aligned, wanted["train_aligned_map"], IMAGE)
    assert_answers((aligned - distortion).abs().mean()[None], wanted["train_align_l1"])


def test_gradients_and_statistics_in_training_are_the_published_ones(warped):
    wanted, hfgi = answers("hfgi_modules_256"), method()
    moved_map, rendering, distortion = warped
    hfgi.residue.train()
    hfgi.grid_align.train()
    aligned = hfgi.aligned(moved_map, rendering)
    scale, shift = hfgi.residue(aligned)
    align, power = (
        (aligned - distortion).abs().mean(),
        scale.square().mean() + shift.square().mean(),
    )
    (0.1 * align + power).backward()
    assert_answers(align[None], wanted["trainmode_align_l1"], IMAGE)
    assert_answers(power[None], wanted["trainmode_condition_power"], IMAGE)
    ada, residue = hfgi.grid_align, hfgi.residue
    for name, layer, tolerance in (
        ("ada_conv_layer1_0", ada.conv_layer1[0], FIRST_GRADIENT),
        ("ada_dconv_layer3_2_res_layer_3", ada.dconv_layer3[2].res_layer[3], GRADIENT),
        ("residue_conv_layer1_0", residue.conv_layer1[0], GRADIENT),
    ):
        assert_answers(layer.weight.grad, wanted[f"trainmode_grad_{name}"], tolerance)
    norm = ada.conv_layer1[1]
    mean, var = norm.running_mean, norm.running_var
    assert_answers(mean, wanted["trainmode_running_mean_ada_conv_layer1_1"])
    assert_answers(var, wanted["trainmode_running_var_ada_conv_layer1_1"])
