"""Characters by cross-domain style mixing on FFHQ crops (CDSM, see `toonify.cdsm`)."""

from __future__ import annotations

import copy
import os
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Any, Self, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from toonify.bundle import (
    ATTRIBUTES,
    PORTRAIT,
    Bundle,
    bundle_defaults,
    check_part,
    has_parts,
)
from toonify.cdsm import DEFAULT_LEVEL, cross_domain_styles
from toonify.checkpoints import generator_hash
from toonify.checkpoints.attributes import load_attribute_offsets
from toonify.device import pick_device
from toonify.engines.base import Drawing, Engine, FrameCompositor
from toonify.engines.head_compositor import HeadCompositor
from toonify.engines.head_paste import HeadPaster
from toonify.engines.measured_head import MeasuredHead
from toonify.engines.mixing import MixingEngine, MixingModel, chunks
from toonify.engines.own_colors import in_own_colors
from toonify.engines.own_glasses import with_glasses
from toonify.engines.portrait import StyleEngine
from toonify.engines.registry import load_engine, load_style_engine, style_engine
from toonify.errors import UsageError
from toonify.faces import Alignment, Face, align, paste_back
from toonify.faces.alignment import silhouette_mask
from toonify.faces.attributes import measure_attributes
from toonify.faces.matte import drawing_matte
from toonify.faces.mesh import FaceMesh
from toonify.faces.occlusion import OcclusionMask
from toonify.faces.parsing import RememberingParser
from toonify.faces.torch_parsing import TorchParsing
from toonify.faces.types import RGB, Points, f32
from toonify.lut import CharacterTable
from toonify.models.attribute_offsets import COLORS, FIRST, GLASSES, AttributeOffsets
from toonify.models.attribute_vector import GLASSES_WORN, HAIR, LENGTH, SKIN
from toonify.models.base import Encoder, Generator
from toonify.portrait.backgrounds import Background, parse_background
from toonify.portrait.catalog import program_styles, style_networks
from toonify.portrait.crisp import crisp
from toonify.portrait.engine import load_mesh
from toonify.portrait.layers import Layers
from toonify.tuning import kept_dtype, sharing_cores
from toonify.utils.tensors import smoothstep, stacked, start_download, uploaded

# probabilities below and above which glasses are not or wholly drawn: folds under eyes reach 0.75
GLASSES_SURE = 0.78, 0.82
R = TypeVar("R")
LOOK_EVERY = 4  # frames of a clip between looks at somebody's attributes


