"""The HTTP API: one call draws a photograph; clips are orders whose state can be fetched."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, File, Form, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Match

from toonify.errors import ToonifyError
from toonify.media.images import encode_image
from toonify.web.files import PrivateFolder, forgotten, take_clip, take_photo
from toonify.web.limits import Limits
from toonify.web.orders import Line, Order
from toonify.web.problems import MEDIA_TYPE, Problem, problem_of
from toonify.web.studio import Kind, Picture, Studio, Wish

_POLL = 0.1  # seconds between looks at an order, and at whether its client is still there
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}

LookName = Annotated[str, Form(description="A style or character, see /api/looks.")]
EngineName = Annotated[
    Literal["cdsm", "styleganex"] | None,
    Form(description="Of a character: what draws it, see /api/engines. Default: the bundle's own."),
]
Level = Annotated[
    int | None,
    Form(
        description="Of a character drawn by cdsm: 0 is the character itself, more keeps more of"
        " the photo. Default: as the bundle says."
    ),
]
Color = Annotated[
    float | None,
    Form(
        ge=0,
        le=1,
        description="Of a character drawn by cdsm: how much of its colors. Default: as the bundle"
        " says.",
    ),
]


class LookInfo(BaseModel):
    """A style or character."""

    name: str
    kind: Kind
    picture: str


class Health(BaseModel):
    """Whether the server works, and how many orders are in line."""

    status: Literal["ok"]
    queue: int


class ClipInfo(BaseModel):
    """Where an order for a clip is.

    Attributes:
        place: orders before it.
        progress: share of its frames that are drawn, 0 to 1.
        seconds: until it is begun, as far as known.
        file: address of the drawn clip, when done.
        problem: why there is none, when failed.
    """

    id: str
    state: Literal["waiting", "working", "done", "failed", "canceled"]
    place: int
    progress: float
    seconds: float
    file: str | None = None
    problem: dict[str, Any] | None = None


class ProblemInfo(BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


def _problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    document = {"content": {MEDIA_TYPE: {}}, "model": ProblemInfo}
    return {int(s): document | {"description": s.phrase} for s in statuses}


_COMMON = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


class Clips:
    """Orders for clips whose state clients may still fetch."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}

    def add(self, order: Order) -> None:
        """Remember an order; those whose files are gone are forgotten."""
        self._orders = {
            key: old
            for key, old in self._orders.items()
            if not old.finished.is_set() or self.file(old) is not None
        }
        self._orders[order.id] = order

    def get(self, key: str) -> Order:
        """Raises Problem where there is none."""
        if key not in self._orders:
            raise Problem(HTTPStatus.NOT_FOUND, "there is no such order, or not any more.")
        return self._orders[key]

    def file(self, order: Order) -> Path | None:
        """The drawn clip, as long as it is there."""
        path = order.result
        return path if isinstance(path, Path) and path.is_file() else None

    def drop(self, key: str) -> None:
        """Cancel an order and remove what it has made."""
        order = self.get(key)
        order.cancel()
        if (path := self.file(order)) is not None:
            path.unlink()
        if order.finished.is_set():
            del self._orders[key]


def photo_work(studio: Studio, photo: Any, wish: Wish) -> Callable[[Order], Picture]:
    """The work of an order for a photograph."""
    return lambda order: studio.draw(photo, wish)


def add_clip(
    studio: Studio, line: Line, folder: PrivateFolder, client: str, source: Path, wish: Wish
) -> Order:
    """Put a clip in line; its result is a file beside it.

    Args:
        source: the upload, in `folder`. It goes when the order ends, in whatever way, and so does
            what is half drawn.

    Raises:
        Problem: the line, or the client's share of it, is full.
    """
    unfinished = source.with_name(f"toon-{secrets.token_urlsafe(12)}")

    def work(order: Order) -> Path:
        unfinished.mkdir()
        drawn = unfinished / "toon.mp4"
        studio.draw_clip(
            source, drawn, wish, max_size=folder.limits.clip_side, progress=order.advance
        )
        order.check()
        output = unfinished.with_suffix(".mp4")
        os.replace(drawn, output)
        return output

    folder.use(source, unfinished)
    try:
        return line.add(client, "clip", work, after=lambda: folder.drop(source, unfinished))
    except BaseException:
        folder.drop(source, unfinished)
        raise


