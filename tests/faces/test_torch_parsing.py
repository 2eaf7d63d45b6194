"""The parsing network in torch gives what it gives in OpenCV."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toonify.bundle import bundle_folder
from toonify.checkpoints.parsing import load_parsing
from toonify.errors import ModelError
from toonify.faces.parsing import FaceParser
from toonify.faces.torch_parsing import TorchParsing
from toonify.lut import CharacterTable


@pytest.fixture(scope="module")
def toon():
    table = CharacterTable.load(bundle_folder("default") / "characters.safetensors")
    return table["bram"].preview


def test_it_sees_what_opencv_sees(toon):
    seen, own = (FaceParser(network=n).parse(toon) for n in (None, TorchParsing()))
    np.testing.assert_allclose(own.labels, seen.labels, atol=1e-3)
    assert own.glasses == pytest.approx(seen.glasses, abs=1e-3)
    half = FaceParser(network=TorchParsing(dtype=torch.bfloat16)).parse(toon)
    assert (half.map() != seen.map()).mean() < 0.02


@pytest.mark.parametrize("content", [None, b"", b"no model", bytes(300)])
def test_what_is_no_such_network_is_refused(tmp_path, content):
    path = tmp_path / "p.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match="no parsing network"):
        load_parsing(path)
