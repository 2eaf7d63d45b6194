"""Edits of a photograph by one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from toonify.editing.job import EditJob, Method, edited
from toonify.engine import Photo
from toonify.errors import UsageError
from toonify.faces.subject import Domain
from toonify.utils.arguments import check_range
from toonify.utils.progress import Progress, no_progress
from toonify.utils.tensors import RGB


def edit(
    photo: Photo,
    direction: str | None = None,
    strength: float | None = None,
    *,
    mix: str | os.PathLike[str] | None = None,
    part: str | None = None,
    fusion: str | os.PathLike[str] | None = None,
    layers: str | None = None,
    method: Method = "flow",
    hfgi_network: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    keep_background: bool | None = None,
    encoder: str | None = None,
    generator: str | None = None,
    domain: Domain = "faces",
    box: Sequence[int] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
    progress: Progress = no_progress,
) -> RGB:
    """Change the largest face of a photograph; all around the head stays as it is.

    The face's w+ is moved along a direction, or mixed with another photograph's; what that changes
    in the generator's rendering is carried over to the photograph's own pixels, so that strength 0
    gives the photograph back.

    Args:
        photo: (H, W, 3) uint8 RGB, a PIL image, or a file.
        direction: a name of `toonify edit --list`, "sefa-1" and on (Shen & Zhou, 2021), or
            "FILE" or "FILE:NAME" of directions.
        strength: how far, -20 to 20; None for what is usual of the direction. `toonify edit
            --list` tells that, the unit, and how far photographs stay whole; of others it is 1.
        mix: another photograph, whose `layers` are taken.
        part: of it, in place of layers: "hair", "face", "mouth", "eyes" (Kafri et al., 2021).
        fusion: folder of StyleFusion's networks, which parts need; with "hfgi" they keep
            backgrounds.
        layers: of w+ that move or are mixed, "0-5", "8-"; None for the direction's own, and for
            those of color and light when mixing.
        method: "flow" measures the edit on renderings fitted to the face in `steps`; "hfgi" on
            renderings that have the photograph's details (Wang et al., 2022).
        hfgi_network: of "hfgi"; None for the bundle's.
        steps: of the fit to the face, 0 to 500; None for 15, 0 with "hfgi", and 200 without an
            encoder.
        keep_background: keep what is behind the head, see `KeptBackground`; None for the
            directions that turn it.
        encoder: what reads the face: a file, registry name, or bundle. None for the default
            bundle's, and in the domain "any" for none: the fit starts at the generator's average.
        generator: of the domain "any", what draws its subject.
        domain: "faces", or "any": nothing is detected, the middle square of the photograph is
            edited, or the `box`.
        box: x, y, width, height of what the photograph shows, px.
        device: where networks compute: "auto", "cpu", "cuda", "cuda:1" or "mps".
        dtype: what they compute in: "auto", "float32", "bfloat16" or "float16".
        offline: never fetch weights that are missing.
        progress: opens a bar for what is named, and is given what is done of how much.

    Returns:
        (H, W, 3) uint8.

    Raises:
        UsageError: neither a direction nor another photograph, an unknown name, a number out of
            range, or options of another method.
        InputError: an unreadable file, or no face.
        ModelError: networks that can't be loaded.

    Examples:
        >>> smiling = edit("me.jpg", "smile", 2)
        >>> in_her_light = edit("me.jpg", mix="friend.jpg")
        >>> car = edit("car.jpg", "sefa-1", 2, domain="any", generator="cars.pkl")
    """
    if direction is None and mix is None:
        raise UsageError("nothing is changed", hint="Name a `direction`, or a photo to `mix`.")
    check_range("strength", strength, -20, 20)
    job = EditJob(
        source=photo,
        direction=direction,
        strengths=None if strength is None else (strength,),
        mix=None if mix is None else Path(mix),
        part=part,
        fusion=None if fusion is None else Path(fusion),
        layers=layers,
        frame="photo",
        method=method,
        hfgi_network=None if hfgi_network is None else Path(hfgi_network),
        steps=steps,
        keep_background=keep_background,
        encoder=encoder,
        generator=generator,
        domain=domain,
        box=box,
        device=device,
        dtype=dtype,
        offline=offline,
    )
    (picture,) = edited(job, progress).pictures
    return picture
