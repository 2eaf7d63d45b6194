"""A self-contained HTML page of headings, figures, tables and pictures: one file, no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from toonify.errors import InputError
from toonify.utils.atomic import write_text, writing
from toonify.utils.outputs import GENERATOR_TAG

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881;
  --c0: #2266cc; --c1: #d2571a; --c2: #1f8a4c; --c3: #9b3fc0; --c4: #b98300; --c5: #0f8f9b; }
@media (prefers-color-scheme: dark) { :root { --c0: #6aa9ff; --c1: #ff9a5c; --c2: #5fd08c;
  --c3: #d18bf0; --c4: #e8bb45; --c5: #52cbd6; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem;
  padding: 1.2rem 1.5rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0 0 .3rem; }
p { margin: .3rem 0; max-width: 60rem; } .note { opacity: .75; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1rem; }
.charts section { background: var(--soft); border-radius: 8px; padding: .7rem .8rem .4rem; }
.charts b { font-weight: 400; float: right; font-variant-numeric: tabular-nums; }
svg.curves { width: 100%; height: auto; display: block; }
svg text { font: 11px system-ui, sans-serif; fill: currentColor; opacity: .8; }
.grid { stroke: var(--line); stroke-width: .6; } .frame { fill: none; stroke: var(--line); }
path { fill: none; stroke-linejoin: round; } .raw { stroke-width: 1; opacity: .3; }
.line { stroke-width: 2; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); }
.c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); }
circle { fill: currentColor; }
figure { margin: 0; } figure img { display: block; max-width: 100%; border-radius: 5px; }
figcaption { font-size: 12px; opacity: .8; padding-top: .15rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td { padding: .15rem 1rem .15rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { opacity: .75; white-space: nowrap; } td { overflow-wrap: anywhere; }
summary { cursor: pointer; margin: 1rem 0 .3rem; }
"""


class Page:
    """Collects a page's parts; `write` puts the file in place, whole or not at all.

    All text is escaped. The methods return the page, so that calls can be chained.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>"]

    def heading(self, text: str) -> Page:
        self._parts.append(f"<h2>{html.escape(text)}</h2>")
        return self

    def paragraph(self, text: str, *, note: bool = False) -> Page:
        kind = ' class="note"' if note else ""
        self._parts.append(f"<p{kind}>{html.escape(text)}</p>")
        return self

    def facts(self, values: Mapping[str, object], *, folded: str = "") -> Page:
        """A table of two columns, behind the summary `folded` where one is given."""
        rows = "".join(
            f"<tr><td>{html.escape(str(key))}</td><td>{html.escape(_text(value))}</td></tr>"
            for key, value in values.items()
        )
        table = f"<table>{rows}</table>"
        if folded:
            table = f"<details><summary>{html.escape(folded)}</summary>{table}</details>"
        self._parts.append(table)
        return self

    def charts(self, charts: Sequence[tuple[str, str, str]]) -> Page:
        """(title, last value, `<svg>`) side by side."""
        sections = "".join(
            f"<section><h3><b>{html.escape(last)}</b>{html.escape(title)}</h3>{svg}</section>"
            for title, last, svg in charts
        )
        self._parts.append(f'<div class="charts">{sections}</div>')
        return self

    def pictures(self, pictures: Sequence[tuple[str, str]], *, width: int = 0) -> Page:
        """(caption, what `embedded` gives) side by side.

        Args:
            width: pixels of each on the page; their own when 0.
        """
        size = f' style="width:{width}px"' if width else ""
        figures = "".join(
            f'<figure{size}><img alt="{html.escape(caption)}" src="{source}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            for caption, source in pictures
        )
        self._parts.append(f'<div class="row">{figures}</div>')
        return self

    def write(self, path: Path) -> None:
        """Raises InputError where the file can't be written."""
        text = (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            f"{GENERATOR_TAG}\n"
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{html.escape(self.title)}</title>\n<style>{_STYLE}</style></head><body>\n"
            + "\n".join(self._parts)
            + "\n</body></html>\n"
        )
        with writing(path, hint="Make room; everything else of the run is in place."):
            write_text(path, text)


def embedded(picture: Path | np.ndarray, *, width: int) -> str:
    """A picture (a file or (H, W, 3) uint8) as a data address, at most `width` pixels wide.

    Raises:
        InputError: the file can't be read.
    """
    try:
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else Image.open(picture)
        with image:
            height = max(1, round(image.height * width / image.width))
            if width < image.width:
                image.draft("RGB", (width, height))
            image = image.convert("RGB")
            if width < image.width:
                image = image.resize((width, height), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=88)
    except (OSError, ValueError) as error:
        raise InputError(f"can't read the picture {picture} ({error})") from error
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value) or "none"
    return "none" if value is None or value == "" else str(value)
