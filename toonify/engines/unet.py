"""Styles drawn by a network: whole frames, in one pass, whoever is in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from toonify.bundle import bundle_folder, check_part, part_path, read_manifest
from toonify.checkpoints.translator_arrays import load_graph_unet
from toonify.engines.base import Drawing, Engine, Placed
from toonify.errors import ModelError, UsageError
from toonify.faces import Alignment, Face, FaceDetector, get_detector
from toonify.faces.person import PersonMatte
from toonify.faces.types import RGB, Points, f32
from toonify.models.graph_runtimes import GraphRuntime, check_runtime, fastest
from toonify.models.unet_graph import GraphUNet
from toonify.names import unknown_name
from toonify.portrait.analysis import sample
from toonify.portrait.backgrounds import Background, fitted, parse_background, resized
from toonify.portrait.catalog import is_style_file, network_part, network_styles, style_name
from toonify.portrait.crisp import (
    ENLARGED,
    box_around,
    crisp,
    crisp_eyes,
    lay_eyes_in,
    scaled_box,
    tone_teeth,
)
from toonify.portrait.engine import PortraitEngine
from toonify.utils.channels import largest
from toonify.utils.hashing import file_sha256

if TYPE_CHECKING:
    import torch

    from toonify.models.replay import Replayed
    from toonify.models.unet import UNet

Runtime = Literal["auto", "torch"] | GraphRuntime

WORK = 512  # px, longest side that the network sees: finer detail than in training stays as it is
EYES = 80.0  # px between a face's eyes there, at most: larger faces were not learnt from
DETAIL = 110.0  # px between a face's eyes where the eyes themselves are drawn
MOST_ZOOM = 3.0  # of a photograph, for these
AROUND_EYES = 0.55  # of that distance, seen around them: nearly twice what is laid in
CLIP_ENLARGED = 1.5  # by how much a clip's frames are, which have no time for more
SLOWLY, SUDDENLY = 0.1, 1.2  # share of a new exposure in a clip; ratio from which it is a cut's
DARK, LIT = 130.0, 200.0  # levels of its lightest parts: of a picture in the dark, and as drawn
MOST_GAIN = 5.0
OVERSAMPLING = 2.0  # of crisp drawings before they are reduced, at least
MARGIN = 16  # px that a picture is continued by
CROP_INPUT, CROP_SIDE = 384, 512  # px of a portrait, before and after
# levels of 255 by which a pixel may differ from the frame before as noise does, and as motion does
NOISE, MOTION = 3.0, 14.0


class UNetEngine(Engine):
    """Draws in styles that networks have learnt (`toonify finetune --objective pix2pix`).

    Args:
        files: style → its network's file; the first is `characters`' first.
        detector: finds faces for portraits, and says whether there are any.
        background: see `PortraitEngine.stylize`.
        max_size: longer side of drawings, px at most; of a portrait, its side.
        matte: tells people from their background; None where it is drawn.
        device: "auto", "cpu", "cuda", ….
        dtype: "auto", "float32", "bfloat16" or "float16".
        runtime: what computes. "auto" takes the fastest that is installed of those that start
            fast ("onnx", "openvino", "opencv"), unless `device` or `dtype` ask for more than they
            can (the processor, in float32). "torch" is faster for many pictures where the processor
            has bfloat16, or on a GPU, which "auto" alone does not look for.
        about: whatever else drawings depend on, JSON-able.

    Examples:
        >>> engine = UNetEngine.from_bundle("default", "ink")
        >>> (drawn,) = engine.draw_image(rgb, ["ink"], faces=[])
    """

    name = "unet"
    kind = "style"
    whole_image = True
    keeps_latents = True

    def __init__(
        self,
        files: Mapping[str, Path],
        *,
        detector: FaceDetector,
        background: Background = "draw",
        max_size: int | None = None,
        matte: PersonMatte | None = None,
        device: str | torch.device = "auto",
        dtype: str = "auto",
        runtime: Runtime = "auto",
        about: Any = None,
    ) -> None:
        self._files, self._detector, self._matte = dict(files), detector, matte
        self.background = parse_background(background)
        self.max_size, self._about = max_size, about
        self._device, self._dtype = device, dtype
        able = str(device) in ("auto", "cpu") and dtype in ("auto", "float32")
        if runtime not in ("auto", "torch") and not able:
            raise UsageError(
                f"{runtime} draws on the processor, in float32",
                hint="Leave `device` and `dtype` out, or take torch as `runtime`.",
            )
        if runtime == "auto":
            runtime = (fastest() if able else None) or "torch"
        self.runtime: Literal["torch"] | GraphRuntime = runtime
        # what is unusable is refused now
        if runtime == "torch":
            self.device  # noqa: B018
        else:
            check_runtime(runtime)
        self._networks: dict[str, UNet] = {}
        self._drawing: dict[str, Replayed[torch.Tensor]] = {}
        self._graphs: dict[str, GraphUNet] = {}

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        style: str | None = None,
        *,
        styles: Sequence[str] = (),
        detector: FaceDetector | None = None,
        landmarks: str = "auto",
        offline: bool = True,
        min_face: float | None = None,
        background: Background = "draw",
        document: str | None = None,
        **options: Any,
    ) -> UNetEngine:
        """On a bundle's networks, and on one from a file; `options` as of the class.

        Args:
            style: the one that `characters` names first: of the bundle's that a network draws, or
                a network's file; the bundle's first when None.
            styles: several of these.
            document: must be None: networks draw pixels.

        Raises:
            ModelError: the bundle offers no such network, or a file is missing or damaged.
            UsageError: an unknown style.
        """
        if document is not None:
            raise UsageError(
                f"a network draws pixels, no shapes for {document}",
                hint="Take one of the styles that the program draws.",
            )
        background = parse_background(background)
        known = bundled_networks(bundle)
        files: dict[str, Path] = {}
        for wanted in (*([style] if style is not None else []), *styles):
            if not is_style_file(wanted) and wanted not in known:
                raise unknown_name("style of a network", wanted, list(known))
            files[style_name(wanted)] = known.get(wanted, Path(wanted))
        files |= {name: path for name, path in known.items() if name not in files}
        if not files:
            raise ModelError(
                f"the bundle {bundle} has no network that draws a style",
                hint="Name the file that a training with `objective` pix2pix left as the style.",
            )
        if detector is None:
            detector = get_detector(landmarks, offline=offline, min_face=min_face)
        matte = None
        if background != "draw":
            folder = bundle_folder(bundle)
            matte = PersonMatte(part_path(folder, read_manifest(folder), "person_matte"))
        about = {"landmarks": landmarks, "min_face": min_face}
        return cls(
            files, detector=detector, background=background, matte=matte, about=about, **options
        )

    @property
    def characters(self) -> tuple[str, ...]:
        """Names of the styles, the chosen one first."""
        return tuple(self._files)

    @cached_property
    def device(self) -> torch.device:
        """Where torch computes."""
        from toonify.device import pick_device

        return pick_device(self._device)

    @cached_property
    def dtype(self) -> torch.dtype:
        """What torch computes in: "auto" is what is fast on this machine."""
        from toonify.tuning import choose_dtype

        return choose_dtype(self._dtype, self.device, self._network(self.characters[0]))

    @property
    def detector(self) -> FaceDetector:
        """What finds faces for portraits; drawing itself looks for none."""
        return self._detector

    def identity(self, character: str) -> dict[str, Any]:
        """The network and the options."""
        return {
            "network": file_sha256(self._file(character)),
            "background": self.background,
            "max_size": self.max_size,
            # without torch all compute the same, to a thousandth of a level
            "runtime": "torch" if self.runtime == "torch" else "opencv",
            "dtype": str(self.dtype) if self.runtime == "torch" else "float32",
        }

    def describe(self) -> dict[str, Any]:
        """All that a clip's frames depend on beside the picture."""
        style = self.characters[0]
        return {"engine": self.name, **self.settings(), "drawing": {style: self.identity(style)}}

    def settings(self) -> dict[str, Any]:
        """What faces are found by."""
        return {"finding": self._about}

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """The upright portrait of a face, looser than FFHQ's crop."""
        matrix = PortraitEngine.crop_matrix(rgb, face, size=CROP_INPUT)
        return Alignment(sample(rgb, matrix, (CROP_INPUT, CROP_INPUT)), matrix, face)

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """(N, 1) of nothing: styles need no code."""
        return f32(np.zeros((len(regions), 1)))

    def render(
        self, regions: Sequence[Alignment], latents: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """The portraits, each drawn in its style."""
        side = self.max_size or CROP_SIDE
        return [
            self.pixels(region.image, name, (side, side))
            for region, name in zip(regions, characters, strict=True)
        ]

    def draw_image(
        self, rgb: RGB, characters: Sequence[str], *, faces: Sequence[Face] = ()
    ) -> list[Drawing]:
        """The whole picture, whoever is in it.

        Args:
            faces: those in it, where they are known: the largest one is drawn as large as faces
                were when the network learnt.
        """
        size = fitted((rgb.shape[1], rgb.shape[0]), self.max_size)
        return [self.pixels(rgb, name, size, points_of(faces)) for name in characters]

    def steps(
        self, rgb: RGB, name: str, *, faces: Sequence[Face]
    ) -> Iterator[tuple[str, Callable[[], object]]]:
        """The network's pass, and its drawing made crisp."""
        points, size = points_of(faces), (rgb.shape[1], rgb.shape[0])
        seen = f32(resized(rgb, fitted(size, work_side(rgb, points))))
        yield "network", lambda: self.draw(seen, name)
        drawn = self.draw(seen, name)
        yield "crisp", lambda: crisp(drawn, _enlargement(drawn, max(size)))

    def draw_aligned(self, images: Sequence[RGB], characters: Sequence[str]) -> list[list[Drawing]]:
        """FFHQ crops as pictures, at their own size."""
        return [self.draw_image(image, characters) for image in images]

    def compositor(self, smooth: float) -> UNetCompositor:
        """Draws whole frames."""
        return UNetCompositor(self, smooth)

    def draw(self, photo: Points, style: str) -> RGB:
        """One pass of a style's network.

        Args:
            photo: (H, W, 3) in 0..255.

        Raises:
            UsageError: an unknown style.
            ModelError: what the network gives is not finite.
        """
        # what convolutions see beyond a picture's edge would show along it
        edges = (MARGIN, MARGIN)
        wider = np.pad(f32(photo), (edges, edges, (0, 0)), mode="reflect")
        drawn = self._pass(wider, style)
        return np.ascontiguousarray(drawn[MARGIN:-MARGIN, MARGIN:-MARGIN])

    def _pass(self, photo: Points, style: str) -> RGB:
        """The same without a margin, of a part whose rim is not used."""
        return (self._by_torch if self.runtime == "torch" else self._by_graph)(photo, style)

    def _by_torch(self, photo: Points, style: str) -> RGB:
        import torch

        from toonify.utils.tensors import to_float, to_rgb, uploaded

        network = self._replayed(style)
        pixels = torch.from_numpy(photo).permute(2, 0, 1)[None]
        x = to_float(uploaded(pixels, self.device))
        return to_rgb(network(x.contiguous(memory_format=torch.channels_last)))

    def _by_graph(self, photo: Points, style: str) -> RGB:
        assert self.runtime != "torch"
        if style not in self._graphs:
            self._graphs[style] = load_graph_unet(
                self._file(style), style=style, runtime=self.runtime
            )
        drawn = self._graphs[style](f32(photo / 127.5 - 1))
        if not np.isfinite(drawn).all():
            raise ModelError("the model's picture is not finite", hint="Get the model again.")
        return np.asarray(np.rint(np.clip(drawn, -1, 1) * 127.5 + 127.5), np.uint8)

    def pixels(
        self, rgb: RGB, style: str, size: tuple[int, int], faces: Sequence[Points] = ()
    ) -> RGB:
        """A picture (H, W, 3) drawn, `size` (width, height), over what was requested.

        Args:
            faces: as of `crisp`.
        """
        return self.behind(rgb, resized(self.crisp(rgb, style, faces, side=max(size)), size))

    def crisp(
        self, rgb: RGB, style: str, faces: Sequence[Points] = (), *, side: int | None = None
    ) -> RGB:
        """A picture (H, W, 3) drawn and made crisp; larger than the network draws it.

        Args:
            faces: (5, 2) px, eyes, nose and mouth of each, where they are known: the largest face
                is drawn as large as faces were when the network learnt, all eyes once more, larger,
                and teeth are as light as they were.
            side: px, the longest that the drawing is needed at; as large as it can be when None.
        """
        gain = exposure(rgb)
        if gain > 1:
            rgb = np.asarray(cv2.convertScaleAbs(rgb, alpha=gain), np.uint8)
        small = resized(rgb, fitted((rgb.shape[1], rgb.shape[0]), work_side(rgb, faces)))
        drawn = crisp(self.draw(f32(small), style), _enlargement(small, side))
        scale, whole = drawn.shape[1] / rgb.shape[1], (rgb.shape[1], rgb.shape[0])
        for points in faces:
            distance = apart([points])
            box = box_around(points[:2], AROUND_EYES * distance, whole)
            if box is not None:
                part = rgb[box[1] : box[3], box[0] : box[2]]
                zoom = min(DETAIL / distance, MOST_ZOOM)
                size = (round(part.shape[1] * zoom), round(part.shape[0] * zoom))
                part = crisp_eyes(self._pass(f32(resized(part, size)), style))
                lay_eyes_in(drawn, part, scaled_box(box, scale), points[:2] * f32(scale))
            box = box_around(points[3:].mean(0), 0.9 * distance, whole)
            if box is not None:
                part = rgb[box[1] : box[3], box[0] : box[2]]
                tone_teeth(drawn, part, scaled_box(box, scale), points[3:] * f32(scale))
        if gain > 1:
            drawn = np.asarray(cv2.convertScaleAbs(drawn, alpha=1 / gain), np.uint8)
        return drawn

    def behind(self, rgb: RGB, drawn: RGB) -> RGB:
        """A drawing with the background that was requested."""
        if self._matte is None:
            return drawn
        size = (drawn.shape[1], drawn.shape[0])
        alpha = cv2.resize(self._matte(rgb), size, interpolation=cv2.INTER_LINEAR)
        if self.background == "transparent":
            opacity = np.rint(np.clip(alpha, 0, 1) * 255).astype(np.uint8)
            drawn = drawn.copy()
            drawn[opacity == 0] = 0
            return np.dstack([drawn, opacity])
        if self.background == "keep":
            back = f32(resized(rgb, size))
        else:
            back = np.empty(drawn.shape, np.float32)
            back[:] = self.background
        mixed = back + (f32(drawn) - back) * f32(alpha)[..., None]
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)

    def _file(self, style: str) -> Path:
        if style not in self._files:
            raise unknown_name("style", style, list(self._files))
        return self._files[style]

    def _network(self, style: str) -> UNet:
        from toonify.checkpoints.translators import load_unet

        if style not in self._networks:
            self._networks[style] = load_unet(self._file(style), style=style, device=self.device)
        return self._networks[style]

    def _replayed(self, style: str) -> Replayed[torch.Tensor]:
        """A style's network in `dtype`."""
        from toonify.device import arithmetic
        from toonify.models.replay import Replayed

        if style not in self._drawing:
            network, dtype = self._network(style), self.dtype

            def draw(x: torch.Tensor) -> torch.Tensor:
                with arithmetic(self.device, dtype):
                    drawn: torch.Tensor = network(x)
                return drawn

            self._drawing[style] = Replayed(draw)
        return self._drawing[style]


