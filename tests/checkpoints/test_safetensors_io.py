import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from toonify.checkpoints import file_sha256, generator_hash, load_generator, save_generator
from toonify.checkpoints.arrays import read_arrays
from toonify.checkpoints.safetensors_io import read_safetensors, write_safetensors
from toonify.errors import InputError, ModelError
from toonify.models.generators.stylegan2 import StyleGAN2Generator


def tiny() -> StyleGAN2Generator:
    return StyleGAN2Generator(resolution=8, channels={4: 8, 8: 8}, w_dim=8, z_dim=8)


def test_metadata_carries_config_and_more(tmp_path):
    generator, path = tiny(), tmp_path / "deep" / "g.safetensors"
    save_generator(generator, path, metadata={"source": "a test"})
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["source"] == "a test"
    assert json.loads(metadata["toonify.config"]) == generator.config()
    assert read_safetensors(path)[2] == {"source": "a test"}


def test_numpy_reads_what_torch_reads_whatever_it_is_stored_in(tmp_path):
    path = tmp_path / "some.safetensors"
    values = torch.linspace(-3, 700, 24).reshape(2, 3, 4)
    kinds = (torch.bfloat16, torch.float16, torch.float32)
    stored = {str(kind): values.to(kind) for kind in kinds} | {"none": torch.zeros(0)}
    write_safetensors(stored, path, config={"architecture": "some"})
    arrays, _ = read_arrays(path)
    for name, tensor in stored.items():
        assert torch.equal(torch.from_numpy(arrays[name].copy()), tensor.float())


def test_saving_is_repeatable_and_leaves_nothing_behind(tmp_path):
    generator = tiny()
    save_generator(generator, tmp_path / "a.safetensors")
    save_generator(generator, tmp_path / "b.safetensors")
    assert file_sha256(tmp_path / "a.safetensors") == file_sha256(tmp_path / "b.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


def test_unwritable_target_is_one_line_and_keeps_the_old_file(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match="can't write"):
        save_generator(tiny(), tmp_path / "file" / "g.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="can't write"):
        save_generator(tiny(), tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_hash_sees_every_weight_but_not_the_precision():
    generator = tiny()
    before = generator_hash(generator)
    assert generator_hash(tiny()) != before
    twin = tiny()
    twin.load_state_dict(generator.state_dict())
    assert generator_hash(twin) == before == generator_hash(twin.half())
    twin.float().w_avg[0] += 0.5
    assert generator_hash(twin) != before


def test_files_that_are_not_ours(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(ModelError, match=r"x\.safetensors holds no network of ours"):
        load_generator(path)
    for config, match in (
        ({"architecture": "unheard-of"}, "unheard-of"),
        ({"architecture": "stylegan2", "resolution": 24, "channels": {"4": 8}}, "power of two"),
        ({"architecture": "stylegan2", "surprise": 1}, "can't be built"),
    ):
        write_safetensors({"a": torch.ones(2)}, path, config=config)
        with pytest.raises(ModelError, match=match) as caught:
            load_generator(path)
        assert "x.safetensors" in str(caught.value)


def test_int8_weights_come_back_close_and_half_as_large(tmp_path):
    torch.manual_seed(0)
    weights = {
        "conv.weight": torch.randn(64, 32, 3, 3) * torch.logspace(-3, 1, 64)[:, None, None, None],
        "conv.bias": torch.randn(64),
        "count": torch.tensor(3),
    }
    config = {"architecture": "test"}
    write_safetensors(weights, tmp_path / "8.safetensors", config=config, dtype=torch.int8)
    write_safetensors(weights, tmp_path / "16.safetensors", config=config, dtype=torch.float16)
    size8, size16 = ((tmp_path / f"{n}.safetensors").stat().st_size for n in (8, 16))
    assert size8 < 0.6 * size16
    read, _, _ = read_safetensors(tmp_path / "8.safetensors")
    assert set(read) == set(weights) and read["count"] == 3
    error = (read["conv.weight"].float() - weights["conv.weight"]).abs().flatten(1).amax(1)
    assert (error <= weights["conv.weight"].abs().flatten(1).amax(1) / 127 * 0.55 + 1e-6).all()
    assert torch.equal(read["conv.bias"], weights["conv.bias"].half())


def test_scales_that_fit_nothing_are_refused(tmp_path):
    header = {"toonify.config": json.dumps({"architecture": "test"})}
    for tensors in (
        {"a::scale": torch.ones(3)},
        {"a": torch.ones(3, 2, dtype=torch.int8), "a::scale": torch.ones(2)},
        {"a": torch.ones(3, 2), "a::scale": torch.ones(3)},
    ):
        save_file(tensors, tmp_path / "x.safetensors", metadata=header)
        with pytest.raises(ModelError, match="scales"):
            read_safetensors(tmp_path / "x.safetensors")
