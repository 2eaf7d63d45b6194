"""One picture, drawn as a clip's frames are."""

from __future__ import annotations

from toonify.engines.base import Engine, Placed
from toonify.faces.types import RGB
from toonify.video.assignment import CharacterAssignment
from toonify.video.compositor import compositor_of


def draw_still(
    rgb: RGB, engine: Engine, assignment: CharacterAssignment, *, largest: bool = False
) -> tuple[RGB, int]:
    """(H, W, 3) uint8 with its people drawn, and how many there are.

    Args:
        assignment: people are numbered from left to right.
        largest: only the largest face is drawn.
    """
    faces = engine.detector.detect(rgb)[: 1 if largest else None]
    faces = sorted(faces, key=lambda face: float(face.box[0]))
    compositor = compositor_of(engine, 0)
    if not faces and not compositor.scenes:
        return rgb, 0
    regions = [engine.locate(rgb, face) for face in faces]
    places = {n: float(f.points5[:, 0].mean()) / rgb.shape[1] for n, f in enumerate(faces, 1)}
    assignment.appear(places)
    names = [assignment[n] for n in places]
    toons = engine.draw_located(regions, engine.encode(regions), names) if regions else []
    items = [
        Placed(n, toon, region) for n, toon, region in zip(places, toons, regions, strict=True)
    ]
    return compositor.compose(rgb, items), len(faces)