class UNetCompositor:
    """Draws the frames of a clip, in order.

    What a camera's noise does to still parts would flicker in the drawing: before it is drawn, each
    pixel that changes no more than noise is averaged with the frames before. Frames in the dark are
    drawn as if they were lit.

    Args:
        smooth: 0 takes each frame for itself, 1 averages most.
    """

    scenes = True  # frames without people are drawn too

    def __init__(self, engine: UNetEngine, smooth: float) -> None:
        self._engine, self._smooth = engine, smooth
        self._before: Points | None = None
        self._gain: float | None = None

    def compose(self, rgb: RGB, items: list[Placed]) -> RGB:
        """A frame (H, W, 3) uint8 as a drawing of the same size."""
        engine = self._engine
        picture = resized(rgb, fitted((rgb.shape[1], rgb.shape[0]), WORK))
        gain = self._exposure(picture)
        small = f32(picture) if gain == 1 else f32(np.clip(f32(picture) * gain, 0, 255))
        if self._smooth:
            small = self._steady(small)
        drawn = crisp(engine.draw(small, engine.characters[0]), CLIP_ENLARGED)
        if gain > 1:
            drawn = np.asarray(cv2.convertScaleAbs(drawn, alpha=1 / gain), np.uint8)
        return engine.behind(rgb, resized(drawn, (rgb.shape[1], rgb.shape[0])))

    def _exposure(self, rgb: RGB) -> float:
        """What a frame is multiplied by to be drawn; it changes slowly, but at a cut."""
        now = float(exposure(rgb))
        before = self._gain if self._smooth else None
        if before is not None and max(now, before) < SUDDENLY * min(now, before):
            now = before + (now - before) * SLOWLY
        self._gain = now
        return now

    def _steady(self, frame: Points) -> Points:
        before = self._before
        if before is not None and before.shape == frame.shape:
            change = largest(np.abs(frame - before))
            moved = np.clip((cv2.blur(change, (7, 7)) - NOISE) / (MOTION - NOISE), 0, 1)
            share = f32(moved + (1 - moved) * (1 - 0.85 * self._smooth**0.5))[..., None]
            frame = f32(before + (frame - before) * share)
        self._before = frame
        return frame

    def forget(self, keep: set[int]) -> None:
        """Nothing is remembered of people."""

    def state(self) -> dict[str, np.ndarray]:
        """The averaged frame before and its exposure, to go on from."""
        if self._before is None:
            return {}
        return {"before": self._before, "gain": np.array([self._gain])}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `state()`."""
        self._before = f32(arrays["before"]) if "before" in arrays else None
        self._gain = float(arrays["gain"][0]) if "gain" in arrays else None


def _enlargement(drawn: Points | RGB, side: int | None) -> float:
    """By how much a drawing is enlarged that is needed `side` px long; None: as far as can be."""
    if side is None:
        return ENLARGED
    longest: int = max(drawn.shape[:2])
    return min(max(OVERSAMPLING * side / longest, CLIP_ENLARGED), ENLARGED)


def exposure(rgb: RGB) -> float:
    """What a picture (H, W, 3) taken in the dark is multiplied by to be drawn, 1 for others."""
    red, green, blue = cv2.split(rgb[:: max(rgb.shape[0] // 256, 1)])
    light = float(np.percentile(cv2.max(cv2.max(red, green), blue), 98))
    return min(LIT / max(light, 1.0), MOST_GAIN) if light < DARK else 1.0


def points_of(faces: Sequence[Face]) -> list[Points]:
    """Eyes, nose and mouth of each face, (5, 2) px."""
    return [face.points5 for face in faces]


def apart(faces: Sequence[Points]) -> float:
    """Px between the eyes of the largest of the faces (5, 2), 0 without any."""
    return max((float(np.hypot(*(points[1] - points[0]))) for points in faces), default=0.0)


def work_side(rgb: RGB, faces: Sequence[Points] = ()) -> int:
    """Longest side, px, at which a network draws a picture (H, W, 3) of these faces."""
    longest, distance = max(rgb.shape[:2]), apart(faces)
    return min(WORK, round(longest * EYES / distance)) if distance > EYES * longest / WORK else WORK


def bundled_networks(bundle: str | os.PathLike[str] = "default") -> dict[str, Path]:
    """Style → file of the network that draws it; a bundle's, hashes checked.

    Raises:
        ModelError: there is no such bundle, or files are missing or damaged.
    """
    folder = bundle_folder(bundle)
    manifest = read_manifest(folder)
    files = {}
    for style in network_styles(bundle):
        files[style] = check_part(folder, manifest, network_part(style))
    return files
