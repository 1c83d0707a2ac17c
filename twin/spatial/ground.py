"""Kernels from pixels to the ground and back, and from boxes to places: the bits of ``GroundCamera`` and ``footprint``.

A fold places each box of each frame, a dozen at a time: so few that calls of numpy cost more than their arithmetic.
Shape letters: N boxes, M others.
"""

from __future__ import annotations

import math

import numpy as np

from twin.spatial.compiled import Bools, Floats, Ints, compiled

NEWTON_STEPS = 5
SINGULAR, SHARP, INVERTED = 1e-9, 1e-3, 1e-6
LEAST_WEIGHT, LEAST_DEPTH_M = 1e-9, 1e-3
MAX_SLOPE = 3.0
"""Rays beyond this tangent off the axis are not trusted: the distortion polynomial is not fitted there."""
_MOST_SLOPE = 2 * MAX_SLOPE

REFINEMENTS = 2
_CLEARANCE, _BUMPER = 0.13, 0.4
BODY = tuple((ahead, aside, up) for ahead in (0.5, -0.5) for aside in (0.5, -0.5) for up in (_CLEARANCE, 1.0))
WHEELS = tuple((ahead, aside, 0.0) for ahead in (0.3, -0.3) for aside in (0.43, -0.43))
BUMPERS = tuple(
    (ahead * one, aside * other, _CLEARANCE)
    for ahead, aside, first, second in (
        (1.0, 1.0, (0.5, _BUMPER), (_BUMPER, 0.5)),
        (-1.0, 1.0, (_BUMPER, 0.5), (0.5, _BUMPER)),
        (-1.0, -1.0, (0.5, _BUMPER), (_BUMPER, 0.5)),
        (1.0, -1.0, (_BUMPER, 0.5), (0.5, _BUMPER)),
    )
    for one, other in (first, second)
)
"""A vehicle's outline in shares of length, width and height from its middle on the ground: a body over wheels, with bumpers in
a ring whose corners are taken off. A body clears the ground by 0.2 m and stands on a wheelbase of 0.6 of its length and a track
of 0.86 of its width, as common models do; a cuboid on the ground reaches lower in the picture than any vehicle, and is then
placed 0.4 to 0.9 m too far from the camera (rendered car parks with exact truth; this outline: 0.1 m)."""
KNOWN_SIGMA_M = 0.4  # spread of half a length and width within a kind, and of how far wheels and bumpers stand back
UNKNOWN_SIGMA_M = 0.8  # as above, and the heading may be any
COVERED_SIGMA_M, COVERED_ASIDE_SIGMA_M = 1.3, 0.6
"""How uncertain along and across the line of sight: the edge is that of what stands before it. Measured on rendered car parks
with exact truth: standard deviations 1.1 m along for parked vehicles and 1.4 m for moving ones, 0.7 and 0.9 m across."""
COVERING_SHARE = 0.25  # of a box's width
COVERING_PX = 2.0
TOLD_CUT_SHARE = 0.1
CUT_SHARE = 0.5  # of the box's size: how wrong an edge may be that the frame cuts


@compiled
def covered(corners: Floats, names: Ints, found: Bools) -> None:
    """As ``footprint.covered`` by all of these.

    Args:
        corners: (N + M, 4) the boxes, then others. names: (N + M,) equal for boxes of one tracklet.
        found: (N,) False, written to.
    """
    for row in range(len(found)):
        x1, x2, y2 = corners[row, 0], corners[row, 2], corners[row, 3]
        for other in range(len(corners)):
            if names[other] == names[row] or not corners[other, 1] < y2 < corners[other, 3] - COVERING_PX:
                continue
            if min(corners[other, 2], x2) - max(corners[other, 0], x1) > COVERING_SHARE * (x2 - x1):
                found[row] = True
                break


@compiled
def _distort(camera: Floats, x: float, y: float) -> tuple[float, float, float, float, float]:
    """Distorted slopes and the Jacobian, of which two are equal: dx/dx, dx/dy = dy/dx, dy/dy."""
    k1, k2, p1, p2, k3 = camera[5], camera[6], camera[7], camera[8], camera[9]
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    at_x = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    at_y = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
    slope = k1 + r2 * (2.0 * k2 + r2 * 3.0 * k3)
    mixed = 2.0 * x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y
    xx = radial + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x
    yy = radial + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x
    return at_x, at_y, xx, mixed, yy


