"""Clips in, clips with drawn people out."""

from __future__ import annotations

from toonify.video.artist import Artist, CdsmArtist
from toonify.video.assignment import CharacterAssignment
from toonify.video.conversion import Options, Report, convert
from toonify.video.frame_artist import FrameArtist
from toonify.video.preview import preview
from toonify.video.style_artist import StyleArtist

__all__ = [
    "Artist",
    "CdsmArtist",
    "CharacterAssignment",
    "FrameArtist",
    "Options",
    "Report",
    "StyleArtist",
    "convert",
    "preview",
]
