"""Edits of a photograph or of latents: what `edit` and `toonify edit` ask for, and its pictures."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from toonify.bundle import INVERSION, has_parts, is_bundle, model_files
from toonify.checkpoints.fusion import load_style_fusion
from toonify.editing.directions import check_direction, find_direction, fit_direction
from toonify.editing.edits import labeled, layer_range, mixed, moved, strip, write_animation
from toonify.editing.named import (
    TURNING,
    NamedDirection,
    NamedDirections,
    shipped_directions,
)
from toonify.editing.photo_editor import PhotoEditor
from toonify.engine import Photo, as_photo
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces.parsing import FaceParser
from toonify.faces.subject import Domain, check_domain, subject_of
from toonify.inversion.background_fusion import BackgroundFusion, load_fusion
from toonify.inversion.fitting import FitSettings, fit_face
from toonify.inversion.frames import resize
from toonify.inversion.hfgi import check_method, load_details
from toonify.inversion.latents import fit_w_plus
from toonify.inversion.model import FaceModel
from toonify.inversion.reading import (
    DEFAULT_ENCODER,
    PhotoReader,
    encoder_of,
    load_face_model,
)
from toonify.media.images import Image, read_image, write_image
from toonify.models.base import Generator
from toonify.models.encoders.hfgi_compact import CompactInversion
from toonify.models.fusion_tree import StyleFusion
from toonify.stylize.jobs import photographs
from toonify.tuning import gradient_dtype
from toonify.utils.arguments import check_choice, check_range
from toonify.utils.outputs import InputFiles
from toonify.utils.progress import Progress, no_progress
from toonify.utils.tensors import RGB, to_rgb

log = logging.getLogger(__name__)

SHAPED = 8  # rows of w+ that sefa directions move in faces: those of color turn them gray
MIX_LAYERS = "8-"  # that another photograph gives: colors and light
FIT_STEPS = 15  # of w+ to a face, where its details don't come from HFGI
FAR_FIT_STEPS = 200  # where no encoder says where to start
STRIP_SIDE = 512  # px, the longer side of a strip's photographs
LATENTS = ".safetensors"  # of files that `toonify invert` writes

Method = Literal["flow", "hfgi"]
Framing = Literal["photo", "whole", "face", "aligned"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EditJob:
    """What is edited, how, and by which networks.

    Attributes:
        source: a photograph, or a file of latents; None where a direction is learnt alone.
        direction: a name, "sefa-1" and on, FILE or FILE:NAME; see `find_direction`.
        strengths: how far along it, a picture each; None for once, as far as is usual of the
            direction (`NamedDirection.usual`), 1 where that isn't known.
        fit: folders of photographs with and without what the direction is learnt of instead.
        mix: photograph or latents whose `layers` are taken.
        part: of `mix`, taken in place of layers by StyleFusion's networks: "hair", "face", "mouth",
            "eyes".
        fusion: folder of those networks; with `method` "hfgi" they keep backgrounds.
        layers: entries of w+ that change, see `layer_range`; None for the direction's own,
            for those of shape along sefa directions of faces, and for those of color and light
            when mixing.
        frame: "photo" carries the edit over to the photograph's own pixels; the others render
            anew: whole frames, 256 px around the eyes, or a face that is aligned already. None
            for "photo", and "whole" of latents or with a `generator`.
        method: what a photograph's edit is measured on, see `edit`.
        hfgi_network: of "hfgi"; None for the bundle's.
        steps: of the fit to a photograph's face; None for 15, 0 with "hfgi", and 200 without an
            encoder.
        keep_background: keep what is behind the head; None for the directions that turn it.
        encoder: what reads faces: a file, registry name, or bundle. None for the default bundle's,
            and in the domain "any" for none: the fit starts at the generator's average.
        generator: what renders in place of the encoder's own.
        domain: "faces", or "any" for a StyleGAN2 of anything: nothing is detected, the middle
            square of the photograph is edited, or the `box` (see `Square`).
        box: x, y, width, height of what the photograph shows, px.
    """

    source: Photo | None = None
    direction: str | None = None
    strengths: Sequence[float] | None = None
    fit: tuple[Path, Path] | None = None
    mix: Path | None = None
    part: str | None = None
    fusion: Path | None = None
    layers: str | None = None
    frame: Framing | None = None
    method: Method = "flow"
    hfgi_network: Path | None = None
    steps: int | None = None
    keep_background: bool | None = None
    encoder: str | None = None
    generator: str | None = None
    domain: Domain = "faces"
    box: Sequence[int] | None = None
    device: str = "auto"
    dtype: str = "auto"
    offline: bool = True

    @property
    def path(self) -> Path | None:
        """The source where it is a file."""
        return Path(self.source) if isinstance(self.source, (str, os.PathLike)) else None

    @property
    def of_latents(self) -> bool:
        """Whether latents are edited, which have no photograph."""
        return self.path is not None and self.path.suffix == LATENTS

    @property
    def place(self) -> Framing:
        """`frame`, or what stands for None."""
        if self.frame is not None:
            return self.frame
        drawn = self.generator is not None and self.domain == "faces"
        return "whole" if self.of_latents or drawn else "photo"

    @property
    def onto_photo(self) -> bool:
        """Whether a photograph's own pixels are edited."""
        return self.source is not None and self.place == "photo"

    def inputs(self) -> InputFiles:
        """The files that it reads."""
        file = None if self.direction is None else self.direction.rpartition(":")[0]
        reads = [self.path, self.mix, self.direction, file or None, self.hfgi_network]
        if self.fusion is not None:
            reads += sorted(self.fusion.glob("*.pt"))
        models = model_files(encoder_of(self.domain, self.encoder), self.generator)
        inputs = InputFiles([*reads, *models])
        for folder in self.fit or ():
            for photo in _side(folder):
                inputs.add(photo)
        return inputs

    def check(self) -> None:
        """UsageError for options that don't go together, or numbers out of range."""
        if self.fit is not None and self.direction is not None:
            raise UsageError("`fit` and `direction` exclude each other", hint="Take one.")
        several = self.strengths is not None and len(self.strengths) != 1
        if several and self.direction is None and self.fit is None:
            raise UsageError("several `strengths` need a `direction`", hint="Name one.")
        check_choice("frame", self.frame, get_args(Framing))
        check_method(self.method, get_args(Method), self.hfgi_network)
        self._check_fusion()
        check_range("steps", self.steps, 0, 500, whole=True)
        check_domain(self.domain, self.box)
        if self.domain == "any":
            self._check_any()
        if not self.onto_photo:
            return
        if self.of_latents:
            raise UsageError(
                "latents have no photo to edit", hint="Give the photo, or `frame` whole."
            )
        if self.generator is not None and self.domain == "faces":
            raise UsageError(
                "another `generator` draws the whole picture", hint="Leave `frame` photo out."
            )

    def _check_fusion(self) -> None:
        """UsageError for a part without what it takes, or networks without a use."""
        if self.part is not None:
            if self.mix is None:
                raise UsageError("a `part` is of a photo to `mix`", hint="Name one.")
            if self.fusion is None:
                raise UsageError(
                    "parts are mixed by StyleFusion's networks",
                    hint="Name their folder as `fusion`; `toonify local-edit` does without.",
                )
            if self.layers is not None or self.direction is not None or self.fit is not None:
                raise UsageError("a `part` is mixed alone", hint="Leave direction and layers out.")
            if not self.onto_photo or self.method != "flow":
                raise UsageError(
                    "a `part` is mixed into a photo", hint='Leave `frame` out, and `method` "flow".'
                )
        elif self.fusion is not None and self.method != "hfgi":
            raise UsageError("nothing is fused", hint='Name a `part`, or `method` "hfgi".')

    def _check_any(self) -> None:
        """UsageError for what other subjects than faces don't have, or need."""
        face = {
            "`frame` face": self.frame == "face",
            "`method` hfgi": self.method == "hfgi",
            "`keep_background`": self.keep_background is not None,
            "`fusion`": self.fusion is not None,
        }
        for name, given in face.items():
            if given:
                raise UsageError(f"{name} is of `domain` faces", hint="Leave it out.")
        if self.of_latents and self.box is not None:
            raise UsageError("latents have no photo for a `box`", hint="Leave it out.")
        if self.encoder is not None:
            return
        if self.generator is None:
            raise UsageError("nothing renders the photo", hint="Name a `generator` of its domain.")
        if self.fit is not None:
            raise UsageError("`fit` reads many photos", hint="Name an `encoder` of them.")
        if self.source is not None and not (self.onto_photo or self.of_latents):
            raise UsageError(
                "nothing reads the photo to render it anew",
                hint="Name an `encoder`, give the file of `toonify invert`, or `frame` photo.",
            )