@compiled
def _ray(camera: Floats, u: float, v: float) -> tuple[bool, float, float, float, float, float, float]:
    """Slopes of a pixel's ray and their Jacobian, by Newton's method; False where the lens model cannot be inverted."""
    if camera[0] == 0.0:
        return True, u, v, 1.0, 0.0, 0.0, 1.0
    fx, fy, cx, cy = camera[1], camera[2], camera[3], camera[4]
    target_x, target_y = (u - cx) / fx, (v - cy) / fy
    x, y = target_x, target_y
    for _ in range(NEWTON_STEPS):
        at_x, at_y, a, b, d = _distort(camera, x, y)
        determinant = a * d - b * b
        if abs(determinant) < SINGULAR:
            determinant = 1.0
        off_x, off_y = at_x - target_x, at_y - target_y
        before_x, before_y = x, y
        x = min(max(x - (d * off_x - b * off_y) / determinant, -_MOST_SLOPE), _MOST_SLOPE)
        y = min(max(y - (a * off_y - b * off_x) / determinant, -_MOST_SLOPE), _MOST_SLOPE)
        if x == before_x and y == before_y:
            break
    at_x, at_y, a, b, d = _distort(camera, x, y)
    determinant = a * d - b * b
    if not (determinant > SHARP and abs(at_x - target_x) + abs(at_y - target_y) < INVERTED):
        return False, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0
    return True, x, y, d / determinant / fx, -b / determinant / fy, -b / determinant / fx, a / determinant / fy


@compiled
def to_ground(camera: Floats, u: float, v: float) -> tuple[bool, float, float, float, float, float, float]:
    """``GroundCamera.to_ground`` of one pixel: whether it is valid, x, y, and the Jacobian by rows.

    Args:
        camera: ``GroundCamera.numbers``.
    """
    is_sharp, x, y, e, f, g, h = _ray(camera, u, v)
    weight = camera[28] * x + camera[29] * y + camera[30]
    if not (is_sharp and weight > LEAST_WEIGHT):
        return False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    inverse = 1.0 / weight
    east = (camera[22] * x + camera[23] * y + camera[24]) * inverse
    north = (camera[25] * x + camera[26] * y + camera[27]) * inverse
    dx, dy = east - camera[40], north - camera[41]
    if not dx * dx + dy * dy <= camera[44] * camera[44]:
        return False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    p, q = (camera[22] - east * camera[28]) * inverse, (camera[23] - east * camera[29]) * inverse
    r, s = (camera[25] - north * camera[28]) * inverse, (camera[26] - north * camera[29]) * inverse
    return True, east, north, p * e + q * g, p * f + q * h, r * e + s * g, r * f + s * h


@compiled
def to_pixel(camera: Floats, east: float, north: float, up: float) -> tuple[bool, float, float]:
    """``GroundCamera.to_pixels`` of one point: whether it is in front, u, v."""
    if camera[0] == 0.0:
        weight = camera[37] * east + camera[38] * north + camera[39]
        if not weight > LEAST_WEIGHT:
            return False, 0.0, 0.0
        u = (camera[31] * east + camera[32] * north + camera[33]) / weight
        return True, u, (camera[34] * east + camera[35] * north + camera[36]) / weight
    dx, dy, dz = east - camera[19], north - camera[20], up - camera[21]
    depth = camera[16] * dx + camera[17] * dy + camera[18] * dz
    if not depth > LEAST_DEPTH_M:
        return False, 0.0, 0.0
    x = (camera[10] * dx + camera[11] * dy + camera[12] * dz) / depth
    y = (camera[13] * dx + camera[14] * dy + camera[15] * dz) / depth
    if not (abs(x) <= MAX_SLOPE and abs(y) <= MAX_SLOPE):
        return False, 0.0, 0.0
    at_x, at_y, _, _, _ = _distort(camera, x, y)
    return True, at_x * camera[1] + camera[3], at_y * camera[2] + camera[4]


@compiled
def to_pixels(camera: Floats, places: Floats, above_m: float, found: Floats) -> None:
    """Write where points above the level's ground appear: not a number for what is behind the camera or out of its range.

    Args:
        places: (N, 2) x, y; more columns are let be. found: (N, 2).
    """
    for row in range(len(places)):
        x, y = places[row, 0], places[row, 1]
        east, north = x - camera[40], y - camera[41]
        found[row, 0] = found[row, 1] = np.nan
        if east * east + north * north < camera[44] * camera[44]:
            is_in_front, u, v = to_pixel(camera, x, y, camera[42] + above_m)
            if is_in_front:
                found[row, 0], found[row, 1] = u, v


@compiled
def _point(camera: Floats, box: Floats, x: float, y: float, at: tuple[float, float, float]) -> tuple[bool, float, float]:
    """Where a point of a vehicle's outline appears, as ``to_pixel`` tells."""
    hx, hy, length, width, height = box[6], box[7], box[8], box[9], box[10]
    ahead, aside, up = at
    east = x + hx * (ahead * length) + -hy * (aside * width)
    north = y + hy * (ahead * length) + hx * (aside * width)
    return to_pixel(camera, east, north, camera[42] + up * height)


