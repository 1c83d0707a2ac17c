"""One tick: its frames in order, each measured, matched to tracks, and what becomes of the tracks."""

from __future__ import annotations

from msgspec.structs import replace

from twin.events.ids import SECOND, Micros, VehicleId
from twin.events.observations import CameraCalibrated
from twin.fusion import doubles
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission
from twin.fusion.frame import Seen, measure
from twin.fusion.identities import Identities
from twin.fusion.matching import match
from twin.fusion.misses import Misses
from twin.fusion.parking import may_stand_surer
from twin.fusion.pending import PendingFrame, PendingScore
from twin.fusion.scene import Scene
from twin.fusion.stall_covers import FrameCovers
from twin.fusion.stall_times import taken_and_left
from twin.fusion.stalls import StallFilter
from twin.fusion.state import DecidedMerge, FusionState, Track
from twin.fusion.tracker import Tracker

_FORGET: Micros = 60 * SECOND  # a tracklet unseen for so long does not come back
_AT_REST = ("parked", "hidden")  # of these not having been seen says nothing


class Step:
    """Works on a draft of a fusion state while one observation is folded."""

    def __init__(self, state: FusionState, scene: Scene, emission: Emission, *, is_again: bool = False) -> None:
        """``is_again``: it is the past that is fused again, beside the present."""
        self._draft = Draft(state, scene, emission, is_again=is_again)
        self._identities = Identities(self._draft)
        self._scene = scene
        self._columns = self._draft.columns
        self._covers = FrameCovers(self._draft)
        self._misses = Misses(self._draft, self._covers)
        self._tracker = Tracker(self._draft, self._identities)
        self._stalls = StallFilter(self._draft.state.stalls, scene, emission)

    def finished(self) -> FusionState:
        """The new state; the step ends."""
        return self._draft.finished()

    def fuse(self, frames: tuple[PendingFrame, ...]) -> None:
        """Fuse a closed tick's frames."""
        for pending in frames:
            calibrations = self._draft.state.calibrations.get(pending.camera, ())
            found = self._scene.camera(pending.camera, pending.at, calibrations)
            if found is not None:
                self._frame(measure(pending, *found, self._draft.state, self._columns, self._scene))
        if frames:
            is_due = self._draft.is_new_second(frames[0].at)
            if is_due:
                self._identities.unite(frames[-1].at)
            self._occupy(frames[-1].at)
            if is_due:
                self._fade(frames[0].at)

    def rate(self, scores: tuple[PendingScore, ...]) -> None:
        """What classifiers said of stalls within a tick."""
        for one in scores:
            self._stalls.rate(one.stall, one.score, one.at)

    def expire(self, closed_at: Micros) -> None:
        """What not having been seen until now means for each track; forgets old tracklets."""
        parameters, tracks = self._scene.parameters, self._draft.state.tracks
        if self._identities.merge_decided(closed_at):
            self._occupy(closed_at)  # who was in two stalls is in one
        for name in [name for name, track in tracks.items() if track.status not in _AT_REST]:
            unseen = closed_at - tracks[name].seen_at
            if tracks[name].status == "moving" and unseen > parameters.hidden_us:
                self._lose_sight(self._draft.mine(name))
            track = tracks.get(name)
            if track is None:
                continue
            patience = parameters.tentative_us if track.still is None else parameters.tentative_still_us
            is_over = track.status == "tentative" and unseen > patience
            if is_over or (track.status == "left" and unseen > parameters.hidden_us):
                self._draft.drop(name)
        self._draft.end(closed_at)
        self._draft.linking.forget(closed_at // SECOND * SECOND - _FORGET)

    def _lose_sight(self, track: Track) -> None:
        if self._identities.give_back(track, track.seen_at + self._scene.parameters.hidden_us):
            return
        taken = {
            other.stall for other in self._draft.state.tracks.values() if other.status == "parked" and other.stall is not None
        }
        self._draft.life.lose_sight(track, self._draft.state.looked_at.get(track.seen_by, track.seen_at), taken)
        self._columns.write(track)
        if track.status == "hidden":
            self._draft.count_lost(track)

    def _frame(self, seen: Seen) -> None:
        state = self._draft.state
        state.watched_since.setdefault(seen.pending.camera, seen.at)
        state.looked_at[seen.pending.camera] = seen.at
        pairs, tracks = match(seen, state, self._columns, self._scene), state.tracks
        if seen.invisible:
            self._draft.linking.displace(seen)
        self._tracker.follow(pairs, seen)
        doubles.note_apart([(tracks[name], seen.measured[column].box) for name, column in pairs if name in tracks], seen.at)
        self._misses.take([name for name, _ in pairs], seen)
        self._tracker.begin(pairs, seen)
        self._tracker.register(seen)
        if due := self._stalls.due(seen, self._columns):
            self._stalls.look(due, seen, self._covers.of(seen))

    def _fade(self, at: Micros) -> None:
        tracks = self._draft.state.tracks.values()
        for name in [one.id for one in tracks if may_stand_surer(one)]:
            self._draft.parking.stand_surer(self._draft.mine(name))
        self._stalls.fade({one.vehicle: one.seen_at for one in tracks if one.vehicle is not None}, at)

    def _occupy(self, at: Micros) -> None:
        tracks, beliefs = self._draft.state.tracks, self._draft.state.stalls
        taken, left_at = taken_and_left(tracks.values(), beliefs, self._scene, at)
        self._stalls.occupy(taken, left_at, at)


def followed(state: FusionState) -> frozenset[VehicleId]:
    """Vehicles on the site, by the names they have now."""
    return frozenset(one.vehicle for one in state.tracks.values() if one.vehicle is not None and one.status != "left")


def with_merge(state: FusionState, merge: DecidedMerge) -> FusionState:
    """Let two tracks be one from a time on, which the state may be before or after."""
    return replace(state, merges=(*state.merges, merge))


def calibrate(state: FusionState, at: Micros, payload: CameraCalibrated) -> FusionState:
    """Use a camera's new geometry for its frames from ``at`` on."""
    known = state.calibrations.get(payload.camera, ())
    ordered = tuple(sorted((*known, (at, payload)), key=lambda one: one[0]))
    return replace(state, calibrations={**state.calibrations, payload.camera: ordered})
