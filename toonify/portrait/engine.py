"""Photographs in, portraits that keep the person out: the portrait program as one object."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toonify.bundle import PORTRAIT, bundle_folder, check_part, part_path, read_manifest
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces import Face, FaceDetector, get_detector
from toonify.faces.mesh import FaceMesh
from toonify.faces.parsing import FaceParser, Network
from toonify.faces.person import PersonMatte
from toonify.names import unknown_name
from toonify.portrait.analysis import MAX_UPSAMPLING, Analysis, Analyzer, portrait_square, sample
from toonify.portrait.backgrounds import Background, parse_background, resized
from toonify.portrait.catalog import program_styles
from toonify.portrait.layers import Layers
from toonify.portrait.memory import Memory
from toonify.portrait.program import draw_picture, draw_surroundings
from toonify.portrait.shapes import Drawing, render, render_alpha
from toonify.portrait.styles import STYLES, Style, get_style

RGB = NDArray[np.uint8]
MIN_SIDE = 16  # smaller pictures hold nothing to draw
BEHIND_UPSAMPLING = 1.5  # where only surroundings are drawn, which are flat
CLIP_UPSAMPLING = 1.0  # in clips, time matters more than the last detail
CROP_LOOSE = 1.25  # side of a portrait cut out of a picture, in FFHQ crops


class PortraitEngine:
    """Draws photographs in a style: people stay who they are.

    Args:
        analyzer: measures photographs.
        detector: finds faces; None takes the default one on first use.
        styles: names that are offered, the default first.
        landmarks: what finds faces where no `detector` is given, see `get_detector`.
        offline: never fetch a detector's weights.

    Examples:
        >>> engine = PortraitEngine.from_bundle("default")
        >>> drawn = engine.stylize(photo, style="ink")  # (H, W, 3) uint8 RGB in and out
    """

    def __init__(
        self,
        analyzer: Analyzer,
        *,
        detector: FaceDetector | None = None,
        styles: Sequence[str] = tuple(STYLES),
        landmarks: str = "auto",
        offline: bool = True,
    ) -> None:
        self._analyzer = analyzer
        self._detector = detector
        self._landmarks, self._offline = landmarks, offline
        self.styles = tuple(styles)

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        detector: FaceDetector | None = None,
        landmarks: str = "auto",
        offline: bool = True,
    ) -> PortraitEngine:
        """The engine on a bundle's small networks.

        Args:
            bundle: a shipped bundle's name, or a bundle's folder.
            detector: finds faces; None takes the one of `landmarks` on first use.
            landmarks: "mtcnn", "face-alignment", or "auto" for the latter where its weights are
                cached.
            offline: never fetch a detector's weights.

        Raises:
            ModelError: the bundle offers no styles, or its files are missing or damaged.
        """
        styles = program_styles(bundle)
        if not styles:
            raise ModelError(
                f"the bundle {bundle} offers no styles",
                hint="Name one of its characters, or use the default bundle.",
            )
        return cls(
            load_analyzer(bundle),
            detector=detector,
            styles=styles,
            landmarks=landmarks,
            offline=offline,
        )

    @property
    def detector(self) -> FaceDetector:
        """The face detector, made on first use."""
        if self._detector is None:
            self._detector = get_detector(self._landmarks, offline=self._offline)
        return self._detector

    def style(self, name: str | None = None) -> Style:
        """One of the offered styles; the first without a name.

        Raises:
            UsageError: there is none of that name; the message suggests the nearest one.
        """
        if name is None:
            return get_style(self.styles[0])
        if name not in self.styles:
            raise unknown_name("style", name, self.styles)
        return get_style(name)

    def analyze(
        self,
        photo: RGB,
        *,
        faces: Sequence[Face] | None = None,
        memory: Memory | None = None,
        people: Sequence[int] | None = None,
    ) -> Analysis:
        """Measure a photograph (H, W, 3) once, to draw it in several styles.

        Args:
            faces: those in it, where they are known already.
            memory: of a clip, whose frames come in order.
            people: who each of the faces is, in a clip.
        """
        check_photo(photo)
        return self._analyzer.analyze(
            photo,
            self.detector.detect(photo) if faces is None else faces,
            upsampling=MAX_UPSAMPLING if memory is None else CLIP_UPSAMPLING,
            memory=memory,
            people=people,
        )

    def draw(
        self,
        photo: RGB | Analysis,
        style: str | None = None,
        *,
        faces: Sequence[Face] | None = None,
        memory: Memory | None = None,
        people: Sequence[int] | None = None,
    ) -> Drawing:
        """The drawing as shapes: render it at any size, or write it as SVG.

        Args:
            photo: (H, W, 3) uint8 RGB, or what `analyze` gave.
            faces: those in it, where they are known already.
            memory: see `analyze`.
            people: likewise.
        """
        chosen = self.style(style)
        measured = (
            photo
            if isinstance(photo, Analysis)
            else (self.analyze(photo, faces=faces, memory=memory, people=people))
        )
        return draw_picture(
            measured.rgb, measured.person, measured.subjects, chosen, memory=measured.memory
        )

    def find_people(
        self, photo: RGB, *, faces: Sequence[Face], memory: Memory | None = None
    ) -> Analysis:
        """Where anybody is in a photograph (H, W, 3): enough for `draw_surroundings`.

        Args:
            faces: those in it.
            memory: of a clip, whose frames come in order.
        """
        check_photo(photo)
        upsampling = BEHIND_UPSAMPLING if memory is None else CLIP_UPSAMPLING
        return self._analyzer.people(photo, faces, upsampling=upsampling, memory=memory)

    def draw_surroundings(self, measured: Analysis, style: str | None = None) -> Drawing:
        """What is behind the people of a photograph, as shapes, and their silhouette."""
        return draw_surroundings(
            measured.rgb, measured.person, self.style(style), memory=measured.memory
        )

    def stylize(
        self,
        photo: RGB,
        style: str | None = None,
        *,
        background: Background = "draw",
        size: tuple[int, int] | None = None,
        faces: Sequence[Face] | None = None,
    ) -> RGB:
        """Draw a photograph.

        Args:
            photo: (H, W, 3) uint8 RGB.
            style: one of `styles`; the first by default.
            background: "draw", "keep" (the photograph's), "transparent", or a color: RGB, or as
                CSS writes it.
            size: (width, height) of the result; the photograph's by default.
            faces: those in it, where they are known already.

        Returns:
            (H, W, 3) uint8 RGB, or (H, W, 4) with opacity where the background is transparent.
        """
        check_photo(photo)
        background = parse_background(background)
        drawing = self.draw(photo, style, faces=faces)
        return compose(drawing, photo, background=background, size=size)

    def crop(self, photo: RGB, face: Face, *, size: int = 512) -> RGB:
        """The upright portrait (size, size, 3) around one face, cut out of its photograph."""
        return sample(photo, self.crop_matrix(photo, face, size=size), (size, size))

    @staticmethod
    def crop_matrix(photo: RGB, face: Face, *, size: int = 512) -> NDArray[np.float64]:
        """(2, 3): px of `crop` -> px of the photograph."""
        return portrait_square(face, size, photo.shape[:2], loose=CROP_LOOSE)


def load_mesh(bundle: str | os.PathLike[str] = "default") -> FaceMesh:
    """A bundle's face mesh, its file's hash checked.

    Raises:
        ModelError: it is missing or damaged, or the bundle has none.
    """
    folder = bundle_folder(bundle)
    manifest = read_manifest(folder)
    check_part(folder, manifest, "face_mesh")
    return FaceMesh(part_path(folder, manifest, "face_mesh").parent)


def load_analyzer(
    bundle: str | os.PathLike[str] = "default", *, parsing: Callable[[Path], Network] | None = None
) -> Analyzer:
    """A bundle's small networks, their files' hashes checked.

    Args:
        parsing: makes what computes a parsing network of its file; OpenCV without.

    Raises:
        ModelError: files are missing or damaged, or the bundle has none.
    """
    folder = bundle_folder(bundle)
    manifest = read_manifest(folder)
    for part in PORTRAIT:
        check_part(folder, manifest, part)
    weights = part_path(folder, manifest, "parsing")
    return Analyzer(
        FaceMesh(part_path(folder, manifest, "face_mesh").parent),
        PersonMatte(part_path(folder, manifest, "person_matte")),
        FaceParser(weights, network=None if parsing is None else parsing(weights)),
    )


def compose(
    drawing: Drawing,
    photo: RGB,
    *,
    background: Background = "draw",
    size: tuple[int, int] | None = None,
) -> RGB:
    """Render a drawing over the chosen background; see `PortraitEngine.stylize`."""
    size = size or (photo.shape[1], photo.shape[0])
    if background == "draw":
        return render(drawing, size=size)
    people = render(drawing, size=size, layers=("person",))
    return layers_of(people, drawing, photo, background=background).flat()


def layers_of(
    people: RGB, drawing: Drawing, photo: RGB, *, background: Background = "draw"
) -> Layers:
    """People within a drawing's silhouette before its background, or another chosen background.

    Args:
        people: (H, W, 3), the whole picture; the layers are of its size.
        drawing: holds the silhouette and the background.
        photo: the photograph, for a background that is kept.
        background: see `PortraitEngine.stylize`.
    """
    size = (people.shape[1], people.shape[0])
    alpha = render_alpha(drawing, size=size)
    if background == "transparent":
        return Layers(people, alpha, None)
    if background == "draw":
        return Layers(people, alpha, render(drawing, size=size, layers=("background",)))
    if background == "keep":
        return Layers(people, alpha, resized(photo, size), known=False)
    behind = np.empty_like(people)
    behind[:] = background
    return Layers(people, alpha, behind)


def check_photo(photo: object) -> None:
    """Raise unless `photo` is an (H, W, 3) uint8 array of a size that can be drawn."""
    hint = "Give (H, W, 3) uint8 RGB."
    if not isinstance(photo, np.ndarray):
        raise UsageError(f"a picture is a {type(photo).__name__}, not an array", hint=hint)
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise UsageError(f"a picture is {photo.dtype} of shape {photo.shape}", hint=hint)
    if min(photo.shape[:2]) < MIN_SIDE:
        raise InputError(
            f"the picture is {photo.shape[1]}×{photo.shape[0]} px",
            hint=f"It takes {MIN_SIDE} px a side to draw something.",
        )
