"""A tiny generator written as the published IR files are, and read back."""

from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
import torch

from toonify.checkpoints import load_generator
from toonify.errors import ModelError
from toonify.models.generators.mobile import MobileGenerator

SCALE = 0.25


class IRWriter:
    def __init__(self) -> None:
        self.layers: list[str] = []
        self.data = b""

    def add(self, name, value, kind="f32"):
        array = np.asarray(value, {"f32": np.float32, "i64": np.int64}[kind])
        shape = ",".join(map(str, array.shape))
        self.layers.append(
            f'<layer id="{len(self.layers)}" name={quoteattr(name)} type="Const">'
            f'<data element_type="{kind}" shape="{shape}" offset="{len(self.data)}"'
            f' size="{array.nbytes}"/></layer>'
        )
        self.data += array.tobytes()

    def write(self, stem: Path):
        layers = "".join(self.layers)
        stem.with_suffix(".xml").write_text(f"<net><layers>{layers}</layers></net>")
        stem.with_suffix(".bin").write_bytes(self.data)


def write_ir(generator: MobileGenerator, folder: Path) -> None:
    state = {name: value.numpy() for name, value in generator.state_dict().items()}
    mapping = IRWriter()
    mapping.add("Constant_5", np.ones((1, 1)))
    for index in range(len(generator.mapping_net)):
        mapping.add(str(index), state[f"mapping_net.{index}.weight"])
        mapping.add(f"b{index}", state[f"mapping_net.{index}.bias"])
        mapping.add("Gather/axis", [1], "i64")
    mapping.write(folder / "MappingNetwork")

    net = IRWriter()
    last = len(generator.blocks) - 1

    def modulation(own, published, scale=True):
        factor = SCALE if scale else 1.0
        weight, bias = (state[f"{own}.modulation.{part}"] for part in ("weight", "bias"))
        net.add(f"m.{published}.modulation.weight", weight / factor)
        net.add(f"m.{published}.modulation.bias", bias[None] / factor)
        if scale:
            net.add("Constant_1", np.full((1, 1, 1, 1), SCALE))

    modulation("to_img", f"layers.{last}.to_img.conv")
    for index in range(last, -1, -1):
        for conv in ("conv2", "conv1"):
            modulation(f"blocks.{index}.{conv}", f"layers.{index}.{conv}.conv")
        modulation(f"blocks.{index}.up", f"layers.{index}.up", scale=False)
    modulation("conv1", "conv1.conv")
    net.add("m.input.input", state["const"])
    net.add("Mul_39_copy", state["conv1.weight"])
    net.add("1531", state["conv1.noise"])
    net.add("LeakyRelu_42/weights", [0.2])
    net.add("m.conv1.bias", state["conv1.bias"][None, :, None, None])
    for index in range(last + 1):
        net.add("1540", np.ones((4, 1, 1, 2, 1)))
        for conv in ("conv1", "conv2"):
            own, published = f"blocks.{index}.{conv}", f"m.layers.{index}.{conv}"
            net.add(f"{published}.conv.weight_dw", state[f"{own}.depthwise"][:, None])
            net.add("Mul_1_copy", state[f"{own}.pointwise"])
            net.add("1560", state[f"{own}.noise"])
            net.add(f"{published}.bias", state[f"{own}.bias"][None, :, None, None])
    net.add(f"m.layers.{last}.to_img.conv.weight", state["to_img.weight"])
    net.add(f"m.layers.{last}.to_img.bias", state["to_img.bias"][None, :, None, None])
    net.write(folder / "SynthesisNetwork")


def test_published_files_give_the_same_network(tmp_path):
    written = MobileGenerator(resolution=32, channels=(16, 12, 8), w_dim=16, mapping_layers=2)
    for name, value in written.named_buffers():
        if "noise" in name:
            value.normal_()
    write_ir(written, tmp_path)
    read = load_generator(tmp_path)
    for name, value in written.state_dict().items():
        if name != "w_avg":
            torch.testing.assert_close(read.state_dict()[name], value, msg=name)
    with torch.no_grad():
        average = read.mapping(torch.randn(4000, 16)).mean(0)
    torch.testing.assert_close(read.w_avg, average, atol=0.05, rtol=0)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ModelError, match="toonify models pull ffhq-mobile"):
        load_generator(tmp_path)
    (tmp_path / "MappingNetwork.xml").write_text("<net")
    (tmp_path / "MappingNetwork.bin").touch()
    with pytest.raises(ModelError, match="OpenVINO"):
        load_generator(tmp_path)
