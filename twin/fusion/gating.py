"""Which box of a frame may be which track, and what each pair costs: over all tracks, as kernels.

Kernels write into arrays that are given: making one inside costs more than most of these take. Shape letters: T tracks,
R rows of those that are near, D detections, P pairs.
"""

from __future__ import annotations

import math

from twin.spatial.compiled import Bools, Floats, Ints, compiled

TENTATIVE, MOVING, PARKED, HIDDEN, LEFT, GONE = range(6)
"""What ``TrackColumns`` says of a track's status; GONE where a row is none any more."""
LINK_NATS = 3.0
"""What a tracklet id is worth: an edge tracker swaps two that cross about once in ten times, so it can be overruled."""
CROSSING_NATS = 2.2
"""The same while its box crosses another one's: that is when they are swapped."""
LINKED_GATE = 4.0
"""A linked pair may be this many times farther off."""
NEIGHBOUR_M = 1.5
"""A new box this near to a parked vehicle is nobody else's."""
_REACH_M = 3.0  # of what was seen just now
_SWERVE_MPS2 = 5.0  # nobody brakes, speeds up or turns harder
_CROSSING_SHARE = 0.15  # intersection over union of two boxes that cross
_SECOND_US = 1e6
_LN2 = 0.6931471805599453
_TERMS = (1 / 15, 1 / 13, 1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3, 1.0)


@compiled
def ln1(value: float) -> float:
    """Natural logarithm of a positive number, absolute error below 1e-8. The platform's own differ in their last bits.

    ``frexp`` splits exactly; the mantissa goes through 2 artanh((m - 1) / (m + 1)), summed in a fixed order.
    """
    mantissa, exponent = math.frexp(value)
    z = (mantissa - 1.0) / (mantissa + 1.0)
    z2, total = z * z, 0.0
    for term in _TERMS:
        total = total * z2 + term
    return 2.0 * z * total + exponent * _LN2


@compiled
def crossing(corners: Floats, asked: Ints, found: Bools) -> None:
    """Write into ``found`` which of the asked boxes cross another.

    Args:
        corners: (N, 4) x1, y1, x2, y2 of all boxes of a frame. asked: (D,) rows of these. found: (D,).
    """
    for n in range(len(asked)):
        x1, y1, x2, y2 = corners[asked[n], 0], corners[asked[n], 1], corners[asked[n], 2], corners[asked[n], 3]
        found[n] = False
        for row in range(len(corners)):
            width = min(x2, corners[row, 2]) - max(x1, corners[row, 0])
            height = min(y2, corners[row, 3]) - max(y1, corners[row, 1])
            if row != asked[n] and width > 0.0 and height > 0.0:
                other = (corners[row, 2] - corners[row, 0]) * (corners[row, 3] - corners[row, 1])
                either = (x2 - x1) * (y2 - y1) + other - width * height
                if width * height >= _CROSSING_SHARE * either:
                    found[n] = True
                    break


@compiled
def inside(numbers: Floats, kinds: Ints, level: int, left: float, low: float, right: float, high: float, rows: Ints) -> int:
    """Write into ``rows`` those of tracks on a level in a rectangle, its edges included; returns how many."""
    n = 0
    for row in range(len(kinds)):
        x, y = numbers[row, 0], numbers[row, 1]
        if kinds[row, 0] == level and kinds[row, 1] != GONE and left <= x <= right and low <= y <= high:
            rows[n] = row
            n += 1
    return n


@compiled
def standing(kinds: Ints, level: int, is_known: Bools, is_shown: Bools, rows: Ints) -> int:
    """Write into ``rows`` those of parked tracks on a level that a camera knows, or no camera's look is kept of, without those
    that it shows; returns how many."""
    n = 0
    for row in range(len(kinds)):
        if kinds[row, 1] == PARKED and kinds[row, 0] == level and (is_known[row] or kinds[row, 3] == 1) and not is_shown[row]:
            rows[n] = row
            n += 1
    return n


