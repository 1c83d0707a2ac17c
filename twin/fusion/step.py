"""One tick: its frames in order, each measured, matched to tracks, and what becomes of the tracks."""

from __future__ import annotations

from copy import copy

from msgspec.structs import replace

from twin.events.facts import TrackletAssigned
from twin.events.ids import SECOND, LevelId, Micros, StallId, TrackletId, VehicleId
from twin.events.observations import CameraCalibrated, DetectedBox
from twin.fusion import doubles, stalls
from twin.fusion.appearance import with_views
from twin.fusion.emission import Emission
from twin.fusion.frame import Measured, Seen, heading_of, match, measure
from twin.fusion.lifecycle import Lifecycle, likeliest
from twin.fusion.motion import born, predict, stopped, update, with_floor
from twin.fusion.place import fused, is_stranger, squared_distance
from twin.fusion.scene import Scene
from twin.fusion.sight import boxes_of, is_hidden, visible
from twin.fusion.state import DecidedMerge, FusionState, PendingFrame, PendingLook, Track, TrackId, TrackletLink

_WARM_UP: Micros = 5 * SECOND  # a camera that watches for less does not know yet what was there before
_RECENT: Micros = 2 * SECOND  # what a camera saw so short a while ago and sees no more was missed
_FORGET: Micros = 60 * SECOND  # a tracklet unseen for so long does not come back
_N_VIEWS = 4_096
_UNCHANGED_SIGMA_MPS = 0.1  # of the speed of what a camera says has not changed
_N_EVIDENCE = 2
_SCORE_GAIN = 0.2
_N_REFUSED = 8
_DOUBTS = 3
_EDGE_SHARE = 0.06  # of the frame: boxes that near its edge may just have come in
_FAR_SHARE = 0.6  # of the range: where detection begins
_SAME_PARKED_M = 1.8  # nearer than two parked vehicles' centres can be
_SAME_D2 = 6.0  # chi-squared, 2 degrees of freedom, 95 %
_SAME_MOVING_M = 3.5  # two views of one moving vehicle may differ so much where one of them is cut


