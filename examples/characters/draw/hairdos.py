"""The six hairdos: what is behind the head and what is before it."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Array, Canvas, Mask, ellipse, rgb, spline
from .hair import Clump, Layer, Shell, hairline, hang, lock
from .head import Head
from .pose import View
from .style import Style


def skull(view: View) -> Shell:
    """The shell most hairdos lie on."""
    return Shell(view, (0.0, 0.425, -0.03), (0.318, 0.345, 0.345))


def _bumps(shell: Shell, places: Array, size: float, seed: int, r: float = 1.0) -> list[Array]:
    """Round tufts at (N, 2) places (azimuth, elevation)."""
    rng = np.random.default_rng(seed)
    centres = shell.points(places[:, 0], places[:, 1], r)
    seen = np.clip(1 + (shell.depth(places[:, 0], places[:, 1]) + 0.25) / 0.4, 0, 1)
    scale = np.hypot(*shell.view.matrix[:, 0])
    out = []
    for c, part in zip(centres, seen, strict=True):
        radius = size * scale * rng.uniform(0.82, 1.18) * part
        if radius > 0:
            out.append(ellipse(c[0], c[1], radius, radius, 26))
    return out


def _fibonacci(count: int, low: float) -> Array:
    """Even places on a sphere above elevation ``low``: (N, 2) azimuth, elevation."""
    k = np.arange(count) + 0.5
    el = np.degrees(np.arcsin(1 - (1 - np.sin(np.radians(low))) * k / count))
    az = (k * 137.508 + 180) % 360 - 180
    return np.column_stack([az, el])


# ---- mina: long and straight, a full fringe -------------------------------------------------


def mina_back(canvas: Canvas, view: View, style: Style) -> None:
    sway = 0.035 * view.pose.sway
    deep = Layer(style, base=style.hair_shade)
    edge = np.array(
        [[0.300, 0.36, -0.05], [0.335, 0.52, -0.08], [0.355, 0.72, -0.08], [0.365, 0.95, -0.04],
         [0.345, 1.20, 0.0], [0.33, 1.5, 0.0]]
    )  # fmt: skip
    bend = np.column_stack([sway * np.clip((edge[:, 1] - 0.5) / 0.5, 0, 2), edge[:, 1:] * 0])
    right = hang(view, spline(edge + bend, 30))
    left = hang(view, spline(edge * (-1, 1, 1) + bend, 30))
    deep.add(np.concatenate([left, right[::-1]]))
    t = np.linspace(0, 2 * np.pi, 32)
    rings = [
        np.column_stack([r * np.cos(t), np.full(32, y), -0.04 + r * np.sin(t) * (np.sin(t) < 0)])
        for y, r in ((0.42, 0.305), (0.80, 0.29))
    ]
    deep.add(
        cv2.convexHull(view.head(np.concatenate(rings)).astype(np.float32))[:, 0].astype(float)
    )
    deep.render(canvas, view)
    outer = Layer(style)
    for side in (-1, 1):
        for dx, w in ((0.0, 0.105), (-0.055, 0.085)):
            line = edge[:-1] + bend[:-1] * side + (dx - 0.04, 0, 0)
            outer.add(lock(view, line * (side, 1, 1), w, blunt=9.0, root=0.6))
    outer.render(canvas, view, width=0.0045)


def mina_front(view: View, style: Style) -> Layer:
    shell = skull(view)
    sway = view.pose.sway
    layer = Layer(style)
    layer.add(*shell.cap(hairline([0, 40, 62, 78, 100, 180], [44, 38, 26, -4, -40, -50])))
    for side in (-1, 1):
        swing = 0.022 * sway
        layer.add(
            lock(view, [[side * 0.215, 0.25, 0.10], [side * 0.303, 0.46, 0.115],
                        [side * 0.300 + swing * 0.5, 0.70, 0.09], [side * 0.285 + swing, 0.92, 0.06],
                        [side * 0.265 + swing * 1.6, 1.13, 0.03]], 0.088, blunt=4.0, ride=0.075)
        )  # fmt: skip
        layer.add(
            lock(view, [[side * 0.185, 0.23, 0.17], [side * 0.268, 0.40, 0.165],
                        [side * 0.272 + swing * 0.4, 0.58, 0.15], [side * 0.252 + swing, 0.765, 0.13]],
                 0.062, blunt=2.6, ride=0.11)
        )  # fmt: skip
    fringe = [(-58, 3, 19, -3), (57, 2, 19, 3), (-42, 9, 20, -2), (43, 8, 20, 2), (-25, 7, 20, -2),
              (27, 9, 20, 2), (10, 6, 19, 2), (-8, 10, 17, 1)]  # fmt: skip
    for az, el, width, bend in fringe:
        layer.add(shell.clump((az * 0.62, 74), (az + 1.5, el), width, bend=bend, sway=2.5 * sway))
    layer.band(shell, 41, 11, 11, r=1.05)

    def clips(canvas: Canvas, mask: Mask) -> None:
        for az, el, color in (((44, 58, 60, 46), (33, 28, 33, 38), "#ffd34d"),
                              ((45, 60, 62, 47), (23, 17, 22, 28), "#ff7fa8")):  # fmt: skip
            clip = shell.points(np.array(az, float), np.array(el, float), 1.1)
            middle = clip.mean(0)
            facing = shell.depth(np.array(az[1]), np.array(el[1]))
            clip = middle + (clip - middle) * np.clip(4 * facing - 0.6, 0, 1)
            if facing <= 0.15:
                continue
            canvas.outline([clip], 0.004, style.hair_ink)
            canvas.fill(clip, rgb(color))

    layer.details = clips
    return layer


# ---- jun: short, swept spikes ---------------------------------------------------------------


def jun_back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    layer = Layer(style, base=style.hair_shade)
    for side in (-1, 1):
        for x, y, tip_x, tip_y, width in ((0.22, 0.50, 0.275, 0.70, 0.12), (0.17, 0.55, 0.215, 0.755, 0.12),
                                          (0.08, 0.55, 0.13, 0.79, 0.13)):  # fmt: skip
            layer.add(lock(view, [[side * x, y, -0.15], [side * (x + tip_x) * 0.52, 0.62, -0.18],
                                  [side * tip_x, tip_y, -0.20]], width, root=0.8, blunt=2.0))  # fmt: skip
    layer.add(shell.points(np.linspace(-180, 180, 60), np.zeros(60), 0.95))
    layer.render(canvas, view)


def jun_front(view: View, style: Style) -> Layer:
    shell = skull(view)
    sway = view.pose.sway
    layer = Layer(style)
    layer.add(
        *shell.cap(
            hairline([0, 40, 56, 68, 78, 88, 112, 135, 180], [46, 42, 28, 2, -9, 6, 2, -28, -40])
        )
    )
    crown = [(-124, 26), (122, 22), (-94, 22), (93, 20), (-142, 56), (138, 58), (-98, 46),
             (96, 42), (-64, 50), (64, 48), (-72, 66), (76, 64), (-160, 78), (40, 82)]  # fmt: skip
    for az, el in crown:
        layer.add(
            shell.spike(az, el, 0.155, 0.072 + 0.03 * float(np.cos(np.radians(el))),
                        lean=(np.sign(az) * 6 + 4 * sway + 5, 9))
        )  # fmt: skip
    swept = [(-50, 60, -66, 4, 20, 6), (52, 58, 66, 6, 18, -4), (-30, 66, -50, 12, 22, 8),
             (30, 70, 48, 14, 21, -8), (-6, 70, -30, 16, 23, 9), (10, 72, 26, 24, 20, -6),
             (18, 72, 2, 13, 22, 10)]  # fmt: skip
    for az0, el0, az1, el1, width, bend in swept:
        layer.add(shell.clump((az0, el0), (az1, el1), width, bend=bend, lift=(1.03, 1.13),
                              sway=3 * sway, blunt=1.9))  # fmt: skip
    layer.band(shell, 46, 10, 8, r=1.07)
    return layer


# ---- zuri: a round cloud of curls with a headband -------------------------------------------


def _cloud(view: View) -> Shell:
    return Shell(view, (0.0, 0.372, -0.05), (0.372, 0.300, 0.35))


def zuri_back(canvas: Canvas, view: View, style: Style) -> None:
    cloud = _cloud(view)
    layer = Layer(style)
    layer.add(cloud.points(np.linspace(-180, 180, 60), np.zeros(60), 0.9))
    layer.add(*_bumps(cloud, _fibonacci(90, -46), 0.070, 3, 0.99))
    layer.shade = 0.10
    layer.render(canvas, view)


def zuri_front(view: View, style: Style) -> Layer:
    cloud, shell = _cloud(view), skull(view)
    layer = Layer(style)
    line = hairline([0, 40, 60, 74, 86, 100, 180], [38, 34, 22, 4, -14, -25, -40])
    az = np.linspace(-68, 68, 13)
    layer.add(*_bumps(shell, np.column_stack([az, line(np.abs(az)) + 6]), 0.036, 5, 1.04))
    layer.add(*shell.cap(lambda a: line(a) + 4), ink=False)
    places = _fibonacci(110, 12)
    places = places[places[:, 1] > line(np.abs(places[:, 0])) + 18]
    layer.add(*_bumps(cloud, places, 0.068, 7, 0.97), ink=False)
    layer.shade = 0.10

    def curls_and_band(canvas: Canvas, mask: Mask) -> None:
        rng = np.random.default_rng(11)
        places = _fibonacci(95, -20)
        places = places[places[:, 1] > line(np.abs(places[:, 0])) + 17]
        scale = np.hypot(*view.matrix[:, 0])
        centres = cloud.points(places[:, 0], places[:, 1], 1.0)
        seen = np.clip(cloud.depth(places[:, 0], places[:, 1]) * 4, 0, 1)
        for centre, part in zip(centres, seen, strict=True):
            t = np.linspace(0, rng.uniform(2.6, 4.2), 14) + rng.uniform(0, 6.28)
            size = rng.uniform(0.016, 0.026) * scale
            light = rng.random() < 0.55
            curl = centre + size * np.column_stack([np.cos(t), np.sin(t)])
            if part > 0.1:
                color = style.hair_light if light else style.hair_ink
                canvas.stroke(curl, 0.0052 * part, color, taper=(0.5, 0.5), clip=mask)
        # headband
        az = np.linspace(-92, 92, 240)
        az = az[shell.depth(az, interp_band(az) + 9) > -0.10]
        low = interp_band(az)
        r = 1.075
        band = np.concatenate([shell.points(az, low, r), shell.points(az, low + 18, r)[::-1]])
        canvas.outline([band], 0.0052, rgb("#6e2414"))
        canvas.fill(band, rgb("#f2913a"))
        for lo, hi, color in ((0.0, 4.0, "#d9622b"), (11.0, 13.5, "#ffd27a")):
            stripe = np.concatenate(
                [shell.points(az, low + lo, r), shell.points(az, low + hi, r)[::-1]]
            )
            canvas.fill(stripe, rgb(color))

    layer.details = curls_and_band
    return layer


def interp_band(az: Array) -> Array:
    """Lower edge of the headband over the azimuth."""
    return hairline([0, 45, 75, 95], [46, 40, 14, -8])(np.abs(az))


def zuri_earrings(canvas: Canvas, view: View, head: Head) -> None:
    """Hoop earrings."""
    for side in (-1, 1):
        t = np.linspace(0, 2 * np.pi, 40)
        hoop = np.column_stack(
            [side * (0.300 + 0.010 * np.cos(t)) + 0 * t, 0.672 + 0.058 * np.sin(t),
             -0.02 + 0.045 * np.cos(t)]
        )  # fmt: skip
        flat = view.head(hoop)
        canvas.stroke(flat, 0.0135, rgb("#7a4a12"))
        canvas.stroke(flat, 0.0075, rgb("#ffc94a"))


# ---- bram: receding hair, a great beard -----------------------------------------------------

_GREY, _GINGER = rgb("#cfc4b8"), rgb("#c8672e")


def bram_back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    layer = Layer(style, base=style.hair_shade)
    layer.add(Shell(view, (0, 0.46, -0.04), (0.30, 0.26, 0.30)).points(
        np.linspace(-180, 180, 60), np.linspace(-8, -8, 60), 1.0))  # fmt: skip
    layer.add(
        *_bumps(shell, np.array([[-118.0, -18], [118, -18], [-140, -30], [140, -30]]), 0.06, 1)
    )
    layer.render(canvas, view)


def bram_front(view: View, style: Style) -> Layer:
    shell = Shell(view, (0.0, 0.425, -0.03), (0.312, 0.334, 0.34))
    layer = Layer(style)
    layer.add(
        *shell.cap(
            hairline([0, 14, 32, 48, 62, 74, 84, 112, 180], [58, 60, 67, 56, 26, -10, 8, -14, -40])
        )
    )
    for az, el, w in ((-150, 40, 34), (150, 40, 34), (-110, 30, 30), (110, 30, 30), (-60, 46, 26),
                      (60, 46, 26)):  # fmt: skip
        s = np.sign(az)
        layer.add(shell.clump((az - 6 * s, el + 20), (az + 14 * s, el - 14), w, lift=(1.0, 1.06)))
    for az0, az1, el1 in ((-60, 34, 63), (-64, 8, 61)):
        layer.add(shell.clump((az0, 70), (az1, el1), 24, lift=(1.0, 1.07), blunt=2.2))
    for side in (-1, 1):
        az = np.array([58, 66, 76, 92, 104, 98, 84, 66.0]) * side
        el = np.array([30, 4, -14, -10, 8, 26, 34, 40.0])
        layer.patches.append((spline(shell.points(az, el, 1.03), 40, closed=True), _GREY))
    return layer


def _beard(view: View, head: Head) -> Shell:
    bottom = head.style.chin + 0.045 * view.pose.mouth_open + 0.035
    return Shell(view, (0.0, 0.585, 0.02), (0.288, bottom - 0.585, 0.300))


def bram_beard(canvas: Canvas, view: View, head: Head) -> None:
    """The beard under the mouth, drawn before it."""
    style, shell = head.style, _beard(view, head)
    layer = Layer(style)
    top = hairline([0, 20, 34, 50, 66, 80, 96, 110], [-8, -8, -9, -17, -10, 4, 20, 20])
    az = np.linspace(-104, 104, 49)
    start = top(np.abs(az))
    el = start + (-88 - start) * np.linspace(0, 1, 9)[:, None]
    layer.add(*shell.patches(np.broadcast_to(az, el.shape), el, 1.03))
    sway = 2.0 * view.pose.sway
    for a0, e0, a1, e1, w in (
        (-84, 0, -76, -40, 20), (84, 0, 76, -40, 20), (-68, -20, -58, -54, 22),
        (68, -20, 58, -54, 22), (-50, -26, -38, -66, 24), (50, -26, 38, -66, 24),
        (-30, -38, -14, -76, 22), (30, -38, 14, -76, 22), (-12, -44, -6, -84, 18),
        (12, -44, 8, -84, 18),
    ):  # fmt: skip
        layer.add(
            shell.clump(
                (a0, e0), (a1, e1), w, lift=(1.02, 1.05 + 0.0015 * -e1), sway=sway, blunt=2.0
            )
        )
    for az_g, el_g, tip_az, width in ((-13, -36, -8, 9), (9, -40, 6, 8), (-2, -46, 0, 7),
                                      (21, -34, 15, 7), (-27, -34, -19, 6)):  # fmt: skip
        streak = shell.clump(
            (az_g, el_g), (tip_az, -84), width, lift=(1.04, 1.14), sway=sway, root_width=0.05
        )
        layer.add(streak)
        layer.patches.append((streak.polygon, _GREY))
    for side in (-1, 1):
        az_g = np.array([104, 84, 66, 70, 78, 90, 104.0]) * side
        el_g = np.array([26, 26, 2, -16, -34, -22, -10.0])
        layer.patches.append((spline(shell.points(az_g, el_g, 1.03), 40, closed=True), _GREY))
    layer.shade = 0.07
    layer.render(canvas, view)


def bram_moustache(canvas: Canvas, view: View, head: Head) -> None:
    """Two lobes over the upper lip."""
    style = head.style
    layer = Layer(style)
    rise = 0.012 * max(view.pose.smile, 0)
    up = 0.010 * view.pose.mouth_open
    for side in (-1, 1):
        for y0, w, reach, curl in ((0.688, 0.034, 0.122, 0.0), (0.674, 0.056, 0.138, 0.016)):
            y = y0 - up
            xy = [[side * 0.003, y - 0.004], [side * 0.045, y + 0.006], [side * 0.092, y + 0.026 - rise],
                  [side * reach, y + 0.036 - curl - 2.4 * rise]]  # fmt: skip
            line = head.surface(np.asarray(xy), 0.035)
            layer.add(lock(view, line, w, blunt=2.4, root=0.75))
    layer.shade = 0.04
    layer.render(canvas, view, width=0.0045)


# ---- nana: silver waves and a bun -----------------------------------------------------------


def nana_back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    bun = Shell(view, (0.0, 0.115, -0.16), (0.118, 0.094, 0.105))
    layer = Layer(style)
    layer.add(bun.points(np.linspace(-180, 180, 60), np.zeros(60), 0.9))
    layer.add(*_bumps(bun, _fibonacci(26, -90), 0.048, 2, 0.72))
    layer.shade = 0.05
    layer.render(canvas, view)
    for k in (-1, 0, 1):
        az = np.linspace(-70, 70, 24)
        arc = bun.points(az + 12 * k, 28 * k + 26 * np.cos(np.radians(az * 1.3)), 0.95)
        canvas.stroke(arc, 0.0042, style.hair_ink, taper=(0.4, 0.4))
    low = Layer(style, base=style.hair_shade)
    low.add(shell.points(np.linspace(-180, 180, 60), np.full(60, -4.0), 0.97))
    low.add(shell.points(np.linspace(-180, 180, 60), np.full(60, -28.0), 0.97))
    low.render(canvas, view)


def nana_front(view: View, style: Style) -> Layer:
    shell = Shell(view, (0.0, 0.425, -0.03), (0.318, 0.325, 0.34))
    layer = Layer(style)
    layer.add(
        *shell.cap(hairline([0, 30, 52, 66, 78, 92, 120, 180], [50, 45, 32, 14, 2, -2, -22, -38]))
    )
    sway = 1.5 * view.pose.sway
    for side, part in ((-1, 4), (1, 4)):
        for az1, el1, el0, w, bend in (
            (114, 14, 80, 30, 0), (92, -2, 72, 28, 6), (68, 12, 64, 22, 12),
        ):  # fmt: skip
            layer.add(shell.clump((part, el0), (az1 * side, el1), w, bend=bend * side,
                                  lift=(1.0, 1.05), sway=sway, root_width=0.25, blunt=3.4))  # fmt: skip
    layer.band(shell, 54, 8, 9, r=1.03)
    layer.shade = 0.06
    return layer


def nana_extras(canvas: Canvas, view: View, head: Head) -> None:
    """Round glasses."""
    frame, shine = rgb("#8a4a5c"), rgb("#e9b7c0")
    t = np.linspace(0, 2 * np.pi, 56)
    for side in (-1, 1):
        facing = float(np.clip(4 * (side * view.toward[0] + 0.28), 0, 1))
        if facing > 0:
            arm = [
                [side * 0.226, 0.468, 0.27],
                [side * 0.280, 0.462, 0.10],
                [side * 0.292, 0.462, -0.03],
            ]
            canvas.stroke(spline(view.head(arm), 16), 0.0075 * facing, frame)
        x, y = side * 0.122 + 0.107 * np.cos(t), 0.482 + 0.100 * np.sin(t)
        ring = view.head(np.column_stack([x, y, 0.335 - 0.9 * x * x]))
        lens = canvas.mask([ring])
        canvas.paint(lens, (255, 255, 255), 0.10)
        glare = [[-0.075, 0.04], [-0.02, -0.095], [0.008, -0.098], [-0.052, 0.068]]
        q = np.asarray(glare) + (side * 0.122, 0.482)
        flat = view.head(np.column_stack([q, 0.335 - 0.9 * q[:, 0] ** 2]))
        canvas.paint(canvas.mask([flat]) & lens, (255, 255, 255), 0.22)
        canvas.stroke(ring, 0.0098, frame)
        part = ring[30:40]
        canvas.stroke(part, 0.0032, shine, taper=(0.5, 0.5))
    x = np.linspace(-0.018, 0.018, 14)
    bridge = np.column_stack([x, 0.470 - 0.012 * np.cos(x / 0.018 * 1.57), 0.340 + 0 * x])
    canvas.stroke(view.head(bridge), 0.0098, frame)


# ---- kit: a mop of curls --------------------------------------------------------------------


def kit_back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    layer = Layer(style, base=style.hair_shade)
    layer.add(shell.points(np.linspace(-180, 180, 60), np.full(60, -6.0), 0.96))
    places = np.array([[s * a, e] for s in (-1, 1) for a, e in
                       ((100, -12), (125, -22), (150, -30), (112, 4))], float)  # fmt: skip
    layer.add(*_bumps(shell, places, 0.062, 4, 1.0))
    layer.render(canvas, view)


def _tuft(shell: Shell, az: float, el: float, size: float, tilt: float) -> Clump:
    """A plump curl: round above, its tip pointing down and to the side by ``tilt`` degrees."""
    t = np.linspace(0, np.pi, 18)
    seen = np.clip(1 + (shell.depth(np.array(az), np.array(el)) + 0.2) / 0.3, 0, 1)
    centre = shell.points(np.array([az]), np.array([el]), 1.07)[0]
    basis = shell.view.matrix[:, :2] @ shell.view.rotation[:2, :2]
    a = np.radians(tilt)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    ray = 1 + 0.16 * np.clip((t / np.pi - 0.55) / 0.45, 0, 1) ** 2
    hook = 0.55 * np.clip((t / np.pi - 0.5) / 0.5, 0, 1) ** 2
    halves = [
        np.column_stack([s * np.sin(t) * ray + hook, -np.cos(t) * ray]) @ turn.T for s in (-1, 1)
    ]
    left, right = (centre + size * seen * (h @ basis.T) for h in halves)
    return Clump(left, right) if seen > 0 else Clump(left[:0], left[:0])


def kit_front(view: View, style: Style) -> Layer:
    shell = skull(view)
    layer = Layer(style)
    line = hairline([0, 40, 58, 70, 80, 90, 112, 180], [42, 38, 26, 8, -4, 4, -2, -36])
    layer.add(*shell.cap(line))
    places = _fibonacci(46, 10)
    layer.add(
        *_bumps(shell, places[places[:, 1] > line(np.abs(places[:, 0])) + 10], 0.058, 9, 1.06)
    )
    sway = 2.5 * view.pose.sway
    tufts = [(0, 80, 0), (-60, 66, 10), (62, 66, -10), (-104, 50, 20), (104, 50, -20), (0, 64, 14),
             (-92, 28, 14), (92, 28, -14), (-44, 50, 26), (46, 52, -26), (-76, 40, 22),
             (76, 40, -22), (-80, 14, 8), (80, 14, -8), (-15, 48, 24), (19, 48, -22), (-66, 25, 26),
             (66, 25, -22), (-47, 33, 30), (48, 33, -30), (-27, 38, 30), (28, 38, -26), (2, 36, 34)]  # fmt: skip
    spirals = []
    turn = np.linspace(0, 4.4, 22)
    basis = view.matrix[:, :2] @ view.rotation[:2, :2]
    for k, (a, e, tilt) in enumerate(tufts):
        size = 0.062 + 0.009 * np.cos(2.4 * k)
        tuft = _tuft(shell, a + sway, e, size, tilt - 6 * view.pose.sway)
        layer.add(tuft)
        seen = np.clip(3 * shell.depth(np.array(a + sway), np.array(e)) - 0.2, 0, 1)
        if seen > 0:
            way = 1 if tilt < 0 else -1
            ray = size * (0.60 - 0.09 * turn)
            curl = np.column_stack([way * ray * np.cos(turn - 2.2), ray * np.sin(turn - 2.2)])
            spirals.append((0.5 * (tuft.left[6] + tuft.right[6]) + curl @ basis.T, seen))

    def spiral_lines(canvas: Canvas, mask: Mask) -> None:
        for curve, seen in spirals:
            canvas.stroke(curve, 0.0038 * seen, style.hair_ink, taper=(0.5, 0.3), clip=mask)

    layer.details = spiral_lines
    layer.band(shell, 54, 9, 9, r=1.10)
    return layer
