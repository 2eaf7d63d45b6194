"""Where HFGI's networks are found, and one face with its details."""

import json
import shutil

import pytest
import torch

from tests.tiny_hfgi import tiny_hfgi
from toonify.checkpoints import save_encoder
from toonify.checkpoints.loading import save_network
from toonify.errors import ModelError
from toonify.inversion.hfgi import DetailedFace, load_details
from toonify.inversion.model import FaceModel
from toonify.models.encoders.hfgi_compact import CompactInversion
from toonify.utils.hashing import file_sha256


@pytest.fixture
def tiny():
    whole = tiny_hfgi()
    return FaceModel(whole.generator, whole.encoder), whole.networks


def test_a_bundle_s_networks_are_taken_and_checked(tiny, tmp_path):
    model, networks = tiny
    folder = tmp_path / "mine"
    folder.mkdir()
    save_network(networks, folder / "hfgi.safetensors")
    digest = file_sha256(folder / "hfgi.safetensors")

    def manifest(files):
        text = json.dumps({"format": 1, "files": files})
        (folder / "manifest.json").write_text(text)

    manifest({})
    with pytest.raises(ModelError, match="holds no HFGI weights"):
        load_details(model, str(folder))
    manifest({"hfgi": {"file": "hfgi.safetensors", "sha256": digest}})
    assert isinstance(load_details(model, str(folder)), CompactInversion)
    manifest({"hfgi": {"file": "hfgi.safetensors", "sha256": "0" * 64}})
    with pytest.raises(ModelError, match="SHA-256 differs"):
        load_details(model, str(folder))
    shutil.copy(folder / "hfgi.safetensors", tmp_path / "other.safetensors")
    found = load_details(model, str(folder), tmp_path / "other.safetensors")
    assert isinstance(found, CompactInversion)


def test_an_encoder_alone_is_no_hfgi(tiny, tmp_path):
    model, _ = tiny
    save_encoder(model.encoder, tmp_path / "encoder.safetensors")
    with pytest.raises(ModelError, match="no HFGI in"):
        load_details(model, str(tmp_path / "encoder.safetensors"))


def test_a_face_is_rendered_with_its_own_details(tiny):
    model, networks = tiny
    for layer in (networks.consult.head, networks.consult.fine_head):
        torch.nn.init.normal_(layer.weight, std=0.5)
    details = CompactInversion(networks, model.generator, model.face_encoder)
    photos = torch.rand(2, 3, 300, 300, generator=torch.Generator().manual_seed(0)) * 2 - 1
    faces = [DetailedFace(model, details, photo[None]) for photo in photos]
    inversions = [face.render() for face in faces]
    assert inversions[0].shape == (1, 3, 256, 256)
    same_latent = DetailedFace(model, details, photos[1:], faces[0].w_plus).render()
    assert not torch.allclose(same_latent, inversions[0]), "the latent is not all there is"
    edit = faces[0].w_plus + 0.5
    assert not torch.allclose(faces[0].render(edit), inversions[0])