class Step:
    """Works on a copy of a fusion state's dicts while one observation is folded."""

    def __init__(self, state: FusionState, scene: Scene, emission: Emission) -> None:
        self._scene = scene
        self._emission = emission
        self._n_tracks = state.n_tracks
        self._suspicions = state.suspicions
        self._forgotten_until: Micros | None = None
        self.state = FusionState(
            tracks={name: _own(track) for name, track in state.tracks.items()},
            tracklets={camera: dict(links) for camera, links in state.tracklets.items()},
            views=state.views,
            stalls=dict(state.stalls),
            calibrations=state.calibrations,
            watched_since=dict(state.watched_since),
            looked_at=dict(state.looked_at),
            merges=state.merges,
        )
        self._life = Lifecycle(scene, emission, self.state.tracks)

    def finished(self) -> FusionState:
        """The new state."""
        return replace(self.state, n_tracks=self._n_tracks, suspicions=self._suspicions)

    def fuse(self, frames: tuple[PendingFrame, ...]) -> None:
        """Fuse a closed tick's frames."""
        for pending in frames:
            calibrations = self.state.calibrations.get(pending.camera, ())
            found = self._scene.camera(pending.camera, pending.at, calibrations)
            if found is not None:
                self._frame(measure(pending, *found, self.state, self._scene))
        if frames:
            self._end(frames[-1].at)
            self._unite(frames[0].at, frames[-1].at)
            self._occupy(frames[-1].at)

    def expire(self, closed_at: Micros) -> None:
        """What not having been seen until now means for each track; forgets old tracklets."""
        parameters, tracks = self._scene.parameters, self.state.tracks
        self._merge_decided(closed_at)
        for track in list(tracks.values()):
            unseen = closed_at - track.seen_at
            if track.status == "moving" and unseen > parameters.hidden_us:
                self._lose_sight(track)
            patience = parameters.tentative_us if track.still is None else parameters.tentative_still_us
            if track.id not in tracks:
                continue
            is_over = track.status == "tentative" and unseen > patience
            if is_over or (track.status == "left" and unseen > parameters.hidden_us):
                del tracks[track.id]
        self._end(closed_at)
        self._forget_tracklets(closed_at // SECOND * SECOND - _FORGET)

    def _end(self, at: Micros) -> None:
        """Tracks that were found to be another one's give it their tracklets, and are no more."""
        for ended, track in self._life.ended:
            self._hand_over(ended.id, track, at)
            self._hand_over(track.id, track, at)
            self.state.tracks.pop(ended.id, None)
        self._life.ended.clear()

    def _forget_tracklets(self, until: Micros) -> None:
        if until == self._forgotten_until:
            return
        self._forgotten_until = until
        for links in self.state.tracklets.values():
            for name in [name for name, link in links.items() if link.seen_at < until]:
                del links[name]

    def _merge_decided(self, at: Micros) -> None:
        """Of two tracks that a person said are one vehicle, one goes on."""
        due = [one for one in self.state.merges if one.at <= at]
        if not due:
            return
        for one in due:
            by_name = {track.vehicle: track for track in self.state.tracks.values() if track.status != "left"}
            elder, younger = by_name.get(one.vehicle), by_name.get(one.merged)
            if elder is not None and younger is not None:
                self._life.unite(elder, younger, one.at, decision=one.decision)
                self._hand_over(younger.id, elder, one.at)
                del self.state.tracks[younger.id]
        self.state = replace(self.state, merges=tuple(one for one in self.state.merges if one.at > at))
        self._occupy(at)  # who was in two stalls is in one

    def _lose_sight(self, track: Track) -> None:
        for other in self.state.tracks.values():
            if other.id != track.id and self._life.is_left_behind(track, other):
                self._life.take_back(track, other, track.seen_at + self._scene.parameters.hidden_us)
                self._hand_over(other.id, other, track.seen_at + self._scene.parameters.hidden_us)
                del self.state.tracks[track.id]
                return
        taken = {other.stall for other in self.state.tracks.values() if other.status == "parked" and other.stall is not None}
        self._life.lose_sight(track, self.state.looked_at.get(track.seen_by, track.seen_at), taken)

    def _frame(self, seen: Seen) -> None:
        camera = seen.pending.camera
        self.state.watched_since.setdefault(camera, seen.at)
        self.state.looked_at[camera] = seen.at
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
            self._life.measure_parked(track, measured, seen.pending.camera, seen.at)
        else:
            ahead = predict(track.motion, seen.at, self._scene.parameters.acceleration_m2ps3)
            self._life.watch_still(track, measured, seen.pending.camera)
            if measured.is_fresh:
                updated = update(ahead, x, y, measured.covariance_m2)
                track.motion = with_floor(updated, self._scene.parameters.bias_sigma_m)
            else:
                track.motion = stopped(ahead, _UNCHANGED_SIGMA_MPS)
            track.heading = heading_of(track.motion, track.heading)
            self._life.extend_trail(track)
        if measured.is_fresh and (_is_doubted(track, measured) or is_stranger(track.looks, seen.pending.camera)):
            self._refuse(track, measured, seen)
            return
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

    def _refuse(self, track: Track, measured: Measured, seen: Seen) -> None:
        """A camera's looks are of another vehicle that stands near by: its tracklet is no longer this track's."""
        name = measured.box.tracklet
        track.refused = (*track.refused, name)[-_N_REFUSED:]
        track.tracklets = tuple(one for one in track.tracklets if one != name)
        track.looks = {camera: look for camera, look in track.looks.items() if camera != seen.pending.camera}
        track.doubts = {one: doubt for one, doubt in track.doubts.items() if one != name}
        self.state.tracklets.get(seen.pending.camera, {}).pop(name, None)
        self._bear(measured, seen)

    def _note(self, track: Track, box: DetectedBox, seen: Seen) -> None:
        track.kind_scores = {**track.kind_scores, box.kind: track.kind_scores.get(box.kind, 0.0) + box.score}
        track.kind = likeliest(track.kind_scores)
        track.score += _SCORE_GAIN * (box.score - track.score)
        track.sure_hits += box.score >= self._scene.parameters.sure_score
        track.evidence = (*track.evidence, seen.pending.observation)[-_N_EVIDENCE:]

    def _link(self, track: Track, measured: Measured, seen: Seen) -> None:
        name, box, camera = measured.box.tracklet, measured.box, seen.pending.camera
        links = self.state.tracklets.setdefault(camera, {})
        before = links.get(name)
        if before is None or before.track != track.id:
            track.tracklets = (*track.tracklets, name)[-8:]
            track.gallery = with_views(track.gallery, self.state.views.get(name, ()))
        assigned, assigned_to = (None, None) if before is None else (before.assigned, before.assigned_to)
        link = TrackletLink(track.id, camera, box, measured.point_m, measured.covariance_m2, seen.at, assigned, assigned_to)
        links[name] = self._assigned(name, link, track.vehicle, seen.at)

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
        for links in self.state.tracklets.values():
            for name, link in links.items():
                if link.track == old:
                    links[name] = self._assigned(name, replace(link, track=track.id), track.vehicle, at)

    def _double_of(self, track: Track) -> Track | None:
        """The vehicle that this track also is: as near as what is known of both allows, and no camera ever saw both at once."""
        for other in self.state.tracks.values():
            if other.vehicle is None or other.status == "hidden" or other.level != track.level or other.id == track.id:
                continue
            is_watched = track.motion.at - other.seen_at <= SECOND // 2
            if is_watched and _is_in_reach(track, other) and not doubles.seem_two(track, other):
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
        is_placed = self._scene.map.is_mapped(seen.level, x, y) if not is_cut else self._is_placed_aside(measured, seen.level)
        if not is_placed:
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
            is_inner_birth=is_cut or self._is_inner(measured, seen),
            hits=1,
            score=box.score,
            sure_hits=int(box.score >= parameters.sure_score),
            seen_at=seen.at,
            seen_by=seen.pending.camera,
            evidence=(seen.pending.observation,),
        )
        track.born_beside = doubles.beside(track, self.state.tracks.values())
        doubles.know_apart(track, (one for one in self.state.tracks.values() if box.tracklet in one.refused), seen.at)
        self._life.extend_trail(track)
        self.state.tracks[track.id] = track
        self._link(track, measured, seen)

    def _is_placed_aside(self, measured: Measured, level: LevelId) -> bool:
        """Whether a box that the frame cuts has a place all the same: cut at one side only, and in a stall, which tells how
        its vehicle stands."""
        edges = set(measured.box.truncated) - {"top"}
        return edges in ({"left"}, {"right"}) and self._scene.map.stall_at(level, *measured.point_m) is not None

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
            if track.status == "parked"
            and track.level == seen.level
            and track.id not in matched
            and (camera in track.seen_rate or camera in track.looks or not track.looks)
        ]
        if not missed:
            return
        boxes, own = [*boxes_of(seen), *self._recent(seen)], [track.tracklets for track in missed]
        places = [(track.motion.x, track.motion.y) for track in missed]
        clear = visible(seen, self._scene.placing, places, own, boxes)
        for track, is_clear in zip(missed, clear, strict=True):
            look = track.looks.get(camera)
            if is_clear and (look is None or not is_hidden(look.box_px, track.tracklets, boxes)):
                self._life.miss_parked(track, camera, seen.at)
                self._life.note_rate(track, camera, was_seen=False)

    def _recent(self, seen: Seen) -> list[DetectedBox]:
        """Boxes that this camera had a moment ago, and not in this frame."""
        links, since = self.state.tracklets.get(seen.pending.camera, {}), seen.at - _RECENT
        return [link.box for link in links.values() if since <= link.seen_at < seen.at]

    def _occupy(self, at: Micros) -> None:
        parked: dict[StallId, VehicleId] = {}
        for track in self.state.tracks.values():
            if track.status == "parked" and track.stall is not None and track.vehicle is not None:
                holder = self.state.stalls.get(track.stall)
                is_holder = holder is not None and holder.vehicle == track.vehicle
                if track.stall not in parked or is_holder:
                    parked[track.stall] = track.vehicle
        stalls.occupy(self.state.stalls, parked, at, self._emission)


