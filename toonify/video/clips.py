"""A clip in, a clip with its people drawn out: what `toonify video` does, as a function."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from toonify.bundle import bundle_defaults, preferred_engine
from toonify.device import DTYPES, pick_device
from toonify.engines.base import Engine
from toonify.engines.registry import load_engine, style_engine
from toonify.errors import UsageError
from toonify.faces.no_faces import NoFaces
from toonify.media.video import Span
from toonify.names import choose_names
from toonify.portrait.backgrounds import Background, parse_background
from toonify.portrait.catalog import bundle_styles, is_style_file, network_styles, program_styles
from toonify.utils.arguments import check_choice
from toonify.video.conversion import Options, Progress, Report, convert

DRAWS_PEOPLE, DRAWS_STYLES = ("cdsm", "styleganex"), ("portrait", "unet", "blend")


def clip_engine(
    bundle: str | os.PathLike[str] = "default",
    *,
    engine: str = "auto",
    style: str | None = None,
    character: bool = False,
    background: Background = "draw",
    level: int | None = None,
    trgb: bool | None = None,
    color: float | None = None,
    **options: Any,
) -> Engine:
    """What draws a clip in one style, or people as characters.

    Args:
        engine: "auto", "portrait", "unet", "blend", "cdsm" or "styleganex".
        style: draws whole frames in it, a name or a network's file; the bundle's
            first where no character is named.
        character: people are drawn as characters.
        background: of a style, and of what is drawn around characters by cdsm; clips are not
            transparent.
        level, trgb, color: of characters; None for the bundle's own.
        options: of the engine: landmarks, min_face, offline, and of characters device, dtype,
            checkpoint, batch_size.

    Raises:
        UsageError: what does not go together, or an unknown style.
        ModelError: the bundle can't be loaded, or has no networks for this engine.
    """
    if style is not None and (character or engine in DRAWS_PEOPLE):
        raise UsageError(
            "a clip is drawn in a style or as characters, not both",
            hint="Name a `style` or a `character`.",
        )
    if engine == "auto":
        styled = style is not None or (not character and bundle_styles(bundle))
        engine = clip_style_engine(bundle, style) if styled else preferred_engine(bundle)
    if engine in DRAWS_PEOPLE:
        from toonify.engines.mixing import MixingEngine  # styles are drawn without torch

        background = _opaque(background)
        if engine == "cdsm":
            options["background"] = background
        elif background != "draw":
            raise UsageError(
                f"{engine} leaves what is behind people", hint="Leave `background` out."
            )
        own = bundle_defaults(bundle)
        people = load_engine(
            engine,
            bundle,
            level=own.level_of(pasted=engine == "cdsm") if level is None else level,
            trgb=own.trgb if trgb is None else trgb,
            color=own.color if color is None else color,
            **options,
        )
        if isinstance(people, MixingEngine) and (level, color) != (None, None):
            people.check_mixing()
        return people
    if engine not in DRAWS_STYLES:
        raise UsageError(
            f"clips are not drawn by {engine} here", hint="Name an `engine` that draws them."
        )
    if (level, trgb, color) != (None, None, None):
        raise UsageError(
            "`level`, `trgb` and `color` are of characters, and a style is drawn",
            hint="Leave them out, or name a `character`.",
        )
    background = _opaque(background)
    chosen = style
    if style is None or not is_style_file(style):
        known = network_styles(bundle) if engine == "unet" else program_styles(bundle)
        if engine == "blend":
            known = tuple(name for name in known if name in network_styles(bundle))
        if not known:
            raise UsageError(f"{engine} draws no style of this bundle", hint="Name another engine.")
        chosen, *more = choose_names("style", [style] if style else (), known)
        if more:
            raise UsageError("a clip is drawn in one style", hint="Make one clip for each.")
    options.pop("batch_size", None)  # of characters alone
    if engine != "portrait":
        options["runtime"] = "torch"  # starts later, draws faster
    if engine == "unet":  # draws without looking for anybody
        for name in ("landmarks", "min_face", "offline"):
            options.pop(name, None)
        return load_engine(
            engine, bundle, style=chosen, background=background, detector=NoFaces(), **options
        )
    if engine == "portrait":
        for name in ("device", "dtype"):  # the program needs no networks of this kind
            options.pop(name, None)
    return load_engine(engine, bundle, style=chosen, background=background, **options)


def _opaque(background: Background) -> Background:
    """It, checked: a color, "draw" or "keep"."""
    background = parse_background(background)
    if background == "transparent":
        raise UsageError(
            "clips are not transparent", hint="Take a color as `background`: '#00ff00'."
        )
    return background


def clip_style_engine(bundle: str | os.PathLike[str], style: str | None) -> str:
    """What draws clips in a style where no engine is named: of those that can, the one that the
    bundle's manifest names (`defaults`: clips), else the program."""
    wanted = style or next(iter(bundle_styles(bundle)), "")
    return style_engine([wanted], bundle, prefer=bundle_defaults(bundle).clips)


