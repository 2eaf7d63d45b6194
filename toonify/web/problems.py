"""Failures that a client gets: problem documents (RFC 9457) with the right status."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from toonify.errors import InputError, ModelError, ToonifyError, UsageError
from toonify.utils.memory import is_shortage

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer other than success.

    Args:
        status: of HTTP.
        detail: what is wrong with this very request, and what to do about it.
        retry_after: seconds after which it is worth another try.
    """

    def __init__(self, status: int, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers beside the content type."""
        headers = {"cache-control": "no-store"}
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, round(self.retry_after)))
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        return headers

    def document(self) -> dict[str, Any]:
        """The body."""
        title = HTTPStatus(self.status).phrase
        return {
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "detail": self.detail,
        }

    def body(self) -> bytes:
        """The body, encoded."""
        return json.dumps(self.document(), ensure_ascii=False).encode()


def problem_of(error: BaseException) -> Problem:
    """The answer to a failure of the library. What nobody expects says nothing of its inside."""
    if isinstance(error, Problem):
        return error
    if is_shortage(error) and not isinstance(error, UsageError | InputError | ModelError):
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "not enough memory for this. Try a smaller picture."
        )
    if isinstance(error, UsageError | InputError):
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    if isinstance(error, ModelError):
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    if isinstance(error, ToonifyError):
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "the drawing failed. The server's log says why."
    )
