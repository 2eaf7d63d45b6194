"""What stands before every route: whose request it is, how large, with which headers answered."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import nullcontext
from http import HTTPStatus
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from toonify.web.files import PrivateFolder, too_large
from toonify.web.limits import Limits
from toonify.web.problems import MEDIA_TYPE, Problem

COOKIE = "toonify_token"
OPEN = ("/api/health",)  # answered without a token
_PAGE_UPLOAD = "/gradio_api/upload"
_UPLOADS = (_PAGE_UPLOAD, "/api/pictures", "/api/clips")
_FORM = 64_000  # bytes of a multipart form beside its file
_HEADERS = {
    # Everything is served from here: a page that wants something else from outside gets nothing.
    "content-security-policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:;"
    " frame-ancestors 'none'; base-uri 'self'; form-action 'self'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Middleware.

    Args:
        app: what lies behind.
        limits: bytes of a request.
        folder: where uploads go; none is taken when it is full.
        token: required of everybody, as a bearer token, as `?token=` of the page (which sets a
            cookie), or by that cookie. None: nobody needs one, and only requests that name this
            machine as their host are answered, so that no foreign page reaches a local server.
        hosts: names of this machine that are answered without a token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        folder: PrivateFolder,
        token: str | None = None,
        hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1"),
    ) -> None:
        self.app, self.limits, self.folder = app, limits, folder
        self.token, self.hosts = token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {name.lower() for name, _ in message["headers"]}
                extra = [
                    (name.encode(), value.encode())
                    for name, value in _HEADERS.items()
                    if name.encode() not in have
                ]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        try:
            self._check_origin(request)
            if self.token is not None and request.url.path not in OPEN:
                if location := self._enters(request):
                    await self._let_in(location, request, answer)
                    return
                self._check_token(request)
            self._check_length(request)
        except Problem as problem:
            await respond(problem, answer)
            return
        path = request.url.path
        with self.folder.receiving() if path == _PAGE_UPLOAD else nullcontext():
            await _Metered(self.app, self._allowed(path))(scope, receive, answer)

    def _check_origin(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if self.token is None and _hostname(f"//{host}") not in self.hosts:
            raise Problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this server answers to {' and '.join(self.hosts)} only, not to {host!r}.",
            )
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise Problem(HTTPStatus.FORBIDDEN, "requests from other sites' pages are refused.")

    def _enters(self, request: Request) -> str | None:
        """Where to go on, for a page's address with the right token."""
        given = request.query_params.get("token")
        if request.method != "GET" or given is None or not self._right(given):
            return None
        rest = [(k, v) for k, v in parse_qsl(request.url.query) if k != "token"]
        return request.url.path + (f"?{urlencode(rest)}" if rest else "")

    async def _let_in(self, location: str, request: Request, send: Send) -> None:
        secure = "; Secure" if request.url.scheme == "https" else ""
        cookie = f"{COOKIE}={self.token}; HttpOnly; SameSite=Lax; Path=/{secure}"
        # never to another host: a path that begins with // would name one
        location = "/" + location.lstrip("/")
        headers = {"location": location, "set-cookie": cookie, "cache-control": "no-store"}
        await _respond(HTTPStatus.SEE_OTHER, headers, b"", send)

    def _check_token(self, request: Request) -> None:
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        cookies = SimpleCookie(request.headers.get("cookie", ""))
        candidates = [bearer.strip()] if kind.lower() == "bearer" else []
        candidates += [cookies[COOKIE].value] if COOKIE in cookies else []
        if not any(self._right(given) for given in candidates):
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "a token is needed: open the address that `toonify serve` printed, or send"
                " `Authorization: Bearer TOKEN`.",
            )

    def _right(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), (self.token or "").encode())

    def _allowed(self, path: str) -> int:
        limits = self.limits
        if path == "/api/pictures":
            return limits.photo_bytes + _FORM
        if path in _UPLOADS:
            return max(limits.photo_bytes, limits.clip_bytes) + _FORM
        return 1_000_000

    def _check_length(self, request: Request) -> None:
        allowed = self._allowed(request.url.path)
        try:
            length = int(request.headers.get("content-length", "0"))
        except ValueError:
            raise Problem(HTTPStatus.BAD_REQUEST, "the content length is no number.") from None
        if length > allowed:
            raise too_large(allowed - _FORM)
        if request.method == "POST" and request.url.path in _UPLOADS and self.folder.full():
            raise Problem(
                HTTPStatus.INSUFFICIENT_STORAGE,
                "the server has no room for more uploads. Try again later.",
                retry_after=self.limits.keep_seconds,
            )


class _Metered:
    """Ends a request whose body turns out longer than allowed, whatever it said of itself."""

    def __init__(self, app: ASGIApp, allowed: int) -> None:
        self.app, self.allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        got, begun, exceeded = 0, False, False

        async def metered() -> Message:
            nonlocal got, exceeded
            message = await receive()
            if message["type"] == "http.request":
                got += len(message.get("body", b""))
                if got > self.allowed:
                    exceeded = True
                    return {"type": "http.disconnect"}
            return message

        async def answer(message: Message) -> None:
            nonlocal begun
            if exceeded and not begun:
                return  # what the app makes of a client that seems to be gone
            begun = True
            await send(message)

        try:
            await self.app(scope, metered, answer)
        except Exception as error:
            if not exceeded and isinstance(error, ClientDisconnect):
                return  # there is nobody to be answered
            if not exceeded or begun:
                raise
        if exceeded and not begun:
            await respond(too_large(self.allowed - _FORM), send)


async def respond(problem: Problem, send: Send) -> None:
    """A problem document."""
    headers = {"content-type": MEDIA_TYPE, **problem.headers}
    await _respond(problem.status, headers, problem.body(), send)


async def _respond(status: int, headers: Mapping[str, str], body: bytes, send: Send) -> None:
    fields = [(k.encode(), v.encode()) for k, v in headers.items()]
    fields.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": fields})
    await send({"type": "http.response.body", "body": body})


def _hostname(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
