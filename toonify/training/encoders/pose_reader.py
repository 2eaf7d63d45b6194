"""What a face generator's coarse layers know of pose and expression, read by a small network.

Fitted once on sampled faces whose pose was measured in the picture (yaw, mouth opening, eyes, …),
it reads the same numbers from a latent code alone. Three uses: drawings made to order follow what
the generator can know, not a detector's noise; an encoder is taught to keep what is read; and an
encoder's latents, of which no picture exists, get drawings too.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import InputError, ModelError
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.core.schedule import ema_decay, set_rate, update_ema, warmup_cosine

Progress = Callable[[int, float], None]

_RESOLUTION = 16  # what level 6 of cross-domain style mixing hands from the photo to the character
_ROWS = 6  # rows of w+ that come from the photo there
_HELD_OUT = 0.1
_BATCH = 64
_UNREADABLE = (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError)


class PoseReader(nn.Module):
    """16×16 activations and the latent they came from → K numbers.

    Args:
        names: of the numbers.
        channels: of the activations.
        w_dim: width of the latent.
    """

    mean: Tensor
    deviation: Tensor
    feature_mean: Tensor
    feature_deviation: Tensor
    w_mean: Tensor
    w_deviation: Tensor

    def __init__(self, names: Sequence[str], *, channels: int, w_dim: int) -> None:
        super().__init__()
        self.names = tuple(names)
        count = len(self.names)
        for name, shape in (("mean", (count,)), ("w_mean", (w_dim,))):
            self.register_buffer(name, torch.zeros(shape))
            self.register_buffer(name.replace("mean", "deviation"), torch.ones(shape))
        self.register_buffer("feature_mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("feature_deviation", torch.ones(1, channels, 1, 1))
        self.body = nn.Sequential(
            nn.Conv2d(channels, 96, 1),
            nn.SiLU(),
            nn.Conv2d(96, 96, 3, 2, 1),
            nn.SiLU(),
            nn.Conv2d(96, 128, 3, 2, 1),
            nn.SiLU(),
            nn.Flatten(),
        )
        self.code = nn.Linear(w_dim, 128)
        side = _RESOLUTION // 4
        self.head = nn.Sequential(
            nn.Dropout(0.3),
            nn.Linear(128 * side * side + 128, 256),
            nn.SiLU(),
            nn.Dropout(0.2),
            nn.Linear(256, count),
        )
        self.linear = nn.Linear(w_dim, count)
        nn.init.zeros_(self.linear.weight)

    def forward(self, features: Tensor, w_plus: Tensor) -> Tensor:
        """Activations (B, C, 16, 16), w+ (B, L, w_dim) → (B, K), in deviations from the mean."""
        latent = (w_plus[:, :_ROWS].mean(1) - self.w_mean) / self.w_deviation
        x = self.body((features - self.feature_mean) / self.feature_deviation)
        return self.head(torch.cat((x, F.silu(self.code(latent))), dim=1)) + self.linear(latent)

    @torch.no_grad()
    def read(self, generator: MobileGenerator, w_plus: Tensor) -> Tensor:
        """w+ (N, L, w_dim) → the numbers (N, K), in the units they were measured in."""
        read = [self(_features(generator, part), part) for part in w_plus.float().split(_BATCH)]
        return torch.cat(read) * self.deviation + self.mean

    def save(self, path: Path) -> None:
        """Write names and weights as one file."""
        torch.save({"names": list(self.names), "state": self.state_dict()}, path)

    @classmethod
    def load(cls, path: Path) -> PoseReader:
        """Read what `save` wrote, in eval mode and frozen.

        Raises:
            ModelError: it is not there or damaged.
        """
        try:
            stored: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            state = stored["state"]
            reader = cls(
                stored["names"],
                channels=state["feature_mean"].shape[1],
                w_dim=state["w_mean"].shape[0],
            )
            reader.load_state_dict(state)
        except _UNREADABLE as error:
            raise ModelError(
                f"{path} holds no pose reader ({error})", hint="Fit it anew."
            ) from error
        return reader.eval().requires_grad_(False)


def fit_pose_reader(
    generator: MobileGenerator,
    latents: Tensor,
    values: Tensor,
    names: Sequence[str],
    *,
    steps: int = 1100,
    lr: float = 1.5e-3,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[PoseReader, dict[str, float]]:
    """Fit a reader on measured samples; the last tenth is held out.

    Args:
        generator: the face generator that the latents are of.
        latents: (N, w_dim), one row for every layer.
        values: (N, K) measurements, finite.
        names: of the K measurements.
        progress: called with (step, loss) now and then.

    Returns:
        The running average of the reader, and the share of each measurement's variance that it
        reads on the held-out samples (R²; 1 is all).

    Raises:
        InputError: too few samples, or values that are not finite.
    """
    held_out = max(1, round(_HELD_OUT * len(latents)))
    if len(latents) - held_out < _BATCH or len(latents) != len(values):
        raise InputError(
            f"{len(latents)} latents and {len(values)} measurements are too few, or not as many",
            hint="Sample more faces.",
        )
    if not bool(torch.isfinite(values).all()):
        raise InputError("a measurement is not finite", hint="Leave out faces that weren't found.")
    w_plus = latents.float()[:, None].expand(-1, generator.num_ws, -1)
    features = torch.cat([_features(generator, part).half() for part in w_plus.split(_BATCH)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = PoseReader(names, channels=features.shape[1], w_dim=latents.shape[1])
        reader.mean.copy_(values.mean(0))
        reader.deviation.copy_(values.std(0).clamp_min(1e-6))
        some = features[:512].float()
        reader.feature_mean.copy_(some.mean((0, 2, 3), keepdim=True))
        reader.feature_deviation.copy_(some.std((0, 2, 3), keepdim=True).clamp_min(1e-3))
        reader.w_mean.copy_(latents.float().mean(0))
        reader.w_deviation.copy_(latents.float().std(0).clamp_min(1e-6))
        target = (values - reader.mean) / reader.deviation
        optimizer = torch.optim.AdamW(reader.parameters(), lr=lr, weight_decay=0.1)
        average = {name: p.detach().clone() for name, p in reader.named_parameters()}
        for step in range(steps):
            set_rate(optimizer, lr * warmup_cosine(step, steps, warmup=50, floor=0.02))
            index = torch.randint(0, len(latents) - held_out, (_BATCH,))
            with torch.autocast(features.device.type, torch.bfloat16):
                found = reader(features[index].float(), w_plus[index])
            loss = F.smooth_l1_loss(found.float(), target[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            update_ema(average, dict(reader.named_parameters()), ema_decay(step, 0.99))
            if progress and (step + 1) % 50 == 0:
                progress(step + 1, float(loss.detach()))
    reader.load_state_dict({**reader.state_dict(), **average})
    reader.eval().requires_grad_(False)
    kept, wanted = slice(-held_out, None), target[-held_out:]
    found = reader(features[kept].float(), w_plus[kept])
    share = 1 - (found - wanted).square().mean(0) / wanted.var(0, unbiased=False).clamp_min(1e-12)
    return reader, dict(zip(reader.names, share.tolist(), strict=True))


@torch.no_grad()
def _features(generator: MobileGenerator, w_plus: Tensor) -> Tensor:
    styles = generator.styles(w_plus.to(generator.w_avg))
    return cast(Tensor, generator.features(styles, resolution=_RESOLUTION)).float()
