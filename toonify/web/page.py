"""The page: a photograph or clip in, a look chosen from pictures, the drawing beside it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when it is imported: nothing calls home

import gradio as gr
import numpy as np
from fastapi import FastAPI
from gradio import processing_utils, routes

from toonify.errors import ToonifyError
from toonify.media.images import RGB, encode_image, over_white, write_image
from toonify.web.api import add_clip, photo_work
from toonify.web.files import PrivateFolder, take_clip, take_photo
from toonify.web.limits import Limits
from toonify.web.orders import Line, Order
from toonify.web.problems import Problem, problem_of
from toonify.web.studio import EXAMPLES, Picture, Studio, Wish

_CSS = """
.gradio-container {max-width: 1180px !important; margin: 0 auto !important}
.looks, .looks .gallery-container, .looks .grid-wrap, .looks .grid-container {
    height: auto !important; min-height: 0 !important; max-height: none !important
}
.looks .grid-wrap {overflow: visible !important}
.looks .grid-container {
    grid-template-columns: repeat(auto-fill, minmax(84px, 1fr)) !important;
    grid-template-rows: none !important
}
.looks .caption-label {font-size: 0.75rem; padding: 1px 6px}
.looks .thumbnail-item.selected {outline: 3px solid var(--color-accent); outline-offset: -1px}
.status p {min-height: 1.4em; color: var(--body-text-color-subdued)}
footer {display: none !important}
"""
_ENGINES = {"cdsm": "upright, as a portrait", "styleganex": "as the head stands in the picture"}
_POLL = 0.2  # seconds between looks at an order
# Without gradio's own reading of values: it would open uploads before anything is known of them.
_QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "preprocess": False,
}
Upload = dict[str, Any] | None  # what the browser says of an uploaded file


async def _fetch_nothing(url: str, *args: Any, **options: Any) -> str:
    raise gr.Error("Add a file, not an address.")


def mount(
    app: FastAPI, studio: Studio, line: Line, folder: PrivateFolder, limits: Limits
) -> FastAPI:
    """The page at / of `app`."""
    # The first is read when uploads come, the second was when gradio was imported.
    os.environ["GRADIO_TEMP_DIR"] = routes.DEFAULT_TEMP_DIR = str(folder.path)
    # Where a client names an address instead of an uploaded file, gradio would fetch it.
    processing_utils.async_ssrf_protected_download = _fetch_nothing
    page = Page(studio, line, folder, limits)
    theme = gr.themes.Soft(
        primary_hue="violet",
        font=["ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    mounted = gr.mount_gradio_app(
        app,
        page.blocks,
        path="/",
        max_file_size=max(limits.photo_bytes, limits.clip_bytes),
        show_error=True,
        ssr_mode=False,
        footer_links=[],
        theme=theme,
        css=_CSS,
        enable_monitoring=False,
    )
    # Else gradio, which was mounted and not launched, would read any file that a client names.
    page.blocks.has_launched = True
    folder.keep_all()  # the pictures of the page itself
    return mounted


class Page:
    """Builds the page's parts and answers its events."""

    def __init__(self, studio: Studio, line: Line, folder: PrivateFolder, limits: Limits) -> None:
        self.studio, self.line, self.folder, self.limits = studio, line, folder, limits
        with gr.Blocks(title="toonify", analytics_enabled=False) as self.blocks:
            gr.Markdown(
                "# toonify\nA photo goes in, a drawing comes out. Nothing leaves this server, and"
                f" files are forgotten after {limits.keep_seconds / 60:g} minutes."
            )
            with gr.Tab("Photo"):
                self._photo_tab()
            with gr.Tab("Clip"):
                self._clip_tab()
        self.blocks.queue(max_size=4 * limits.queue, default_concurrency_limit=None)

    def _photo_tab(self) -> None:
        with gr.Row():
            with gr.Column():
                photo = gr.Image(
                    label="Your photo",
                    sources=["upload", "webcam", "clipboard"],
                    format="jpeg",
                    height=300,
                    elem_id="photo",
                    buttons=[],
                )
                gr.Examples(
                    [[str(path)] for path in sorted(EXAMPLES.glob("*.jpg"))],
                    inputs=[photo],
                    label="Or try one of these people, who don't exist",
                    api_visibility="private",
                )
                look, gallery = self._looks()
                engine, level, color = self._character_options()
                with gr.Row():
                    whole = gr.Checkbox(label="Whole picture")
                    clear = gr.Checkbox(label="Transparent background")
                button = gr.Button("Draw", variant="primary", elem_id="draw")
            with gr.Column():
                slider = gr.ImageSlider(
                    label="Before and after",
                    format="png",
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id="result",
                )
                status = gr.Markdown(elem_classes="status", elem_id="status")
                download = gr.DownloadButton("Download PNG", interactive=False, elem_id="download")
        photo.upload(self._intake, photo, [photo, status], **_QUIET)
        inputs = [photo, look, engine, level, color, whole, clear]
        outputs = [slider, status, download]
        button.click(self._draw, inputs, outputs, **_QUIET)
        picked = gallery.select(self._pick, None, look, **_QUIET)
        picked.then(self._draw_if_there, inputs, outputs, **_QUIET)

    def _clip_tab(self) -> None:
        with gr.Row():
            with gr.Column():
                clip = gr.Video(
                    label=f"Your clip, up to {self.limits.clip_seconds:g} seconds",
                    sources=["upload", "webcam"],
                    height=300,
                    elem_id="clip",
                    buttons=[],
                )
                look, gallery = self._looks()
                engine, level, color = self._character_options()
                button = gr.Button("Draw", variant="primary", elem_id="draw-clip")
                stop = gr.Button("Stop", variant="secondary")
            with gr.Column():
                result = gr.Video(
                    label="The drawn clip", interactive=False, height=480, elem_id="drawn-clip"
                )
                status = gr.Markdown(elem_classes="status", elem_id="clip-status")
        gallery.select(self._pick, None, look, **_QUIET)
        drawing = button.click(
            self._draw_clip, [clip, look, engine, level, color], [result, status], **_QUIET
        )
        stop.click(lambda: "Stopped.", None, status, cancels=[drawing], **_QUIET)

    def _looks(self) -> tuple[gr.State, gr.Gallery]:
        """What is chosen, and the pictures to choose from."""
        looks = self.studio.looks
        chosen = gr.State(looks[0].name)
        gr.Markdown("**Drawn as**")
        gallery = gr.Gallery(
            [(self.studio.preview(look.name), look.name) for look in looks],
            label="Drawn as",
            show_label=False,
            format="webp",
            columns=6,
            object_fit="cover",
            allow_preview=False,
            selected_index=0,
            buttons=[],
            interactive=False,
            elem_classes="looks",
        )
        return chosen, gallery

    def _character_options(self) -> tuple[gr.Radio, gr.Slider, gr.Slider]:
        engines = self.studio.engines
        with gr.Accordion("Characters: how much of you", open=False):
            engine = gr.Radio(
                [(_ENGINES[name], name) for name in engines],
                value=engines[0],
                label="Drawn",
                visible=len(engines) > 1,
            )
            level = gr.Slider(
                0,
                self.studio.levels,
                value=self.studio.level,
                step=1,
                label="Likeness",
                info="Of the upright head: 0 is the character itself; more keeps more of the"
                " photo. As it stands, heads in whole pictures and clips keep the person's colors.",
                buttons=[],
            )
            color = gr.Slider(
                0,
                1,
                value=self.studio.color,
                step=0.05,
                label="The character's colors",
                buttons=[],
            )
        return engine, level, color

    def _pick(self, event: gr.SelectData) -> str:
        """The look whose picture was clicked."""
        return self.studio.looks[event.index].name

    def _wish(
        self,
        look: str,
        engine: Any,
        level: Any,
        color: Any,
        *,
        whole: Any = False,
        transparent: Any = False,
    ) -> Wish:
        """What a browser says; Problem where it is something that no slider or box gives."""
        mine = self.studio.kind(look) == "character" and isinstance(engine, str)
        # a part of the picture around an untilted head is no portrait: its edges are mirrored
        frames = mine and engine == "styleganex"
        try:
            return Wish(
                look=look,
                engine=engine if mine else None,
                level=None if int(level) == self.studio.level else int(level),
                color=float(color),
                whole=whole is True or frames,
                transparent=transparent is True,
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise Problem(422, "the level or color is no number.") from error

    def _own(self, upload: Upload) -> Path | None:
        """Where an upload of this page lies; None for any other file that a client may name."""
        path = upload.get("path") if isinstance(upload, dict) else None
        return Path(path) if isinstance(path, str) and self.folder.holds(path) else None

    async def _intake(self, upload: Upload) -> tuple[RGB | None, str]:
        """The upload as pixels alone, shown instead of the file and written over it: whoever is
        quick enough to have the file drawn before it is replaced draws these, too."""
        own = self._own(upload)
        if own is None:
            return None, ""

        def take() -> RGB:
            rgb = take_photo(own, self.limits)
            own.write_bytes(encode_image(rgb, "png"))
            return rgb

        try:
            return await asyncio.to_thread(take), ""
        except Problem as problem:
            own.unlink(missing_ok=True)
            gr.Warning(problem.detail, title="Not this photo")
            return None, problem.detail

    async def _draw_if_there(
        self,
        upload: Upload,
        look: str,
        engine: str,
        level: float,
        color: float,
        whole: bool,
        transparent: bool,
        request: gr.Request,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """`_draw` for visitors who have only picked a look so far."""
        if not upload:
            yield gr.skip(), gr.skip(), gr.skip()
            return
        async for update in self._draw(
            upload, look, engine, level, color, whole, transparent, request
        ):
            yield update

    async def _draw(
        self,
        upload: Upload,
        look: str,
        engine: str,
        level: float,
        color: float,
        whole: bool,
        transparent: bool,
        request: gr.Request,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Updates of (slider, status, download button)."""
        own = self._own(upload)
        if own is None:
            yield gr.skip(), "Add a photo first.", gr.skip()
            return
        try:
            wish = self._wish(look, engine, level, color, whole=whole, transparent=transparent)
            self.studio.check(wish)
            photo = await asyncio.to_thread(take_photo, own, self.limits)
            order = self.line.add(_client(request), "photo", photo_work(self.studio, photo, wish))
            async for text in self._waited(order):
                yield gr.skip(), text, gr.skip()
            picture: Picture = order.result
            shown = picture.rgb
            if picture.alpha is not None:
                shown = over_white(picture.rgb, picture.alpha)
            file = self.folder.new_file("x").with_suffix("") / f"toon-{look}.png"
            await asyncio.to_thread(write_image, file, picture.rgb, alpha=picture.alpha)
            ready = gr.DownloadButton(value=str(file), interactive=True)
            yield (_same_size(picture.before, shown), shown), f"Drawn as {look}.", ready
        except (Problem, ToonifyError) as error:
            problem = problem_of(error)
            gr.Warning(problem.detail, title="Not drawn")
            yield gr.skip(), problem.detail, gr.skip()

    async def _draw_clip(
        self,
        upload: Upload,
        look: str,
        engine: str,
        level: float,
        color: float,
        request: gr.Request,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Updates of (video, status)."""
        own = self._own(upload)
        if own is None:
            yield gr.skip(), "Add a clip first."
            return
        try:
            wish = self._wish(look, engine, level, color)
            self.studio.check(wish)
            await asyncio.to_thread(take_clip, own, self.limits)
            # a copy of its own: the visitor may want the same clip in another look
            source = self.folder.new_file(own.name)
            await asyncio.to_thread(source.write_bytes, own.read_bytes())
            client = _client(request)
            order = add_clip(self.studio, self.line, self.folder, client, source, wish)
            async for text in self._waited(order):
                yield gr.skip(), text
            yield str(order.result), f"Drawn as {look}."
        except (Problem, ToonifyError) as error:
            problem = problem_of(error)
            gr.Warning(problem.detail, title="Not drawn")
            yield gr.skip(), problem.detail

    async def _waited(self, order: Order) -> AsyncIterator[str]:
        """Where an order is, in words, until it is finished; canceled when nobody listens.

        Raises:
            Problem: it failed.
        """
        last = ""
        try:
            while not order.finished.is_set():
                text = self._where(order)
                if text != last:
                    yield text
                    last = text
                await asyncio.sleep(_POLL)
        finally:
            if not order.finished.is_set():
                order.cancel()
        if order.error is not None:
            raise problem_of(order.error)
        if order.state == "canceled":
            raise Problem(503, "the server is shutting down.")

    def _where(self, order: Order) -> str:
        place = self.line.place(order)
        if place:
            before = "1 order is" if place == 1 else f"{place} orders are"
            return f"{before} before yours, about {max(1, round(self.line.left(place)))} s."
        if order.progress:
            return f"Drawing, {order.progress:.0%} done …"
        return "Drawing …"


def _same_size(before: RGB, after: RGB) -> RGB:
    if before.shape == after.shape:
        return before
    size = (after.shape[1], after.shape[0])
    return np.asarray(cv2.resize(before, size, interpolation=cv2.INTER_AREA), np.uint8)


def _client(request: gr.Request) -> str:
    return request.client.host if request.client else ""