def convert_video(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    engine: str | Engine = "auto",
    style: str | None = None,
    character: str | Sequence[str] | None = None,
    bundle: str | os.PathLike[str] = "default",
    level: int | None = None,
    trgb: bool | None = None,
    color: float | None = None,
    background: Background = "draw",
    smooth: float = 0.5,
    largest: bool = False,
    start: float = 0.0,
    end: float | None = None,
    fps: Fraction | float | None = None,
    max_size: int | None = None,
    codec: str = "auto",
    crf: int | None = None,
    pix_fmt: str | None = None,
    side_by_side: bool = False,
    resume: bool = True,
    keep_partial: bool = False,
    landmarks: str = "auto",
    min_face: float | None = None,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Draw the people of a clip, or of a folder of frames; sound, subtitles and timing stay.

    Interrupted or killed, the same call goes on where it was: its work is kept in OUTPUT.parts
    until it is done.

    Args:
        source: a clip, or a folder of frames.
        output: .mp4, .mov, .mkv, .webm, .gif, or a folder for frames as PNG.
        engine: "auto", "portrait", "unet", "blend", "cdsm", "styleganex", or an engine that was
            made before, which has its own style, level, trgb, color, background, landmarks and
            min_face.
        style: whole frames in it; the default.
        character: who people become: "mina", everybody; "mina,jun", in the order they appear;
            "left=mina,right=jun", by place; "1=mina,2=jun", by number.
        bundle: a shipped bundle's name, or a bundle's folder.
        level: m of cross-domain style mixing; None for the bundle's own.
        trgb: replace the tRGB styles by the character's; None for the bundle's own.
        color: how far they are replaced, 0 to 1; None for the bundle's own.
        background: of a style, and around characters by cdsm: "draw", "keep", or a color,
            "#00ff00" or (0, 255, 0).
        smooth: 0..1, of landmarks, latents and outlines through time; 0 is each frame alone.
        largest: only the largest face becomes a character.
        start: where to begin, seconds.
        end: where to stop, seconds; None for the whole clip.
        fps: frames a second; None for those it has, with their own timestamps.
        max_size: longest side, px; larger clips are shrunk.
        codec: "auto", "h264", "hevc", "vp9", "av1", "prores", "ffv1", "hardware", or an encoder's
            name.
        crf: 0..63, quality: lower is better and larger.
        pix_fmt: pixel format; None for one that plays everywhere.
        side_by_side: the original at the left of the result.
        resume: go on with what the same, interrupted call has done.
        keep_partial: when interrupted, leave what is done as OUTPUT.partial.mp4.
        landmarks: what finds faces: "mtcnn", "face-alignment", or "auto" for the latter where its
            weights are cached.
        min_face: height in px of the smallest faces that are looked for; None takes a 120th of a
            frame's longest side, at least 24.
        device: where networks compute: "auto", "cpu", "cuda", "cuda:1" or "mps".
        dtype: what they compute in: "auto", "float32", "bfloat16" or "float16".
        offline: never fetch a detector's weights.
        progress: called with frames done, and all as far as known.

    Returns:
        Frames, seconds, which person was drawn as which character, warping error.

    Raises:
        InputError: the clip can't be read or the output can't be written.
        UsageError: options that don't go together, unknown names, or an output that is not ours.
        ModelError: the bundle can't be loaded.
        KeyboardInterrupt: with all finished segments kept.

    Examples:
        >>> report = convert_video("dance.mp4", "dance-ink.mp4", style="ink")
        >>> report.frames, report.fps
        (250, 4.9)
    """
    characters = [character] if isinstance(character, str) else list(character or ())
    check_choice("dtype", dtype, DTYPES)
    if device != "auto":  # also where a style is drawn without torch
        pick_device(device)
    if isinstance(engine, Engine):
        given = {
            "style": style is not None,
            "level": level is not None,
            "trgb": trgb is not None,
            "color": color is not None,
            "background": background != "draw",
            "landmarks": landmarks != "auto",
            "min_face": min_face is not None,
        }
        for name in (name for name, there in given.items() if there):
            raise UsageError(f"this engine has its own `{name}`", hint="Leave it out.")
        drawing = engine
    else:
        drawing = clip_engine(
            bundle,
            engine=engine,
            style=style,
            character=bool(characters),
            background=background,
            level=level,
            trgb=trgb,
            color=color,
            landmarks=landmarks,
            min_face=min_face,
            device=device,
            dtype=dtype,
            offline=offline,
        )
    if largest and drawing.kind == "style":
        raise UsageError("a style draws everybody in a clip", hint="Leave `largest` out.")
    options = Options(
        characters=characters,
        span=Span(start=start, end=end, fps=_rate(fps), max_size=max_size),
        smooth=smooth,
        largest=largest,
        codec=codec,
        crf=crf,
        pixels=pix_fmt,
        side_by_side=side_by_side,
        resume=resume,
        keep_partial=keep_partial,
        identity=drawing.describe(),
    )
    tell = progress or (lambda done, total: None)
    return convert(Path(source), Path(output), drawing, options, progress=tell)


def _rate(fps: Fraction | float | None) -> Fraction | None:
    try:
        return None if fps is None else Fraction(fps)
    except (ValueError, OverflowError, TypeError) as error:  # NaN, infinite, no number
        raise UsageError(f"`fps` {fps} is no frame rate", hint="Give 25, say.") from error
