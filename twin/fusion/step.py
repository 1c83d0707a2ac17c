"""One tick: its frames in order, each measured, matched to tracks, and what becomes of the tracks."""

from __future__ import annotations

from copy import copy

from msgspec.structs import replace

from twin.events.facts import Fact, IdentitiesMerged, TrackletAssigned
from twin.events.ids import SECOND, Micros, StallId, TrackletId, VehicleId
from twin.events.observations import CameraCalibrated, DetectedBox, Personal, TrackletEmbedded
from twin.fusion import doubles, stalls
from twin.fusion.appearance import with_views
from twin.fusion.emission import Emission
from twin.fusion.frame import Measured, Seen, heading_of, match, measure
from twin.fusion.lifecycle import Lifecycle, likeliest
from twin.fusion.motion import born, predict, update, with_floor
from twin.fusion.scene import Scene
from twin.fusion.sight import visible
from twin.fusion.state import FusionState, PendingFrame, Track, TrackId, TrackletLink

_WARM_UP: Micros = 5 * SECOND  # a camera that watches for less does not know yet what was there before
_FORGET: Micros = 60 * SECOND  # a tracklet unseen for so long does not come back
_N_VIEWS = 4_096
_N_EVIDENCE = 2
_EDGE_SHARE = 0.06  # of the frame: boxes that near its edge may just have come in
_FAR_SHARE = 0.6  # of the range: where detection begins
_SAME_PARKED_M = 1.8  # nearer than two parked vehicles' centres can be
_SAME_MOVING_M = 3.5  # two views of one moving vehicle may differ so much where one of them is cut


