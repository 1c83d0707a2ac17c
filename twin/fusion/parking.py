"""How a vehicle comes to stand, is looked at where it stands, and drives off again."""

from __future__ import annotations

from collections.abc import Mapping

from twin.events.ids import SECOND, CameraId, Micros, StallId
from twin.fusion import standing
from twin.fusion.absence import note_rate
from twin.fusion.double_parking import stance
from twin.fusion.frame import Measured
from twin.fusion.motion import Motion, born
from twin.fusion.place import Place, fused, without_strays
from twin.fusion.scene import Scene
from twin.fusion.standing import away_m
from twin.fusion.state import Track, TrackId, TrailPoint
from twin.fusion.telling import Telling

_DRIFT_M = 1.0  # a camera's look may be so far off its own mean of a standing vehicle, beyond its noise
_CREPT_M = 2.0  # farther from where it was first thought to stand no vehicle stands: two cameras' views of it differ by less
_LEFT_JUST_NOW: Micros = 60 * SECOND
_SURELY_IN = 0.9
_TOLD_M = 0.15  # a parked vehicle's place is told again when it is off by more
_STANDING_SIGMA_M = 0.1


class Parking:
    """Decides which vehicles stand, where, and until when, and has it told.

    Args:
        tracks: all of them, which a parked one may wait behind.
    """

    def __init__(self, scene: Scene, telling: Telling, tracks: Mapping[TrackId, Track]) -> None:
        self._scene, self._telling, self._tracks = scene, telling, tracks
        self._parameters = scene.parameters

    def watch_still(self, track: Track, measured: Measured, camera: CameraId) -> None:
        """Whether a track that is not parked stands: no camera sees it leave its own mean of looks, and it is not fast.

        Nor has it crept off: of one that more and more is covered of, no mean of looks goes on.
        """
        motion = track.motion
        if motion.speed2 >= self._parameters.still_mps * self._parameters.still_mps:
            track.still, track.looks = None, {}
            return
        is_off = measured.is_fresh and standing.is_off(track.looks.get(camera), measured, _DRIFT_M)
        if track.still is None or is_off or away_m(track.still, motion.x, motion.y) > _CREPT_M:
            track.still, track.looks = TrailPoint(motion.at, motion.x, motion.y), {}
        standing.take(track, measured, camera, motion.at)

    def settle(self, track: Track) -> None:
        """Park a moving vehicle that has stood long enough."""
        stood_us = 0 if track.still is None else track.motion.at - track.still.at
        if track.still is None or stood_us < min(self._parameters.park_us, self._parameters.stall_park_us):
            return
        if (place := fused(track.looks)) is None:
            return
        stall = self._scene.map.stall_at(track.level, place[0], place[1])
        needed = self._parameters.park_us if stall is None else self._parameters.stall_park_us
        if stall is not None and self._is_half_out(track, place, stall):
            needed = self._parameters.half_out_us
        if stood_us >= needed:
            self.park(track, place, stall)

    def _is_half_out(self, track: Track, place: Place, stall: StallId) -> bool:
        """Whether a vehicle waits for others on its way out of a stall."""
        stood = track.stood
        if stood is None or track.motion.at - stood.at > _LEFT_JUST_NOW:
            return False
        x, y = self._scene.centre_m[stall]
        is_its = self._scene.map.stall_at(track.level, stood.x, stood.y) == stall
        return is_its and away_m(stood, x, y) + self._parameters.depart_m < away_m(TrailPoint(0, *place[:2]), x, y)

    def park(self, track: Track, place: Place, stall: StallId | None) -> None:
        """A vehicle stands at a place, in a stall or in none."""
        track.status, track.stall, track.away = "parked", stall, 0
        _stand(track, place, track.motion.at)
        if stall is not None:
            track.heading = self._scene.map.heading_at(track.level, track.motion.x, track.motion.y)
        self._telling.parked(track)

    def measure(self, track: Track, measured: Measured, camera: CameraId, at: Micros) -> None:
        """Another look at a parked vehicle: it stands, or it is off, several times in a row, and so moves."""
        track.absence, track.absent_since = 0.0, None
        has_left = standing.has_left(track, measured, camera, self._parameters.depart_m)
        if has_left:
            n_before = track.away if at - track.away_at <= standing.AWAY_LAPSES else 0
            track.away, track.away_by, track.away_at = n_before + 1, measured.box.tracklet, at
            track.away_m = standing.off_by_m(track, measured, camera)
            if track.away >= standing.AWAY_LOOKS:
                (x, y), covariance_m2 = measured.point_m, measured.covariance_m2
                self.depart(track, born(at, x, y, covariance_m2, self._parameters.birth_speed_sigma_mps / 2))
            return
        if track.away:
            standing.hear(track, measured, camera, at, tells=has_left is not None)
        if track.away == 0 and standing.is_due(track.looks.get(camera), at):
            standing.take(track, measured, camera, at)
            track.looks = without_strays(track.looks)
        place = fused(track.looks)
        if place is not None:
            _stand(track, place, at)
            if away_m(track.emitted, track.motion.x, track.motion.y) > _TOLD_M:
                track.stall = self._scene.map.stall_at(track.level, place[0], place[1]) or track.stall
                self._telling.parked(track)

    def depart(self, track: Track, motion: Motion) -> None:
        """A parked vehicle moves again; its trail goes on from where it was last seen to stand."""
        stood = TrailPoint(track.motion.at, track.motion.x, track.motion.y)
        track.status, track.motion, track.still, track.away, track.stall = "moving", motion, None, 0, None
        track.absence, track.absent_since, track.looks, track.doubts = 0.0, None, {}, {}
        track.counted_by = ()
        track.stood, track.trail = stood, (stood, TrailPoint(motion.at, motion.x, motion.y))
        self._telling.move(track, is_due=True)

    def stand_surer(self, track: Track) -> None:
        """Ask again how a vehicle stands, and say so where it stands otherwise."""
        before, track.stance = track.stance, stance(track, self._tracks.values(), self._scene)
        if before is not None and before.takes != track.stance.takes:
            self._telling.parked(track)


def may_stand_surer(track: Track) -> bool:
    """Whether a vehicle that was not surely in its stall when that was asked was looked at since then."""
    return track.status == "parked" and track.stance is not None and track.stance.probability < _SURELY_IN and bool(track.looks)


def keep(track: Track, camera: CameraId, measured: Measured, at: Micros) -> None:
    """A camera's box of a parked vehicle has not changed."""
    note_rate(track, camera, was_seen=True)
    track.absence, track.absent_since = 0.0, None
    if track.away:
        standing.hear(track, measured, camera, at)
    stood = track.motion
    track.motion = Motion(at, stood.x, stood.y, stood.vx, stood.vy, stood.p)


def _stand(track: Track, place: Place, at: Micros) -> None:
    x, y, (xx, xy, yy) = place
    least = _STANDING_SIGMA_M * _STANDING_SIGMA_M
    track.motion = Motion(at, x, y, 0.0, 0.0, (xx + least, xy, 0.0, 0.0, yy + least, 0.0, 0.0, 0.0, 0.0, 0.0))
