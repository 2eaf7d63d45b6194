"""How good an encoder is on faces it was not trained on, and what that looks like."""

from __future__ import annotations

import torch
from torch import Tensor

from toonify.models.encoders.trainable import TrainableEncoder
from toonify.training.encoders.data import Batch, EncoderData
from toonify.training.encoders.losses import EncoderLoss
from toonify.training.encoders.variants import inputs
from toonify.utils.tensors import to_uint8

TOGETHER = 8
SHOWN = 12


@torch.no_grad()
def validate(
    encoder: TrainableEncoder, loss: EncoderLoss, data: EncoderData
) -> tuple[dict[str, float], Tensor]:
    """Metrics on the held-out faces, all residual steps taken, and a picture of some.

    Returns:
        metrics, each a mean: `photo_l2`, `photo_lpips` and `photo_identity` (similarity) of
        photographs, `pair_latent` and `pair_features` (the losses) of generated faces and, without
        photographs, `pair_l2` and so on; and tiles (N, 3, S, 2S) uint8, face beside
        reconstruction.
    """
    training = encoder.training
    encoder.eval()
    device = loss.generator.w_avg.device
    metrics: dict[str, float] = {}
    tiles: list[Tensor] = []
    try:
        photos, pairs = data.held_out_photos(), data.held_out_pairs()
        if photos is not None:
            metrics |= _measure(encoder, loss, photos.to(device), "photo", True, tiles)
        if pairs is not None:
            images = photos is None
            metrics |= _measure(encoder, loss, pairs.to(device), "pair", images, tiles)
    finally:
        encoder.train(training)
    return metrics, to_uint8(torch.cat(tiles)[:SHOWN])


def _measure(
    encoder: TrainableEncoder,
    loss: EncoderLoss,
    faces: Batch,
    kind: str,
    images: bool,
    tiles: list[Tensor],
) -> dict[str, float]:
    sums: dict[str, float] = {}
    count = len(faces.images)
    for start in range(0, count, TOGETHER):
        part = Batch(faces.images[start : start + TOGETHER], faces.w_plus[start : start + TOGETHER])
        photos = inputs(encoder, part.images)
        with torch.autocast(photos.device.type, torch.bfloat16, enabled=loss.bfloat16):
            w_plus = encoder.encode(photos, loss.generator).float()
        targets = loss.targets(part, every_term=images)
        terms = loss.latent_terms(w_plus, targets)
        if images:
            rendered = loss.render(w_plus)
            terms |= loss.image_terms(rendered, targets)
            if len(tiles) * TOGETHER < SHOWN:
                tiles.append(torch.cat([targets.images, rendered], dim=3))
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value.item() * len(part.images) / count
    if "identity" in sums:
        sums["identity"] = 1 - sums["identity"]
    return {f"{kind}_{name}": value for name, value in sums.items()}