class Step:
    """Works on a copy of a fusion state's dicts while one observation is folded."""

    def __init__(self, state: FusionState, scene: Scene, emission: Emission) -> None:
        self._scene = scene
        self._emission = emission
        self._life = Lifecycle(scene, emission)
        self._n_tracks = state.n_tracks
        self._suspicions = state.suspicions
        self.state = FusionState(
            tracks={name: _own(track) for name, track in state.tracks.items()},
            tracklets=dict(state.tracklets),
            views=state.views,
            stalls=dict(state.stalls),
            calibrations=state.calibrations,
            watched_since=dict(state.watched_since),
        )

    def finished(self) -> FusionState:
        """The new state."""
        return replace(self.state, n_tracks=self._n_tracks, suspicions=self._suspicions)

    def followed(self) -> frozenset[VehicleId]:
        """Vehicles on the site, by the names they have now."""
        return frozenset(one.vehicle for one in self.state.tracks.values() if one.vehicle is not None and one.status != "left")

    def tell(self, at: Micros, fact: Fact) -> None:
        """Emit what a person's decision came to; where both of two names that are one are followed, one track goes on."""
        if isinstance(fact, IdentitiesMerged):
            by_name = {one.vehicle: one for one in self.state.tracks.values() if one.status != "left"}
            elder, younger = by_name.get(fact.vehicle), by_name.get(fact.merged)
            if elder is not None and younger is not None:
                self._life.unite(elder, younger, at, decision=fact.decision)
                self._hand_over(younger.id, elder, at)
                del self.state.tracks[younger.id]
                return
        self._emission.emit(at, fact)

    def fuse(self, frames: tuple[PendingFrame, ...]) -> None:
        """Fuse a closed tick's frames."""
        for pending in frames:
            calibrations = self.state.calibrations.get(pending.camera, ())
            found = self._scene.camera(pending.camera, pending.at, calibrations)
            if found is not None:
                self._frame(measure(pending, *found, self.state, self._scene))
        if frames:
            self._unite(frames[0].at, frames[-1].at)
            self._occupy(frames[-1].at)

    def expire(self, closed_at: Micros) -> None:
        """What not having been seen until now means for each track; forgets old tracklets."""
        parameters, tracks = self._scene.parameters, self.state.tracks
        for track in list(tracks.values()):
            unseen = closed_at - track.seen_at
            if track.status == "moving" and unseen > parameters.hidden_us:
                self._life.lose_sight(track)
            is_over = track.status == "tentative" and unseen > parameters.tentative_us
            if is_over or (track.status == "left" and unseen > parameters.hidden_us):
                del tracks[track.id]
        for name in [name for name, link in self.state.tracklets.items() if closed_at - link.seen_at > _FORGET]:
            del self.state.tracklets[name]

    def _frame(self, seen: Seen) -> None:
        camera = seen.pending.camera
        self.state.watched_since.setdefault(camera, seen.at)
        pairs = match(seen, self.state, self._scene)
        for track, column in pairs:
            if track in self.state.tracks:
                self._update(self.state.tracks[track], seen.measured[column], seen)
        alive = [(self.state.tracks[track], seen.measured[column].box) for track, column in pairs if track in self.state.tracks]
        doubles.note_apart(alive, seen.at)
        taken = {column for _, column in pairs}
        self._miss({track for track, _ in pairs}, seen)
        for column, measured in enumerate(seen.measured):
            others = (seen.measured[one].box for one in taken)
            if column not in taken and measured.is_fresh and not doubles.is_second_box(measured.box, others):
                self._bear(measured, seen)
        stalls.look(seen, self.state, self.state.stalls, self._scene, self._emission)

    def _update(self, track: Track, measured: Measured, seen: Seen) -> None:
        x, y = measured.point_m
        track.seen_at, track.seen_by, track.hits = seen.at, seen.pending.camera, track.hits + 1
        if measured.is_fresh:
            self._note(track, measured.box, seen)
        if track.status == "parked":
            self._life.note_rate(track, seen.pending.camera, was_seen=True)
            self._life.measure_parked(track, x, y, measured.covariance_m2, seen.at)
        else:
            ahead = predict(track.motion, seen.at, self._scene.parameters.acceleration_m2ps3)
            updated = update(ahead, x, y, measured.covariance_m2)
            track.motion = with_floor(updated, self._scene.parameters.bias_sigma_m)
            track.heading = heading_of(track.motion, track.heading)
            self._life.extend_trail(track)
        self._link(track, measured, seen)
        if track.status == "tentative" and not track.gallery:
            track.gallery = with_views(track.gallery, self.state.views.get(measured.box.tracklet, ()))
        if track.status == "tentative" and self._life.is_ripe(track):
            self._confirm(track)
        elif track.status == "moving":
            self._life.check_portals(track)
            if track.status == "moving":  # it has not just left
                self._life.move(track)
                self._life.settle(track)

    def _note(self, track: Track, box: DetectedBox, seen: Seen) -> None:
        track.kind_scores = {**track.kind_scores, box.kind: track.kind_scores.get(box.kind, 0.0) + box.score}
        track.kind = likeliest(track.kind_scores)
        track.sure_hits += box.score >= self._scene.parameters.sure_score
        track.evidence = (*track.evidence, seen.pending.observation)[-_N_EVIDENCE:]

    def _link(self, track: Track, measured: Measured, seen: Seen) -> None:
        name, box = measured.box.tracklet, measured.box
        before = self.state.tracklets.get(name)
        if before is None or before.track != track.id:
            track.tracklets = (*track.tracklets, name)[-8:]
            track.gallery = with_views(track.gallery, self.state.views.get(name, ()))
        link = TrackletLink(track.id, seen.pending.camera, box, measured.point_m, measured.covariance_m2, seen.at)
        if before is not None:
            link = replace(link, assigned=before.assigned, assigned_to=before.assigned_to)
        self.state.tracklets[name] = self._assigned(name, link, track.vehicle, seen.at)

    def _assigned(self, name: TrackletId, link: TrackletLink, vehicle: VehicleId | None, at: Micros) -> TrackletLink:
        """Say whose the tracklet is, where that is new; the earlier statement is superseded."""
        if vehicle is None or link.assigned_to == vehicle:
            return link
        supersedes = () if link.assigned is None else (link.assigned,)
        fact = TrackletAssigned(tracklet=name, camera=link.camera, vehicle=vehicle)
        return replace(link, assigned=self._emission.emit(at, fact, supersedes=supersedes), assigned_to=vehicle)

    def _confirm(self, track: Track) -> None:
        if (double := self._double_of(track)) is not None:
            self._hand_over(track.id, double, track.motion.at)
            del self.state.tracks[track.id]
            return
        for name in track.tracklets:
            track.gallery = with_views(track.gallery, self.state.views.get(name, ()))
        known = self._life.confirm(track, self.state)
        if known is not None:
            del self.state.tracks[known.id]
            self._hand_over(known.id, track, track.motion.at)
        self._hand_over(track.id, track, track.motion.at)

    def _hand_over(self, old: TrackId, track: Track, at: Micros) -> None:
        """Give a track's tracklets to another, or say that they are its own."""
        for name, link in list(self.state.tracklets.items()):
            if link.track == old:
                self.state.tracklets[name] = self._assigned(name, replace(link, track=track.id), track.vehicle, at)

    def _double_of(self, track: Track) -> Track | None:
        """The vehicle that this track also is: as near as one vehicle's length, and no camera ever saw both at once."""
        for other in self.state.tracks.values():
            if other.vehicle is None or other.status == "hidden" or other.level != track.level or other.id == track.id:
                continue
            dx, dy = other.motion.x - track.motion.x, other.motion.y - track.motion.y
            reach = _SAME_PARKED_M if other.status == "parked" else _SAME_MOVING_M
            is_watched = track.motion.at - other.seen_at <= SECOND // 2
            if is_watched and dx * dx + dy * dy < reach * reach and not doubles.are_two(track, other):
                return other
        return None

    def _unite(self, from_at: Micros, until_at: Micros) -> None:
        """Now and then, look for vehicles that are one."""
        if from_at // doubles.CHECK_EVERY == (from_at - self._scene.parameters.tick_us) // doubles.CHECK_EVERY:
            return
        tracks = self.state.tracks
        self._suspicions = doubles.suspected(tracks.values(), self._suspicions, until_at)
        for pair in self._suspicions:
            elder, younger = tracks.get(pair.elder), tracks.get(pair.younger)
            if elder is not None and younger is not None and doubles.is_sure(pair, elder, younger, until_at):
                self._life.unite(elder, younger, until_at)
                self._hand_over(younger.id, elder, until_at)
                del tracks[younger.id]

    def _bear(self, measured: Measured, seen: Seen) -> None:
        x, y = measured.point_m
        is_cut = any(edge != "top" for edge in measured.box.truncated)
        if is_cut or not self._scene.map.is_mapped(seen.level, x, y):
            return
        parameters, box = self._scene.parameters, measured.box
        self._n_tracks += 1
        track = Track(
            id=self._n_tracks,
            level=seen.level,
            status="tentative",
            motion=born(seen.at, x, y, measured.covariance_m2, parameters.birth_speed_sigma_mps),
            kind=box.kind,
            kind_scores={box.kind: box.score},
            heading=(0.0, 0.0),
            born_at=seen.at,
            first_m=(x, y),
            is_inner_birth=self._is_inner(measured, seen),
            hits=1,
            sure_hits=int(box.score >= parameters.sure_score),
            seen_at=seen.at,
            seen_by=seen.pending.camera,
            evidence=(seen.pending.observation,),
        )
        track.born_beside = doubles.beside(track, self.state.tracks.values())
        self._life.extend_trail(track)
        self.state.tracks[track.id] = track
        self._link(track, measured, seen)

    def _is_inner(self, measured: Measured, seen: Seen) -> bool:
        """Whether nothing can have come in here: watched for a while, inside the frame, near, and at no portal."""
        x, y = measured.point_m
        (width, height), (x1, y1, x2, y2) = seen.pending.frame.frame_px, measured.box.box_px
        is_warm = seen.at - self.state.watched_since[seen.pending.camera] > _WARM_UP
        is_inside = x1 > _EDGE_SHARE * width and x2 < (1 - _EDGE_SHARE) * width and y2 < (1 - _EDGE_SHARE) * height
        dx, dy = x - seen.camera.origin_m[0], y - seen.camera.origin_m[1]
        far = _FAR_SHARE * seen.camera.range_m
        is_near = dx * dx + dy * dy < far * far and y1 > _EDGE_SHARE * height
        return is_warm and is_inside and is_near and not self._scene.is_edge(seen.level, x, y)

    def _miss(self, matched: set[TrackId], seen: Seen) -> None:
        """Parked vehicles that this camera should have seen, and did not."""
        camera = seen.pending.camera
        missed = [
            track
            for track in self.state.tracks.values()
            if track.status == "parked" and track.level == seen.level and track.id not in matched and camera in track.seen_rate
        ]
        own = [next((name for name in reversed(track.tracklets)), None) for track in missed]
        clear = visible(seen, [(track.motion.x, track.motion.y) for track in missed], list(own))
        for track, is_clear in zip(missed, clear, strict=True):
            if is_clear:
                self._life.miss_parked(track, camera, seen.at)
                self._life.note_rate(track, camera, was_seen=False)

    def _occupy(self, at: Micros) -> None:
        parked: dict[StallId, VehicleId] = {}
        for track in self.state.tracks.values():
            if track.status == "parked" and track.stall is not None and track.vehicle is not None:
                holder = self.state.stalls.get(track.stall)
                is_holder = holder is not None and holder.vehicle == track.vehicle
                if track.stall not in parked or is_holder:
                    parked[track.stall] = track.vehicle
        stalls.occupy(self.state.stalls, parked, at, self._emission)


def embed(state: FusionState, payload: TrackletEmbedded, personal: Personal | None) -> FusionState:
    """Note how a tracklet looks; the track it belongs to learns it too. An erased look is nothing."""
    if personal is None or not personal.embedding:
        return state
    views = {**state.views, payload.tracklet: with_views(state.views.get(payload.tracklet, ()), [personal.embedding])}
    while len(views) > _N_VIEWS:
        del views[next(iter(views))]
    link = state.tracklets.get(payload.tracklet)
    if link is None or link.track not in state.tracks:
        return replace(state, views=views)
    track = _own(state.tracks[link.track])
    track.gallery = with_views(track.gallery, [personal.embedding])
    return replace(state, views=views, tracks={**state.tracks, track.id: track})


def calibrate(state: FusionState, at: Micros, payload: CameraCalibrated) -> FusionState:
    """Use a camera's new geometry for its frames from ``at`` on."""
    known = state.calibrations.get(payload.camera, ())
    ordered = tuple(sorted((*known, (at, payload)), key=lambda one: one[0]))
    return replace(state, calibrations={**state.calibrations, payload.camera: ordered})


def _own(track: Track) -> Track:
    mine = copy(track)
    mine.sides = dict(track.sides)
    return mine
