"""From a run's rows to the figures of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from toonify.errors import InputError
from toonify.evaluation.features import FeatureNetwork
from toonify.evaluation.heads import FIGURES, MEDIANS, agreement
from toonify.evaluation.lineup import descriptor_distances, layout_distances, top1
from toonify.evaluation.metrics import (
    Features,
    correlation,
    frechet_distance,
    kernel_distance,
    slope,
)
from toonify.evaluation.probes import MEASURES
from toonify.evaluation.run import Run, Subject
from toonify.media.images import iter_images, read_image
from toonify.training.data.drawings import prepare

BATCH = 8  # drawings looked at together
# figures whose mean over the photos is reported
MEANS = ("lpips", "identity")
THIRDS = ("dark", "middle", "light")  # of the photographs, by the lightness of cheeks


def drawing_features(
    folder: Path,
    characters: Sequence[str],
    network: FeatureNetwork,
    *,
    size: int,
    on_failure: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Features]:
    """Features of each character's own drawings.

    Args:
        folder: one sub-folder of drawings a character; characters without one are left out.
        size: the drawings are resized to this many pixels first, as the generator's are.
        on_failure: gets one line for each drawing that can't be read.

    Raises:
        InputError: no sub-folder of any of the characters.
    """
    found = [name for name in characters if (folder / name).is_dir()]
    if not found:
        raise InputError(
            f"{folder} has no sub-folder named {' or '.join(characters)}",
            hint="Give each character a sub-folder of its drawings.",
        )
    paths = {name: list(iter_images(folder / name, recursive=True)) for name in found}
    total, done = sum(map(len, paths.values())), 0
    result = {}
    for name in found:
        vectors = [np.zeros((0, network.width))]
        waiting: list[np.ndarray] = []
        for path in paths[name]:
            if progress:
                progress(done, total)
            done += 1
            try:
                image = read_image(path)
            except InputError as error:
                if on_failure:
                    on_failure(str(error))
                continue
            waiting.append(prepare(image.rgb, image.alpha, size))
            if len(waiting) == BATCH:
                vectors.append(network(waiting))
                waiting = []
        vectors.append(network(waiting))
        result[name] = np.concatenate(vectors)
    return result


def summarize(
    run: Run, subject: Subject, drawings: Mapping[str, Features] | None = None
) -> dict[str, Any]:
    """Figures of one subject: of each character, their means, and the times.

    Args:
        drawings: features of the characters' own drawings, for KID and FID.

    Returns:
        JSON-able: `characters` (name → figures), `overall` (means of those), `seconds`. A figure
        that could not be measured is left out; a correlation that isn't defined is None.
    """
    characters = {
        name: _character(run, subject.label, name, (drawings or {}).get(name))
        for name in subject.characters
    }
    return {
        "label": subject.label,
        "resolution": subject.resolution,
        "overall": _mean_of(list(characters.values())),
        "characters": characters,
        "seconds": _seconds(run, subject.label),
    }


def _character(run: Run, label: str, name: str, drawings: Features | None) -> dict[str, Any]:
    rows = [(row.get("measures"), row["drawings"][label][name]) for row in run.rows]
    figures: dict[str, Any] = {}
    for key in MEANS:
        values = [drawn[key] for _, drawn in rows if key in drawn]
        if values:
            figures[key] = fmean(values)
    both = [(photo, drawn["measures"]) for photo, drawn in rows if photo and "measures" in drawn]
    if both:
        series = {
            key: ([photo[key] for photo, _ in both], [drawn[key] for _, drawn in both])
            for key in MEASURES
        }
        figures["correlation"] = {key: correlation(*pair) for key, pair in series.items()}
        figures["slope"] = {key: slope(*pair) for key, pair in series.items()}
    if any("skin_error" in drawn or "flat" in drawn for _, drawn in rows):
        figures["likeness"] = _likeness(run, label, name)
    lineup = _lineup(run, label, name)
    if lineup:
        figures["lineup"] = lineup
    own = run.features.get((label, name))
    if own is not None and drawings is not None:
        figures["kid"] = kernel_distance(own, drawings)
        figures["fid"] = frechet_distance(own, drawings)
        figures["drawings"] = len(drawings)
    return figures


def _lineup(run: Run, label: str, name: str) -> dict[str, Any]:
    """Share of the drawings from which their photograph is found again, by face and by color."""
    drawings, photos = run.lineups.get((label, name), []), run.photos
    result: dict[str, Any] = {}
    if len(drawings) < 2:
        return result
    faces = [one.descriptor for one in drawings if one.descriptor is not None]
    if len(faces) == len(drawings):
        known = [one.descriptor for one in photos if one.descriptor is not None]
        result["descriptor"] = top1(descriptor_distances(faces, known))
    layouts = [one.layout for one in drawings if one.layout is not None]
    if len(layouts) == len(drawings):
        known = [one.layout for one in photos if one.layout is not None]
        shares = [one.share for one in photos if one.share is not None]
        result["color"] = top1(layout_distances(layouts, known, shares))
    return result | {"chance": 1 / len(drawings)} if result else result


def _likeness(run: Run, label: str, name: str) -> dict[str, Any]:
    """How well heads are kept; see `compare_heads`."""
    photos = [row.get("head", {}) for row in run.rows]
    drawn = [row["drawings"][label][name] for row in run.rows]
    result: dict[str, Any] = {}
    for key in FIGURES:
        values = [figures[key] for figures in drawn if key in figures]
        if values:
            result[key] = median(values) if key in MEDIANS else fmean(values)
    for key in ("glasses", "beard"):
        both = [(p[key], d[key]) for p, d in zip(photos, drawn, strict=True) if key in p]
        agreed = agreement([p for p, _ in both], [d for _, d in both])
        if agreed is not None:
            result[key] = agreed
    by_lightness = [
        (photo["cheeks"], figures)
        for photo, figures in zip(photos, drawn, strict=True)
        if "cheeks" in photo and "cheeks" in figures and "skin_error" in figures
    ]
    by_lightness.sort(key=lambda pair: pair[0])
    if len(by_lightness) >= len(THIRDS):
        parts = np.array_split(np.arange(len(by_lightness)), len(THIRDS))
        result["thirds"] = {
            third: {
                "photos": len(part),
                "lightness": fmean(by_lightness[i][0] for i in part),
                "cheeks": fmean(by_lightness[i][1]["cheeks"] for i in part),
                "skin_error": median(by_lightness[i][1]["skin_error"] for i in part),
            }
            for third, part in zip(THIRDS, parts, strict=True)
        }
    return result


def _mean_of(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean over characters of every number, dicts within; what none has is left out."""
    result: dict[str, Any] = {}
    for key in dict.fromkeys(key for entry in figures for key in entry if key != "drawings"):
        values = [entry[key] for entry in figures if entry.get(key) is not None]
        if not values:
            result[key] = None
        elif isinstance(values[0], Mapping):
            result[key] = _mean_of(values)
        else:
            result[key] = fmean(values)
    return result