async def outcome(order: Order, gone: Callable[[], Awaitable[bool]]) -> Any:
    """What came of an order, once it is finished; None where its client has hung up.

    Args:
        gone: whether the client has; the order is canceled then.

    Raises:
        Problem: it failed.
    """
    try:
        while not order.finished.is_set():
            if await gone():
                return None
            await asyncio.sleep(_POLL)
    finally:
        if not order.finished.is_set():
            order.cancel()
    if order.error is not None:
        raise problem_of(order.error)
    return order.result


def router(studio: Studio, line: Line, folder: PrivateFolder, limits: Limits) -> APIRouter:
    """The routes below /api."""
    api = APIRouter(prefix="/api")
    _add_offers(api, studio, line, limits)
    _add_pictures(api, studio, line, limits)
    _add_clips(api, studio, line, folder, limits)

    @api.api_route("/{rest:path}", methods=list(_METHODS), include_in_schema=False)
    async def nothing(request: Request) -> None:
        """Else the page, which lies behind, would answer, and in its own way."""
        if any(
            route.matches(request.scope)[0] is Match.PARTIAL
            for route in api.routes
            if isinstance(route, APIRoute) and route.endpoint is not nothing
        ):
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed")
        raise HTTPException(HTTPStatus.NOT_FOUND, "Not Found")

    return api


def _add_offers(api: APIRouter, studio: Studio, line: Line, limits: Limits) -> None:
    """What the server draws, and what it takes."""
    previews = {look.name: encode_image(studio.preview(look.name), "png") for look in studio.looks}

    @api.get("/health", summary="Whether the server works")
    async def health() -> Health:
        return Health(status="ok", queue=len(line))

    @api.get("/limits", summary="What a request may be")
    async def limits_of_server() -> dict[str, float]:
        return limits.public()

    @api.get("/engines", summary="What draws characters, the default first")
    async def engines() -> list[str]:
        return list(studio.engines)

    @api.get("/looks", summary="Styles and characters", responses=_problems(*_COMMON[:1]))
    async def looks() -> list[LookInfo]:
        return [
            LookInfo(name=look.name, kind=look.kind, picture=f"/api/looks/{look.name}/picture")
            for look in studio.looks
        ]

    @api.get(
        "/looks/{name}/picture",
        summary="What a style or character is like",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}, **_problems(HTTPStatus.NOT_FOUND)},
    )
    async def look_picture(name: str) -> Response:
        if name not in previews:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no style or character {name!r}.")
        return Response(previews[name], media_type="image/png")


def _add_pictures(api: APIRouter, studio: Studio, line: Line, limits: Limits) -> None:
    """Photographs, drawn while the caller waits."""

    @api.post(
        "/pictures",
        summary="Draw a photograph",
        response_class=Response,
        responses={
            200: {"content": {kind: {} for kind in _TYPES.values()}},
            **_problems(*_COMMON, HTTPStatus.GATEWAY_TIMEOUT),
        },
    )
    async def draw_picture(
        request: Request,
        file: Annotated[UploadFile, File(description="The photograph.")],
        look: LookName,
        engine: EngineName = None,
        level: Level = None,
        color: Color = None,
        whole: Annotated[
            bool, Form(description="The whole picture, not the largest face's portrait.")
        ] = False,
        transparent: Annotated[bool, Form(description="Without background (PNG, WebP).")] = False,
        format: Annotated[Literal["png", "webp", "jpeg"], Form()] = "png",
    ) -> Response:
        wish = Wish(
            look=look,
            engine=engine,
            level=level,
            color=color,
            whole=whole,
            transparent=transparent,
        )
        studio.check(wish)
        photo = await run_in_threadpool(take_photo, await file.read(), limits)
        order = line.add(_client(request), "photo", photo_work(studio, photo, wish))
        picture = await outcome(order, request.is_disconnected)
        if picture is None:
            return Response(status_code=499)  # nobody reads it
        data = await run_in_threadpool(encode_image, picture.rgb, format, alpha=picture.alpha)
        return Response(data, media_type=_TYPES[format], headers={"cache-control": "no-store"})


