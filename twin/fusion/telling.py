"""The facts of where a vehicle is: first seen, moving, parked, hidden; and what was told last, so that it is not told again."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from twin.events.facts import VehicleConfirmed, VehicleDismissed, VehicleHidden, VehicleMoved, VehicleParked
from twin.events.ids import SECOND, Micros, ZoneId
from twin.fusion import path
from twin.fusion.arithmetic import micro, mm
from twin.fusion.double_parking import stance
from twin.fusion.emission import Emission
from twin.fusion.motion import Cov2, Motion
from twin.fusion.scene import Scene
from twin.fusion.standing import away_m
from twin.fusion.state import Emitted, Track, TrackId, TrailPoint
from twin.fusion.trails import last_seen
from twin.fusion.unseen import Sighting, passed

_SPEED_OVER_US: Micros = SECOND // 10  # two cameras' frames may be microseconds apart, and tell no speed


class Telling:
    """Says in facts where tracks are that are vehicles.

    Args:
        tracks: all of them, which a parked one may wait behind.
    """

    def __init__(self, scene: Scene, emission: Emission, tracks: Mapping[TrackId, Track]) -> None:
        self._scene, self._emission, self._tracks = scene, emission, tracks
        self._parameters = scene.parameters

    def confirmed(self, track: Track) -> None:
        """Where a new vehicle was first seen: it was there before it was known."""
        assert track.vehicle is not None
        first = track.trail[0]
        fact = VehicleConfirmed(
            vehicle=track.vehicle,
            kind=track.kind,
            level=track.level,
            position_m=(mm(first.x), mm(first.y)),
            covariance_m2=_rounded(track.motion.covariance_m2),
            zone=self._scene.map.zone_at(track.level, first.x, first.y),
            tracklets=track.tracklets,
            evidence=track.evidence,
        )
        path.begin(track, self._emission.emit(first.at, fact))

    def trail(self, track: Track) -> None:
        """Where the vehicle was before it was known to be one, as spaced as other moves."""
        newest, before = track.motion, track.trail[0]
        for point in track.trail[1:]:
            if point.at - before.at >= _SPEED_OVER_US:
                seconds = (point.at - before.at) / SECOND
                vx, vy = (point.x - before.x) / seconds, (point.y - before.y) / seconds
                track.motion = replace(newest, at=point.at, x=point.x, y=point.y, vx=vx, vy=vy)
                self.move(track)
                before = point
        track.motion = newest
        self.move(track)

    def unseen(self, track: Track, lost: Track, found: Sighting) -> None:
        """Where a vehicle that was found again had been since it was lost as another track. That it was told to be hidden there
        is put right at the same moment."""
        assert track.vehicle is not None
        last, told = last_seen(lost), lost.path[-1:]
        is_told = bool(told) and isinstance(told[0].fact, VehicleHidden)
        hidden_at = told[0].at if is_told else lost.seen_at + self._parameters.hidden_us
        for one in passed(self._scene.lanes, Sighting(last.at, lost.level, (last.x, last.y)), found, hidden_at):
            x, y = one.point_m
            fact = VehicleMoved(
                vehicle=track.vehicle,
                level=one.level,
                position_m=(mm(x), mm(y)),
                covariance_m2=_rounded(one.covariance_m2),
                velocity_mps=(mm(one.velocity_mps[0]), mm(one.velocity_mps[1])),
                zone=self._scene.map.zone_at(one.level, x, y),
                evidence=track.evidence[:1],
                is_inferred=True,
            )
            self._emission.emit(one.at, fact)

    def move(self, track: Track, *, is_due: bool = False) -> None:
        """Where a moving vehicle is, when it is time and it has moved."""
        last, motion = track.emitted, track.motion
        zone = self._zone(track)
        if last is None or self._has_moved(last, motion, zone) or is_due:
            track.emitted = Emitted(motion.at, motion.x, motion.y, zone)
            self._place(track, motion.at, self._moved(track))

    def parked(self, track: Track) -> None:
        """Where a parked vehicle stands; again when more looks place it elsewhere."""
        motion = track.motion
        assert track.vehicle is not None
        zone, stands = self._zone(track), stance(track, self._tracks.values(), self._scene)
        track.emitted, track.stance = Emitted(motion.at, motion.x, motion.y, zone), stands
        fact = VehicleParked(
            vehicle=track.vehicle,
            level=track.level,
            position_m=(mm(motion.x), mm(motion.y)),
            covariance_m2=_rounded(motion.covariance_m2),
            zone=zone,
            stall=track.stall,
            evidence=track.evidence,
            takes=stands.takes,
            is_double_parked=stands.is_double_parked,
        )
        self._place(track, motion.at, fact)

    def hidden(self, track: Track, at: Micros) -> None:
        """Where a vehicle was when it went out of sight."""
        assert track.vehicle is not None
        position = (mm(track.motion.x), mm(track.motion.y))
        hidden = VehicleHidden(vehicle=track.vehicle, level=track.level, position_m=position, zone=self._zone(track))
        self._place(track, at, hidden)

    def dismissed(self, track: Track, at: Micros) -> None:
        """Where something was that was no vehicle."""
        assert track.vehicle is not None
        position = (mm(track.motion.x), mm(track.motion.y))
        gone = VehicleDismissed(vehicle=track.vehicle, level=track.level, position_m=position, n_detections=track.hits)
        self._emission.emit(at, gone)

    def place(self, track: Track, at: Micros) -> None:
        """Where the vehicle is that a track goes by now."""
        if track.status == "parked":
            self.parked(track)
        elif track.status == "moving":
            self.move(track, is_due=True)
        else:
            self.hidden(track, at)

    def _place(self, track: Track, at: Micros, fact: VehicleMoved | VehicleParked | VehicleHidden) -> None:
        self._emission.emit(at, fact)
        path.note(track, at, fact)

    def _zone(self, track: Track) -> ZoneId | None:
        return self._scene.map.zone_at(track.level, track.motion.x, track.motion.y)

    def _has_moved(self, last: Emitted, motion: Motion, zone: ZoneId | None) -> bool:
        if motion.at - last.at < self._parameters.emit_us and zone == last.zone:
            return False
        return zone != last.zone or away_m(TrailPoint(last.at, last.x, last.y), motion.x, motion.y) >= self._parameters.emit_m

    def _moved(self, track: Track) -> VehicleMoved:
        assert track.vehicle is not None
        motion = track.motion
        return VehicleMoved(
            vehicle=track.vehicle,
            level=track.level,
            position_m=(mm(motion.x), mm(motion.y)),
            covariance_m2=_rounded(motion.covariance_m2),
            velocity_mps=(mm(motion.vx), mm(motion.vy)),
            zone=self._zone(track),
            evidence=track.evidence,
        )


def _rounded(covariance: Cov2) -> Cov2:
    return micro(covariance[0]), micro(covariance[1]), micro(covariance[2])