@dataclass(frozen=True, eq=False)
class Edited:
    """Pictures of an edit, one a strength.

    Attributes:
        pictures: each (H, W, 3) uint8.
        strengths: that they were edited by.
        photo: the file whose own pixels were edited; None where faces were rendered anew.
    """

    pictures: list[RGB]
    strengths: Sequence[float]
    photo: Image | None = None

    def write(self, path: Path, *, drop_metadata: bool = False) -> None:
        """Write the picture, with the photo's opacity and metadata; several as a strip or GIF."""
        if path.suffix.lower() == ".gif":
            write_animation(path, self.pictures)
        elif len(self.pictures) > 1:
            write_image(path, strip(self.pictures))
        elif self.photo is None:
            write_image(path, self.pictures[0])
        else:
            about = self.photo.metadata
            metadata = about.stripped() if drop_metadata else about
            write_image(path, self.pictures[0], alpha=self.photo.alpha, metadata=metadata)


def edited(job: EditJob, progress: Progress = no_progress) -> Edited:
    """The pictures of an edit.

    Raises:
        UsageError: options that don't go together, or a direction that isn't there.
        InputError: an unreadable file, or no face.
        ModelError: networks that can't be loaded.

    Examples:
        >>> job = EditJob(source="me.jpg", direction="yaw", strengths=(-2, 0, 2))
        >>> edited(job).write(Path("strip.png"))
    """
    job.check()
    if job.source is None:
        raise UsageError("nothing to edit", hint="Give a photo as `source`.")
    if job.onto_photo and not (job.direction or job.mix or job.fit):
        raise UsageError("nothing is changed", hint="Name a `direction`, or a photo to `mix`.")
    named = shipped_directions() if job.domain == "faces" else None
    if job.direction is not None:
        check_direction(job.direction, named)
    reader = _reader(job)
    generator = reader.model.generator
    about = None if named is None else named.about.get(job.direction or "")
    if named is not None and about is not None:
        named.check(generator)  # before its layers are looked for
    layers = job.layers or (about.layers if about else None)
    if layers is None and job.domain == "faces" and _found_in_generator(job.direction):
        layers = f"0-{min(SHAPED, generator.num_ws) - 1}"
    touched = layer_range(layers, generator.num_ws)
    chosen = touched if job.mix is None else layer_range(job.layers, generator.num_ws, MIX_LAYERS)
    vector = None
    if job.fit is not None:
        vector = _learnt(_others(reader, job), job.fit, progress)
    elif job.direction is not None:
        looked_at = touched if layers and about is None else None
        vector = find_direction(job.direction, generator, looked_at, named)
    strengths = job.strengths or (about.usual if about else 1.0,)
    if not job.onto_photo:
        pictures = _rendered(job, reader, vector, strengths, touched, chosen, progress)
        return Edited(pictures, strengths)
    if job.method == "flow" and named is not None and vector is not None and named.fits(generator):
        _warn_beyond(job, named, vector, strengths)
    rgb, photo = _photo(job)
    kept = job.keep_background
    if kept is None:  # what is behind heads is kept where they turn
        kept = (
            named is not None
            and vector is not None
            and named.fits(generator)
            and named.turns(job.direction, vector)
        )
    editor = _editor(job, reader, rgb, named, progress, backgrounds=kept)
    w_plus = editor.w_plus
    if job.part is not None and job.mix is not None and job.fusion is not None:
        other = _other_w_plus(job, reader, job.mix).to(w_plus)
        fusion = _style_fusion(job.fusion, reader.model.generator)
        picture = editor.mixed(fusion, other, job.part, keep_background=kept)
        return Edited([picture], strengths, photo)
    if job.mix is not None:
        w_plus = mixed(w_plus, _other_w_plus(job, reader, job.mix).to(w_plus), chosen)
    pictures = []
    with progress("editing") as bar:
        for done, value in enumerate(strengths):
            region = about.region if about else "head"
            if region == "glasses" and job.mix is None:
                pictures.append(editor.with_glasses(value))
            else:
                latents = w_plus if vector is None else moved(w_plus, vector, value, touched)
                pictures.append(editor.edited(latents, region=region, keep_background=kept))
            bar(done + 1, len(strengths))
    if len(pictures) > 1:
        pictures = [_small(picture) for picture in pictures]
    return Edited(pictures, strengths, photo)