def _seconds(run: Run, label: str) -> dict[str, float]:
    """Medians over the photos; `photo` is from a read picture to one character's drawing."""
    rows = [row["seconds"][label] for row in run.rows]
    if not rows:
        return {}
    result = {key: median(row[key] for row in rows) for key in ("find", "encode", "draw")}
    return {"photo": median(sum(row.values()) for row in rows), **result}


def deviations(run: Run, subject: Subject) -> dict[str, list[dict[str, float]]]:
    """How far each drawing strays from its photo, for sorting: character → one dict a row.

    `lpips` as it is, `identity` as one minus it, and for every measure the absolute difference
    of drawing and photo after taking out the character's own mean difference: a drawing's eyes
    are larger than life on every photo, and that is no fault of one of them.
    """
    result = {}
    for name in subject.characters:
        drawn = [row["drawings"][subject.label][name] for row in run.rows]
        entries: list[dict[str, float]] = [{} for _ in drawn]
        for entry, figures in zip(entries, drawn, strict=True):
            if "lpips" in figures:
                entry["lpips"] = figures["lpips"]
            if "identity" in figures:
                entry["identity"] = 1 - figures["identity"]
        for key in MEASURES:
            differences = {
                i: figures["measures"][key] - row["measures"][key]
                for i, (row, figures) in enumerate(zip(run.rows, drawn, strict=True))
                if "measures" in row and "measures" in figures
            }
            usual = fmean(differences.values()) if differences else 0.0
            for i, value in differences.items():
                entries[i][key] = abs(value - usual)
        result[name] = entries
    return result
