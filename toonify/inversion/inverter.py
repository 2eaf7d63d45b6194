"""A photograph's latents: the encoder's answer, refined, and the generator tuned to it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from toonify.editing.background import head_in_photo
from toonify.errors import UsageError
from toonify.faces.parsing import FaceParser
from toonify.faces.subject import Domain, LargestFace, check_domain, subject_of
from toonify.inversion import optimize
from toonify.inversion.frames import Framing, resize
from toonify.inversion.hfgi import DetailedFace, DetailModel, check_method, load_details
from toonify.inversion.latents import Latents
from toonify.inversion.model import FaceModel
from toonify.inversion.reading import DEFAULT_ENCODER, PhotoReader, encoder_of, load_face_model
from toonify.metrics import lpips
from toonify.models.base import Generator
from toonify.tuning import gradient_dtype
from toonify.utils.arguments import check_choice, check_range
from toonify.utils.progress import Progress, Update, no_progress
from toonify.utils.tensors import RGB, to_rgb, to_tensor

log = logging.getLogger(__name__)

STEPS = 100  # of step II; 500 as published
MOST_STEPS = 100_000
TIMED = 4  # steps after which the time of all is told
LONG = 60  # s from which on it is

Method = Literal["refine", "hfgi"]


@dataclass(frozen=True, kw_only=True, eq=False)
class InvertedPhoto:
    """What a photograph was inverted to.

    Attributes:
        latents: w+, first feature and noise maps; `save` writes them.
        reconstruction: (H, W, 3) uint8, what the generator renders of them, or of that the head
            alone, within the photograph.
        likeness: figures against the photograph after each stage, in order: "encoded", then
            "refined", "tuned" or "hfgi"; "lpips" (where its weights are there), "mae", "mse", ….
        curves: losses a step of "refine" and "tune".
        generator: the copy that was tuned to this photograph, if it was.
    """

    latents: Latents
    reconstruction: RGB
    likeness: dict[str, dict[str, float]]
    curves: dict[str, list[float]] = field(default_factory=dict)
    generator: Generator | None = None


def invert(
    photo: str | os.PathLike[str],
    *,
    encoder: str | None = None,
    generator: str | None = None,
    domain: Domain = "faces",
    box: Sequence[int] | None = None,
    frame: Framing | None = None,
    method: Method = "refine",
    hfgi_network: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    pti_steps: int = 0,
    keep_background: bool | None = None,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
    progress: Progress = no_progress,
) -> InvertedPhoto:
    """Find the latents that a generator renders a photograph from.

    "refine" is StyleGANEX's inversion (Yang et al., 2023, section 4.2): step I is the encoder's
    answer (with the default bundle, w+ is fitted to the face, too), step II refines it; pivotal
    tuning (Roich et al., 2021) may follow. "hfgi" fuses the
    details that the latent lacks into the generator's middle layers (Wang et al., 2022).

    Args:
        photo: its file.
        encoder: what reads it: a file, registry name, or bundle. None for the default bundle's,
            and in the domain "any" for none: latents start at the generator's average.
        generator: what renders; None for the encoder's own.
        domain: "faces", or "any" for a StyleGAN2 of anything: nothing is detected, the middle
            square of the photograph is inverted, or the `box` (see `Square`).
        box: x, y, width, height of what the photograph shows, px.
        frame: "whole" (the default of "refine"), "face" for 256 px around the eyes at training
            size (that of "hfgi"), or "aligned" for a photograph that is an aligned face.
        method: "refine" or "hfgi", see above.
        hfgi_network: of "hfgi"; None for the bundle's.
        steps: that refine the encoder's answer; 0 for none, None for 100, and none with "hfgi".
            They need LPIPS's weights.
        pti_steps: that tune a copy of the generator to the photograph.
        keep_background: show the head of the rendering within the photograph, see
            `head_in_photo`. None: in whole frames without steps, whose background is a guess.
        seed: of the noise that steps add.
        device: where networks compute: "auto", "cpu", "cuda", "cuda:1" or "mps".
        dtype: what they compute in: "auto", "float32", "bfloat16" or "float16".
        offline: never fetch weights that are missing.
        progress: opens a bar for what is named, and is given what is done of how much.

    Returns:
        Latents, what the generator renders of them, and how alike that is.

    Raises:
        UsageError: an unknown name, a number out of range, or options of another method.
        InputError: an unreadable file, or no face in it.
        ModelError: networks that can't be loaded, or that don't fit each other.

    Examples:
        >>> found = invert("me.jpg", steps=0)
        >>> found.latents.w_plus.shape, list(found.likeness)
        (torch.Size([1, 14, 512]), ['encoded'])
    """
    check_method(method, get_args(Method), hfgi_network)
    check_choice("frame", frame, get_args(Framing))
    check_range("steps", steps, 0, MOST_STEPS, whole=True)
    check_range("pti_steps", pti_steps, 0, MOST_STEPS, whole=True)
    check_range("seed", seed, whole=True)
    check_inversion(domain, box, frame, method, encoder, generator, keep_background)
    if method == "hfgi":
        if frame == "whole" or steps or pti_steps:
            raise UsageError(
                '"hfgi" inverts an aligned face in one pass',
                hint="Leave `frame` whole, `steps` and `pti_steps` out.",
            )
        steps = 0
    steps = STEPS if steps is None else steps
    encoder = encoder_of(domain, encoder)
    model = load_inversion(
        encoder,
        generator,
        domain=domain,
        optimized=method == "refine",
        device=device,
        dtype=dtype,
    )
    framing: Framing = frame or ("face" if method == "hfgi" else "whole")
    reader = PhotoReader(model, framing, subject=subject_of(domain, box), offline=offline)
    if method == "hfgi":
        network = None if hfgi_network is None else Path(hfgi_network)
        details = load_details(model, encoder or DEFAULT_ENCODER, network)
        return invert_detailed(reader, details, Path(photo))
    loss = None
    if steps or pti_steps:
        loss = lpips.PerceptualLoss(dtype=model.dtype).to(model.device)
    return invert_photo(
        reader,
        Path(photo),
        loss=loss,
        steps=steps,
        pti_steps=pti_steps,
        keep_background=keep_background,
        seed=seed,
        progress=progress,
    )


def load_inversion(
    encoder: str | None,
    generator: str | None,
    *,
    domain: Domain,
    optimized: bool,
    device: str,
    dtype: str,
) -> FaceModel:
    """`load_face_model`; where latents are `optimized` or fitted, in the dtype that is fast here.

    Raises: as `load_face_model`.
    """
    model = load_face_model(
        encoder, generator, domain=domain, gradients=True, device=device, dtype=dtype
    )
    if optimized:
        model.dtype = gradient_dtype(dtype, model.device, model.generator)
    return model


def check_inversion(
    domain: Domain,
    box: Sequence[int] | None,
    frame: Framing | None,
    method: Method,
    encoder: str | None,
    generator: str | None,
    keep_background: bool | None = None,
) -> None:
    """UsageError for what a domain or method doesn't have, or needs."""
    check_domain(domain, box)
    if keep_background is not None and (
        domain != "faces" or method == "hfgi" or frame == "aligned"
    ):
        raise UsageError(
            "`keep_background` is of frames around faces", hint="Leave it out, or take frame whole."
        )
    if domain == "faces":
        return
    if frame == "face":
        raise UsageError("`frame` face is of `domain` faces", hint="Take whole, or aligned.")
    if method == "hfgi":
        raise UsageError("`method` hfgi is of `domain` faces", hint="Leave it out.")
    if encoder is None and generator is None:
        raise UsageError("nothing renders the photo", hint="Name a `generator` of its domain.")