@compiled
def near(
    numbers: Floats,
    times: Ints,
    kinds: Ints,
    level: int,
    is_taken: Bools,
    at: int,
    q: float,
    gate: float,
    boxes: Floats,
    rows: Ints,
    ahead: Floats,
) -> int:
    """The tracks that a box can be inside the gate of, and where they should be; a few more, none less.

    d² is at least the squared distance over the trace of S, and no box is nearer than the rectangle round them all. What stands
    stays; for the others as ``motion.predict``.

    Args:
        numbers, times, kinds: as of ``TrackColumns``.
        is_taken: (T,) whether it has its box already.
        q: power spectral density of the acceleration noise, m²/s³.
        gate: the largest d².
        boxes: (D, 5) x, y, xx, xy, yy.
        rows, ahead: (T,) and (T, 5), written to: the rows in order, and x, y, xx, xy, yy of where they should be.

    Returns:
        R, how many there are.
    """
    left, right, low, high = boxes[0, 0], boxes[0, 0], boxes[0, 1], boxes[0, 1]
    widest = boxes[0, 2] + boxes[0, 4]
    for column in range(1, len(boxes)):
        left, right = min(left, boxes[column, 0]), max(right, boxes[column, 0])
        low, high = min(low, boxes[column, 1]), max(high, boxes[column, 1])
        widest = max(widest, boxes[column, 2] + boxes[column, 4])
    n = 0
    for row in range(len(is_taken)):
        status = kinds[row, 1]
        if kinds[row, 0] != level or status in (HIDDEN, GONE) or is_taken[row]:
            continue
        one = numbers[row]
        x, y, xx, xy, yy = one[0], one[1], one[4], one[5], one[8]
        if kinds[row, 2] == 0 and at > times[row, 0]:
            t = (at - times[row, 0]) / _SECOND_US
            q3 = q * t * t * t / 3.0
            x, y = x + t * one[2], y + t * one[3]
            xx = xx + 2.0 * t * one[6] + t * t * one[11] + q3
            xy = xy + t * (one[7] + one[9]) + t * t * one[12]
            yy = yy + 2.0 * t * one[10] + t * t * one[13] + q3
        dx = left - x if x < left else x - right if x > right else 0.0
        dy = low - y if y < low else y - high if y > high else 0.0
        if dx * dx + dy * dy <= gate * (xx + yy + widest):
            rows[n] = row
            ahead[n, 0], ahead[n, 1], ahead[n, 2], ahead[n, 3], ahead[n, 4] = x, y, xx, xy, yy
            n += 1
    return n


@compiled
def pairs(
    numbers: Floats,
    times: Ints,
    kinds: Ints,
    rows: Ints,
    ahead: Floats,
    looks: Floats,
    boxes: Floats,
    ranks: Ints,
    links: Ints,
    is_crossing: Bools,
    at: int,
    gate: float,
    max_speed_mps: float,
    tracks: Ints,
    columns: Ints,
    costs: Floats,
) -> int:
    """The pairs that may be, with their costs: half of d² + ln det S, less for a link of their own and more for another's.

    A box of a tracklet that belongs to nobody is a parked vehicle's only where it is nearer than its neighbours are: what is
    farther begins a track of its own, which is told to be a double once more of its boxes say where it is. Nor is it a known
    moving vehicle's where that would have had to swerve harder than anybody does: however little is known of one that was not
    seen for a moment, what comes out from behind another vehicle 5 m beside it is somebody else. And nothing is farther from
    where it was than it could have driven.

    Args:
        numbers, times, kinds: as of ``TrackColumns``.
        rows, ahead: of ``near``.
        looks: (T, 6) how this camera saw a vehicle that it knows: x, y, xx, xy, yy, and the rank of such boxes; the rank is
            -1 for others. New boxes of it come where they came before, if it is parked; its tracklet's may drive off.
        boxes: (D, 5) x, y, xx, xy, yy.
        ranks: (D,) how much of a vehicle each box is of.
        links: (D,) the row of the track that its tracklet belongs to, or -1.
        is_crossing: (D,) whether another box crosses it.
        tracks, columns, costs: (R * D,), written to: rows, as numbers of ``rows``, columns, and nats; by rows.

    Returns:
        P, how many there are.

    Source: Bar-Shalom, Willett & Tian, "Tracking and Data Fusion" (2011), on validation gates.
    """
    n = 0
    for number in range(len(rows)):
        row = rows[number]
        unseen_s = max(at - times[row, 1], 0) / _SECOND_US
        limit, swerve = _REACH_M + max_speed_mps * unseen_s, _REACH_M + 0.5 * _SWERVE_MPS2 * unseen_s * unseen_s
        for column in range(len(boxes)):
            link = 0.0 if links[column] < 0 else 1.0 if links[column] == row else -1.0
            px, py = boxes[column, 0], boxes[column, 1]
            from_x, from_y = px - numbers[row, 0], py - numbers[row, 1]
            away2 = from_x * from_x + from_y * from_y
            if away2 > limit * limit or (link == 0.0 and kinds[row, 1] == PARKED and away2 > NEIGHBOUR_M * NEIGHBOUR_M):
                continue
            a, b = ahead[number, 2] + boxes[column, 2], ahead[number, 3] + boxes[column, 3]
            c = ahead[number, 4] + boxes[column, 4]
            dx, dy = px - ahead[number, 0], py - ahead[number, 1]
            if link == 0.0 and kinds[row, 1] == MOVING and dx * dx + dy * dy > swerve * swerve:
                continue
            if looks[row, 5] == ranks[column] and link <= 0.0 and kinds[row, 1] == PARKED:
                a, b, c = looks[row, 2], looks[row, 3], looks[row, 4]
                dx, dy = px - looks[row, 0], py - looks[row, 1]
            determinant = a * c - b * b
            d2 = (c * dx * dx - 2.0 * b * dx * dy + a * dy * dy) / determinant
            if d2 <= gate or (link > 0.0 and d2 <= LINKED_GATE * gate):
                tracks[n], columns[n] = number, column
                costs[n] = 0.5 * (d2 + ln1(determinant)) - (CROSSING_NATS if is_crossing[column] else LINK_NATS) * link
                n += 1
    return n
