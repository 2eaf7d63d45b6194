"""Clips in, clips with drawn people out."""

from __future__ import annotations

from toonify.video.assignment import CharacterAssignment
from toonify.video.clips import clip_engine, convert_video
from toonify.video.conversion import Options, Report, convert
from toonify.video.preview import preview

__all__ = [
    "CharacterAssignment",
    "Options",
    "Report",
    "clip_engine",
    "convert",
    "convert_video",
    "preview",
]
