"""Looks at a vehicle that stands: whether one is off its place, which are taken into it, and which may be of another.

A camera's look is compared with that camera's own mean, from which what it always gets wrong drops out.
"""

from __future__ import annotations

import math

from twin.events.ids import SECOND, CameraId, LevelId, Micros, TrackletId
from twin.fusion.frame import Measured
from twin.fusion.motion import Motion
from twin.fusion.place import FIRST_LOOKS, Look, looked
from twin.fusion.state import Doubt, Emitted, Track, TrailPoint

AWAY_LAPSES: Micros = 2 * SECOND
"""Who drives off is off again by then."""
AWAY_LOOKS = 3
"""Looks off its place, in a row, by which a vehicle that stood moves."""
_NOISE_SHARE = 0.5  # of a look's standard deviation: what looks of one camera do not have in common
_TELLS_SIGMA = 2.0  # of what looks of one camera do not have in common: so far off is told from standing
_SETTLED: Micros = 3 * SECOND  # of a box that has not changed for so long the vehicle is known by fewer
_LOOK_EVERY: Micros = SECOND  # no faster than this
_MOST_DOUBTS = 8  # at a time: a vehicle may stand for weeks, and its neighbours' tracklets break twice a minute
_DOUBT_EVERY: Micros = 2 * SECOND  # a departure is seen by all cameras in less


def away_m(point: TrailPoint | Emitted | Look | Motion | None, x: float, y: float) -> float:
    """How far a place is from a point; infinitely far where there is none."""
    if point is None:
        return math.inf
    return math.sqrt((point.x - x) * (point.x - x) + (point.y - y) * (point.y - y))


def has_left(track: Track, measured: Measured, camera: CameraId, depart_m: float) -> bool | None:
    """Whether a look is off the vehicle's place; None where the camera cannot tell: it has no like look to compare with."""
    own = track.looks.get(camera)
    if own is not None and own.n > 1 and own.rank == measured.rank:
        return _is_off(own, measured, depart_m)
    (x, y), (xx, _, yy) = measured.point_m, measured.covariance_m2
    return True if away_m(track.motion, x, y) > depart_m + math.sqrt(xx + yy) else None


def is_off(own: Look | None, measured: Measured, by_m: float) -> bool:
    """Whether a camera's look is off its own mean by more than its noise."""
    return own is not None and own.rank == measured.rank and _is_off(own, measured, by_m)


def _is_off(own: Look, measured: Measured, by_m: float) -> bool:
    (x, y), (xx, _, yy) = measured.point_m, measured.covariance_m2
    dx, dy = own.x - x, own.y - y
    return math.sqrt(dx * dx + dy * dy) > by_m + _NOISE_SHARE * math.sqrt(xx + yy)


def is_driving_off(track: Track, tracklet: TrackletId, level: LevelId, at: Micros) -> bool:
    """Whether one more look of a tracklet off a parked vehicle's place says that it moves."""
    is_next = track.away >= AWAY_LOOKS - 1 and track.away_by == tracklet and at - track.away_at <= AWAY_LAPSES
    return is_next and track.status == "parked" and track.level == level


def hear(track: Track, measured: Measured, camera: CameraId, at: Micros, *, tells: bool = True) -> None:
    """A look that is not off the vehicle's place: who was off it may be back, or wrong.

    Args:
        tells: whether it would be off if the vehicle were. A box of another kind than the camera knows is not: while a vehicle
            creeps out from between others, every other box of it is covered by one.
    """
    name = measured.box.tracklet
    if track.away and ((tells and name == track.away_by) or at - track.away_at > AWAY_LAPSES):
        track.away = 0  # it was noise
    elif track.away and denies(track, measured, camera, at):
        doubt(track, name, at)
        track.away = 0


def denies(track: Track, measured: Measured, camera: CameraId, at: Micros) -> bool:
    """Whether a look that is not off the vehicle's place says that it stands, while others are off it.

    So says a camera that knows it standing, that would see it farther off if those others were right, and sees it nearer to
    where it stood than to where they do. To a far camera it hardly moves while it drives off, and one that has just begun to
    see it knows no place that it left.
    """
    dx, dy = track.away_m
    (xx, xy, yy), away2 = measured.covariance_m2, dx * dx + dy * dy
    along = dx * (xx * dx + xy * dy) + dy * (xy * dx + yy * dy)  # of the look, times the square of the way
    if away2 * away2 <= _TELLS_SIGMA * _TELLS_SIGMA * _NOISE_SHARE * _NOISE_SHARE * along:
        return False
    own = track.looks.get(camera)
    if own is None or (own.n < FIRST_LOOKS and (measured.is_fresh or at - own.at < _SETTLED)):
        return False
    if measured.is_fresh and own.rank != measured.rank:
        return False
    x, y = off_by_m(track, measured, camera) if measured.is_fresh else (0.0, 0.0)
    return 2.0 * (x * dx + y * dy) < away2


def is_due(own: Look | None, at: Micros) -> bool:
    """Boxes that come fast come of something that begins to move: they must not take the place with them, nor may those of a
    better kind, which show more of a vehicle that the camera knew before.

    Of a camera that does not know the vehicle yet looks count as they come.
    """
    if own is None:
        return True
    is_known = own.n >= FIRST_LOOKS or own.was_known
    return not is_known or at - own.at >= _LOOK_EVERY


def off_by_m(track: Track, measured: Measured, camera: CameraId) -> tuple[float, float]:
    """How far a look is off the camera's own mean, or the vehicle's place where it has none."""
    x, y = measured.point_m
    at = track.looks.get(camera) or track.motion
    return x - at.x, y - at.y


def take(track: Track, measured: Measured, camera: CameraId, at: Micros) -> None:
    """Another look of a camera, if it is one: what has not changed is none."""
    if measured.is_fresh:
        before, box = track.looks.get(camera), measured.box.box_px
        look = looked(before, at, measured.point_m, measured.covariance_m2, measured.rank, box)
        track.looks = {**track.looks, camera: look}


def doubt(track: Track, tracklet: TrackletId, at: Micros) -> None:
    """The vehicle stands, as a tracklet shows; so another one that was off it may be of another vehicle."""
    off = track.away_by
    if not track.away or off is None or off == tracklet:
        return
    before = track.doubts.get(off, Doubt(0, at - _DOUBT_EVERY))
    if at - before.last_at >= _DOUBT_EVERY:
        others = [(name, known) for name, known in track.doubts.items() if name != off]
        track.doubts = {**dict(others[1 - _MOST_DOUBTS :]), off: Doubt(before.n + 1, at)}
