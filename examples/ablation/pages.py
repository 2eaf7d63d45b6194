"""Pictures and tables of figures for docs/evaluation.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from toonify.media.images import encode_image, write_image

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 500_000  # bytes of a picture in docs/

_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("LPIPS", "lpips", ".3f"),
    ("identity", "identity", ".3f"),
    ("nose", "correlation.nose", ".2f"),
    ("pitch", "correlation.pitch", ".2f"),
    ("mouth", "correlation.mouth_open", ".2f"),
    ("smile", "correlation.smile", ".2f"),
    ("eyes", "correlation.eyes", ".2f"),
    ("gaze", "correlation.gaze_x", ".2f"),
    ("KID", "kid", ".3f"),
    ("FID", "fid", ".1f"),
)


def labeled_grid(
    titles: Sequence[str], rows: Sequence[Sequence[np.ndarray | None]], *, tile: int
) -> np.ndarray:
    """Rows of pictures under their titles, white where there is none; (H, W, 3) uint8."""
    gap, top = 3, 22
    size = (len(titles) * (tile + gap) + gap, top + len(rows) * (tile + gap))
    page = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=14)
    for column, title in enumerate(titles):
        left = gap + column * (tile + gap)
        pen.text((left + tile / 2, top / 2), title, "black", font, "mm")
        for row, pictures in enumerate(rows):
            picture = pictures[column]
            if picture is not None:
                small = Image.fromarray(picture).resize((tile, tile), Image.Resampling.LANCZOS)
                page.paste(small, (left, top + row * (tile + gap)))
    return np.asarray(page)


def write_small(path: Path, picture: np.ndarray) -> None:
    """As JPEG, in the best quality that stays below `LARGEST`."""
    quality = next(
        (q for q in range(92, 50, -4) if len(encode_image(picture, "jpg", quality=q)) < LARGEST),
        50,
    )
    write_image(path, picture, quality=quality)


def figures_table(rows: Mapping[str, Mapping[str, Any]], heading: str, suffix: str) -> str:
    """Markdown, a line a row; columns that no row has are left out.

    Args:
        rows: title → figures as `summarize` gives them.
        suffix: added to the names of KID and FID.
    """

    def value(figures: Any, key: str) -> float | None:
        for part in key.split("."):
            figures = (figures or {}).get(part)
        return figures

    shown = [c for c in _COLUMNS if any(value(row, c[1]) is not None for row in rows.values())]
    titles = [title + suffix if title in ("KID", "FID") else title for title, _, _ in shown]
    lines = [f"| {heading} | {' | '.join(titles)} |", "|---|" + "---:|" * len(shown)]
    for name, row in rows.items():
        found = [(value(row, key), form) for _, key, form in shown]
        cells = ["–" if v is None else format(v, form) for v, form in found]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def update_page(section: str, text: str) -> None:
    """Replace what stands between a section's two markers in docs/evaluation.md."""
    path = ROOT / "docs" / "evaluation.md"
    page = path.read_text(encoding="utf-8")
    before, found, rest = page.partition(f"<!-- {section} -->\n")
    _, closed, after = rest.partition("<!-- end -->")
    if not (found and closed):
        raise SystemExit(f"{path} has no section <!-- {section} --> … <!-- end -->")
    path.write_text(f"{before}{found}\n{text}\n\n{closed}{after}", encoding="utf-8")
