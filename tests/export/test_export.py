import json

import numpy as np
import pytest
import torch

from tests.models.test_unet import tiny as tiny_unet
from tests.tiny_bundle import write_bundle
from toonify.bundle import Bundle
from toonify.cdsm import cross_domain_styles
from toonify.checkpoints.loading import save_network
from toonify.errors import InputError, UsageError
from toonify.export import export_bundle, formats
from toonify.export.formats import answering


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def drawn(bundle, character, face, level):
    """As the library itself draws an aligned face."""
    loaded = Bundle.load(bundle)
    with torch.no_grad():
        w_plus = loaded.encoder.encode(face, loaded.generator)
        own = loaded.table[character].w_plus[None]
        styles = cross_domain_styles(loaded.generator, w_plus, own, level=level)
        return loaded.generator.synthesize(styles).clamp(-1, 1).numpy()


SLOW = pytest.param("openvino", marks=pytest.mark.slow)


@pytest.mark.parametrize("format", ["onnx", SLOW, "torchscript"])
def test_a_character_draws_alike_everywhere(bundle, tmp_path, format):
    for package in formats.PACKAGES[format]:
        pytest.importorskip(package)
    exported = export_bundle(
        tmp_path / "out", bundle=bundle, format=format, characters=["mina"], level=2
    )
    assert [one.name for one in exported] == ["encoder", "generator", "mina"]
    assert all(one.error < 1e-4 for one in exported)
    about = json.loads((tmp_path / "out/export.json").read_text())
    reported = about["networks"]["mina"]
    assert about["format"] == format and reported["level"] == 2
    files = {path.suffix: path.read_bytes() for path in exported[2].files}
    size = reported["input"]["shape"][-1]
    face = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(4)) * 2 - 1
    found = answering(files, format)(face.numpy())
    assert list(found.shape) == reported["output"]["shape"]
    assert np.abs(found - drawn(bundle, "mina", face, 2)).max() < 1e-4


@pytest.mark.parametrize("format", ["onnx", SLOW, "torchscript"])
def test_a_style_draws_alike_everywhere(bundle, tmp_path, format):
    for package in formats.PACKAGES[format]:
        pytest.importorskip(package)
    network = tiny_unet()
    save_network(network, tmp_path / "mine.safetensors")
    (exported,) = export_bundle(
        tmp_path / "out",
        bundle=bundle,
        format=format,
        styles=[str(tmp_path / "mine.safetensors")],
        networks=False,
    )
    reported = json.loads((tmp_path / "out/export.json").read_text())["networks"]["mine"]
    assert exported.name == "mine" and exported.error < 1e-4
    assert reported["input"]["shape"] == [1, 3, None, None] and reported["reads"]["multiple"] == 4
    files = {path.suffix: path.read_bytes() for path in exported.files}
    run = answering(files, format)
    for size in ((32, 48), (20, 8)):  # pictures of any size
        picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(4)) * 2 - 1
        with torch.no_grad():
            wanted = network(picture).clamp(-1, 1).numpy()
        assert np.abs(run(picture.numpy()) - wanted).max() < 1e-4


def test_a_second_export_replaces_its_own_files_alone(bundle, tmp_path):
    first = export_bundle(tmp_path, bundle=bundle, format="torchscript")
    assert len(export_bundle(tmp_path, bundle=bundle, format="torchscript")) == len(first)
    (tmp_path / "encoder.pt").write_bytes(b"somebody's own")
    with pytest.raises(ValueError, match="encoder"):
        export_bundle(tmp_path, bundle=bundle, format="torchscript")
    assert (tmp_path / "encoder.pt").read_bytes() == b"somebody's own"


def test_networks_are_added_to_an_earlier_export(bundle, tmp_path):
    export_bundle(tmp_path, bundle=bundle, format="torchscript", characters=["mina"])
    export_bundle(
        tmp_path, bundle=bundle, format="torchscript", characters=["otto"], networks=False
    )
    listed = json.loads((tmp_path / "export.json").read_text())["networks"]
    assert set(listed) == {"encoder", "generator", "mina", "otto"}
    # and stay toonify's own
    export_bundle(
        tmp_path, bundle=bundle, format="torchscript", characters=["mina"], networks=False
    )
    with pytest.raises(ValueError, match="holds torchscript of the bundle tiny"):
        export_bundle(tmp_path, bundle=bundle, format="onnx")


@pytest.mark.parametrize("fails", ["generator.pt", "generator.bin"])
def test_an_export_that_is_cut_short_is_gone_on_with(bundle, tmp_path, monkeypatch, fails):
    from toonify.export import bundle as exporting

    def full(path, data):
        if path.name == fails:
            raise OSError(28, "No space left on device")
        path.write_bytes(data)

    format = "torchscript" if fails.endswith(".pt") else "openvino"
    answer = {".pt": b"pt"} if format == "torchscript" else {".xml": b"xml", ".bin": b"bin"}
    monkeypatch.setattr(exporting, "check_format", lambda format: None)
    monkeypatch.setattr(exporting, "converted", lambda *arguments, **options: answer)
    monkeypatch.setattr(exporting, "_difference", lambda *arguments: (0.0, (1,)))
    with monkeypatch.context() as disk:
        disk.setattr(exporting, "write_bytes", full)
        with pytest.raises(InputError, match="No space"):
            export_bundle(tmp_path, bundle=bundle, format=format)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"export.json", *(f"encoder{end}" for end in answer)}
    assert len(export_bundle(tmp_path, bundle=bundle, format=format)) == 2


def test_levels_that_there_are_not(bundle, tmp_path):
    with pytest.raises(UsageError, match="level"):
        export_bundle(
            tmp_path / "a", bundle=bundle, format="torchscript", characters=["mina"], level=99
        )


def test_what_can_not_be_exported(bundle, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Did you mean 'onnx'"):
        export_bundle(tmp_path / "a", bundle=bundle, format="onx")
    with pytest.raises(ValueError, match="nobody"):
        export_bundle(tmp_path / "a", bundle=bundle, format="torchscript", characters=["nobody"])
    with pytest.raises(ValueError, match="style of a network 'inc'"):
        export_bundle(tmp_path / "a", bundle=bundle, format="torchscript", styles=["inc"])
    save_network(tiny_unet(), tmp_path / "encoder.safetensors")
    twice = [str(tmp_path / "encoder.safetensors")]
    with pytest.raises(ValueError, match="two networks would be encoder"):
        export_bundle(tmp_path / "a", bundle=bundle, format="torchscript", styles=twice)
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="toonify-toolkit"):
        export_bundle(tmp_path / "a", bundle=bundle, format="openvino")
    assert not (tmp_path / "a").exists()
