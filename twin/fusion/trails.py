"""Where a track was, for what it crosses, and for what is told of it once it is known to be a vehicle."""

from __future__ import annotations

from twin.events.ids import SECOND
from twin.fusion.standing import away_m
from twin.fusion.state import Track, TrailPoint

_TRAIL_POINTS = 15
_HALTED_M = 0.25


def extend_trail(track: Track) -> None:
    """Note where the track is now; unconfirmed tracks keep more, for crossings before their confirmation.

    Of where it stands only the first and the newest point are kept: who halts on a portal's line came from somewhere.
    """
    point, trail = TrailPoint(track.motion.at, track.motion.x, track.motion.y), track.trail
    is_halted = len(trail) > 1 and away_m(trail[-2], point.x, point.y) < _HALTED_M
    trail = (*(trail[:-1] if is_halted else trail), point)
    keep = 6 * _TRAIL_POINTS if track.vehicle is None else _TRAIL_POINTS
    track.trail = trail[-keep:]


def last_seen(track: Track) -> TrailPoint:
    """Where a track was seen last; its motion may be ahead of that, and its trail ends where it halted."""
    if track.trail and track.seen_at - track.trail[-1].at < SECOND:
        return track.trail[-1]
    return TrailPoint(track.seen_at, track.motion.x, track.motion.y)
