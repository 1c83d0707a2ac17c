"""How a track lives: tentative, confirmed and moving, parked, moving again, hidden, gone. Silence is never an exit."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from msgspec.structs import replace

from site_models.schema import Portal
from twin.events.facts import (
    PortalCrossed,
    VehicleConfirmed,
    VehicleDismissed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.ids import SECOND, CameraId, Micros, StallId, VehicleId, ZoneId, name_of
from twin.fusion import standing
from twin.fusion.appearance import PRIOR_NATS, Nats
from twin.fusion.arithmetic import micro, mm
from twin.fusion.double_parking import stance
from twin.fusion.emission import Emission
from twin.fusion.frame import Measured
from twin.fusion.identity import Reappearance, evidence_of_absence, reappeared
from twin.fusion.joining import LEFT_BEHIND, go_on, take_back, with_doubt
from twin.fusion.leaving import recognized
from twin.fusion.motion import Cov2, Motion, born
from twin.fusion.place import fused, without_strays
from twin.fusion.portals import Crossing, crossings, crossings_before, extrapolated
from twin.fusion.scene import Scene
from twin.fusion.standing import away_m
from twin.fusion.state import Emitted, FusionState, Track, TrackId, TrailPoint

_TRAIL_POINTS = 15
_HALTED_M = 0.25
_INTO_STALL_MPS = 3.0
_LEAVING_M = 8.0  # who is lost nearer to where it stood had not got away yet
_UNSEEN_IN_STALL: Cov2 = (0.5, 0.0, 0.5)  # of where one stands in a stall into which nobody sees
_SPEED_OVER_US: Micros = SECOND // 10  # two cameras' frames may be microseconds apart, and tell no speed
_BACK_EXTRAPOLATION_US = 2 * SECOND
_AHEAD_EXTRAPOLATION_US = 1_500_000
_RATE_GAIN = 0.05
_FIRST_RATE = 0.6  # from which misses alone gather more than ``absence_nats``, as the rate falls meanwhile
_DRIFT_M = 1.0  # a camera's look may be so far off its own mean of a standing vehicle, beyond its noise
_CREPT_M = 2.0  # farther from where it was first thought to stand no vehicle stands: two cameras' views of it differ by less
_AWAY_LOOKS = 3
_SURELY_IN = 0.9
_TOLD_M = 0.15  # a parked vehicle's place is told again when it is off by more
_STANDING_SIGMA_M = 0.1
_EXTRAPOLATED_CERTAINTY = 0.8
_NO_TRACKS: Mapping[TrackId, Track] = MappingProxyType({})


class Lifecycle:
    """Decides what becomes of tracks, and says so in facts.

    Args:
        tracks: all of them; ``own`` gives one to be changed. nats: what likeness is worth.

    Attributes:
        ended: tracks that were found to be another, which goes by their name now and has their tracklets.
    """

    def __init__(
        self,
        scene: Scene,
        emission: Emission,
        tracks: Mapping[TrackId, Track] = _NO_TRACKS,
        own: Callable[[TrackId], Track] = _NO_TRACKS.__getitem__,
        nats: Nats = PRIOR_NATS,
    ) -> None:
        self._scene = scene
        self._parameters = scene.parameters
        self._emission = emission
        self._tracks, self._own, self._nats = tracks, own, nats
        self.ended: list[tuple[Track, Track]] = []

    def extend_trail(self, track: Track) -> None:
        """Note where the track is now; unconfirmed tracks keep more, for crossings before their confirmation.

        Of where it stands only the first and the newest point are kept: who halts on a portal's line came from somewhere.
        """
        point, trail = TrailPoint(track.motion.at, track.motion.x, track.motion.y), track.trail
        is_halted = len(trail) > 1 and away_m(trail[-2], point.x, point.y) < _HALTED_M
        trail = (*(trail[:-1] if is_halted else trail), point)
        keep = 6 * _TRAIL_POINTS if track.vehicle is None else _TRAIL_POINTS
        track.trail = trail[-keep:]

    def is_ripe(self, track: Track) -> bool:
        """Whether enough detections agree."""
        age = track.seen_at - track.born_at
        if track.sure_hits < self._parameters.sure_hits:
            return False
        if track.score < self._parameters.certain_mean and not self._is_where_vehicles_are(track):
            return False
        if track.score < self._parameters.sure_mean:
            return track.hits >= self._parameters.unsure_hits and age >= self._parameters.unsure_us
        if not track.gallery and age < self._parameters.looks_us:
            return False
        if track.is_inner_birth:
            return track.hits >= self._parameters.inner_birth_hits and age >= self._parameters.inner_birth_us
        return track.hits >= self._parameters.birth_hits and age >= self._parameters.birth_us

    def _is_where_vehicles_are(self, track: Track) -> bool:
        """Whether a track stands in a stall or has driven: a sign or a bin that looks like a vehicle does neither."""
        motion = track.motion
        has_driven = away_m(TrailPoint(track.born_at, *track.first_m), motion.x, motion.y) > self._parameters.driven_m
        return has_driven or self._scene.map.stall_at(track.level, motion.x, motion.y) is not None

    def confirm(self, track: Track, state: FusionState) -> Reappearance | None:
        """Make a ripe track a vehicle: one that was out of sight, or a new one.

        Returns:
            Whom it continues, whose track ends with this; None for a new vehicle.
        """
        track.status = "moving"
        earlier = self._earlier_crossings(track)
        came_in = any(one.portal.role == "boundary" and one.direction == "in" for one in earlier)
        came_in = came_in or self._scene.may_come_in(track.level, *track.first_m)
        may_be_known = not came_in and self._scene.has_boundary
        known = reappeared(track, state, self._scene) if may_be_known else None
        if known is not None:
            go_on(track, known.track, known.certainty, known.is_ambiguous)
            track.sides = {}
            earlier = crossings_before(track, self._portals(track), self._parameters.portal_side_m)
        else:
            track.vehicle = _named(track)
            self._emission.emit(track.trail[0].at, self._confirmed(track))
        self._tell_trail(track)
        for crossing in earlier:
            self._cross(track, crossing)
        return known

    def _tell_trail(self, track: Track) -> None:
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

    def move(self, track: Track, *, is_due: bool = False) -> None:
        """Say where a moving vehicle is, when it is time and it has moved; then what portals it crossed."""
        last, motion = track.emitted, track.motion
        zone = self._zone(track)
        if last is None or self._has_moved(last, motion, zone) or is_due:
            track.emitted = Emitted(motion.at, motion.x, motion.y, zone)
            self._emission.emit(motion.at, self._moved(track))

    def check_portals(self, track: Track) -> None:
        """Crossings at the newest point of a confirmed track's trail."""
        for crossing in crossings(track, self._portals(track), self._parameters.portal_side_m):
            self._cross(track, crossing)

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
        if stood_us >= needed:
            self._park(track, place, stall)

    def measure_parked(self, track: Track, measured: Measured, camera: CameraId, at: Micros) -> None:
        """Another look at a parked vehicle: it stands, or it is off, several times in a row, and so moves."""
        track.absence, track.absent_since = 0.0, None
        has_left = standing.has_left(track, measured, camera, self._parameters.depart_m)
        if has_left:
            n_before = track.away if at - track.away_at <= standing.AWAY_LAPSES else 0
            track.away, track.away_by, track.away_at = n_before + 1, measured.box.tracklet, at
            track.away_m = standing.off_by_m(track, measured, camera)
            if track.away >= _AWAY_LOOKS:
                (x, y), covariance_m2 = measured.point_m, measured.covariance_m2
                self.depart(track, born(at, x, y, covariance_m2, self._parameters.birth_speed_sigma_mps / 2))
            return
        standing.hear(track, measured, camera, at, tells=has_left is not None)
        if track.away == 0 and standing.is_due(track.looks.get(camera), at):
            standing.take(track, measured, camera, at)
            track.looks = without_strays(track.looks)
        place = fused(track.looks)
        if place is not None:
            self._stand(track, place, at)
            if away_m(track.emitted, track.motion.x, track.motion.y) > _TOLD_M:
                track.stall = self._scene.map.stall_at(track.level, place[0], place[1]) or track.stall
                self._tell_parked(track)

    def keep(self, track: Track, camera: CameraId, measured: Measured, at: Micros) -> None:
        """A camera's box of a parked vehicle has not changed."""
        self.note_rate(track, camera, was_seen=True)
        track.absence, track.absent_since = 0.0, None
        standing.hear(track, measured, camera, at)
        stood = track.motion
        track.motion = Motion(at, stood.x, stood.y, stood.vx, stood.vy, stood.p)

    def may_stand_surer(self, track: Track) -> bool:
        """Whether a vehicle that was not surely in its stall when that was asked was looked at since then."""
        return (
            track.status == "parked"
            and track.stance is not None
            and track.stance.probability < _SURELY_IN
            and bool(track.looks)
        )

    def stand_surer(self, track: Track) -> None:
        """Ask again how a vehicle stands, and say so where it stands otherwise."""
        before, track.stance = track.stance, stance(track, self._tracks.values(), self._scene)
        if before is not None and before.takes != track.stance.takes:
            self._tell_parked(track)

    def tell_place(self, track: Track, at: Micros) -> None:
        """Where the vehicle is that a track goes by now."""
        if track.status == "parked":
            self._tell_parked(track)
        elif track.status == "moving":
            self.move(track, is_due=True)
        else:
            self._tell_hidden(track, at)

    def depart(self, track: Track, motion: Motion) -> None:
        """A parked vehicle moves again; its trail goes on from where it was last seen to stand."""
        stood = TrailPoint(track.motion.at, track.motion.x, track.motion.y)
        track.status, track.motion, track.still, track.away, track.stall = "moving", motion, None, 0, None
        track.absence, track.absent_since, track.looks, track.doubts = 0.0, None, {}, {}
        track.counted_by = ()
        track.stood, track.trail = stood, (stood, TrailPoint(motion.at, motion.x, motion.y))
        self.move(track, is_due=True)

    def miss_parked(self, track: Track, camera: CameraId, at: Micros) -> None:
        """A camera that has a clear view did not see a parked vehicle."""
        rate = track.seen_rate.get(camera, _FIRST_RATE)
        track.absence += evidence_of_absence(rate)
        track.absent_since, track.missed_at = at if track.absent_since is None else track.absent_since, at
        if track.absence >= self._parameters.absence_nats and at - track.absent_since >= self._parameters.absence_us:
            self._hide(track, track.absent_since)

    def note_rate(self, track: Track, camera: CameraId, was_seen: bool) -> None:
        """How often this camera sees the vehicle when its place is in clear view: an exponential mean."""
        rate = track.seen_rate.get(camera, _FIRST_RATE)
        after = rate + _RATE_GAIN * ((1.0 if was_seen else 0.0) - rate)
        if after != rate:  # of what has stood for a minute it is not: adding changes no bit any more
            track.seen_rate = {**track.seen_rate, camera: after}

    def lose_sight(self, track: Track, looked_at: Micros, taken: Collection[StallId] = ()) -> None:
        """A moving vehicle has not been seen for ``hidden_us``: it left if it was about to, parked if it drove into a stall
        slowly, else it is hidden.

        Args:
            looked_at: the newest frame of the camera that saw it last. One that fell silent does not say that it left.
            taken: stalls in which others are parked.
        """
        last = track.trail[-1] if track.trail else TrailPoint(track.seen_at, track.motion.x, track.motion.y)
        leaving = extrapolated(track, self._portals(track), within_us=_AHEAD_EXTRAPOLATION_US, is_backwards=False)
        if leaving is not None and leaving.at <= looked_at:
            self._cross(track, leaving)
            return
        track.motion = replace(track.motion, at=last.at, x=last.x, y=last.y)
        stall = self._stall_ahead(track, last)
        if stall is None or stall in taken:
            self._hide(track, track.seen_at + self._parameters.hidden_us)
            return
        track.looks = {}  # nobody saw it stand: it may come up elsewhere all the same
        x, y = self._scene.centre_m[stall]
        self._park(track, (x, y, _UNSEEN_IN_STALL), stall)

    def _stall_ahead(self, track: Track, last: TrailPoint) -> StallId | None:
        """The stall that a track was driving into when it was last seen; None where it had just stood near by and drove off."""
        stood = track.stood
        if stood is not None and last.at - stood.at <= LEFT_BEHIND and away_m(stood, last.x, last.y) <= _LEAVING_M:
            return None
        if track.motion.speed2 > _INTO_STALL_MPS * _INTO_STALL_MPS:
            return None
        return self._scene.map.stall_at(track.level, last.x, last.y)

    def _earlier_crossings(self, track: Track) -> list[Crossing]:
        portals = self._portals(track)
        found = crossings_before(track, portals, self._parameters.portal_side_m)
        if not any(one.portal.role == "boundary" for one in found):
            before = extrapolated(track, portals, within_us=_BACK_EXTRAPOLATION_US, is_backwards=True)
            found = [before, *found] if before is not None and not track.is_inner_birth else found
        return found

    def _park(self, track: Track, place: tuple[float, float, Cov2], stall: StallId | None) -> None:
        track.status, track.stall, track.away = "parked", stall, 0
        self._stand(track, place, track.motion.at)
        if stall is not None:
            track.heading = self._scene.map.heading_at(track.level, track.motion.x, track.motion.y)
        self._tell_parked(track)

    def _stand(self, track: Track, place: tuple[float, float, Cov2], at: Micros) -> None:
        x, y, (xx, xy, yy) = place
        least = _STANDING_SIGMA_M * _STANDING_SIGMA_M
        track.motion = Motion(at, x, y, 0.0, 0.0, (xx + least, xy, 0.0, 0.0, yy + least, 0.0, 0.0, 0.0, 0.0, 0.0))

    def _tell_parked(self, track: Track) -> None:
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
        self._emission.emit(motion.at, fact)

    def _hide(self, track: Track, at: Micros) -> None:
        assert track.vehicle is not None
        position = (mm(track.motion.x), mm(track.motion.y))
        if not track.has_entered and track.hits < self._parameters.sure_detections:
            track.status, track.stall = "left", None
            gone = VehicleDismissed(vehicle=track.vehicle, level=track.level, position_m=position, n_detections=track.hits)
            self._emission.emit(at, gone)
            return
        track.status, track.stall, track.still, track.looks = "hidden", None, None, {}
        self._tell_hidden(track, at)

    def _tell_hidden(self, track: Track, at: Micros) -> None:
        assert track.vehicle is not None
        position = (mm(track.motion.x), mm(track.motion.y))
        hidden = VehicleHidden(vehicle=track.vehicle, level=track.level, position_m=position, zone=self._zone(track))
        self._emission.emit(at, hidden)

    def _cross(self, track: Track, crossing: Crossing) -> None:
        if track.status == "left":
            return
        leaves = crossing.portal.role == "boundary" and crossing.direction == "out"
        lost = self._recognized(track, crossing.at) if leaves else None
        assert track.vehicle is not None
        if crossing.is_extrapolated:
            track.certainty = round(track.certainty * _EXTRAPOLATED_CERTAINTY, 3)
        fact = PortalCrossed(
            vehicle=track.vehicle,
            portal=crossing.portal.id,
            direction=crossing.direction,
            position_m=(mm(crossing.point_m[0]), mm(crossing.point_m[1])),
            speed_mps=mm(math.sqrt(track.motion.speed2)),
            certainty=track.certainty,
            flags=track.flags,
            evidence=track.evidence,
        )
        self._emission.emit(crossing.at, fact)
        if crossing.portal.role == "level" and crossing.portal.to_level is not None:
            track.level, track.sides = crossing.portal.to_level, {}
        track.has_entered |= crossing.portal.role == "boundary" and crossing.direction == "in"
        if leaves:
            if lost is not None:  # after its exit, so that a person who takes it back gets the exit back by its own name
                self._leave_as(track, self._own(lost.id), crossing.at)
            track.status = "left"
            left = VehicleLeft(vehicle=track.vehicle, portal=crossing.portal.id, evidence=track.evidence)
            self._emission.emit(crossing.at, left)

    def _recognized(self, track: Track, at: Micros) -> Track | None:
        """The lost track that who leaves was, if there is one; need it not be who came in by its name, it is in doubt."""
        leaver = recognized(track, self._tracks.values(), self._scene, at, self._nats)
        if leaver.certainty < 1.0:
            track.certainty = round(track.certainty * leaver.certainty, 3)
            track.flags = with_doubt(track.flags)
        return leaver.lost

    def _leave_as(self, track: Track, lost: Track, at: Micros) -> None:
        """Who leaves is the vehicle that was lost."""
        take_back(lost, track, at, self._emission)
        track.flags = with_doubt(track.flags)
        lost.status, lost.stall = "left", None
        self.ended.append((lost, track))

    def _portals(self, track: Track) -> tuple[Portal, ...]:
        return self._scene.portals.get(track.level, ())

    def _zone(self, track: Track) -> ZoneId | None:
        return self._scene.map.zone_at(track.level, track.motion.x, track.motion.y)

    def _has_moved(self, last: Emitted, motion: Motion, zone: ZoneId | None) -> bool:
        if motion.at - last.at < self._parameters.emit_us and zone == last.zone:
            return False
        return zone != last.zone or away_m(TrailPoint(last.at, last.x, last.y), motion.x, motion.y) >= self._parameters.emit_m

    def _confirmed(self, track: Track) -> VehicleConfirmed:
        """Where it was first seen: it was there before it was known."""
        assert track.vehicle is not None
        first = track.trail[0]
        return VehicleConfirmed(
            vehicle=track.vehicle,
            kind=track.kind,
            level=track.level,
            position_m=(mm(first.x), mm(first.y)),
            covariance_m2=_rounded(track.motion.covariance_m2),
            zone=self._scene.map.zone_at(track.level, first.x, first.y),
            tracklets=track.tracklets,
            evidence=track.evidence,
        )

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


def _named(track: Track) -> VehicleId:
    """A new vehicle's name: of what bore it, so that late observations of others do not change it."""
    first_mm = (str(round(1000.0 * along)) for along in track.first_m)
    return VehicleId(name_of("v", *track.tracklets[:1], str(track.born_at), track.level, *first_mm))


def _rounded(covariance: Cov2) -> Cov2:
    return micro(covariance[0]), micro(covariance[1]), micro(covariance[2])