def followed(state: FusionState) -> frozenset[VehicleId]:
    """Vehicles on the site, by the names they have now."""
    return frozenset(one.vehicle for one in state.tracks.values() if one.vehicle is not None and one.status != "left")


def with_merge(state: FusionState, merge: DecidedMerge) -> FusionState:
    """Let two tracks be one from a time on, which the state may be before or after."""
    return replace(state, merges=(*state.merges, merge))


def embed(state: FusionState, look: PendingLook) -> FusionState:
    """Note how a tracklet looks; the track it belongs to learns it too."""
    views = {**state.views, look.tracklet: with_views(state.views.get(look.tracklet, ()), [look.embedding])}
    while len(views) > _N_VIEWS:
        del views[next(iter(views))]
    link = state.tracklets.get(look.camera, {}).get(look.tracklet)
    if link is None or link.track not in state.tracks:
        return replace(state, views=views)
    track = _own(state.tracks[link.track])
    track.gallery = with_views(track.gallery, [look.embedding])
    return replace(state, views=views, tracks={**state.tracks, track.id: track})


def calibrate(state: FusionState, at: Micros, payload: CameraCalibrated) -> FusionState:
    """Use a camera's new geometry for its frames from ``at`` on."""
    known = state.calibrations.get(payload.camera, ())
    ordered = tuple(sorted((*known, (at, payload)), key=lambda one: one[0]))
    return replace(state, calibrations={**state.calibrations, payload.camera: ordered})


def _is_in_reach(newborn: Track, other: Track) -> bool:
    """Whether a new track may be a known one: within a length, or, where both stand, within what their places leave open."""
    dx, dy = other.motion.x - newborn.motion.x, other.motion.y - newborn.motion.y
    away2 = dx * dx + dy * dy
    if doubles.drives(newborn) and doubles.drives(other):
        return away2 < _SAME_MOVING_M * _SAME_MOVING_M
    place = fused(newborn.looks)
    if away2 < _SAME_PARKED_M * _SAME_PARKED_M or place is None or other.status != "parked":
        return away2 < _SAME_PARKED_M * _SAME_PARKED_M
    (x, y, (xx, xy, yy)), (uu, uv, vv) = place, other.motion.covariance_m2
    return squared_distance(other.motion.x - x, other.motion.y - y, (xx + uu, xy + uv, yy + vv)) < _SAME_D2


def _is_doubted(track: Track, measured: Measured) -> bool:
    doubt = track.doubts.get(measured.box.tracklet)
    return track.status == "parked" and doubt is not None and doubt.n >= _DOUBTS


def _own(track: Track) -> Track:
    mine = copy(track)
    mine.sides = dict(track.sides)
    return mine
