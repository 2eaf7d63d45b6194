"""The server: page, API and guard put together, from the first port to the last file."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.types import ASGIApp

import toonify
from toonify.errors import InputError
from toonify.web.api import answer_problems, router
from toonify.web.files import PrivateFolder
from toonify.web.guard import Guard
from toonify.web.limits import Limits
from toonify.web.orders import Line
from toonify.web.studio import Studio

_SWEEP = 20.0  # seconds between looks for files that have been there for too long


class Server:
    """One studio, offered over HTTP.

    Args:
        studio: draws.
        limits: of every visitor.
        token: required of everybody; None for a server that only this machine reaches.
        page: offer the page; else the API alone.
    """

    def __init__(
        self,
        studio: Studio,
        *,
        limits: Limits | None = None,
        token: str | None = None,
        page: bool = True,
    ) -> None:
        self.limits = limits or Limits()
        self.token = token
        self.folder = PrivateFolder(self.limits)
        self.line = Line(
            length=self.limits.queue, share=self.limits.share, seconds=self.limits.work_seconds
        )
        self.app = self._build(studio, page)

    def _build(self, studio: Studio, page: bool) -> ASGIApp:
        app = FastAPI(
            title="toonify",
            summary="Photographs in, drawings out.",
            version=toonify.__version__,
            openapi_url="/api/openapi.json",
            docs_url=None,  # these pages fetch their scripts from elsewhere
            redoc_url=None,
            lifespan=self._life,
        )
        answer_problems(app)
        app.include_router(router(studio, self.line, self.folder, self.limits))
        if page:
            from toonify.web.page import mount

            app = mount(app, studio, self.line, self.folder, self.limits)
        return Guard(app, limits=self.limits, folder=self.folder, token=self.token)

    @contextlib.asynccontextmanager
    async def _life(self, app: FastAPI) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await asyncio.sleep(_SWEEP)
                await asyncio.to_thread(self.folder.sweep)

        sweeping = asyncio.create_task(sweep())
        try:
            yield
        finally:
            sweeping.cancel()
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Stop drawing and remove every file."""
        self.line.close()
        self.folder.close()

    def run(self, listening: socket.socket) -> None:
        """Serve until interrupted."""
        import uvicorn

        config = uvicorn.Config(
            self.app,
            log_level="warning",
            access_log=False,
            proxy_headers=False,  # anybody can send these: a client would choose its own address
            server_header=False,
            timeout_graceful_shutdown=5,
            limit_concurrency=200,
        )
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            self.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket on a port that is free.

    Raises:
        InputError: it is taken, or there is no such address.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            raise InputError(
                f"port {port} of {host} is taken", hint="Stop what runs there, or name another."
            ) from error
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"can't listen on port {port} of {host}: {reason}", hint="Name another."
        ) from error
    return listening


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host.lower() == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