class CdsmModel(MixingModel):
    """Generator, encoder and characters that belong together, ready to draw.

    Args:
        generator: layer-swapped generator.
        encoder: photo → w+ of that generator.
        table: its characters.
        attribute_offsets: what lets people through to characters at levels above 6; None mixes
            the photograph's own styles up to any level, as published.
        device, dtype: as of `MixingModel`.

    Raises:
        UsageError: the encoder's w+ or a character's is not of the generator's shape.
    """

    table: CharacterTable

    def __init__(
        self,
        *,
        generator: Generator,
        encoder: Encoder,
        table: CharacterTable,
        attribute_offsets: AttributeOffsets | None = None,
        device: str | torch.device = "auto",
        dtype: str = "auto",
    ) -> None:
        _check_shapes(generator, encoder, table)
        super().__init__(generator, encoder, table, device=device, dtype=dtype)
        self.generator, self.encoder = generator, encoder
        if attribute_offsets is not None:
            attribute_offsets = attribute_offsets.eval().requires_grad_(False).to(self.device)
            self._networks["attribute_offsets"] = attribute_offsets
        self.attribute_offsets = attribute_offsets
        self._encode, self._draw = self._replayed(self._encoded), self._replayed(self._drawn)

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        device: str | torch.device = "auto",
        dtype: str = "auto",
    ) -> CdsmModel:
        """Load a shipped bundle by name, or one from a folder.

        Raises:
            ModelError: the bundle can't be loaded.
            UsageError: no such device or dtype.
        """
        chosen = pick_device(device)
        loaded = Bundle.load(bundle, device=chosen)
        return cls(
            generator=loaded.generator,
            encoder=loaded.encoder,
            table=loaded.table,
            attribute_offsets=_offsets(loaded),
            device=chosen,
            dtype=kept_dtype(chosen, bundle) if dtype == "auto" else dtype,
        )

    @property
    def characters(self) -> tuple[str, ...]:
        """Names in the look-up table."""
        return self.table.names

    def _network_hashes(self) -> dict[str, str]:
        """The generator's is the table's: they were checked against each other."""
        others = {k: n for k, n in self._networks.items() if k != "generator"}
        hashes = {"generator": self.table.generator_hash}
        return hashes | {name: generator_hash(network) for name, network in others.items()}

    def lets_through(self, character: str, level: int) -> bool:
        """Whether a level above 6 draws the person's attributes in the character's manner."""
        offsets = self.attribute_offsets
        return offsets is not None and level >= FIRST and character in offsets.characters

    def mixes_colors(self, level: int) -> bool:
        """Whether `trgb` and `color` change anything: with color layers below the level, from
        which on all is the character's. A compact generator has one, its last."""
        layers = self.generator.layers
        return any(layer.kind == "rgb" and layer.latent_index < level for layer in layers)

    @torch.inference_mode()
    def encode(self, crops: Sequence[RGB]) -> Tensor:
        """Aligned (S, S, 3) uint8 crops → w+ (B, num_ws, w_dim) float32."""
        size = self.encoder.input_size
        alike = len({crop.shape for crop in crops}) == 1
        parts = [crops] if alike else [[crop] for crop in crops]
        photos = [_resized(stacked(part, self.device), size) for part in parts]
        return self._encode(torch.cat(photos))

    def _encoded(self, photos: Tensor) -> Tensor:
        with self.autocast():
            return self.encoder.encode(photos, self.generator).float()

    def _drawn(self, *styles: Tensor) -> Tensor:
        with self.autocast():
            return self.generator.synthesize(styles)

    def render(self, w_photo: Tensor, character: str, **options: Any) -> list[RGB]:
        """w+ (B, num_ws, w_dim) → B drawings, (R, R, 3) uint8; arguments as of `start`."""
        return self.start(w_photo, character, **options)()

    @torch.inference_mode()
    def start(
        self,
        w_photo: Tensor,
        character: str,
        *,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
        color: float = 1.0,
        attributes: Tensor | None = None,
    ) -> Callable[[], list[RGB]]:
        """Begin to draw w+ (B, num_ws, w_dim).

        Args:
            attributes: (B, 17) of `FaceAttributes.vector`, on the CPU: what is drawn of the
                people where `lets_through`; rows of w+ from 6 on are the character's then.

        Returns:
            what waits for the B drawings, (R, R, 3) uint8.

        Raises:
            UsageError: unknown character, or options out of range.
        """
        w_photo, w_character = (
            uploaded(w_plus, self.device)
            for w_plus in (w_photo, self.table[character].w_plus[None])
        )
        steered = attributes is not None and self.lets_through(character, level)
        mixed = min(level, DEFAULT_LEVEL) if steered else level
        styles = cross_domain_styles(
            self.generator, w_photo, w_character, level=mixed, trgb=trgb, color=color
        )
        if steered:
            assert self.attribute_offsets is not None and attributes is not None
            styles = self.attribute_offsets.steer(styles, attributes, character, level=level)
        return start_download(self._draw(*styles))


def _check_shapes(generator: Generator, encoder: Encoder, table: CharacterTable) -> None:
    wanted = (generator.num_ws, generator.w_dim)
    serves = encoder.serves(generator.num_ws) and encoder.w_dim == generator.w_dim
    misfits = [] if serves else [f"the encoder's is {(encoder.num_ws, encoder.w_dim)}"]
    for name in table.names[:1]:  # a table's are all alike
        shape = tuple(table[name].w_plus.shape)
        misfits += [] if shape == wanted else [f"the table's are {shape}"]
    if misfits:
        raise UsageError(
            f"the generator takes w+ of {wanted}, {misfits[0]}",
            hint="Give the encoder and the table made for this generator.",
        )


@dataclass(frozen=True, eq=False)
class _Headless:
    """A photograph drawn, and whose heads are to be set into it."""

    photo: weakref.ref[RGB]
    key: Any
    picture: Layers
    heads: list[MeasuredHead | None]


