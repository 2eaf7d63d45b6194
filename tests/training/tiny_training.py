"""Tiny generators of both families, and a stand-in for LPIPS, for the training tests."""

import torch
from torch import Tensor
from torch.nn import functional as F

from toonify.models.generators.mobile import Block, MobileGenerator, ModulatedConv
from toonify.models.generators.stylegan2 import StyleGAN2Generator, channel_table

FAMILIES = ("mobile", "stylegan2")


def smooth_teacher(resolution: int, channels: list[int], *, seed: int = 0) -> MobileGenerator:
    """One whose pictures are smooth and follow the latent gently, as a trained one's do."""
    torch.manual_seed(seed)
    network = MobileGenerator(resolution=resolution, channels=channels, w_dim=16, mapping_layers=2)
    with torch.no_grad():
        for layer in network.modules():
            if hasattr(layer, "modulation"):
                torch.nn.init.normal_(layer.modulation.weight, std=0.05)
            if isinstance(layer, ModulatedConv):
                layer.bias.normal_(std=0.1)
                if layer.separable:
                    layer.depthwise.mul_(0.2)[:, :, 1, 1] += 1
            if isinstance(layer, Block):  # low bands carry a picture, details are faint
                low = layer.up.modulation.bias.shape[0] // 4
                for part in layer.up.modulation.parameters():
                    part[:low] *= 2
                    part[low:] *= 0.2
        for layer in network.mapping_net:
            torch.nn.init.normal_(layer.weight, std=0.25)
        network.to_img.weight[:3] *= 2
        network.to_img.weight[3:] *= 0.1
        network.w_avg.copy_(network.mapping(torch.randn(256, 16)).mean(0))
    return network.eval().requires_grad_(False)


def tiny_generator(family: str, *, seed: int = 0) -> MobileGenerator | StyleGAN2Generator:
    """32×32, 16-dimensional W, with a W whose average and spread are like a trained one's."""
    torch.manual_seed(seed)
    generator: MobileGenerator | StyleGAN2Generator
    if family == "mobile":
        generator = MobileGenerator(resolution=32, channels=[16, 16, 16], w_dim=16)
        for layer in generator.modules():
            if hasattr(layer, "noise"):
                layer.noise.normal_(std=0.05)
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
    else:
        channels = channel_table(32, channel_base=256, channel_max=16)
        generator = StyleGAN2Generator(
            resolution=32, channels=channels, w_dim=16, z_dim=16, mapping_layers=2
        )
        for layer in generator.modules():
            if hasattr(layer, "noise_strength"):
                torch.nn.init.constant_(layer.noise_strength, 0.05)
    with torch.no_grad():
        generator.w_avg.copy_(generator.mapping(torch.randn(256, 16)).mean(0))
    return generator.eval().requires_grad_(False)


class PixelDistance:
    """Offers `PerceptualLoss`'s methods without its weights."""

    def compiled(self) -> "PixelDistance":
        return self

    def distance_to(self, images: Tensor, wanted: list[Tensor]) -> Tensor:
        return self.distance(self.features(images), wanted)

    def features(self, images: Tensor) -> list[Tensor]:
        return [images, F.avg_pool2d(images, 4)]

    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        return sum((x - y).square().mean(dim=(1, 2, 3)) for x, y in zip(a, b, strict=True))
