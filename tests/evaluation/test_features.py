"""Feature networks: FID's pools, and what happens without weights."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from toonify.errors import ModelError
from toonify.evaluation import features
from toonify.evaluation.features import FeatureNetwork, inception_v3, read_inception, replace_pool


@torch.inference_mode()
def test_pools_of_a_block_are_replaced():
    from torchvision.models.inception import InceptionA  # which takes seconds

    x = torch.rand(1, 8, 5, 5)
    block = InceptionA(8, 4).eval()
    others = block(x)[:, :-4]
    replace_pool(block, nn.AvgPool2d(3, 1, 1, count_include_pad=False))
    inside = F.avg_pool2d(x, 3, 1, 1) / F.avg_pool2d(torch.ones(1, 1, 5, 5), 3, 1, 1)
    expected = torch.cat((others, block.branch_pool(inside)), dim=1)
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_every_block_with_a_pool_branch_has_another():
    with torch.device("meta"):
        network = inception_v3()
    for name, block in network.named_children():
        assert bool(block._forward_hooks) == hasattr(block, "branch_pool"), name
    assert network(torch.zeros(1, 3, 299, 299, device="meta")).shape == (1, 1008)


class Small(nn.Module):
    """Read as the real one is: a counter that old files lack, and a classifier to leave out."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(3)
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(self.bn(x).mean((2, 3)))


def test_weights_without_batch_counters_are_read(monkeypatch, tmp_path):
    monkeypatch.setattr(features, "inception_v3", Small)
    state = {k: v for k, v in Small().state_dict().items() if "num_batches" not in k}
    torch.save(state, tmp_path / "w.pth")
    network = FeatureNetwork("inception", read_inception(tmp_path / "w.pth"), size=299, width=3)
    assert network([np.zeros((40, 30, 3), np.uint8)]).shape == (1, 3)
    assert network([]).shape == (0, 3)
    del state["bn.weight"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"bn\.weight"):
        read_inception(tmp_path / "w.pth")


def test_other_files_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(features, "inception_v3", Small)
    (tmp_path / "junk.pth").write_bytes(b"junk")
    torch.save([1, 2], tmp_path / "list.pth")
    for name in ("junk.pth", "list.pth", "missing.pth"):
        with pytest.raises(ModelError, match="Inception"):
            read_inception(tmp_path / name)


def test_vgg_stands_in_under_its_own_name(monkeypatch):
    class Trunk(nn.Module):
        def __init__(self, net: str) -> None:
            super().__init__()
            self.shift, self.scale = torch.zeros(1), torch.ones(1)
            self.slices = nn.ModuleList([nn.Conv2d(3, 512, 1)])

    def nothing(name: str, **_: object) -> None:
        raise ModelError(f"no {name}")

    monkeypatch.setattr(features, "obtain", nothing)
    monkeypatch.setattr(features, "PerceptualLoss", Trunk)
    network = features.load_feature_network()
    assert (network.name, network.suffix) == ("vgg16", "-VGG")
    assert network.instead == "no inception-fid"
    assert network([np.zeros((8, 8, 3), np.uint8)] * 3, batch_size=2).shape == (3, 512)
