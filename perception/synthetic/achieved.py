"""What a noise profile achieved, measured from a run's output and its truth; no setting of the profile is looked at.

Detections, box errors, embeddings and delays are independent of each other by the profiles' definition, so their shares have
Wilson's interval; what comes in clusters (false boxes, look-alikes, the errors of one tracklet) is resampled by cluster.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.detect import iou
from perception.synthetic.arrival_delays import delays
from perception.synthetic.crossings import crossings
from perception.synthetic.intervals import NOTHING, Estimate, ratio, resampled, share, time_between
from perception.synthetic.rank import rank_1
from perception.synthetic.sensors import Delivery
from perception.synthetic.sightings import Sightings, Truth, by, outputs, sightings
from perception.synthetic.truth import TruthFrame
from site_models.schema import Site
from twin.errors import BadInput
from twin.events.ids import SECOND, Micros

LARGE_PX = 40.0
"""Shorter side from which a box is large, beyond doubt."""
UNHIDDEN, MOSTLY_HIDDEN = 0.001, 0.72
"""Shares hidden up to which a vehicle is unoccluded, and from which nothing is detected: 70 %, and 2 % for what the
captures' times are uncertain by."""
SMALL_PX = 11.5
"""Shorter side under which nothing is detected: 12 px, and half a pixel for the same reason."""

_ALONE = 0.2  # overlap with other true boxes up to which a box's error is surely its own
_HALF_A_SECOND: Micros = SECOND // 2
_SLACK: Micros = SECOND // 50
_UNBROKEN: Micros = 5 * SECOND // 2  # longest gap in which a tracker cannot have lost the vehicle
_BLOCK: Micros = 60 * SECOND  # of false boxes that depend on each other
_SAME_PLACE = 0.5  # intersection over union

Rows = NDArray[Any]
Floats = NDArray[np.float64]


def achieved(site: Site, deliveries: Iterable[Delivery], truth: Sequence[TruthFrame]) -> Mapping[str, Estimate]:
    """Figures by name; one that the run gave no occasion for is NaN with n = 0.

    Args:
        deliveries: all that the site's cameras sent.
        truth: a frame at least every 100 ms over the same time.

    Raises:
        BadInput: no frames or no truth.
    """
    of_truth = Truth(truth)
    seen = [sightings(site, output, of_truth) for output in outputs(site, deliveries)]
    if not seen or not truth:
        raise BadInput(f"nothing to measure: {len(seen)} cameras sent frames and there are {len(truth)} frames of truth")
    return {
        "detection": detection(seen, over_px=LARGE_PX, up_to=UNHIDDEN),
        "detection_hidden": detection(seen, over_px=LARGE_PX, least=MOSTLY_HIDDEN),
        "detection_small": detection(seen, under_px=SMALL_PX),
        "false_boxes": false_boxes(seen),
        "false_run": false_run(seen),
        "false_same_place": false_same_place(seen),
        "box_sigma": box_sigma(seen),
        "box_correlation": box_correlation(seen),
        "break_s": break_s(seen),
        "swap": swap(seen),
        "purity": purity(seen),
        "rank_1": rank_1(seen, of_truth),
        "lookalikes": lookalikes(of_truth),
        **delays(seen),
    }


def detection(
    seen: Iterable[Sightings],
    *,
    over_px: float = 0.0,
    under_px: float = math.inf,
    least: float = 0.0,
    up_to: float = 1.0,
) -> Estimate:
    """Share of vehicles in frames that were reported, of those with a shorter side and a share hidden in these bounds."""
    hits = n = 0
    for rows in (one.seen for one in seen):
        is_asked = (rows["side_px"] >= over_px) & (rows["side_px"] < under_px)
        is_asked &= (rows["hidden"] >= least) & (rows["hidden"] <= up_to)
        hits += int((rows["tracklet"][is_asked] >= 0).sum())
        n += int(is_asked.sum())
    return share(hits, n)


def false_boxes(seen: Iterable[Sightings]) -> Estimate:
    """Mean number a frame; the interval is over minutes."""
    groups, n = list[tuple[float, float]](), 0
    for one in seen:
        ats = one.clock.captured_at(one.output.occurred_at)
        block = (ats - ats[0]) // _BLOCK
        in_frame = np.bincount(_false(one)["frame"], minlength=len(ats))
        groups += [(float(in_frame[block == b].sum()), float((block == b).sum())) for b in np.unique(block)]
        n += len(ats)
    return resampled(np.array(groups), ratio, n)


def false_run(seen: Iterable[Sightings]) -> Estimate:
    """Mean number of frames that show the same false box: 1 if they came one by one."""
    runs = [len(rows) for one in seen for rows in by(_false(one), "tracklet").values()]
    return resampled(np.array([(run, 1.0) for run in runs]), ratio, len(runs))


