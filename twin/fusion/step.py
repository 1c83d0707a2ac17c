"""One tick: its frames in order, each measured, matched to tracks, and what becomes of the tracks."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from msgspec.structs import replace

from twin.events.ids import SECOND, CameraId, EventId, Micros, StallId, TrackletId, VehicleId
from twin.events.observations import CameraCalibrated, DetectedBox
from twin.fusion import camera_links, doubles, joining, motion, stalls
from twin.fusion.appearance import with_views
from twin.fusion.birth import is_placed, newborn
from twin.fusion.columns import TrackColumns
from twin.fusion.emission import Emission
from twin.fusion.exchange import exchanged, slid
from twin.fusion.frame import Measured, Seen, heading_of, measure
from twin.fusion.identity import Reappearance, certainty_of
from twin.fusion.lifecycle import Lifecycle
from twin.fusion.linking import Linking
from twin.fusion.matching import match
from twin.fusion.place import fused, is_stranger, squared_distance
from twin.fusion.placing import BODY_M
from twin.fusion.recognition import recognitions
from twin.fusion.scene import Scene
from twin.fusion.sight import Cover, boxes_of, is_hidden, is_shown, visible
from twin.fusion.state import DecidedMerge, FusionState, PendingFrame, Track, TrackId
from twin.fusion.straying import strays

_FORGET: Micros = 60 * SECOND  # a tracklet unseen for so long does not come back
_UNCHANGED_SIGMA_MPS = 0.1  # of the speed of what a camera says has not changed
_N_EVIDENCE = 2
_SCORE_GAIN = 0.2
_N_REFUSED = 8
_DOUBTS = 3
_SURE = 0.9  # certainty of an identity from which is learned
_SAME_PARKED_M = 1.8  # nearer than two parked vehicles' centres can be
_SAME_D2 = 6.0  # chi-squared, 2 degrees of freedom, 95 %
_AT_REST = ("parked", "hidden")  # of these not having been seen says nothing
_SAME_MOVING_M = 3.5  # two views of one moving vehicle may differ so much where one of them is cut


class Step:
    """Works on a copy of a fusion state's dicts while one observation is folded; a track is copied before it is changed."""

    def __init__(self, state: FusionState, scene: Scene, emission: Emission, *, is_again: bool = False) -> None:
        """``is_again``: it is the past that is fused again, beside the present."""
        self._scene = scene
        self._emission = emission
        self._n_tracks = state.n_tracks
        self._suspicions = state.suspicions
        self.state = FusionState(
            tracks=dict(state.tracks),
            tracklets={camera: dict(links) for camera, links in state.tracklets.items()},
            views=state.views,
            stalls=dict(state.stalls),
            calibrations=state.calibrations,
            watched_since=dict(state.watched_since),
            looked_at=dict(state.looked_at),
            merges=state.merges,
            links=state.links,
            scores=state.scores,
        )
        self._owned = set[TrackId]()
        self._is_again = is_again
        self._columns = (scene.columns.pop(is_again, None) or TrackColumns()).of(self.state.tracks)
        self._known_stalls = set[StallId]()
        self._linking = Linking(self.state.tracklets, state.views, emission, state.scores.nats)
        self._life = Lifecycle(scene, emission, self.state.tracks, self._mine, state.scores.nats)

    def finished(self) -> FusionState:
        """The new state; the step ends."""
        self._scene.columns[self._is_again] = self._columns
        return replace(self.state, n_tracks=self._n_tracks, suspicions=self._suspicions)

    def fuse(self, frames: tuple[PendingFrame, ...]) -> None:
        """Fuse a closed tick's frames."""
        self._known_stalls = stalls.known(self.state.stalls)
        for pending in frames:
            calibrations = self.state.calibrations.get(pending.camera, ())
            found = self._scene.camera(pending.camera, pending.at, calibrations)
            if found is not None:
                self._frame(measure(pending, *found, self.state, self._columns, self._scene))
        if frames:
            self._unite(frames[0].at, frames[-1].at)
            self._occupy(frames[-1].at)

    def expire(self, closed_at: Micros) -> None:
        """What not having been seen until now means for each track; forgets old tracklets."""
        parameters, tracks = self._scene.parameters, self.state.tracks
        self._merge_decided(closed_at)
        for name in [name for name, track in tracks.items() if track.status not in _AT_REST]:
            unseen = closed_at - tracks[name].seen_at
            if tracks[name].status == "moving" and unseen > parameters.hidden_us:
                self._lose_sight(self._mine(name))
            track = tracks.get(name)
            if track is None:
                continue
            patience = parameters.tentative_us if track.still is None else parameters.tentative_still_us
            is_over = track.status == "tentative" and unseen > patience
            if is_over or (track.status == "left" and unseen > parameters.hidden_us):
                self._drop(name)
        self._end(closed_at)
        self._linking.forget(closed_at // SECOND * SECOND - _FORGET)

    def _mine(self, track: TrackId) -> Track:
        """A track, to be changed."""
        tracks = self.state.tracks
        if track not in self._owned:
            self._owned.add(track)
            tracks[track] = self._columns.tracks[self._columns.row_by_id[track]] = _own(tracks[track])
        return tracks[track]

    def _drop(self, track: TrackId) -> None:
        del self.state.tracks[track]
        self._columns.drop(track)

    def _end(self, at: Micros) -> None:
        """Tracks that were found to be another one's give it their tracklets, and are no more."""
        for ended, track in self._life.ended:
            self._linking.hand_over(ended.id, track, at)
            self._linking.hand_over(track.id, track, at)
            if ended.id in self.state.tracks:
                self._drop(ended.id)
        self._life.ended.clear()

    def _merge_decided(self, at: Micros) -> None:
        """Of two tracks that a person said are one vehicle, one goes on."""
        due = [one for one in self.state.merges if one.at <= at]
        if not due:
            return
        for one in due:
            by_name = {track.vehicle: track for track in self.state.tracks.values() if track.status != "left"}
            elder, younger = by_name.get(one.vehicle), by_name.get(one.merged)
            if elder is not None and younger is not None:
                self._join(elder.id, younger, one.at, one.decision)
        self.state = replace(self.state, merges=tuple(one for one in self.state.merges if one.at > at))
        self._occupy(at)  # who was in two stalls is in one

    def _lose_sight(self, track: Track) -> None:
        if self._give_back(track, track.seen_at + self._scene.parameters.hidden_us):
            return
        taken = {other.stall for other in self.state.tracks.values() if other.status == "parked" and other.stall is not None}
        self._life.lose_sight(track, self.state.looked_at.get(track.seen_by, track.seen_at), taken)
        self._columns.write(track)
        if track.status == "hidden":
            self._count_lost(track)

    def _give_back(self, track: Track, at: Micros) -> bool:
        """If another track is the vehicle that this one was until it left its place, it gets the name, and this one ends."""
        for other in self.state.tracks.values():
            if other.id != track.id and joining.is_left_behind(track, other, self.state.scores.nats):
                mine = self._mine(other.id)
                joining.take_back(self._mine(track.id), mine, at, self._emission)
                self._linking.hand_over(mine.id, mine, at)
                self._drop(track.id)
                return True
        return False

    def _count_lost(self, track: Track) -> None:
        if self._scene.parameters.learns_links:
            self.state = replace(self.state, links=camera_links.with_lost(self.state.links, track.seen_by))

    def _frame(self, seen: Seen) -> None:
        camera = seen.pending.camera
        self.state.watched_since.setdefault(camera, seen.at)
        self.state.looked_at[camera] = seen.at
        pairs = match(seen, self.state, self._columns, self._scene)
        if seen.invisible:
            self._linking.displace(seen)
        tracks = self.state.tracks
        run = list[tuple[TrackId, Measured]]()
        for name, column in pairs:
            if (known := tracks.get(name)) is None:
                continue
            measured = seen.measured[column]
            if not measured.is_fresh and known.status == "parked":
                run.append((name, measured))
                continue
            if run:
                self._keep(run, seen)
                run = []
            self._update(self._mine(name), measured, seen)
            self._end(seen.at)
            if name in tracks:
                self._columns.write(tracks[name])
        if run:
            self._keep(run, seen)
        matched, taken = [name for name, _ in pairs], {column for _, column in pairs}
        doubles.note_apart([(tracks[name], seen.measured[column].box) for name, column in pairs if name in tracks], seen.at)
        cover = Cover(boxes_of(seen))
        self._miss(matched, seen, cover)
        for column, measured in enumerate(seen.measured):
            if column not in taken and measured.is_fresh:
                others = (seen.measured[one].box for one in taken)
                if not doubles.is_second_box(measured.box, others) and not self._called_back(measured, seen):
                    self._bear(measured, seen)
        stalls.look(seen, self._columns, self.state.stalls, self._known_stalls, cover, self._scene, self._emission)

    def _keep(self, run: Sequence[tuple[TrackId, Measured]], seen: Seen) -> None:
        """``_update`` of parked vehicles whose boxes have not changed, which is most of what cameras send."""
        at, camera, tracks, keep, link = seen.at, seen.pending.camera, self.state.tracks, self._life.keep, self._linking.keep
        for name, measured in run:
            track = tracks[name] if name in self._owned else self._mine(name)
            track.seen_at, track.seen_by, track.hits = at, camera, track.hits + 1
            keep(track, camera, measured, at)
            link(track, measured, seen)
        self._columns.keep([name for name, _ in run], at)

    def _update(self, track: Track, measured: Measured, seen: Seen) -> None:
        x, y = measured.point_m
        track.seen_at, track.seen_by, track.hits = seen.at, seen.pending.camera, track.hits + 1
        if measured.is_fresh:
            self._note(track, measured.box, seen)
        if track.status == "parked":
            self._life.note_rate(track, seen.pending.camera, was_seen=True)
            self._life.measure_parked(track, measured, seen.pending.camera, seen.at)
        else:
            ahead = motion.predict(track.motion, seen.at, self._scene.parameters.acceleration_m2ps3)
            self._life.watch_still(track, measured, seen.pending.camera)
            if measured.is_fresh:
                updated = motion.update(ahead, x, y, measured.covariance_m2)
                track.motion = motion.with_floor(updated, self._scene.parameters.bias_sigma_m)
            else:
                track.motion = motion.stopped(track.motion, seen.at, _UNCHANGED_SIGMA_MPS)
            track.heading = heading_of(track.motion, track.heading)
            self._life.extend_trail(track)
        if measured.is_fresh and (_is_doubted(track, measured) or is_stranger(track.looks, seen.pending.camera)):
            self._columns.write(track)
            self._refuse(track, measured, seen)
            return
        self._linking.link(track, measured, seen)
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
        track.doubts = {one: doubt for one, doubt in track.doubts.items() if one != name}
        self._part(track, seen.pending.camera, name)
        self._bear(measured, seen)

    def _called_back(self, measured: Measured, seen: Seen) -> bool:
        """Whether a box is of a vehicle whose track went astray, and which is where that box is again."""
        found = strays(measured, seen, self.state)
        if found is None:
            return False
        track = self._mine(found[0].id)
        for camera, name in found[1]:
            self._part(track, camera, name)
        x, y = measured.point_m
        track.motion = motion.born(seen.at, x, y, measured.covariance_m2, self._scene.parameters.birth_speed_sigma_mps / 2)
        self._update(track, measured, seen)
        self._columns.write(track)
        return True

    def _part(self, track: Track, camera: CameraId, name: TrackletId) -> None:
        """A tracklet is not this track's, nor will be."""
        track.refused = (*track.refused, name)[-_N_REFUSED:]
        track.tracklets = tuple(one for one in track.tracklets if one != name)
        track.looks = {other: look for other, look in track.looks.items() if other != camera}
        self._linking.part(camera, name)

    def _note(self, track: Track, box: DetectedBox, seen: Seen) -> None:
        score = box.score
        track.kind_scores = {**track.kind_scores, box.kind: track.kind_scores.get(box.kind, 0.0) + score}
        track.kind = joining.likeliest(track.kind_scores)
        track.score += _SCORE_GAIN * (score - track.score)
        track.sure_hits += score >= self._scene.parameters.sure_score
        track.evidence = (*track.evidence, seen.pending.observation)[-_N_EVIDENCE:]

    def _confirm(self, track: Track) -> None:
        if (double := self._double_of(track)) is not None:
            self._linking.hand_over(track.id, double, track.motion.at)
            self._drop(track.id)
            return
        for name in track.tracklets:
            track.gallery = with_views(track.gallery, self.state.views.get(name, ()))
        known = self._life.confirm(track, self.state)
        self._learn(track, known)
        if known is not None:
            self._drop(known.track.id)
            self._linking.hand_over(known.track.id, track, track.motion.at)
        self._linking.hand_over(track.id, track, track.motion.at)

    def _learn(self, track: Track, known: Reappearance | None) -> None:
        """What a newly confirmed track says of how vehicles get from camera to camera."""
        if not self._scene.parameters.learns_links:
            return
        if known is None:
            if track.is_inner_birth and not track.has_entered:
                self.state = replace(self.state, links=camera_links.with_new(self.state.links, track.seen_by))
            return
        if known.gap is None or known.is_ambiguous or known.certainty < _SURE:
            return
        learned = self.state.links
        if known.track.status != "hidden":  # it was lost so short a while ago that nobody has counted it
            learned = camera_links.with_lost(learned, known.gap.lost_by)
        self.state = replace(self.state, links=camera_links.with_passage(learned, known.gap))
        if (fact := camera_links.estimated(self.state.links, known.gap)) is not None:
            self._emission.emit(track.motion.at, fact)

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
                self._join(elder.id, younger, until_at)
        for track in slid(self.state, until_at):
            self._give_back(tracks[track.id], until_at)  # another's name may be its own by then
        for one in recognitions(self.state, self._scene, until_at):
            self._recognize(one.lost, self._mine(one.found.id), one.margin, until_at)
        for one, other in exchanged(self.state, self._scene, until_at):
            self._exchange(self._mine(one.id), self._mine(other.id), until_at)

    def _recognize(self, lost: Track, found: Track, margin: float, at: Micros) -> None:
        """A vehicle that began anew is one that was lost: it goes by that one's name, as surely as at first sight."""
        joining.take_back(self._mine(lost.id), found, at, self._emission)
        found.certainty = round(found.certainty * certainty_of(margin), 3)
        self._linking.hand_over(lost.id, found, at)
        self._linking.hand_over(found.id, found, at)
        self._columns.note_seen(found, found.seen_rate)
        self._drop(lost.id)

    def _exchange(self, one: Track, other: Track, at: Micros) -> None:
        """Two tracks follow each other's vehicles: their names change places."""
        joining.exchange(one, other, at)
        for track in (one, other):
            self._life.tell_place(track, at)
            self._columns.write(track)
            self._linking.hand_over(track.id, track, at)

    def _join(self, name: TrackId, younger: Track, at: Micros, decision: EventId | None = None) -> None:
        """Two tracks are one vehicle: the elder goes on."""
        elder = self._mine(name)
        joining.unite(elder, younger, at, self._emission, decision)
        self._columns.note_seen(elder, elder.seen_rate)
        self._linking.hand_over(younger.id, elder, at)
        self._drop(younger.id)

    def _bear(self, measured: Measured, seen: Seen) -> None:
        if not is_placed(measured, seen, self._scene):
            return
        self._n_tracks += 1
        track = newborn(self._n_tracks, measured, seen, self.state.watched_since[seen.pending.camera], self._scene)
        track.born_beside = doubles.beside(track, self._columns.around(track.level, *track.first_m, doubles.BESIDE_M))
        apart = [one.id for one in self.state.tracks.values() if measured.box.tracklet in one.refused]
        doubles.know_apart(track, (self._mine(one) for one in apart), seen.at)
        self._life.extend_trail(track)
        self.state.tracks[track.id] = track
        self._owned.add(track.id)
        self._columns.write(track)
        self._linking.link(track, measured, seen)

    def _miss(self, matched: Sequence[TrackId], seen: Seen, cover: Cover) -> None:
        """Parked vehicles that this camera should have seen, and did not."""
        camera = seen.pending.camera
        unseen = self._columns.unseen(camera, seen.level, matched)
        missed = [one for one in unseen if camera in one.seen_rate or camera in one.looks or not one.looks]
        if not missed:
            return
        pixels = self._scene.placing.pixels(seen.camera, [(track.motion.x, track.motion.y) for track in missed], BODY_M)
        if not any(is_shown(seen, pixels)):
            return
        cover = cover.with_others(self._linking.recent(seen))
        clear = visible(seen, pixels, [track.tracklets for track in missed], cover)
        for track, is_clear in zip(missed, clear, strict=True):
            look = track.looks.get(camera)
            if is_clear and (look is None or not is_hidden(look.box_px, track.tracklets, cover.boxes)):
                mine = self._mine(track.id)
                self._life.miss_parked(mine, camera, seen.at)
                self._life.note_rate(mine, camera, was_seen=False)
                if mine.status != "parked":
                    self._columns.write(mine)
                if mine.status == "hidden":
                    self._count_lost(mine)
                self._columns.note_seen(mine, (camera,))

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
    mine.sides = track.sides.copy()
    return mine