class CdsmEngine(MixingEngine[CdsmModel]):
    """Draws people as characters: each FFHQ crop by style mixing, set into the picture as a head.

    Args:
        model: networks and characters.
        bundle: whose small networks tell hair and hats when a head is set into a picture, and in
            whose first style the rest of the picture is drawn; None leaves the photograph, and
            pastes heads by their silhouettes.
        background: what is behind the people of such a picture, see `StyleEngine`.
        options: as of `MixingEngine`.
    """

    name = "cdsm"
    clears_hair = True

    def __init__(
        self,
        model: CdsmModel,
        *,
        bundle: str | os.PathLike[str] | None = None,
        background: Background = "draw",
        **options: Any,
    ) -> None:
        super().__init__(model, **options)
        self.background = parse_background(background)
        self._bundle = bundle
        self._last: _Headless | None = None
        # a style that the rest of a picture is drawn in
        self._style = None if bundle is None else next(iter(program_styles(bundle)), None)
        # shared by copies with other options
        # beside a GPU the processor has time
        on_cpu = model.device.type == "cpu"
        parsing = partial(TorchParsing, dtype=model.dtype) if on_cpu else None
        network = parsing or (lambda: None)
        self._parser = cache(lambda: RememberingParser(mirrored=False, network=network()))
        self._occlusion = cache(lambda: OcclusionMask(self._parser()))

        @cache
        def paster() -> HeadPaster | None:
            known = bundle is not None and has_parts(bundle, PORTRAIT)
            own = bundle or "default"
            if not known:
                return None
            return HeadPaster.from_bundle(own, parser=self._parser(), parsing=parsing)

        @cache
        def mesh() -> FaceMesh | None:
            known = bundle is not None and has_parts(bundle, PORTRAIT)
            return load_mesh(bundle or "default") if known else None

        @cache
        def surroundings(background: Background) -> StyleEngine:
            made = load_style_engine(
                self._style,
                bundle or "default",
                background=background,
                detector=self.detector,
                device=str(self.model.device),
            )
            assert isinstance(made, StyleEngine)
            return made

        @cache
        def clip_style(background: Background) -> Engine:
            own, style = bundle or "default", self._style or ""
            name = style_engine([style], own, prefer=bundle_defaults(own).clips)
            more: dict[str, Any] = {"background": background}
            if name != "portrait":
                more["device"] = str(self.model.device)
            if name == "unet":
                more["runtime"] = "torch"
            return load_engine(name, own, style=style, detector=self.detector, **more)

        self._paster, self._surroundings, self._clip_style = paster, surroundings, clip_style
        self._mesh = mesh

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        device: str | torch.device = "auto",
        dtype: str = "auto",
        **options: Any,
    ) -> CdsmEngine:
        """On a bundle's generator, encoder and characters; `options` as of the class.

        Raises:
            ModelError: the bundle can't be loaded.
            UsageError: no such device or dtype.
        """
        model = CdsmModel.from_bundle(bundle, device=device, dtype=dtype)
        return cls(model, bundle=bundle, **options)

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """FFHQ crop of the face at the generator's resolution."""
        return align(rgb, face, self.model.generator.resolution)

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """As `MixingEngine.encode`, side by side."""
        encode = super().encode
        return f32(np.concatenate(self._in_parallel(encode, regions)))

    def render(
        self, regions: Sequence[Alignment], latents: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """As `MixingEngine.render`, side by side."""
        parts = self._in_parallel(super().render, regions, latents, characters)
        return [toon for part in parts for toon in part]

    def _in_parallel(self, work: Callable[..., R], *rows: Any) -> list[R]:
        """What `work` makes of rows, in order, in as many parts as torch has threads: of small
        networks two with a thread each draw more than one with two, above all where other programs
        want the cores, too."""
        lanes = min(len(rows[0]), torch.get_num_threads())
        if lanes < 2 or self.model.device.type != "cpu":
            return [work(*rows)]
        ends = [len(rows[0]) * lane // lanes for lane in range(lanes + 1)]
        parts = [[row[a:b] for row in rows] for a, b in pairwise(ends)]
        if self._lets_through:
            self._parser()  # made once
        with sharing_cores(lanes), ThreadPoolExecutor(lanes) as pool:
            return list(pool.map(lambda part: work(*part), parts))

    def encode_clip(self, regions: Sequence[Alignment], people: Sequence[int]) -> Points:
        """As `encode`; attributes are each person's of one frame in `LOOK_EVERY`."""
        if not self._lets_through:
            return self.encode(regions)
        rows_of: dict[int, list[int]] = {}
        for row, person in enumerate(people):
            rows_of.setdefault(person, []).append(row)
        looks = {
            row: rows[n - n % LOOK_EVERY] for rows in rows_of.values() for n, row in enumerate(rows)
        }
        w_plus = [
            self.model.encode([self._face(region) for region in part])
            for part in chunks(regions, self.batch_size)
        ]
        # seen by the processor, while a GPU encodes
        seen = {row: self._attributes([self._face(regions[row])]) for row in set(looks.values())}
        attributes = torch.cat([seen[looks[row]] for row in range(len(regions))])
        return f32(_joined(torch.cat(w_plus), attributes).numpy())

    def _latents(self, faces: Sequence[RGB]) -> Tensor:
        """w+, and at levels that let people through further rows for their attributes."""
        w_plus = self.model.encode(faces)
        # attributes are seen by the processor, while a GPU encodes
        return _joined(w_plus, self._attributes(faces)) if self._lets_through else w_plus

    @property
    def _lets_through(self) -> bool:
        return any(self.model.lets_through(name, self.level) for name in self.characters)

    def _attributes(self, faces: Sequence[RGB]) -> Tensor:
        """What is seen of people in crops, (B, 17)."""
        seen = [measure_attributes(face, self._parser()).vector() for face in faces]
        return torch.from_numpy(np.stack(seen))

    def _render(
        self, images: Sequence[RGB], latents: Tensor, character: str
    ) -> Callable[[], list[RGB]]:
        w_plus, rest = latents.tensor_split([self.model.num_ws], dim=1)
        options: dict[str, Any] = {"level": self.level, "trgb": self.trgb, "color": self.color}
        if not self.model.lets_through(character, self.level):
            return self.model.start(w_plus, character, **options)
        measured = rest.shape[1] > 0  # by an engine of such a level
        attributes = rest.flatten(1)[:, :LENGTH] if measured else self._attributes(images)
        glasses = self._drawn_glasses(attributes, character)
        seen = attributes.clone()
        seen[:, GLASSES_WORN] -= glasses
        toons = self.model.start(w_plus, character, attributes=seen, **options)
        return lambda: [
            self._finished(toon, row, worn)
            for toon, row, worn in zip(toons(), attributes, glasses, strict=True)
        ]

    def _drawn_glasses(self, attributes: Tensor, character: str) -> Tensor:
        """Of each person's glasses and sunglasses, (B, 2), those that are drawn as curves: on a
        character that has glasses of its own, dark ones alone."""
        offsets = self.model.attribute_offsets
        assert offsets is not None
        worn = attributes[:, GLASSES_WORN]
        if self.level < GLASSES or self._mesh() is None:
            return torch.zeros_like(worn)
        if offsets.characters[character].glasses:
            return worn * (worn[:, 1:] > 0.5)
        return worn

    def _finished(self, toon: RGB, attributes: Tensor, glasses: Tensor) -> RGB:
        """A drawing in the colors that a person's attributes (17,) tell, crisp, and with `glasses`
        and sunglasses (2,)."""
        seen = self._parser().parse(toon)
        skin, hair = (attributes[part].tolist() for part in (SKIN, HAIR))
        half = (toon.shape[1] // 2, toon.shape[0] // 2)
        colored = in_own_colors(
            np.asarray(cv2.resize(toon, half, interpolation=cv2.INTER_AREA), np.uint8),
            seen,
            skin=tuple(skin[:3]) if skin[3] else None,
            hair=tuple(hair[:3]) if hair[3] else None,
            share=0.5 if self.level < COLORS else 1.0,
        )
        # what lies between the generator's own drawings has hatched areas and soft lines
        out = crisp(colored, 2.0)
        worn, dark = smoothstep(glasses, *GLASSES_SURE).tolist()
        if worn and (mesh := self._mesh()) is not None:
            out = with_glasses(out, mesh, worn=worn, dark=dark)
        self._parser().remember(out, seen, mirrored=False)
        return out

    def identity(self, character: str) -> dict[str, Any]:
        """As of `MixingEngine`, and what the rest of a picture is drawn by."""
        own = super().identity(character) | {"background": self.background}
        if self._bundle is None or self._style is None:
            return own
        return own | {"style": self._style, **style_networks(self._bundle, self._style)}

    def before(self, background: Background) -> Self:
        """The same engine with another background; networks and detector are shared."""
        other = copy.copy(self)
        other.background = parse_background(background)
        return other

    def paste_all(self, rgb: RGB, regions: Sequence[Alignment], drawings: Sequence[Drawing]) -> RGB:
        """Each drawing's whole head on its person's neck, the rest drawn in the bundle's style;
        (H, W, 4) with opacity where the background is transparent.

        Where the bundle has no styles, the rest stays the photograph; where it lacks the networks
        that tell hair and hats, heads are pasted by their silhouettes.
        """
        paster = self._paster()
        if paster is None:
            return super().paste_all(rgb, regions, drawings)
        picture, heads = self._without_heads(paster, rgb, [region.face for region in regions])
        # smallest first, so that nearer people stay in front
        everybody = list(zip(regions, drawings, heads, strict=True))
        for region, toon, head in reversed(everybody):
            assert not isinstance(toon, bytes)
            picture = paster(picture, toon, region, head, tinted=self._tinted)
        return picture.flat()

    def _without_heads(
        self, paster: HeadPaster, rgb: RGB, faces: Sequence[Face]
    ) -> tuple[Layers, list[MeasuredHead | None]]:
        """What heads are set into, and whose they are; the last photograph's is kept, as long as
        that exists, for other characters."""
        places = [tuple(face.box) for face in faces]
        last = self._last
        if last is None or last.photo() is not rgb or last.key != (places, self.background):
            picture = Layers.of_photo(rgb)
            if self._style is not None:
                picture = self._surroundings(self.background).layers(rgb, faces, self._style)
            photo = weakref.ref(rgb, lambda _: self._forget())
            key = (places, self.background)
            last = self._last = _Headless(photo, key, picture, paster.measure(rgb, faces))
        return last.picture, last.heads

    def _forget(self) -> None:
        self._last = None

    def paste(self, rgb: RGB, toon: RGB, region: Alignment) -> RGB:
        """As `paste_all`, of one drawing; without the bundle's networks by its silhouette."""
        if self._paster() is None:
            return paste_back(rgb, toon, region)
        return self.paste_all(rgb, [region], [toon])

    def compositor(self, smooth: float) -> FrameCompositor | None:
        """Sets heads into frames drawn in the bundle's style, where it has one."""
        paster = self._paster()
        if paster is None or self._style is None:
            return None
        style = self._clip_style(self.background).compositor(smooth)
        assert style is not None
        return HeadCompositor(style, paster, smooth, tinted=self._tinted)

    @property
    def _tinted(self) -> bool:
        """Whether necks take the color of drawings, whose skin is not the people's own."""
        return not all(self.model.lets_through(name, self.level) for name in self.characters)

    def matte(self, region: Alignment, toon: RGB) -> Points | None:
        """The drawing before its plain background."""
        return drawing_matte(toon)

    def occlusion(self, region: Alignment) -> Points:
        """Hands and things before the face."""
        return self._occlusion()(region.image)

    def mask(self, matte: Points) -> Points:
        """Fading at the bottom."""
        return silhouette_mask(matte)


def _offsets(bundle: Bundle) -> AttributeOffsets | None:
    if not has_parts(bundle.folder, (ATTRIBUTES,)):
        return None
    path = check_part(bundle.folder, bundle.manifest, ATTRIBUTES)
    return load_attribute_offsets(path, bundle.generator)


def _joined(w_plus: Tensor, attributes: Tensor) -> Tensor:
    """w+ (B, num_ws, w_dim) with attributes (B, 17) in further rows, on the CPU."""
    w_dim = w_plus.shape[2]
    rows = torch.nn.functional.pad(attributes, (0, -LENGTH % w_dim))
    return torch.cat([w_plus.cpu(), rows.view(len(rows), -1, w_dim)], dim=1)


def _resized(x: Tensor, size: int) -> Tensor:
    """(B, 3, H, W) → (B, 3, size, size)."""
    if x.shape[-2:] == (size, size):
        return x
    shrinking = min(x.shape[-2:]) >= size
    return torch.nn.functional.interpolate(
        x,
        size=(size, size),
        mode="area" if shrinking else "bilinear",
        align_corners=None if shrinking else False,
    )