def false_same_place(seen: Iterable[Sightings]) -> Estimate:
    """Share of false tracklets that stand where another of the same camera stood."""
    hits = n = 0
    for one in seen:
        means = [rows["box_px"].mean(axis=0) for rows in by(_false(one), "tracklet").values()]
        places = np.array(means, np.float32).reshape(-1, 4)
        overlaps = iou(places, places)
        np.fill_diagonal(overlaps, 0.0)
        hits += int((overlaps > _SAME_PLACE).any(axis=1).sum())
        n += len(places)
    return share(hits, n)


def box_sigma(seen: Iterable[Sightings]) -> Estimate:
    """Root mean square error of a box's edges, as a share of the true box's width or height."""
    groups, n = list[tuple[float, float]](), 0
    for one in seen:
        for rows in by(_measured(one), "tracklet").values():
            groups.append((float((rows["error"].astype(float) ** 2).sum()), 4.0 * len(rows)))
            n += len(rows)
    return resampled(np.array(groups), lambda sums: math.sqrt(ratio(sums)), n)


def box_correlation(seen: Iterable[Sightings]) -> Estimate:
    """Of a tracklet's box errors half a second apart; a correlation time of 0.5 s makes it 1/e."""
    groups, n = list[tuple[float, float]](), 0
    for one in seen:
        for rows in by(_measured(one), "tracklet").values():
            later = np.searchsorted(rows["at"], rows["at"] + _HALF_A_SECOND - _SLACK)
            inside = later < len(rows)
            first, second = rows[inside], rows[later[inside]]
            is_pair = np.abs(second["at"] - first["at"] - _HALF_A_SECOND) <= _SLACK
            errors, others = first["error"][is_pair].astype(float), second["error"][is_pair].astype(float)
            groups.append((float((errors * others).sum()), float((errors**2 + others**2).sum() / 2)))
            n += int(is_pair.sum())
    return resampled(np.array(groups), ratio, n)


def break_s(seen: Iterable[Sightings]) -> Estimate:
    """Seconds that a vehicle in sight keeps its tracklet: time followed, by ends of a tracklet that a new one goes on from."""
    n, followed = 0, 0
    for one in seen:
        first, last = _lives(one)
        for rows in by(one.seen[one.seen["tracklet"] >= 0], "vehicle").values():
            gaps, before, after = np.diff(rows["at"]), rows["tracklet"][:-1], rows["tracklet"][1:]
            is_followed = gaps <= _UNBROKEN
            followed += int(gaps[is_followed].sum())
            is_over = last[before] == rows["frame"][:-1]
            is_new = first[after] == rows["frame"][1:]
            n += int((is_followed & (before != after) & is_over & is_new).sum())
    return time_between(n, followed / SECOND)


def swap(seen: Iterable[Sightings]) -> Estimate:
    """Share of crossings of two boxes after which each vehicle has the other's tracklet."""
    outcomes = [is_swapped for one in seen for is_swapped in crossings(one)]
    return share(sum(outcomes), len(outcomes))


def purity(seen: Iterable[Sightings]) -> Estimate:
    """Share of reported boxes that show the vehicle that most of their tracklet's show; false tracklets do not count."""
    groups, n = list[tuple[float, float]](), 0
    for one in seen:
        real = one.reported[one.reported["vehicle"] >= 0]
        for rows in by(real, "tracklet").values():
            groups.append((float(np.unique(rows["vehicle"], return_counts=True)[1].max()), float(len(rows))))
            n += len(rows)
    return resampled(np.array(groups), ratio, n)


def lookalikes(truth: Truth) -> Estimate:
    """Share of vehicles that have a look-alike on the site in the run; the interval is over looks."""
    counts = Counter(vehicle.look for vehicle in truth.vehicles.values())
    groups = [(float(count if count > 1 else 0), float(count)) for count in counts.values()]
    return resampled(np.array(groups), ratio, len(truth.vehicles)) if groups else NOTHING


def _false(one: Sightings) -> Rows:
    """Reports of tracklets that mostly show nothing."""
    reported = one.reported
    n = np.bincount(reported["tracklet"], minlength=len(one.tracklets))
    n_false = np.bincount(reported["tracklet"][reported["vehicle"] < 0], minlength=len(one.tracklets))
    return reported[(2 * n_false > n)[reported["tracklet"]]]


def _measured(one: Sightings) -> Rows:
    """Rows whose box was sent, and stands alone and whole in the frame."""
    seen = one.seen
    return seen[seen["is_full"] & (seen["crowd"] <= _ALONE) & ~np.isnan(seen["error"][:, 0])]


def _lives(one: Sightings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(T,) the frames of each tracklet's first and last report."""
    first, last = np.full(len(one.tracklets), np.iinfo(np.int64).max), np.full(len(one.tracklets), -1)
    np.minimum.at(first, one.reported["tracklet"], one.reported["frame"])
    np.maximum.at(last, one.reported["tracklet"], one.reported["frame"])
    return first, last