def _warn_beyond(
    job: EditJob, named: NamedDirections, vector: Tensor, strengths: Sequence[float]
) -> None:
    """Log how far a direction holds in photographs, where it is to go further."""
    for value in (min(strengths), max(strengths)):
        limit = named.beyond(job.direction, vector, value)
        if limit is not None:
            name = job.direction or "the direction"
            log.warning("%s at %g: photos stay whole as far as %.2g", name, value, limit)
            return


def _found_in_generator(direction: str | None) -> bool:
    """Whether it is sefa-1 and on, which no photograph has been looked at for."""
    return direction is not None and direction.startswith("sefa-")


def attribute_sheet(job: EditJob, progress: Progress = no_progress) -> RGB:
    """A photograph along each named direction, as far as it holds, one below the other.

    Args:
        job: of a photograph; its direction, strengths and layers don't matter.

    Raises: as `edited`; ModelError where there are no named directions.
    """
    job.check()
    if job.domain != "faces":
        raise UsageError("named directions are of `domain` faces", hint="Take `direction` sefa-1.")
    if job.frame not in (None, "photo"):
        raise UsageError("an attribute sheet edits a photo", hint="Leave `frame` out.")
    reader = _reader(job)
    rgb, _ = _photo(job)
    named = shipped_directions()
    editor = _editor(job, reader, rgb, named, progress, backgrounds=True)
    if named is None:
        raise ModelError("this installation has no named directions", hint="Install toonify again.")
    named.check(reader.model.generator)
    rows = []
    with progress("directions") as bar:
        for done, (name, about) in enumerate(named.about.items()):
            bar(done, len(named.about))
            rows.append(_row(editor, name, named.vectors[name], about))
    return np.concatenate(rows)


