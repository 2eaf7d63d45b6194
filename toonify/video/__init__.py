"""Clips in, clips with drawn people out."""

from __future__ import annotations

from toonify.video.artist import Artist, CdsmArtist
from toonify.video.casting import Casting
from toonify.video.conversion import Options, Report, convert
from toonify.video.frame_artist import FrameArtist
from toonify.video.preview import preview
from toonify.video.style_artist import StyleArtist

__all__ = [
    "Artist",
    "Casting",
    "CdsmArtist",
    "FrameArtist",
    "Options",
    "Report",
    "StyleArtist",
    "convert",
    "preview",
]
