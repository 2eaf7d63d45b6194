"""StyleMapGAN's published checkpoints."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from toonify.checkpoints import formats
from toonify.errors import ModelError, ToonifyError
from toonify.models.generators.stylemap import StyleMapEncoder, StyleMapGenerator

_HINT = "Give a checkpoint of StyleMapGAN, with g_ema and e_ema."


def load_stylemap(path: Path) -> tuple[StyleMapGenerator, StyleMapEncoder]:
    """Generator and encoder (their running averages) of a published file, evaluated and frozen.

    Raises:
        ModelError: missing, damaged, or of another method.
    """
    with formats.naming(path):
        if not path.is_file():
            raise ModelError("there is no such file", hint="Check the name.")
        contents = formats.read_torch(path)
        found = []
        for name in ("g_ema", "e_ema"):
            part = contents.get(name) if isinstance(contents, dict) else None
            if not isinstance(part, dict):
                raise ModelError(f"it holds no {name}", hint=_HINT)
            found.append(
                {
                    str(key).removeprefix("module."): value.float()
                    for key, value in part.items()
                    if isinstance(value, Tensor)
                }
            )
        state, encoder_state = found
        try:
            first = state["decoder.input.input"]
            map_size, widths = first.shape[2], {first.shape[2]: first.shape[1]}
            at = map_size
            while f"decoder.convs.{len(widths) - 1}.conv1.conv.weight" in state:
                weight = state[f"decoder.convs.{len(widths) - 1}.conv1.conv.weight"]
                at *= 2
                widths[at] = weight.shape[1]
            small = at > map_size and state["decoder.conv1.conv.gamma.weight"].shape[1] == 64
            generator = StyleMapGenerator(
                size=at, map_size=map_size, small=small and first.shape[1] != 64, widths=widths
            )
            encoder = StyleMapEncoder(size=at, map_size=map_size, widths=widths)
            parts: tuple[tuple[nn.Module, dict[str, Tensor]], ...] = (
                (generator, state),
                (encoder, encoder_state),
            )
            for network, tensors in parts:
                network.load_state_dict(tensors)
                network.eval().requires_grad_(False)
                if not all(bool(value.isfinite().all()) for value in tensors.values()):
                    raise ModelError("it holds weights that are not finite", hint=_HINT)
        except ToonifyError:
            raise
        except (KeyError, IndexError, RuntimeError) as error:
            line = (str(error).strip().splitlines() or ["?"])[-1].strip()
            raise ModelError(f"it is of another network ({line:.120})", hint=_HINT) from error
    return generator, encoder
