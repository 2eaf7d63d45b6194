"""Does the drawing do what the face does? Pose and mouth of photographs and of their cartoons.

    python examples/default_bundle/measure.py FOLDER... [--bundle B] [--sheet sheet.png]

Prints, as JSON, the share of photographs with a face and, over them and every character, the
correlation between photograph and drawing of yaw (nose offset between the eyes), mouth opening,
smile, gaze and eye opening, from dense landmarks (MediaPipe's, through the registry).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from toonify.checkpoints.download import pull
from toonify.engine import Toonifier
from toonify.errors import ToonifyError
from toonify.faces.mesh import FaceMesh
from toonify.media import iter_images, read_image

NOSE_TIP = 1  # of the 468 points
KEYS = ("yaw_offset", "mouth_open", "smile", "gaze_x", "eye_left", "pitch")


def measures(mesh: FaceMesh, image: np.ndarray) -> dict[str, float]:
    """The mesh's numbers and the nose's offset between the eyes, in eye distances."""
    found = mesh.measure(image)
    left, right = np.asarray(found.eye_centre_left), np.asarray(found.eye_centre_right)
    axis = right - left
    nose = np.asarray(found.points[NOSE_TIP]) - (left + right) / 2
    return {**found.scalars(), "yaw_offset": float(nose @ axis / (axis @ axis))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--limit", type=int, default=1000, help="photographs a folder")
    arguments = parser.parse_args()
    toon = Toonifier.from_bundle(arguments.bundle)
    mesh = FaceMesh(pull("face-mesh"))
    photos: list[dict[str, float]] = []
    drawings: dict[str, list[dict[str, float]]] = {name: [] for name in toon.characters}
    missed = []
    for folder in arguments.folders:
        for path in list(iter_images(folder))[: arguments.limit]:
            try:
                image = read_image(path).rgb
                faces = toon.detect(image)
            except ToonifyError as error:
                print(error, file=sys.stderr)
                faces = []
            if not faces:
                missed.append(path.name)
                continue
            crop = toon.align(image, faces[0]).image
            photos.append(measures(mesh, crop))
            drawn = toon.stylize_crops([crop], toon.characters)[0]
            for name, picture in zip(toon.characters, drawn, strict=True):
                drawings[name].append(measures(mesh, picture))
    result: dict[str, object] = {
        "photographs": len(photos) + len(missed),
        "toonified": len(photos),
        "missed": missed,
    }
    for key in KEYS:
        source = np.array([row[key] for row in photos])
        by_name = {
            name: round(float(np.corrcoef(source, [row[key] for row in rows])[0, 1]), 3)
            for name, rows in drawings.items()
        }
        result[key] = {"mean": round(float(np.mean(list(by_name.values()))), 3), **by_name}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
