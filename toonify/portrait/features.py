"""Nose, mouth, brows and eyes, drawn from the mesh in the photograph's colors."""

from __future__ import annotations

import cv2
import numpy as np

from toonify.portrait.fields import Field, Lab, blur, f32, fill_from, to_rgb, weighted_mean
from toonify.portrait.scene import Head
from toonify.portrait.shapes import Ring, cut, ellipse, raster_mask, ring_area, spline, stroke
from toonify.portrait.subject import (
    BROWS,
    INNER_LOWER,
    INNER_UPPER,
    LIP_LOWER,
    LIP_UPPER,
    Eye,
)

FAINT = 7.0  # how much darker than skin a brow is, up to which it has no silhouette
LEAST_TEETH = 4.5  # px of a unit face that a mouth is open, from which teeth are drawn
SHADED_TEETH = 10.0  # px up to which teeth in shade are left out
DEEP = 16  # samples of an open mouth from lip to lip
DEPTH = f32([16, 20, 10])  # CIELAB of the dark of a mouth
GAP = 0.16  # of its depth, up to which dark between teeth is none
SHUT = 0.22  # height over width of an eye's contour, up to which it may be shut


def paint_nose(head: Head) -> None:
    """Wings, nostrils, and one line along the side that is in shade or turned away."""
    p, u = head.face.points, head.unit
    ink, fold = head.palette.ink, head.palette.fold
    w = head.pen
    yaw = head.face.yaw
    # wings
    for side, idx in ((-1, (129, 64, 98)), (1, (358, 294, 327))):
        if side * yaw > 28:
            continue
        head.add(
            [stroke(p[list(idx)], np.array([0.1, 0.75, 0.9, 0.15]) * w * 0.9, count=20)],
            fold if abs(yaw) < 12 else ink,
        )
    lum = blur(head.lab[..., 0], 0.8)
    for side, (a, b) in ((-1, (98, 97)), (1, (327, 326))):
        if side * yaw > 24:
            continue
        c = p[a] * 0.45 + p[b] * 0.55 - head.face.down * 1.2 * u
        along = p[b] - p[a]
        length = float(np.linalg.norm(along))
        ring = ellipse(
            c,
            max(length * 0.42, 1.5 * u),
            max(length * 0.22, 1.2 * u),
            float(np.arctan2(along[1], along[0])),
        )
        head.add([ring], ink)
    base = spline(np.stack([p[97], p[2] + head.face.down * 1.0 * u, p[326]]), 16)
    head.add([stroke(base, np.array([0.2, 0.6, 0.2]) * w * 0.8)], fold)

    # the bridge, on the side that is turned away; from the front its planes show it
    if abs(yaw) < 12:
        return

    def side_tone(i: tuple[int, ...]) -> float:
        q = np.clip(np.rint(p[list(i)]).astype(int), 0, [lum.shape[1] - 1, lum.shape[0] - 1])
        return float(lum[q[:, 1], q[:, 0]].mean())

    left, right = side_tone((198, 217, 131)), side_tone((420, 437, 360))
    far = 1 if yaw > 10 else -1 if yaw < -10 else (1 if right < left else -1)
    line = (
        p[[168, 197, 195, 4]]
        if abs(yaw) > 35
        else p[[413, 437, 420, 279]]
        if far > 0
        else p[[189, 217, 198, 49]]
    )
    ridge = spline(line, 24)[6:]
    head.add([stroke(ridge, np.array([0.05, 0.45, 0.6, 0.1]) * w)], fold)


