"""Frames that were lost and frames that came late, from what arrived and the cameras' frame rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.capture_clock import Times, earliest_clock
from perception.synthetic.intervals import Estimate, ratio, resampled, share
from perception.synthetic.sightings import Sightings, by
from twin.events.ids import SECOND, Micros

_LATE_S = 2.5  # half of those that are late by up to 5 s are later than that, and nothing else is
_OUTAGE: Micros = 8 * SECOND  # of silence from which on the camera was out, and not a frame dropped
_STEADY: Micros = SECOND // 4  # longest step in which a box's speed is still the same
_CLEAR = 0.1  # share hidden up to which a box's place is sure

Floats = NDArray[np.float64]
Rows = NDArray[Any]


def delays(seen: Sequence[Sightings]) -> dict[str, Estimate]:
    """Fixed part and exponential mean of arrival after capture, and the shares of lost and late frames."""
    after_s = np.concatenate([_after_quickest_s(one) for one in seen])
    is_late = after_s > _LATE_S
    mean_s = _exponential_mean_s(after_s, 2 * float(is_late.mean()))
    late_by_s = _late_by_s(after_s[is_late], mean_s.value)
    return {
        "delay_fixed_s": _fixed_s(seen),
        "delay_mean_s": mean_s,
        "dropped": _dropped(seen),
        "late": _late(share(int(is_late.sum()), len(after_s)), mean_s.value, late_by_s.value),
        "late_by_s": late_by_s,
    }


def missing(occurred_at: Times, fps: float) -> NDArray[np.int64]:
    """(F - 1,) how many frames a camera left out between each and the next."""
    return np.rint(np.diff(occurred_at) * fps / SECOND).astype(np.int64) - 1


def _after_quickest_s(one: Sightings) -> Floats:
    output = one.output
    clock = earliest_clock(output.occurred_at, output.arrival_at)
    return (output.arrival_at - clock.captured_at(output.occurred_at)) / SECOND


def _exponential_mean_s(after_s: Floats, late: float) -> Estimate:
    """From the median, which hardly knows of the few that are late; its interval is that of an order statistic."""
    n, ordered = len(after_s), np.sort(after_s)
    half = 1.96 * math.sqrt(n) / 2
    ranks = np.clip([n / 2, n / 2 - half, n / 2 + half], 0, n - 1).astype(int)
    value, lo, hi = (ordered[ranks] / math.log((1 - late) / (0.5 - late))).tolist()
    return Estimate(value, lo, hi, n)


def _late(seen: Estimate, mean_s: float, most_s: float) -> Estimate:
    """Share of frames that are late at all, from that of those that are later than ``_LATE_S``."""
    if not seen.value:
        return seen
    shown = (most_s - _LATE_S + mean_s) / most_s
    return Estimate(seen.value / shown, seen.lo95 / shown, min(1.0, seen.hi95 / shown), seen.n)


def _late_by_s(after_s: Floats, mean_s: float) -> Estimate:
    """The bound T up to which late frames are late, from the mean M of those later than L = ``_LATE_S``.

    Lateness that is even up to T, and an exponential delay of mean m on top, exceed L with probability (T - L + m) / T, and
    then by a mean M of ((T² - L²) / 2 + m T + m²) / (T - L + m), if T - L is many times m.
    """

    def most_s(sums: Floats) -> float:
        late_s = ratio(sums)
        root = (late_s - mean_s) ** 2 - 2 * (mean_s**2 - _LATE_S**2 / 2 + (_LATE_S - mean_s) * late_s)
        return late_s - mean_s + math.sqrt(max(root, 0.0))

    return resampled(np.stack([after_s, np.ones(len(after_s))], axis=1), most_s, len(after_s))


def _dropped(seen: Sequence[Sightings]) -> Estimate:
    """Share of frames that a camera that was not out left out."""
    n_missing = n = 0
    for one in seen:
        gaps = missing(one.output.occurred_at, one.output.camera.fps)
        n_missing += int(gaps[np.diff(one.output.occurred_at) < _OUTAGE].sum())
        n += len(gaps) + 1
    return share(n_missing, n + n_missing)


def _fixed_s(seen: Sequence[Sightings]) -> Estimate:
    """Arrival of the quickest frames after their capture, told by moving vehicles; the interval is over those."""
    groups, n = list[tuple[float, float]](), 0
    for one in seen:
        quickest = earliest_clock(one.output.occurred_at, one.output.arrival_at)
        at = int(one.output.occurred_at[len(one.output.occurred_at) // 2])
        fixed_us = int(quickest.captured_at(np.array([at]))[0]) - int(one.clock.captured_at(np.array([at]))[0])
        for rows in by(one.seen, "vehicle").values():
            lead, weight, n_rows = _lead(rows)
            groups.append(((fixed_us * weight - lead) / SECOND, weight))
            n += n_rows
    return resampled(np.array(groups), ratio, n)


def _lead(rows: Rows) -> tuple[float, float, int]:
    """Of one vehicle's rows: box error times speed, speed squared, both in sizes and microseconds, and how many rows."""
    if len(rows) < 3:
        return 0.0, 0.0, 0
    around = rows["at"][2:] - rows["at"][:-2]
    size = np.tile(rows["box_px"][:, 2:] - rows["box_px"][:, :2], 2)[1:-1].astype(float)
    speed = (rows["box_px"][2:].astype(float) - rows["box_px"][:-2]) / around[:, None] / size
    errors, middle = rows["error"][1:-1].astype(float), rows[1:-1]
    clear = middle["is_moving"] & middle["is_full"] & (around <= _STEADY) & (middle["hidden"] < _CLEAR)
    clear &= ~np.isnan(errors[:, 0])
    return float((errors * speed)[clear].sum()), float((speed**2)[clear].sum()), int(clear.sum())