@compiled
def _bottom(camera: Floats, box: Floats, x: float, y: float, cut: int) -> tuple[bool, float, float]:
    """Where a vehicle's outline at a place has its bottom: in the middle, or at the side that is not cut.

    A plane knows no heights: there, the wheels alone tell the bottom. What the frame cuts at one side has the bottom of its
    part inside, which ends where the bumpers' ring leaves the frame.
    """
    is_flat = camera[0] == 0.0
    edge = box[0] if cut < 0 else box[2]
    left, right, low = np.inf, -np.inf, -np.inf
    for n in range(len(BODY)):
        is_seen, u, v = _point(camera, box, x, y, BODY[n])
        if not is_seen:
            return False, 0.0, 0.0
        left, right = min(left, u), max(right, u)
        low = max(low, v) if not is_flat and (edge - u) * cut >= 0.0 else low
    for n in range(len(WHEELS)):
        is_seen, u, v = _point(camera, box, x, y, WHEELS[n])
        low = max(low, v) if is_seen and (edge - u) * cut >= 0.0 else low
    was_seen, before_u, before_v = _point(camera, box, x, y, BUMPERS[-1])
    for n in range(0 if is_flat else len(BUMPERS)):
        is_seen, u, v = _point(camera, box, x, y, BUMPERS[n])
        if is_seen and (edge - u) * cut >= 0.0:
            low = max(low, v)
        if is_seen and was_seen and ((edge - u) * cut >= 0.0) != ((edge - before_u) * cut >= 0.0):
            low = max(low, before_v + (edge - before_u) / (u - before_u) * (v - before_v))
        was_seen, before_u, before_v = is_seen, u, v
    across = right if cut < 0 else left if cut > 0 else (left + right) / 2
    return low > -np.inf, across, low


@compiled
def placed(camera: Floats, boxes: Floats, is_covered: Bools, found: Floats) -> None:
    """Places of boxes.

    Args:
        camera: ``GroundCamera.numbers``.
        boxes: (N, 14): x1, y1, x2, y2, sigma in x and y, all pixels; heading; length, width, height in metres; whether the
            frame cuts it on the left, on the right, below.
        is_covered: (N,).
        found: (N, 6) zeros, written to: x, y, xx, xy, yy, and 1 where that is valid.
    """
    for row in range(len(boxes)):
        box = boxes[row]
        x1, y1, x2, y2, hx, hy = box[0], box[1], box[2], box[3], box[6], box[7]
        cut = int(box[12]) - int(box[11])
        is_known = hx != 0.0 or hy != 0.0
        share = TOLD_CUT_SHARE if is_known and cut != 0 else CUT_SHARE
        sigma_u = box[4] + (share * (x2 - x1) if box[11] + box[12] > 0.0 else 0.0)
        is_bottom_cut = box[13] > 0.0 or (box[11] > 0.0 and box[12] > 0.0)  # of what is cut on both sides, maybe
        sigma_v = box[5] + (CUT_SHARE * (y2 - y1) if is_bottom_cut else 0.0)
        middle = (x1 + x2) / 2
        is_valid, east, north, a, b, c, d = to_ground(camera, middle, y2)
        if not is_valid:
            continue
        sx, sy = east - camera[40], north - camera[41]
        distance = math.sqrt(sx * sx + sy * sy)
        if distance > 0.0:
            sx, sy = sx / distance, sy / distance
        along, across = abs(sx * hx + sy * hy), abs(sx * hy - sy * hx)
        length, width = 2.0 * WHEELS[0][0] * box[8], 2.0 * WHEELS[0][1] * box[9]
        reach = (length * along + width * across) / 2 if is_known else (length + width) / 4
        x, y = east + sx * reach, north + sy * reach
        if is_known:
            side = x2 if cut < 0 else x1 if cut > 0 else middle
            is_wanted, to_x, to_y, _, _, _, _ = to_ground(camera, side, y2)
            for _ in range(REFINEMENTS if is_wanted else 0):
                is_seen, u, v = _bottom(camera, box, x, y, cut)
                if is_seen:
                    is_met, at_x, at_y, _, _, _, _ = to_ground(camera, u, v)
                    if is_met:
                        x, y = x + (to_x - at_x), y + (to_y - at_y)
        spread = COVERED_SIGMA_M if is_covered[row] else KNOWN_SIGMA_M if is_known else UNKNOWN_SIGMA_M
        aside = COVERED_ASIDE_SIGMA_M if is_covered[row] else 0.0
        var_u, var_v, own = sigma_u * sigma_u, sigma_v * sigma_v, camera[43] * camera[43]
        along2, aside2 = spread * spread, aside * aside
        found[row, 0], found[row, 1] = x, y
        found[row, 2] = (a * a * var_u + b * b * var_v + own) + along2 * (sx * sx) + aside2 * (sy * sy)
        found[row, 3] = (a * c * var_u + b * d * var_v) + along2 * (sx * sy) + aside2 * (-sy * sx)
        found[row, 4] = (c * c * var_u + d * d * var_v + own) + along2 * (sy * sy) + aside2 * (sx * sx)
        found[row, 5] = 1.0
