"""Which drawings of a set are copies of one another, outliers, or in the wrong folder.

All by plain statistics on small pictures: layout and color, no network. Meant for warnings that a
person looks at; where a set is too small or too mixed to tell, nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 128  # px of the pictures compared
CELLS = 8
ANGLES = 6
HASH_BITS = 10  # differing bits of 64 up to which two hashes are worth a closer look
SAME_MEAN, SAME_PEAK = 2.5, 28.0  # levels, at a quarter of SIDE: copies re-encoded or rescaled
NEIGHBORS = 3
# product of both distances: up to 0.9 between one set's drawings, from 1.4 on to a photograph
OUTLIER_FROM = 1.0
OUTLIER_IN_FOLDER = 5.0  # the same among one character's drawings, where turned heads stand out
FEWEST = 8  # fewer drawings have nothing to be an outlier of
OUTLIER, OUTLIER_DEVIATIONS = 4.2, 2.2  # times as far from its neighbors as usual, and at least
VOTERS = 5
DISTINCT = 0.9  # share of drawings nearest to their own folder's, for the folders to be distinct


def duplicates(pictures: NDArray[np.uint8]) -> list[tuple[int, int, str]]:
    """Pairs of pictures (N, SIDE, SIDE, 3) that show the same, as (earlier, later, kind).

    Kinds: "near" (re-encoded, rescaled) and "mirrored". A perceptual hash (pHash) proposes, pixels
    decide: drawings of one character that differ in an eye must not count as copies.
    """
    small = np.stack([_shrunk(p, SIDE // 4) for p in pictures]).astype(np.float32)
    turned = small[:, :, ::-1]
    found = []
    hashes = np.stack([_hash(p) for p in small])
    for kind, other in (("near", small), ("mirrored", turned)):
        others = hashes if kind == "near" else np.stack([_hash(p) for p in other])
        for later in range(1, len(small)):
            differing = (hashes[later] != others[:later]).sum(1)
            for earlier in np.flatnonzero(differing <= HASH_BITS):
                difference = np.abs(small[later] - other[earlier]).max(-1)
                if difference.mean() < SAME_MEAN and difference.max() < SAME_PEAK:
                    found.append((int(earlier), later, kind))
                    break
    return found


def outliers(pictures: NDArray[np.uint8], *, times: float = OUTLIER) -> list[int]:
    """Pictures (N, SIDE, SIDE, 3) that lie far from all others: a landscape among heads.

    Distance to the nearest neighbors in color layout times that in edge layout is more than
    `times` its median over the set, and more than drawings of one thing ever have.
    """
    if len(pictures) < FEWEST:
        return []
    colors, edges = _features(pictures)
    scores = np.log(_to_neighbors(_distances(colors)) + 1e-6)
    scores += np.log(_to_neighbors(_distances(edges)) + 1e-6)
    middle = float(np.median(scores))
    spread = 1.4826 * float(np.median(np.abs(scores - middle)))
    limit = middle + max(float(np.log(times)), OUTLIER_DEVIATIONS * spread)
    limit = max(limit, float(np.log(OUTLIER_FROM)))
    return [int(i) for i in np.flatnonzero(scores > limit)]


def misplaced(
    pictures: NDArray[np.uint8], folders: Sequence[str]
) -> tuple[list[tuple[int, str]], bool]:
    """Drawings whose nearest others are all of one other folder, as (index, that folder), and
    whether the folders are distinct at all (where not, none is named)."""
    names = np.array(folders)
    counts = {name: int((names == name).sum()) for name in dict.fromkeys(folders)}
    known = [name for name, count in counts.items() if count > VOTERS]
    if len(known) < 2:
        return [], False
    colors, edges = _features(pictures)
    distances = _distances(colors) / _scale(colors) + _distances(edges) / _scale(edges)
    distances[:, ~np.isin(names, known)] = np.inf
    nearest = np.argsort(distances, axis=1)[:, :VOTERS]
    votes = names[nearest]
    rows = np.flatnonzero(np.isin(names, known))
    if (votes[rows, 0] == names[rows]).mean() < DISTINCT:
        return [], False
    wrong = [
        (int(i), str(votes[i, 0]))
        for i in rows
        if votes[i, 0] != names[i] and (votes[i] == votes[i, 0]).all()
    ]
    return wrong, True


def _features(pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Color layout (N, 192) in Lab, and edge directions by place (N, 384), contrast-free."""
    colors, edges = [], []
    for picture in pictures:
        lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
        colors.append(_shrunk(lab, CELLS).ravel())
        light = cv2.GaussianBlur(lab[..., 0], (0, 0), 1.0)
        x, y = (cv2.Sobel(light, cv2.CV_32F, *d) for d in ((1, 0), (0, 1)))
        strength, angle = np.hypot(x, y), np.mod(np.arctan2(y, x), np.pi)
        bins = []
        for k in range(ANGLES):
            middle = (k + 0.5) * np.pi / ANGLES
            away = np.abs((angle - middle + np.pi / 2) % np.pi - np.pi / 2)
            weight = np.maximum(0, 1 - away / (np.pi / ANGLES))
            bins.append(_shrunk(strength * weight, CELLS))
        histogram = np.sqrt(np.stack(bins)).ravel()
        edges.append(histogram / (np.linalg.norm(histogram) + 1e-3))
    return np.stack(colors).astype(np.float32), np.stack(edges).astype(np.float32)


def _distances(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, N) Euclidean, infinite to itself."""
    squares = (features**2).sum(1)
    table = squares[:, None] + squares[None] - 2 * features @ features.T
    np.fill_diagonal(table, np.inf)
    return np.sqrt(np.maximum(table, 0))


def _to_neighbors(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    count = min(NEIGHBORS, len(distances) - 1)
    return np.asarray(np.sort(distances, axis=1)[:, :count].mean(1))


def _scale(features: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(features - features.mean(0), axis=1).mean()) + 1e-6


def _hash(picture: NDArray[np.float32]) -> NDArray[np.bool_]:
    """64 bits: the signs of the lowest frequencies against their median."""
    gray = picture.mean(-1).astype(np.float32)
    low = cv2.dct(np.ascontiguousarray(gray))[:8, :8].ravel()
    return np.asarray(low > np.median(low[1:]))


def _shrunk(picture: NDArray[np.generic], side: int) -> NDArray[np.generic]:
    return np.asarray(cv2.resize(np.asarray(picture), (side, side), interpolation=cv2.INTER_AREA))
