"""Feature networks: FID's pools, and what happens without weights."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from toonify.errors import ModelError
from toonify.evaluation import features
from toonify.evaluation.features import FeatureNetwork, inception_v3, read_inception


@pytest.fixture(scope="module")
def inception() -> nn.Module:
    return inception_v3().eval()


@torch.inference_mode()
@pytest.mark.parametrize(("block", "channels"), [("5b", 192), ("6e", 768), ("7b", 1280)])
def test_averages_leave_the_padding_out(inception, block, channels):
    module = inception.get_submodule(f"Mixed_{block}")
    x = torch.rand(1, channels, 5, 5)
    inside = F.avg_pool2d(x, 3, 1, 1) / F.avg_pool2d(torch.ones(1, 1, 5, 5), 3, 1, 1)
    branch = module.branch_pool(inside)
    assert torch.allclose(module(x)[:, -branch.shape[1] :], branch, atol=1e-5)


@torch.inference_mode()
def test_the_last_block_pools_by_maximum(inception):
    x = torch.rand(1, 2048, 5, 5)
    branch = inception.Mixed_7c.branch_pool(F.max_pool2d(x, 3, 1, 1))
    assert torch.allclose(inception.Mixed_7c(x)[:, -branch.shape[1] :], branch, atol=1e-5)


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

    monkeypatch.setattr(features, "pull", nothing)
    monkeypatch.setattr(features, "PerceptualLoss", Trunk)
    network = features.load_feature_network()
    assert (network.name, network.suffix) == ("vgg16", "-VGG")
    assert network([np.zeros((8, 8, 3), np.uint8)] * 3, batch_size=2).shape == (3, 512)
