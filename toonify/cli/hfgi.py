"""The options by which `invert` and `edit` keep a photograph's details (HFGI), and their use."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.common import refuse_given
from toonify.cli.inverting import Framing, Photos, present
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.inversion.hfgi import DetailModel
    from toonify.metrics.lpips import PerceptualLoss


class InvertMethod(StrEnum):
    """How a photo's details are found."""

    refine = "refine"
    hfgi = "hfgi"


InvertMethodOption = Annotated[
    InvertMethod,
    typer.Option(
        "--method",
        help="refine: by --steps. hfgi: the aligned face in one pass, its details fused into the"
        " generator's middle layers.",
    ),
]
HFGINetworkOption = Annotated[
    Path | None,
    typer.Option(
        help="Of --method hfgi: a file of `toonify train-encoder --task hfgi`. The published"
        " ckpt.pt is given as --encoder.",
        show_default="the bundle's",
    ),
]


def inverted_framing(
    ctx: typer.Context, method: InvertMethod, frame: Framing, network: Path | None
) -> Framing:
    """How photos are framed; UsageError for options of the other method."""
    if method is InvertMethod.refine:
        refuse_given(ctx, "is of --method hfgi", "hfgi_network")
        return frame
    refuse_given(ctx, "is of --method refine", "steps", "pti", "pti_steps")
    present(network)
    if frame is Framing.whole:
        refuse_given(ctx, "whole is of --method refine", "frame")
        return Framing.face
    return frame


def invert_detailed(
    photos: Photos, details: DetailModel, path: Path, stem: Path, loss: PerceptualLoss | None
) -> dict[str, Any]:
    """Write NAME.safetensors and NAME.png of one photo; what `invert` tells of it."""
    from toonify.checkpoints import generator_hash
    from toonify.inversion import optimize
    from toonify.inversion.hfgi import DetailedFace
    from toonify.inversion.latents import Latents
    from toonify.media.images import write_image
    from toonify.utils.tensors import to_rgb, to_tensor

    model = photos.model
    target = to_tensor(photos.prepare_input(path).face).to(model.device)
    face = DetailedFace(model, details, target)
    picture, latents = face.render(), Latents(face.w_plus)
    written, reconstruction = stem.with_name(f"{stem.name}.safetensors"), f"{stem}.png"
    about = {"source": path.name, "generator": generator_hash(model.generator)}
    latents.save(written, about)
    write_image(Path(reconstruction), to_rgb(picture))
    return {
        "source": str(path),
        "latents": str(written),
        "reconstruction": reconstruction,
        "encoded": optimize.likeness(model, latents, target, loss=loss),
        "hfgi": optimize.compare(picture, target, loss=loss),
    }


class EditMethod(StrEnum):
    """How an edit comes into the photo."""

    flow = "flow"
    hfgi = "hfgi"


EditMethodOption = Annotated[
    EditMethod,
    typer.Option(
        "--method",
        help="What the edit is measured on, with --frame photo. flow: renderings fitted to the"
        " face. hfgi: renderings with the photo's details in them, in one pass.",
    ),
]


def check_edit_method(
    ctx: typer.Context, method: EditMethod, network: Path | None, *, onto_photo: bool
) -> None:
    """UsageError for a method that has nothing to do, or options of another one."""
    if method is not EditMethod.hfgi:
        refuse_given(ctx, "is of --method hfgi", "hfgi_network")
        if not onto_photo:
            refuse_given(ctx, "is of --frame photo", "method")
        return
    if not onto_photo:
        raise UsageError("--method hfgi edits a photo", hint="Leave --frame and --generator out.")
    present(network)
