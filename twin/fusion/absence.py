"""Evidence that a parked vehicle is gone: how often each camera sees it, and what it says that one does not."""

from __future__ import annotations

from twin.events.ids import CameraId, Micros
from twin.fusion.gating import ln1
from twin.fusion.parameters import FusionParameters
from twin.fusion.state import Track

_RATE_GAIN = 0.05
_FIRST_RATE = 0.6  # from which misses alone gather more than ``absence_nats``, as the rate falls meanwhile


def note_rate(track: Track, camera: CameraId, was_seen: bool) -> None:
    """How often this camera sees the vehicle when its place is in clear view: an exponential mean."""
    rate = track.seen_rate.get(camera, _FIRST_RATE)
    after = rate + _RATE_GAIN * ((1.0 if was_seen else 0.0) - rate)
    if after != rate:  # of what has stood for a minute it is not: adding changes no bit any more
        track.seen_rate = {**track.seen_rate, camera: after}


def miss(track: Track, camera: CameraId, at: Micros, parameters: FusionParameters) -> Micros | None:
    """A camera that has a clear view did not see a parked vehicle.

    Returns:
        Since when it is gone, once the evidence is enough; None: it may still stand there.
    """
    rate = track.seen_rate.get(camera, _FIRST_RATE)
    track.absence += _evidence_of_absence(rate)
    track.absent_since, track.missed_at = at if track.absent_since is None else track.absent_since, at
    is_enough = track.absence >= parameters.absence_nats and at - track.absent_since >= parameters.absence_us
    return track.absent_since if is_enough else None


def _evidence_of_absence(rate: float) -> float:
    """Nats against presence when a camera that sees a vehicle this often does not: -ln(1 - rate)."""
    return -ln1(1.0 - min(max(rate, 0.05), 0.95))
