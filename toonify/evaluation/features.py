"""Feature networks for KID and FID: FID's own Inception where its weights are, else VGG16's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toonify.checkpoints.download import obtain
from toonify.errors import ModelError
from toonify.evaluation.metrics import Features
from toonify.metrics.lpips import PerceptualLoss
from toonify.utils.tensors import to_tensor

INCEPTION_SIZE = 299
VGG_SIZE = 224


class FeatureNetwork:
    """Pictures → one feature vector each.

    Attributes:
        name: "inception" for FID's network, whose figures are called KID and FID; "vgg16" for the
            stand-in, whose figures are KID-VGG and FID-VGG and compare among themselves only.
        width: features a picture.
        instead: why it is not Inception; empty where it is.
    """

    def __init__(
        self, name: str, network: nn.Module, *, size: int, width: int, instead: str = ""
    ) -> None:
        self.name, self.width, self.instead = name, width, instead
        network = network.eval().requires_grad_(False)
        self._network, self._size = network.to(memory_format=torch.channels_last), size

    @property
    def suffix(self) -> str:
        """What is added to "KID" and "FID"."""
        return "" if self.name == "inception" else "-VGG"

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[np.ndarray], *, batch_size: int = 8) -> Features:
        """(H, W, 3) uint8 RGB pictures → (N, width) float64."""
        found = []
        for start in range(0, len(pictures), batch_size):
            batch = torch.cat([_resized(p, self._size) for p in pictures[start:][:batch_size]])
            device = next(self._network.parameters()).device
            batch = batch.to(device, memory_format=torch.channels_last)
            found.append(self._network(batch).double().cpu().numpy())
        return np.concatenate(found) if found else np.zeros((0, self.width))


def load_feature_network(
    *, offline: bool = False, device: str | torch.device = "cpu"
) -> FeatureNetwork:
    """FID's Inception, else VGG16 with its top convolutions pooled.

    Raises:
        ModelError: neither network's weights can be reached.
    """
    try:
        inception = read_inception(obtain("inception-fid", offline=offline))
        return FeatureNetwork("inception", inception.to(device), size=INCEPTION_SIZE, width=2048)
    except ModelError as error:
        instead = str(error)
    vgg = _VggTop(PerceptualLoss("vgg")).to(device)
    return FeatureNetwork("vgg16", vgg, size=VGG_SIZE, width=512, instead=instead)


def read_inception(path: str | os.PathLike[str]) -> nn.Module:
    """FID's Inception from `pt_inception-2015-12-05-6726825d.pth`: (B, 3, 299, 299) → (B, 2048).

    Raises:
        ModelError: missing, or not these weights.
    """
    network = inception_v3()
    try:
        state = torch.load(Path(path), map_location="cpu", weights_only=True)
        network.load_state_dict(state, strict=False)
        # files of old PyTorch versions lack the batch counters, which inference doesn't use
        missing = [
            key
            for key in network.state_dict()
            if key not in state and not key.endswith("num_batches_tracked")
        ]
    except Exception as error:  # a damaged pickle raises almost anything
        raise ModelError(f"{path} holds no Inception weights ({error})") from error
    if missing:
        raise ModelError(f"{path} holds no Inception weights (no {missing[0]})")
    network.fc = nn.Identity()  # type: ignore[assignment]
    return network


def inception_v3() -> nn.Module:
    """The 2015 network of FID: torchvision's with other pools in front of `branch_pool`.

    Averages leave the padding out of the count, and the last block takes the maximum, as in the
    TensorFlow graph (github.com/mseitzer/pytorch-fid).
    """
    from torchvision.models.inception import Inception3

    network = Inception3(
        num_classes=1008, aux_logits=False, transform_input=False, init_weights=False
    )
    for name in ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b"):
        average = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        replace_pool(network.get_submodule(f"Mixed_{name}"), average)
    replace_pool(network.get_submodule("Mixed_7c"), nn.MaxPool2d(3, stride=1, padding=1))
    return network


def replace_pool(block: nn.Module, pool: nn.Module) -> None:
    """Feed an Inception block's `branch_pool` from `pool` instead of its own average."""

    def again(block: nn.Module, given: tuple[Tensor], output: Tensor) -> Tensor:
        # that branch comes last in the block's output
        branch = block.branch_pool(pool(given[0]))  # type: ignore[operator]
        return torch.cat((output[:, : -branch.shape[1]], branch), dim=1)

    block.register_forward_hook(again)


class _VggTop(nn.Module):
    """LPIPS's VGG16 trunk up to relu5_3, averaged over the picture: (B, 3, S, S) → (B, 512)."""

    def __init__(self, trunk: PerceptualLoss) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, images: Tensor) -> Tensor:
        x = (images - self.trunk.shift) / self.trunk.scale
        for block in self.trunk.slices:
            x = block(x)
        return x.mean(dim=(2, 3))


def _resized(picture: np.ndarray, size: int) -> Tensor:
    """(H, W, 3) uint8 → (1, 3, size, size) in [-1, 1], bilinear as FID has it, antialiased."""
    x = to_tensor(picture)
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
