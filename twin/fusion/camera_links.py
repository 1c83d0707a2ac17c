"""How vehicles get from where one camera loses them to where another finds them: for every pair of cameras, how many do and
how long it takes them, learned from those whose identity was sure.

The time is log-normal around what the way between the two places takes at a usual speed, with a share that stops on the way.
Of those that one camera loses, some are never found: they parked, or left, where nobody looks. A vehicle that comes up in the
middle of the site may also be a new one; how often that happens is learned too.

Sources: Makris, Ellis & Black, "Bridging the gaps between cameras" (2004), on transitions learned from disappearances and
appearances; Javed et al., "Modeling inter-camera space-time and appearance relationships" (2008), on travel times as evidence.
"""

from __future__ import annotations

from msgspec import Struct, field

from twin.events.ids import SECOND, CameraId, Micros
from twin.events.of_observing import CameraLinkEstimated
from twin.fusion.gating import ln1

_USUAL_MPS = 4.0
_LEAST_WAY_M = 8.0  # who is lost near to where it is found waited for a while, or it would not have been lost
_LEAST_S = 0.3
_N_MEAN, _N_VARIANCE = 1.0, 4.0  # passages that the prior's mean, 0, and its variance count for
_PRIOR_VARIANCE = 0.49  # of ln(time / usual time): half to twice the usual time, for two in three
_LN_STOPS, _LN_DRIVES = ln1(0.15), ln1(0.85)  # share that halts where nobody sees it
_STOP_S = 60.0  # median of the time that a halt takes; its tail is heavy, for those who park unseen
_TARGETS = 4.0  # cameras at which one may come up next, and not coming up at all, before any was seen to
_NEW_EVERY_S = 3600.0  # vehicles that come up inside and are new, before any did
_LN_2PI = ln1(6.283185307179586)


class CameraLink(Struct, frozen=True, array_like=True):
    """Passages from one camera to another: how many, and the mean of ln(time / usual time) with its sum of squares."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0


class CameraLinks(Struct, frozen=True, array_like=True):
    """What has been learned so far.

    Attributes:
        n_lost: vehicles that each camera was the last to see.
        n_new: vehicles that came up inside before each camera, and were nobody known.
        passages: from the camera that lost them, to the one that found them.
    """

    n_lost: dict[CameraId, int] = field(default_factory=dict[CameraId, int])
    n_new: dict[CameraId, int] = field(default_factory=dict[CameraId, int])
    passages: dict[CameraId, dict[CameraId, CameraLink]] = field(default_factory=dict[CameraId, dict[CameraId, CameraLink]])


class Gap(Struct, frozen=True):
    """One vehicle's time out of sight: if it is the same that is lost and found."""

    lost_by: CameraId
    found_by: CameraId
    way_m: float
    unseen_us: Micros


def likelihood_ratio(links: CameraLinks, gap: Gap, watched_us: Micros) -> float:
    """Nats for the vehicle that was lost to come up here and now, against a new one to.

    Args:
        watched_us: how long the camera that found it has been watching.
    """
    seconds = max(gap.unseen_us / SECOND, _LEAST_S)
    link = _link(links, gap)
    mean, variance = _ratio(link)
    off = ln1(seconds / _usual_s(gap)) - mean
    drives = _LN_DRIVES - 0.5 * (off * off / variance + ln1(variance) + _LN_2PI) - ln1(seconds)
    stops = _LN_STOPS - ln1(_STOP_S) - 2.0 * ln1(1.0 + seconds / _STOP_S)
    comes_here = (link.n + 1.0) / (max(links.n_lost.get(gap.lost_by, 0), link.n) + _TARGETS)
    new_rate = (links.n_new.get(gap.found_by, 0) + 1.0) / (watched_us / SECOND + _NEW_EVERY_S)
    return max(drives, stops) + ln1(comes_here) - ln1(new_rate)


def as_driven(gap: Gap) -> Gap:
    """The gap of one that stood until it drove off, at the time that fits best."""
    return Gap(gap.lost_by, gap.found_by, gap.way_m, min(gap.unseen_us, round(_usual_s(gap) * SECOND)))


def with_lost(links: CameraLinks, camera: CameraId) -> CameraLinks:
    """After another vehicle went out of sight there."""
    return CameraLinks(_more(links.n_lost, camera), links.n_new, links.passages)


def with_new(links: CameraLinks, camera: CameraId) -> CameraLinks:
    """After another new vehicle came up inside there."""
    return CameraLinks(links.n_lost, _more(links.n_new, camera), links.passages)


def with_passage(links: CameraLinks, gap: Gap) -> CameraLinks:
    """After a vehicle was surely found again. Source of the running sums: Welford (1962)."""
    before = _link(links, gap)
    ratio = ln1(max(gap.unseen_us / SECOND, _LEAST_S) / _usual_s(gap))
    n, step = before.n + 1, ratio - before.mean
    mean = before.mean + step / n
    link = CameraLink(n, mean, before.squares + step * (ratio - mean))
    there = {**links.passages.get(gap.lost_by, {}), gap.found_by: link}
    return CameraLinks(links.n_lost, links.n_new, {**links.passages, gap.lost_by: there})


def estimated(links: CameraLinks, gap: Gap) -> CameraLinkEstimated | None:
    """What to say of a link after another passage: at the first one, and whenever there are twice as many."""
    link = _link(links, gap)
    if link.n & (link.n - 1):
        return None
    mean, variance = _ratio(link)
    n_lost = max(links.n_lost.get(gap.lost_by, 0), link.n)
    return CameraLinkEstimated(
        camera=gap.found_by,
        from_camera=gap.lost_by,
        n_passages=link.n,
        n_lost=n_lost,
        ln_ratio_mean=round(mean, 3) + 0.0,
        ln_ratio_variance=round(variance, 3),
    )


def _ratio(link: CameraLink) -> tuple[float, float]:
    """Mean and variance of ln(time / usual time), the prior's passages among them.

    Source: Gelman et al., "Bayesian data analysis" (2013), 3.3: the conjugate prior of a normal's mean and variance.
    """
    share = link.n / (link.n + _N_MEAN)
    apart = share * _N_MEAN * link.mean * link.mean  # between the prior's mean and that of the passages
    return share * link.mean, (_N_VARIANCE * _PRIOR_VARIANCE + link.squares + apart) / (link.n + _N_VARIANCE)


def _usual_s(gap: Gap) -> float:
    return max(gap.way_m, _LEAST_WAY_M) / _USUAL_MPS


def _link(links: CameraLinks, gap: Gap) -> CameraLink:
    return links.passages.get(gap.lost_by, {}).get(gap.found_by, CameraLink())


def _more(counts: dict[CameraId, int], camera: CameraId) -> dict[CameraId, int]:
    return {**counts, camera: counts.get(camera, 0) + 1}
