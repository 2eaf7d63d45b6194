"""A face of flat colors with the labels it was drawn from, and a mesh that fits it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from toonify.faces.parsing import LABELS
from toonify.training.parsing.faces import LabeledFace
from toonify.training.parsing.labels import BROWS, EYES, INNER_LIPS, OUTER_LIPS, OVAL

INDEX = {name: i for i, name in enumerate(LABELS)}
COLORS = {
    "background": (90, 140, 90), "hair": (60, 40, 25), "skin": (215, 165, 140),
    "neck": (200, 150, 125), "clothes": (50, 60, 150), "brow": (70, 45, 30),
    "eye": (240, 240, 240), "lips": (180, 70, 80), "mouth": (110, 30, 40), "ear": (215, 150, 130),
}  # fmt: skip


def mesh() -> np.ndarray:
    """(468, 3) px of a 256 crop: a sampled face that looks into the camera."""
    return np.load(Path(__file__).parent / "assets/parsing/mesh.npy").astype(np.float32)


def drawn_labels() -> np.ndarray:
    """(256, 256) uint8."""
    points = mesh()[:, :2]
    labels = np.zeros((256, 256), np.uint8)
    center = points[list(OVAL)].mean(0)
    cv2.rectangle(labels, (30, 225), (226, 256), INDEX["clothes"], -1)
    middle = (int(center[0]), int(center[1]))
    cv2.ellipse(labels, (middle[0], middle[1] - 25), (82, 105), 0, 0, 360, INDEX["hair"], -1)
    cv2.rectangle(labels, (middle[0] - 30, 190), (middle[0] + 30, 235), INDEX["neck"], -1)
    for name, outlines in (
        ("skin", (OVAL,)), ("brow", BROWS), ("eye", EYES), ("lips", (OUTER_LIPS,)),
        ("mouth", (INNER_LIPS,)),
    ):  # fmt: skip
        for outline in outlines:
            cv2.fillPoly(labels, [np.int32(np.round(points[list(outline)]))], INDEX[name])
    return labels


def drawn_face(seed: int = 0, attributes: tuple[float, ...] = (0, 0, 0, 0)) -> LabeledFace:
    """The labels in their colors, a little noisy."""
    labels = drawn_labels()
    table = np.zeros((len(LABELS), 3), np.float32)
    for name, color in COLORS.items():
        table[INDEX[name]] = color
    noise = np.random.default_rng(seed).normal(0, 4, (256, 256, 3))
    rgb = np.clip(cv2.GaussianBlur(table[labels], (0, 0), 0.8) + noise, 0, 255).astype(np.uint8)
    alpha = cv2.GaussianBlur((labels > 0).astype(np.float32), (0, 0), 0.7)
    return LabeledFace(rgb, labels, alpha, mesh(), np.float32(attributes))


def write_faces(folder: Path, count: int = 3) -> Path:
    """A folder that `LabeledFaces` reads."""
    faces = [drawn_face(seed) for seed in range(count)]
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "rgb.npy", np.stack([f.rgb for f in faces]))
    np.save(folder / "labels.npy", np.stack([f.labels for f in faces]))
    np.save(folder / "alpha.npy", np.stack([np.uint8(f.alpha * 255) for f in faces]))
    np.save(folder / "points.npy", np.stack([f.points for f in faces]))
    np.save(folder / "attributes.npy", np.stack([f.attributes for f in faces]))
    (folder / "weights.json").write_text(json.dumps([1.0] * count))
    return folder
