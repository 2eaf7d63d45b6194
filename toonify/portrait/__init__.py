"""Portraits that keep the person: photographs drawn by program as flat shapes."""

from toonify.portrait.catalog import bundle_styles
from toonify.portrait.engine import PortraitEngine, compose
from toonify.portrait.shapes import Drawing, render, render_alpha
from toonify.portrait.styles import STYLES, Style, get_style

__all__ = [
    "STYLES",
    "Drawing",
    "PortraitEngine",
    "Style",
    "bundle_styles",
    "compose",
    "get_style",
    "render",
    "render_alpha",
]