def invert_photo(
    reader: PhotoReader,
    photo: Path,
    *,
    loss: lpips.PerceptualLoss | None,
    steps: int = 0,
    pti_steps: int = 0,
    keep_background: bool | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> InvertedPhoto:
    """`invert` by "refine", with networks that are loaded already.

    Args:
        loss: LPIPS; None where its weights are not there, and then nothing is refined.
        keep_background: see `invert`.
    """
    model = reader.model
    aligned, latents = reader.read(photo)
    target, views = optimize.target_of(aligned, latents, model.device), optimize.Views.of(aligned)
    likeness = {"encoded": optimize.likeness(model, latents, target, loss=loss)}
    curves: dict[str, list[float]] = {}
    tuned: Generator | None = None
    if steps and loss:
        refined = optimize.RefineSettings(steps=steps, seed=seed)
        if model.encoder is None:
            refined = optimize.RefineSettings.from_average(model.generator, steps=steps, seed=seed)
        with progress(photo.name) as bar:
            latents, curves["refine"] = optimize.refine(
                model,
                latents,
                target,
                loss=loss,
                views=views,
                settings=refined,
                progress=_announced(photo.name, target, bar),
            )
        likeness["refined"] = optimize.likeness(model, latents, target, loss=loss)
    if pti_steps and loss:
        with progress(f"{photo.name}, generator") as bar:
            model, curves["tune"] = optimize.tune(
                model,
                latents,
                target,
                loss=loss,
                views=views,
                settings=optimize.TuneSettings(steps=pti_steps),
                progress=_announced(f"{photo.name}, generator", target, bar),
            )
        tuned = model.generator
        likeness["tuned"] = optimize.likeness(model, latents, target, loss=loss)
    rendering = to_rgb(model.render(latents))
    if keep_background is None:
        keep_background = reader.framing == "whole" and isinstance(reader.subject, LargestFace)
        keep_background = keep_background and not (steps or pti_steps)
    if keep_background and aligned.frame is not None and aligned.crop is not None:
        height, width = rendering.shape[:2]
        sides = np.array([width, height]) / aligned.frame.shape[1::-1]
        crop, frame = aligned.crop.scaled(sides), resize(aligned.frame, height, width)
        rendering = head_in_photo(frame, rendering, crop, FaceParser())
    return InvertedPhoto(
        latents=latents,
        reconstruction=rendering,
        likeness=likeness,
        curves=curves,
        generator=tuned,
    )


def _announced(name: str, target: Tensor, bar: Update) -> optimize.Progress:
    """Steps for a bar; where they take a while, that is logged once it can be told."""
    times: list[float] = []

    def step_done(step: int, steps: int, loss: float) -> None:
        bar(step, steps)
        times.append(time.monotonic())
        if step != TIMED:
            return
        left = (times[-1] - times[0]) / (TIMED - 1) * (steps - step)
        if left >= LONG:
            height, width = target.shape[2:]
            about = f"{steps} steps of {width}x{height} px"
            log.warning("%s: %s take about %.0f minutes", name, about, max(1, left / 60))

    return step_done


def invert_detailed(
    reader: PhotoReader,
    details: DetailModel,
    photo: Path,
    *,
    loss: lpips.PerceptualLoss | None = None,
) -> InvertedPhoto:
    """`invert` by "hfgi", of the aligned face, with networks that are loaded already."""
    model = reader.model
    target = to_tensor(reader.prepare_input(photo).face).to(model.device)
    face = DetailedFace(model, details, target)
    picture, latents = face.render(), Latents(face.w_plus)
    return InvertedPhoto(
        latents=latents,
        reconstruction=to_rgb(picture),
        likeness={
            "encoded": optimize.likeness(model, latents, target, loss=loss),
            "hfgi": optimize.compare(picture, target, loss=loss),
        },
    )
