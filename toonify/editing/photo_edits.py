"""Edits of a photograph by one call: what `toonify edit` does with a photo, as a function."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from toonify.editing.directions import find_direction
from toonify.editing.edits import layer_range, mixed, moved
from toonify.editing.named import Region, shipped_directions
from toonify.editing.photo_editor import PhotoEditor
from toonify.engine import Photo, as_photo
from toonify.errors import UsageError
from toonify.inversion.fitting import FitSettings
from toonify.inversion.hfgi import check_method, load_details
from toonify.inversion.model import FaceModel
from toonify.inversion.reading import PhotoReader, load_face_model
from toonify.tuning import choose_dtype
from toonify.utils.arguments import check_range
from toonify.utils.progress import Progress, no_progress
from toonify.utils.tensors import RGB

MIX_LAYERS = "8-"  # that another photograph gives: colors and light
TURNING = ("yaw", "pitch")  # directions that move a head's outline far
FIT_STEPS = 15  # of w+ to a face, where its details don't come from HFGI

Method = Literal["flow", "hfgi"]


def fit_settings(model: FaceModel, steps: int, dtype: str) -> FitSettings:
    """How a face is fitted, in the dtype that is fast here; float16's gradients would underflow."""
    name = "bfloat16" if dtype == "float16" else dtype
    return FitSettings(steps=steps, dtype=choose_dtype(name, model.device, model.generator))


def edit(
    photo: Photo,
    direction: str | None = None,
    strength: float = 1.0,
    *,
    mix: str | os.PathLike[str] | None = None,
    layers: str | None = None,
    method: Method = "flow",
    hfgi_network: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    keep_background: bool | None = None,
    encoder: str = "default",
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
        strength: how far, -20 to 20; -3 to 3 look natural. Named directions say their unit.
        mix: another photograph, whose `layers` are taken.
        layers: of w+ that move or are mixed, "0-5", "8-"; None for the direction's own, and for
            those of color and light when mixing.
        method: "flow" measures the edit on renderings fitted to the face in `steps`; "hfgi" on
            renderings that have the photograph's details (Wang et al., 2022).
        hfgi_network: of "hfgi"; None for the bundle's.
        steps: of the fit to the face, 0 to 500; None for 15, and 0 with "hfgi".
        keep_background: keep what is behind the head, see `KeptBackground`; None for the
            directions that turn it.
        encoder: what reads the face: a file, registry name, or bundle.

    Returns:
        (H, W, 3) uint8.

    Raises:
        UsageError: neither a direction nor another photograph, an unknown name, a number out of
            range, or options of another method.
        InputError: an unreadable file, or no face. ModelError: networks that can't be loaded.

    Example:
        >>> smiling = edit("me.jpg", "smile", 2)
        >>> in_her_light = edit("me.jpg", mix="friend.jpg")
    """
    if direction is None and mix is None:
        raise UsageError("nothing is changed", hint="Name a `direction`, or a photo to `mix`.")
    check_method(method, get_args(Method), hfgi_network)
    check_range("strength", strength, -20, 20)
    check_range("steps", steps, 0, 500)
    rgb = as_photo(photo)
    model = load_face_model(encoder, gradients=True, device=device, dtype=dtype)
    reader = PhotoReader(model, "face", offline=offline)
    named = shipped_directions()
    about = None if named is None or direction is None else named.about.get(direction)
    num_ws = model.generator.num_ws
    touched = layer_range(layers or (about.layers if about else None), num_ws)
    vector = None
    if direction is not None:
        vector = find_direction(direction, model.generator, touched if layers else None, named)
    details = None
    if method == "hfgi":
        network = None if hfgi_network is None else Path(hfgi_network)
        details = load_details(model, encoder, network)
    if steps is None:
        steps = 0 if details else FIT_STEPS
    with progress("reading the face") as bar:
        editor = PhotoEditor(
            model,
            rgb,
            reader.detector,
            directions=named,
            fit=fit_settings(model, steps, dtype),
            details=details,
            progress=bar,
        )
    w_plus = editor.w_plus
    if mix is not None:
        chosen = layer_range(layers, num_ws, MIX_LAYERS)
        w_plus = mixed(w_plus, reader.face_codes(Path(mix)).to(w_plus), chosen)
    region = about.region if about else "head"
    (picture,) = edited_pictures(
        editor,
        w_plus,
        vector,
        [strength],
        touched,
        region=region,
        keep_background=keeps_background(direction, keep_background),
        progress=progress,
    )
    return picture


def keeps_background(direction: str | None, wish: bool | None) -> bool:
    """Whether what is behind the head is kept: as wished, else where a direction turns it."""
    return direction in TURNING if wish is None else wish


def edited_pictures(
    editor: PhotoEditor,
    w_plus: Tensor,
    direction: Tensor | None,
    strengths: Sequence[float],
    layers: range,
    *,
    region: Region = "head",
    keep_background: bool = False,
    progress: Progress = no_progress,
) -> list[RGB]:
    """A photograph at several strengths of a direction; see `PhotoEditor.edited`.

    Args:
        w_plus: (1, num_ws, w_dim) that the direction starts from.
        direction: (w_dim,) or (num_ws, w_dim); None leaves `w_plus` as it is.
        layers: entries of w+ that move.
    """
    pictures = []
    with progress("editing") as bar:
        for done, value in enumerate(strengths):
            codes = w_plus if direction is None else moved(w_plus, direction, value, layers)
            picture = editor.edited(codes, region=region, keep_background=keep_background)
            pictures.append(picture)
            bar(done + 1, len(strengths))
    return pictures