def paint_mouth(head: Head) -> None:
    """Lips in their own color, what is seen between them, and the line where they meet."""
    p, u, lab = head.face.points, head.unit, head.lab
    ink = head.palette.ink
    w = head.pen
    ou, ol = spline(p[list(LIP_UPPER)], 40), spline(p[list(LIP_LOWER)], 40)
    iu, il = spline(p[list(INNER_UPPER)], 40), spline(p[list(INNER_LOWER)], 40)
    size = (lab.shape[1], lab.shape[0])
    outer = f32(raster_mask([np.vstack([ou, ol[::-1]])], size)) / 255
    inner = f32(raster_mask([np.vstack([iu, il[::-1]])], size)) / 255
    lips = outer * (1 - np.clip(blur(inner, 1.5 * u) * 2, 0, 1))
    base = head.palette.skin
    color = weighted_mean(lab, lips) if lips.sum() > 40 else base + f32([-10, 8, 2])
    color = f32(color)
    # a smaller step on dark skin, as it is seen
    color[1:] *= 1 + 0.12 * min(float(base[0]) / 60, 1.0)
    color[0] = min(color[0], base[0] - 4)
    color[1] = max(color[1], base[1] + 5 * min(float(base[0]) / 60, 1.0))
    upper = color.copy()
    upper[0] -= 5
    draw = head
    draw.add([np.vstack([ou, iu[::-1]])], to_rgb(upper))
    draw.add([np.vstack([ol, il[::-1]])], to_rgb(color))
    span = p[291] - p[61]
    wide = float(np.linalg.norm(span)) + 1e-6
    along = span / wide
    gap = float(np.linalg.norm(p[13] - p[14])) / wide
    shine = p[[84, 17, 314]].mean(0) * 0.45 + p[[87, 14, 317]].mean(0) * 0.55
    hl = color.copy()
    hl[0] = min(hl[0] + 9, 95)
    draw.add(
        [
            stroke(
                np.stack([shine - along * wide * 0.14, shine, shine + along * wide * 0.14]),
                np.array([0.2, 3.0, 0.2]) * u,
                count=20,
            )
        ],
        to_rgb(hl),
    )
    if gap > 0.03:
        mouth = [np.vstack([iu, il[::-1]])]
        draw.add(mouth, to_rgb(depth_color(lab, f32(inner), color)))
        if gap * wide > LEAST_TEETH * u:  # what a thin gap shows is a line
            paint_teeth(head, iu, il, f32(inner))
        draw.add([stroke(iu, np.array([0.2, 0.6, 0.8, 0.6, 0.2]) * w)], ink)
        draw.add([stroke(il, np.array([0.1, 0.35, 0.45, 0.35, 0.1]) * w)], ink)
    else:
        mid = (iu + il) / 2
        draw.add(
            [
                stroke(
                    np.vstack([p[61:62], mid, p[291:292]]),
                    np.array([0.35, 0.55, 0.8, 0.6, 0.8, 0.55, 0.35]) * w,
                )
            ],
            ink,
        )
    for corner, sign in ((61, -1), (291, 1)):
        draw.add(
            [
                stroke(
                    np.stack(
                        [p[corner] + along * sign * 2.2 * u, p[corner] - along * sign * 2.0 * u]
                    ),
                    np.array([0.25, 0.9]) * w * 0.8,
                    count=8,
                )
            ],
            ink,
        )
    below = p[[181, 17, 405]] + head.face.down * 4.5 * u
    draw.add([stroke(below, np.array([0.1, 0.7, 0.1]) * w, count=20)], head.palette.fold)


def depth_color(lab: Lab, inner: Field, lips: Field) -> Field:
    """Color behind the teeth of an open mouth: a tongue in the light is no black hole.

    Args:
        lab: (H, W, 3), CIELAB of the photograph.
        inner: (H, W) 0..1, between the lips.
        lips: (3,), color of the lips, which stay lighter.

    Returns:
        (3,), `DEPTH` where the photograph is dark, what it shows where it is not.
    """
    seen = lab[inner > 0.5]
    if len(seen) < 12:
        return DEPTH
    score = seen[:, 0] - 0.8 * np.maximum(seen[:, 1], 0)
    low, high = np.percentile(score, [10, 94])
    own = f32(np.median(seen[score <= low + 0.5 * (high - low)], axis=0))
    own[0] = np.clip(own[0], DEPTH[0], max(float(lips[0]) - 12, DEPTH[0]))
    share = np.clip((own[0] - DEPTH[0]) / 20, 0, 1)
    own[1] = max(own[1], 10.0)
    return f32(DEPTH + (own - DEPTH) * share)