def learnt_direction(job: EditJob, progress: Progress = no_progress) -> Tensor:
    """The direction that `job.fit` shows, (num_ws, w_dim); see `fit_direction`."""
    job.check()
    if job.fit is None:
        raise UsageError("nothing to learn from", hint="Name two folders as `fit`.")
    return _learnt(_reader(job), job.fit, progress)


def fit_settings(model: FaceModel, steps: int, dtype: str, domain: Domain = "faces") -> FitSettings:
    """How a face is fitted, in the dtype that is fast here."""
    chosen = gradient_dtype(dtype, model.device, model.generator)
    if domain == "any":
        return FitSettings.of_anything(model.generator, steps=steps, dtype=chosen)
    return FitSettings(steps=steps, dtype=chosen)


def _reader(job: EditJob) -> PhotoReader:
    """The networks that it takes; what is carried over to a photo is measured on the face."""
    photos = job.source is not None and not job.of_latents
    photos = photos or (job.mix is not None and job.mix.suffix != LATENTS)
    encodes, generator = photos or job.fit is not None, job.generator
    encoder = encoder_of(job.domain, job.encoder)
    bundled = encoder is not None and is_bundle(encoder) and has_parts(encoder, INVERSION)
    if not encodes and generator is None and bundled:
        generator = encoder  # what the latents were inverted with
    model = load_face_model(
        encoder if encodes else None,
        generator,
        domain=job.domain,
        gradients=job.place == "photo",
        device=job.device,
        dtype=job.dtype,
    )
    subject = subject_of(job.domain, job.box)
    framing = "face" if job.place == "photo" else job.place
    return PhotoReader(model, framing, subject=subject, offline=job.offline)


def _others(reader: PhotoReader, job: EditJob) -> PhotoReader:
    """What reads other photographs than the source, whose box is its own."""
    if job.box is None:
        return reader
    return PhotoReader(reader.model, reader.framing, subject=subject_of(job.domain))


def _other_w_plus(job: EditJob, reader: PhotoReader, path: Path) -> Tensor:
    """w+ (1, num_ws, w_dim) of another photograph; without an encoder it is fitted, too."""
    others, model = _others(reader, job), reader.model
    w_plus = others.face_w_plus(path)
    if model.encoder is not None or path.suffix == LATENTS:
        return w_plus
    fit = fit_settings(model, _fit_steps(job), job.dtype, job.domain)
    return fit_face(model.generator, None, others.face(path), w_plus, fit)


def _fit_steps(job: EditJob) -> int:
    if job.steps is not None:
        return job.steps
    if job.method == "hfgi":
        return 0
    return FAR_FIT_STEPS if encoder_of(job.domain, job.encoder) is None else FIT_STEPS


def _photo(job: EditJob) -> tuple[RGB, Image | None]:
    """Its pixels, and all of a file."""
    if job.path is not None:
        photo = read_image(job.path)
        return photo.flat, photo
    if job.source is None:
        raise UsageError("nothing to edit", hint="Give a photo as `source`.")
    return as_photo(job.source), None


