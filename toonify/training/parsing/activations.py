"""What the face generator's own activations tell about each part of a face it draws.

k-means clusters of the activations after the 32×32 and 64×64 blocks are face parts (hair, forehead,
cheeks, ears, clothes …), the same for every sample; so a hand-made table of what each cluster is
labels any number of faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from toonify.errors import InputError
from toonify.faces.types import Points, f32
from toonify.models.generators.mobile import MobileGenerator

GRID = 64
PARTS = ("background", "hair", "skin", "neck", "ear", "clothes")
TEMPERATURE = 55.0  # of the softmax over squared distances to the clusters


@dataclass(frozen=True, eq=False)
class Clusters:
    """Principal components of the activations, their clusters, and what these are.

    Attributes:
        mean, std: (1024,) of the activations at both resolutions.
        components: (1024, 64) principal directions of the standardized activations.
        centers: (24, 64) cluster centers along these.
        parts: (24, 6) probabilities of `PARTS` for each cluster.
    """

    mean: Points
    std: Points
    components: Points
    centers: Points
    parts: Points

    @classmethod
    def load(cls, path: Path) -> Clusters:
        """Read the .npz of a recipe.

        Raises:
            InputError: not such a file.
        """
        names = ("mean", "std", "components", "centers", "parts")
        try:
            with np.load(path) as arrays:
                return cls(*(f32(arrays[name]) for name in names))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path} holds no clusters of activations ({error})") from error


@torch.no_grad()
def principal_activations(generator: MobileGenerator, w: Points, clusters: Clusters) -> Points:
    """A latent (512,) → (64, 64, 64) principal components of its activations at each point."""
    w_plus = torch.from_numpy(f32(w))[None, None].repeat(1, generator.num_ws, 1)
    styles = generator.styles(w_plus)
    coarse = generator.features(styles, resolution=GRID // 2)
    fine = generator.run_blocks(coarse, styles, 3, 4)
    coarse = F.interpolate(coarse, size=(GRID, GRID), mode="bilinear")
    both = torch.cat([coarse, fine], 1)[0].permute(1, 2, 0).float().numpy()
    standard = (both - clusters.mean) / clusters.std
    return f32(standard @ clusters.components)


def cluster_distances(principal: Points, clusters: Clusters) -> Points:
    """(64, 64, 64) → squared distances (64, 64, 24) to the cluster centers."""
    flat = principal.reshape(-1, principal.shape[-1])
    squares = (flat**2).sum(1, keepdims=True) + (clusters.centers**2).sum(1)
    away = squares - 2 * flat @ clusters.centers.T
    return f32(away.reshape(GRID, GRID, -1))


def part_probabilities(distances: Points, clusters: Clusters) -> Points:
    """(64, 64, 24) → (64, 64, 6) probabilities of `PARTS`."""
    near = distances - distances.min(axis=-1, keepdims=True)
    share = np.exp(-near / TEMPERATURE)
    share /= share.sum(axis=-1, keepdims=True)
    return f32(share @ clusters.parts)
