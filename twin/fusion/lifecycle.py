"""How a vehicle comes and goes: confirmed, across portals, out of sight, gone. Silence is never an exit."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from site_models.schema import Portal
from twin.events.facts import PortalCrossed, VehicleLeft
from twin.events.ids import SECOND, Micros, StallId, VehicleId, name_of
from twin.fusion import path
from twin.fusion.appearance import Nats
from twin.fusion.arithmetic import mm
from twin.fusion.emission import Emission
from twin.fusion.identity import SURE, Reappearance, reappeared
from twin.fusion.joining import LEFT_BEHIND, go_on, take_back, with_doubt
from twin.fusion.leaving import recognized
from twin.fusion.motion import Cov2
from twin.fusion.parking import Parking
from twin.fusion.portals import Crossing, crossings, crossings_before, extrapolated
from twin.fusion.scene import Scene
from twin.fusion.standing import away_m
from twin.fusion.state import FusionState, Track, TrackId, TrailPoint
from twin.fusion.telling import Telling
from twin.fusion.trails import last_seen
from twin.fusion.unseen import Sighting

_INTO_STALL_MPS = 3.0
_LEAVING_M = 8.0  # who is lost nearer to where it stood had not got away yet
_UNSEEN_IN_STALL: Cov2 = (0.5, 0.0, 0.5)  # of where one stands in a stall into which nobody sees
_BACK_EXTRAPOLATION_US = 2 * SECOND
_AHEAD_EXTRAPOLATION_US = 1_500_000
_EXTRAPOLATED_CERTAINTY = 0.8


class Lifecycle:
    """Decides when tracks become vehicles, and when those are out of sight or gone, and says so in facts.

    Args:
        tracks: all of them; ``own`` gives one to be changed. nats: what likeness is worth.

    Attributes:
        ended: tracks that were found to be another, which goes by their name now and has their tracklets.
    """

    def __init__(
        self,
        scene: Scene,
        emission: Emission,
        telling: Telling,
        parking: Parking,
        tracks: Mapping[TrackId, Track],
        own: Callable[[TrackId], Track],
        nats: Nats,
    ) -> None:
        self._scene = scene
        self._parameters = scene.parameters
        self._emission, self._telling, self._parking = emission, telling, parking
        self._tracks, self._own, self._nats = tracks, own, nats
        self.ended: list[tuple[Track, Track]] = []

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
            first = track.trail[0]
            go_on(track, known.track, known.certainty, known.is_ambiguous)
            if self._has_surely_driven(track, known):
                self._telling.unseen(track, known.track, Sighting(first.at, track.level, (first.x, first.y)))
            track.sides = {}
            earlier = crossings_before(track, self._portals(track), self._parameters.portal_side_m)
        else:
            track.vehicle = _named(track)
            self._telling.confirmed(track)
        self._telling.trail(track)
        for crossing in earlier:
            self._cross(track, crossing)
        return known

    def _has_surely_driven(self, track: Track, known: Reappearance) -> bool:
        """Whether it is sure who was found, and that it was on its way meanwhile."""
        is_sure = known.certainty >= SURE and "ambiguous_identity" not in track.flags
        return is_sure and known.gap is not None and known.track.status != "parked"

    def check_portals(self, track: Track) -> None:
        """Crossings at the newest point of a confirmed track's trail."""
        for crossing in crossings(track, self._portals(track), self._parameters.portal_side_m):
            self._cross(track, crossing)

    def lose_sight(self, track: Track, looked_at: Micros, taken: Collection[StallId] = ()) -> None:
        """A moving vehicle has not been seen for ``hidden_us``: it left if it was about to, parked if it drove into a stall
        slowly, else it is hidden.

        Args:
            looked_at: the newest frame of the camera that saw it last. One that fell silent does not say that it left.
            taken: stalls in which others are parked.
        """
        last = last_seen(track)
        leaving = extrapolated(track, self._portals(track), within_us=_AHEAD_EXTRAPOLATION_US, is_backwards=False)
        if leaving is not None and leaving.at <= looked_at:
            self._cross(track, leaving)
            return
        track.motion = replace(track.motion, at=last.at, x=last.x, y=last.y)
        stall = self._stall_ahead(track, last)
        if stall is None or stall in taken:
            self.hide(track, track.seen_at + self._parameters.hidden_us)
            return
        track.looks = {}  # nobody saw it stand: it may come up elsewhere all the same
        x, y = self._scene.centre_m[stall]
        self._parking.park(track, (x, y, _UNSEEN_IN_STALL), stall)

    def hide(self, track: Track, at: Micros) -> None:
        """A vehicle is out of sight from a time on; what was hardly ever detected, and did not come in, was none."""
        if not track.has_entered and track.hits < self._parameters.sure_detections:
            track.status, track.stall = "left", None
            self._telling.dismissed(track, at)
            return
        track.status, track.stall, track.still, track.looks = "hidden", None, None, {}
        self._telling.hidden(track, at)

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
        if crossing.portal.role == "boundary" and crossing.direction == "in":
            track.has_entered = True
            path.keep(track, track.path)
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


def _named(track: Track) -> VehicleId:
    """A new vehicle's name: of what bore it, so that late observations of others do not change it."""
    first_mm = (str(round(1000.0 * along)) for along in track.first_m)
    return VehicleId(name_of("v", *track.tracklets[:1], str(track.born_at), track.level, *first_mm))