def _editor(
    job: EditJob,
    reader: PhotoReader,
    rgb: RGB,
    named: NamedDirections | None,
    progress: Progress,
    *,
    backgrounds: bool,
) -> PhotoEditor:
    """A photo's face, fitted; `backgrounds` are to be kept behind it."""
    details, fusion = None, None
    if job.method == "hfgi":
        encoder = job.encoder or DEFAULT_ENCODER
        details = load_details(reader.model, encoder, job.hfgi_network)
        if backgrounds and job.fusion is not None:
            nets = _style_fusion(job.fusion, details.generator)
            fusion = BackgroundFusion(details, nets, FaceParser())
        elif backgrounds and is_bundle(encoder) and isinstance(details, CompactInversion):
            fusion = load_fusion(details, encoder)
    try:
        what = "face" if job.domain == "faces" else "photo"
        with progress(f"reading the {what}") as bar:
            return PhotoEditor(
                reader.model,
                rgb,
                reader.subject,
                directions=named,
                fit=fit_settings(reader.model, _fit_steps(job), job.dtype, job.domain),
                details=details,
                fusion=fusion,
                progress=bar,
            )
    except InputError as error:
        if job.path is None:
            raise
        raise InputError(f"{job.path}: {error}") from error


def _style_fusion(folder: Path, generator: Generator) -> StyleFusion:
    fusion = load_style_fusion(folder, device=generator.w_avg.device)
    fusion.check(generator)
    return fusion


def _rendered(
    job: EditJob,
    reader: PhotoReader,
    vector: Tensor | None,
    strengths: Sequence[float],
    touched: range,
    chosen: range,
    progress: Progress,
) -> list[RGB]:
    """Pictures that the generator makes of the edited latents."""
    model = reader.model
    if job.path is None:
        raise UsageError("only files are rendered anew", hint="Leave `frame` photo.")
    latents = reader.latents(job.path)
    latents = latents.with_w_plus(fit_w_plus(latents.w_plus, model.generator.num_ws))
    if job.mix is not None:
        other = fit_w_plus(_others(reader, job).latents(job.mix).w_plus, model.generator.num_ws)
        latents = latents.with_w_plus(mixed(latents.w_plus, other, chosen))
    if vector is None:
        return [to_rgb(model.render(latents))]
    pictures = []
    with progress("rendering") as bar:
        for done, value in enumerate(strengths):
            w_plus = moved(latents.w_plus, vector, value, touched)
            pictures.append(to_rgb(model.render(latents.with_w_plus(w_plus))))
            bar(done + 1, len(strengths))
    return pictures


def _row(editor: PhotoEditor, name: str, vector: Tensor, about: NamedDirection) -> RGB:
    """A labeled strip of one named direction."""
    row = []
    layers = layer_range(about.layers, editor.model.generator.num_ws)
    for value in about.steps():
        if about.region == "glasses":
            picture = editor.with_glasses(value)
        else:
            w_plus = moved(editor.w_plus, vector, value, layers)
            kept = name in TURNING
            picture = editor.edited(w_plus, region=about.region, keep_background=kept)
        row.append(_small(picture, STRIP_SIDE // 2))
    return labeled(strip(row), name)


def _small(picture: RGB, side: int = STRIP_SIDE) -> RGB:
    """A picture with a longer side of at most `side` px."""
    height, width = picture.shape[:2]
    scale = min(1.0, side / max(height, width))
    return resize(picture, max(1, round(height * scale)), max(1, round(width * scale)))


def _side(folder: Path) -> list[Path]:
    """The photos of one of `fit`'s folders."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Give `fit` POSITIVE/ NEGATIVE/.")
    return photographs([folder])


def _learnt(reader: PhotoReader, folders: tuple[Path, Path], progress: Progress) -> Tensor:
    """The direction from the second folder's photos to the first's."""
    sides = []
    for folder in folders:
        paths = _side(folder)
        w_plus = []
        with progress(folder.name) as bar:
            for done, path in enumerate(paths):
                bar(done, len(paths))
                try:
                    w_plus.append(reader.latents(path).w_plus.cpu())
                except InputError as error:
                    log.warning("left out: %s", error)
        if not w_plus:
            raise InputError(f"no usable photo in {folder}")
        sides.append(torch.cat(w_plus))
    return fit_direction(*sides)