def _add_clips(
    api: APIRouter, studio: Studio, line: Line, folder: PrivateFolder, limits: Limits
) -> None:
    """Clips, orders whose state can be fetched."""
    clips = Clips()

    @api.post(
        "/clips",
        summary="Order a clip",
        status_code=HTTPStatus.ACCEPTED,
        responses=_problems(*_COMMON, HTTPStatus.INSUFFICIENT_STORAGE),
    )
    async def order_clip(
        request: Request,
        response: Response,
        file: Annotated[UploadFile, File(description="The clip.")],
        look: LookName,
        engine: EngineName = None,
        level: Level = None,
        color: Color = None,
    ) -> ClipInfo:
        wish = Wish(look=look, engine=engine, level=level, color=color)
        studio.check(wish)
        source = folder.new_file(file.filename)
        try:
            await run_in_threadpool(_store, file, source)
            await run_in_threadpool(take_clip, source, limits)
        except BaseException:
            source.unlink(missing_ok=True)
            raise
        order = add_clip(studio, line, folder, _client(request), source, wish)
        clips.add(order)
        response.headers["location"] = f"/api/clips/{order.id}"
        return _info(order, line, clips)

    missing = _problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)

    @api.get("/clips/{id}", summary="Where an order for a clip is", responses=missing)
    async def clip_state(id: str) -> ClipInfo:
        return _info(clips.get(id), line, clips)

    @api.get(
        "/clips/{id}/file",
        summary="The drawn clip",
        response_class=FileResponse,
        responses={200: {"content": {"video/mp4": {}}}, **missing} | _problems(HTTPStatus.CONFLICT),
    )
    async def fetch_clip(id: str) -> FileResponse:
        order = clips.get(id)
        if not order.finished.is_set():
            raise Problem(HTTPStatus.CONFLICT, "the clip is not drawn yet.", retry_after=1)
        if order.error is not None:
            raise problem_of(order.error)
        path = clips.file(order)
        if path is None:
            raise forgotten(limits)
        return FileResponse(path, media_type="video/mp4", filename="toon.mp4")

    @api.delete(
        "/clips/{id}",
        summary="Cancel an order, or remove its clip",
        status_code=HTTPStatus.NO_CONTENT,
        responses=missing,
    )
    async def drop_clip(id: str) -> None:
        clips.drop(id)


def answer_problems(app: FastAPI) -> None:
    """Every failure of a route as a problem document."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
            reason = "Send it as a file of the form" if where == "file" else first["msg"]
            problem = Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {reason}.")
        elif isinstance(error, HTTPException):
            problem = Problem(error.status_code, f"{error.detail}.")
        else:
            problem = problem_of(error)
        return Response(
            problem.body(),
            status_code=problem.status,
            media_type=MEDIA_TYPE,
            headers=problem.headers,
        )

    for kind in (Problem, ToonifyError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _info(order: Order, line: Line, clips: Clips) -> ClipInfo:
    place = line.place(order)
    done = order.state == "done" and clips.file(order) is not None
    failed = problem_of(order.error).document() if order.error is not None else None
    return ClipInfo(
        id=order.id,
        state=order.state,
        place=place,
        progress=1.0 if order.state == "done" else order.progress,
        seconds=round(line.left(place), 1),
        file=f"/api/clips/{order.id}/file" if done else None,
        problem=failed,
    )


def _store(upload: UploadFile, target: Path) -> None:
    with open(target, "wb") as file:
        shutil.copyfileobj(upload.file, file, 1 << 20)
