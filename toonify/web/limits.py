"""What a visitor may ask for; the same for the page and for the API."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

MEGA = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one server.

    Attributes:
        photo_bytes: of an uploaded photograph's file.
        photo_pixels: of a photograph, as its header says.
        photo_side: longest side, px, that photographs are worked on with; larger ones are shrunk.
        clip_bytes: of an uploaded clip's file.
        clip_seconds: length of a clip.
        clip_side: longest side, px, of a drawn clip.
        work_seconds: time one order may wait and work, before it is given up.
        queue: orders that wait or are worked on, of all clients.
        share: orders that wait or are worked on, of one client (one address).
        keep_seconds: how long files of a visitor stay, from their writing on.
        folder_bytes: of all visitors' files together; no upload is taken beyond it.
    """

    photo_bytes: int = 20 * MEGA
    photo_pixels: int = 40 * MEGA
    photo_side: int = 1600
    clip_bytes: int = 100 * MEGA
    clip_seconds: float = 30.0
    clip_side: int = 720
    work_seconds: float = 900.0
    queue: int = 16
    share: int = 3
    keep_seconds: float = 600.0
    folder_bytes: int = 2_000 * MEGA

    def public(self) -> dict[str, Any]:
        """JSON-able, for clients."""
        return asdict(self)