def paint_teeth(head: Head, iu: Ring, il: Ring, inner: Field) -> None:
    """What is bright and not red in an open mouth, as one smooth shape a row of teeth.

    Args:
        iu, il: (N, 2), the inner edges of the lips, from corner to corner.
        inner: (H, W) 0..1, between them.
    """
    lab, u = head.lab, head.unit
    score = blur(lab[..., 0] - 0.8 * np.maximum(lab[..., 1], 0), 0.8 * u)
    seen = score[inner > 0.5]
    if len(seen) < 30 * u * u:
        return
    low, high = (float(v) for v in np.percentile(seen, [10, 94]))
    base = head.palette.skin
    if high - low < 14 or high < max(24.0, 0.42 * float(base[0])):
        return
    depth = (np.arange(DEEP) + 0.5) / DEEP
    grid = iu[None] + (il - iu)[None] * f32(depth)[:, None, None]
    values = cv2.remap(
        score,
        np.ascontiguousarray(grid[..., 0]),
        np.ascontiguousarray(grid[..., 1]),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    bright = values > low + 0.5 * (high - low)
    at = np.clip(np.rint(grid).astype(int), 0, [head.size[0] - 1, head.size[1] - 1])
    own = lab[at[..., 1], at[..., 0]][bright]
    rows = tooth_rows(bright)
    if not rows or len(own) < 8:
        return
    lightness = float(np.percentile(own[:, 0], 75))
    white = f32([np.clip(lightness + 8, min(base[0] * 1.1, 92), 94), 1, 6])
    open_px = float(np.linalg.norm(il - iu, axis=1).max())
    if open_px < SHADED_TEETH * u and lightness < 0.8 * float(base[0]):
        return  # the dark of a mouth that is hardly open
    mouth = [np.vstack([iu, il[::-1]])]
    for first, top, bottom in rows:
        columns = slice(first, first + len(top))
        start, across = iu[columns], (il - iu)[columns]
        upper, lower = start + across * top[:, None], start + across * bottom[:, None]
        head.add([np.vstack([upper, lower[::-1]])], to_rgb(white), clip=mouth)


def tooth_rows(bright: np.ndarray) -> list[tuple[int, Field, Field]]:
    """Rows of teeth in an open mouth: the upper one, and a lower one where a gap is seen.

    Args:
        bright: (depths, columns), where teeth are seen between the lips, from the upper one down.

    Returns:
        of each row its first column, and its upper and lower edge (n,), 0..1 between the lips.
    """
    depths, columns = bright.shape
    edges = np.full((2, 2, columns), np.nan, np.float32)  # row, edge
    for x in range(columns):
        step = np.diff(np.concatenate([[0], bright[:, x].astype(np.int8), [0]]))
        runs = list(zip(np.flatnonzero(step == 1), np.flatnonzero(step == -1), strict=True))
        joined: list[tuple[int, int]] = []
        for start, end in runs:
            if joined and start - joined[-1][1] <= GAP * depths:
                joined[-1] = (joined[-1][0], int(end))
            else:
                joined.append((int(start), int(end)))
        joined = [run for run in joined if run[1] - run[0] >= 2]
        if not joined:
            continue
        upper = joined[0][0] < 0.5 * depths
        if upper:
            edges[0, :, x] = f32(joined[0]) / depths
        last = joined[-1]
        if (len(joined) > 1 or not upper) and last[1] > 0.6 * depths:
            edges[1, :, x] = f32(last) / depths
    rows: list[tuple[int, Field, Field]] = []
    for top, bottom in edges:
        known = np.flatnonzero(~np.isnan(top))
        if len(known) < 0.3 * columns:
            continue
        first = max(int(known[0]) - 2, 0)
        last_column = min(int(known[-1]) + 3, columns)
        at = np.arange(first, last_column)
        span = f32(np.stack([np.interp(at, known, edge[known]) for edge in (top, bottom)]))
        # teeth meet the lip they are at; their edge is one calm line
        span[0] = np.where(span[0] < 0.34, 0, span[0])
        span[1] = np.where(span[1] > 0.8, 1, span[1])
        width = max(3, len(at) // 4) | 1
        kernel = np.hanning(width + 2)[1:-1]
        kernel /= kernel.sum()
        half = width // 2
        calm = [np.convolve(np.pad(edge, half, mode="edge"), kernel, "valid") for edge in span]
        # rounded off towards the corners, where teeth go back into the shade
        off = np.minimum(at - first, last_column - 1 - at) / max(0.25 * len(at), 1)
        open_share = np.sqrt(np.clip(off, 0, 1))
        if len(rows) or float(calm[0].mean()) > 0.4:
            calm[0] = calm[1] + (calm[0] - calm[1]) * open_share
        else:
            calm[1] = calm[0] + (calm[1] - calm[0]) * open_share
        rows.append((first, f32(calm[0]), f32(calm[1])))
    return rows


def brow_shape(head: Head, axis: Field, normal: Field, color: Field) -> list[Ring]:
    """The silhouette of a brow: what is nearer to its color than to the skin around it.

    Args:
        axis: (N, 2), along the mesh's brow; `normal`: (N, 2).
        color: CIELAB of the brow.
    """
    u = head.unit
    band = np.vstack([axis - normal * 9.5 * u, (axis + normal * 9.5 * u)[::-1]])
    zone = blur(f32(raster_mask([band], head.size)) / 255, 1.2 * u)
    around = blur(zone, 5 * u) * (1 - zone)
    around = around * np.clip(head.parts.skin * 2 - 1, 0, 1)
    lum = head.flow.average(blur(head.lab[..., 0], 0.9 * u))
    skin = fill_from(lum, f32(np.clip(around * 4, 0, 1)), 7 * u, 20 * u)
    dark = (skin - lum) / np.maximum(skin - float(color[0]), 5.0)
    hidden = np.maximum(head.parts.cover, head.parts.lenses)
    level = np.minimum((dark - 0.45) * 12, np.minimum((zone - 0.5) * 8, (0.4 - hidden) * 20))
    return cut(f32(level), area=30 * u * u)


def paint_brows(head: Head) -> None:
    """The brow's own silhouette; a faint one is a stroke, as dark as the photograph's is there."""
    p, u, lab = head.face.points, head.unit, head.lab
    lum = blur(lab[..., 0], 1.0)
    kernel = np.hanning(9) / np.hanning(9).sum()

    def smooth(v: np.ndarray) -> np.ndarray:
        return np.convolve(np.pad(v, 4, mode="edge"), kernel, "valid")

    for upper, lower in BROWS:
        axis = spline((p[list(upper)] + p[list(lower)]) / 2, 24)
        tangent = np.gradient(axis, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-6
        normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
        normal *= np.sign(normal[:, 1:2] + 1e-6)
        reach = np.linspace(-11, 11, 31) * u
        xs, ys = (
            f32(axis[:, None, 0] + normal[:, None, 0] * reach),
            f32(axis[:, None, 1] + normal[:, None, 1] * reach),
        )
        profile = cv2.remap(lum, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        dark = np.clip(np.percentile(profile, 85, axis=1, keepdims=True) - profile - 3, 0, 40)
        dark = dark * np.exp(-((reach / (8 * u)) ** 2))
        mass = dark.sum(1) + 1e-3
        off = (dark * reach).sum(1) / mass
        sd = np.sqrt((dark * (reach - off[:, None]) ** 2).sum(1) / mass)
        off = smooth(np.clip(off, -6 * u, 6 * u))
        depth = smooth(dark.max(1))
        width = smooth(np.clip(2.3 * sd, 2 * u, 9.5 * u))
        shape = np.interp(
            np.linspace(0, 1, 24), [0, 0.15, 0.6, 0.9, 1], [0.15, 0.55, 1, 0.95, 0.55]
        )
        strength = np.clip(depth / 14, 0.2, 1)
        width = np.clip(width * shape * (0.5 + 0.5 * strength), 0.7 * u, 9 * u)
        line = axis + normal * off[:, None]
        at = (
            np.clip(ys.astype(int), 0, lab.shape[0] - 1),
            np.clip(xs.astype(int), 0, lab.shape[1] - 1),
        )
        color = lab[at][dark >= np.percentile(dark, 80)].mean(0)
        base = head.palette.skin
        color[0] = np.clip(color[0] - 3, 6, base[0] - 9)
        mix = np.clip(0.35 + 0.65 * dark.max(1).mean() / 12, 0.3, 1)
        drawn = [stroke(line, width)]
        if float(dark.max(1).mean()) > FAINT:
            seen = brow_shape(head, f32(line), f32(normal), f32(color))
            if sum(abs(ring_area(ring)) for ring in seen) > 0.5 * abs(ring_area(drawn[0])):
                drawn = seen
        color = f32(base + (color - base) * mix)
        head.add(drawn, to_rgb(color))


def iris_color(lab: Lab, eye: Eye) -> Field:
    """CIELAB (3,) of an iris: the darker part of its ring, where no light is reflected."""
    yy, xx = np.mgrid[: lab.shape[0], : lab.shape[1]]
    distance = np.hypot(xx - eye.iris[0], yy - eye.iris[1])
    ring = (distance < eye.radius * 0.85) & (distance > eye.radius * 0.4)
    open_mask = raster_mask([np.vstack([eye.upper, eye.lower[::-1]])], (lab.shape[1], lab.shape[0]))
    seen = lab[ring & (open_mask > 128)]
    if len(seen) < 4:
        return f32([28, 6, 9])
    seen = seen[seen[:, 0] <= np.percentile(seen[:, 0], 70)]
    return f32(np.median(seen, 0))


def shows_white(lab: Lab, eye: Eye, skin: Field) -> bool:
    """Whether any white is seen beside the iris: contours of shut eyes are often a little open."""
    x0, y0 = np.floor(np.minimum(eye.upper.min(0), eye.lower.min(0))).astype(int) - 1
    x1, y1 = np.ceil(np.maximum(eye.upper.max(0), eye.lower.max(0))).astype(int) + 2
    x0, y0 = max(int(x0), 0), max(int(y0), 0)
    part = lab[y0 : int(y1), x0 : int(x1)]
    if not part.size:
        return True
    ring = f32(np.vstack([eye.upper, eye.lower[::-1]]) - f32([x0, y0]))
    inside = raster_mask([ring], (part.shape[1], part.shape[0])) > 128
    seen = part[inside]
    if len(seen) < 12:
        return True
    chroma = np.hypot(seen[:, 1], seen[:, 2])
    own = float(np.hypot(skin[1], skin[2]))
    white = (chroma < 0.75 * own) & (seen[:, 0] > 0.62 * float(skin[0]))
    return float(white.mean()) > 0.07


def are_shut(lab: Lab, eyes: tuple[Eye, Eye], skin: Field) -> bool:
    """Both lids down: narrow contours, which then follow the lashes, and no white in either."""

    def narrowness(eye: Eye) -> float:
        wide = float(np.linalg.norm(eye.upper[-1] - eye.upper[0])) + 1e-6
        return float(np.linalg.norm(eye.upper[4] - eye.lower[4])) / wide

    if sum(narrowness(eye) for eye in eyes) / 2 > SHUT:
        return False
    return not any(shows_white(lab, eye, skin) for eye in eyes)


def paint_eyes(head: Head) -> None:
    """Lids, sclera, iris and catchlight, a little larger; shut eyes as one line.

    Eyes that are hidden (sunglasses, a hand, hair, the far side of a profile) are left out.
    """
    u, style, lab = head.unit, head.style, head.lab
    base, ink, fold = head.palette.skin, head.palette.ink, head.palette.fold
    yaw = head.face.yaw
    w = head.pen
    lash = ink * 0.75
    draw = head
    hidden = np.maximum(head.parts.lenses, head.parts.cover)
    shut = are_shut(lab, head.face.eyes, base)
    for i, eye in enumerate(head.face.eyes):
        lids = raster_mask([np.vstack([eye.upper, eye.lower[::-1]])], head.size) > 100
        if lids.any() and float(hidden[lids].mean()) > 0.5:
            continue  # behind sunglasses or a hand
        if lids.any() and float(head.parts.skin[lids].mean()) < 0.35:
            continue  # the far side of a profile, or under hair
        far = (i == 0 and yaw < -32) or (i == 1 and yaw > 32)
        zoom = 1 + (style.eye - 1) * (0.4 if far else 1.0)
        center = (eye.upper[0] + eye.upper[-1]) / 2
        across = eye.upper[-1] - eye.upper[0]
        wide = float(np.linalg.norm(across)) + 1e-6
        t = across / wide
        n = f32([-t[1], t[0]])
        n = n * np.sign(n[1] + 1e-9)

        def grow(
            q: Field, center: Field = center, t: Field = t, n: Field = n, zoom: float = zoom
        ) -> Field:
            a, b = (q - center) @ t, (q - center) @ n
            return f32(center + np.outer(a * (1 + (zoom - 1) * 0.7), t) + np.outer(b * zoom, n))

        opening = float(np.max((eye.lower - center) @ n) - np.min((eye.upper - center) @ n))
        top, bottom = spline(grow(eye.upper), 40), spline(grow(eye.lower), 40)
        crease = top - n * (2.6 * u + 0.2 * opening)
        draw.add([stroke(crease[4:-3], np.array([0.05, 0.5, 0.5, 0.05]) * w)], fold)
        narrow = opening < 0.14 * wide or opening < 2.6 * u
        if narrow or shut:
            # lashes, and what is left of a laughing eye, as thick as they are dark
            dark = lab[..., 0][lids] < 0.55 * base[0]
            thick = 0.8 * opening * float(dark.mean()) if dark.size else 0.0
            widths = np.array([0.4, 0.8, 1.0, 0.8, 0.25]) * max(thick, 1.1 * w)
            draw.add([stroke((top + bottom) / 2, widths)], lash)
            continue
        opening *= zoom
        shape = [np.vstack([top, bottom[::-1]])]
        near = raster_mask(shape, (lab.shape[1], lab.shape[0])) > 128
        seen = lab[near]
        high = float(np.percentile(seen[:, 0], 90)) if len(seen) > 8 else base[0]
        sclera = f32([np.clip(high + 10, base[0] * 0.75 + 8, min(base[0] + 30, 95)), 1, 3])
        draw.add(shape, to_rgb(sclera))
        shade = sclera.copy()
        shade[0] -= 14
        draw.add([np.vstack([top, (top + n * opening * 0.24)[::-1]])], to_rgb(shade), clip=shape)
        color = iris_color(lab, eye)
        color[0] = np.clip(color[0] * 1.05 + 3, 14, 60)
        color[1:] *= 1.3
        iris = grow(eye.iris[None])[0]
        radius = eye.radius * zoom
        rim = color.copy()
        rim[0] *= 0.45
        lit = color.copy()
        lit[0] = min(lit[0] + 13, 80)
        draw.add([ellipse(iris, radius)], to_rgb(rim), clip=shape)
        draw.add([ellipse(iris, radius * 0.84)], to_rgb(color), clip=shape)
        draw.add([ellipse(iris + n * radius * 0.4, radius * 0.5)], to_rgb(lit), clip=shape)
        draw.add([ellipse(iris, radius * 0.42)], to_rgb([5, 2, 2]), clip=shape)
        draw.add(
            [np.vstack([top, (top + n * max(opening * 0.13, 1.4 * u))[::-1]])],
            to_rgb([10, 5, 4]),
            opacity=0.5,
            clip=shape,
        )
        draw.add(
            [ellipse(iris + f32([-0.34, -0.36]) * radius, radius * 0.24)], [1, 1, 1], clip=shape
        )
        wing = top[0] + (top[0] - top[6]) / (np.linalg.norm(top[0] - top[6]) + 1e-6) * 2.0 * u
        draw.add(
            [
                stroke(
                    np.vstack([wing[None], top]),
                    np.array([0.2, 1.35, 1.65, 1.45, 1.1, 0.3]) * w * (0.75 if far else 1.1),
                )
            ],
            lash,
        )
        draw.add(
            [stroke(bottom[2:-1], np.array([0.6, 0.45, 0.25, 0.1]) * w)], fold * 0.5 + lash * 0.5
        )
