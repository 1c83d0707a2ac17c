"""One tick: its frames in order, each measured, matched to tracks, and what becomes of the tracks."""

from __future__ import annotations

from collections.abc import Container, Sequence

from msgspec.structs import replace

from twin.events.ids import SECOND, CameraId, Micros, TrackletId, VehicleId
from twin.events.observations import CameraCalibrated, DetectedBox
from twin.fusion import doubles, joining, motion, registration
from twin.fusion.absence import miss, note_rate
from twin.fusion.appearance import with_views
from twin.fusion.birth import is_placed, newborn
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission
from twin.fusion.frame import Measured, Seen, heading_of, measure
from twin.fusion.identities import Identities
from twin.fusion.matching import match
from twin.fusion.parking import keep, may_stand_surer
from twin.fusion.pending import PendingFrame, PendingScore
from twin.fusion.place import Look, is_stranger
from twin.fusion.placing import BODY_M
from twin.fusion.ripeness import is_ripe
from twin.fusion.scene import Scene
from twin.fusion.sight import Cover, boxes_of, is_hidden, is_shown, visible
from twin.fusion.stall_covers import covers_of
from twin.fusion.stall_times import taken_and_left
from twin.fusion.stall_views import Covers, hidden
from twin.fusion.stalls import TOO_HIDDEN, StallFilter
from twin.fusion.state import DecidedMerge, FusionState, Track, TrackId
from twin.fusion.straying import strays
from twin.fusion.trails import extend_trail

_FORGET: Micros = 60 * SECOND  # a tracklet unseen for so long does not come back
_UNCHANGED_SIGMA_MPS = 0.1  # of the speed of what a camera says has not changed
_SOMEWHERE_NEAR: motion.Cov2 = (9.0, 0.0, 9.0)  # where one was that is called back
_N_EVIDENCE = 2
_SCORE_GAIN = 0.2
_N_REFUSED = 8
_DOUBTS = 3
_AT_REST = ("parked", "hidden")  # of these not having been seen says nothing


class Step:
    """Works on a draft of a fusion state while one observation is folded."""

    def __init__(self, state: FusionState, scene: Scene, emission: Emission, *, is_again: bool = False) -> None:
        """``is_again``: it is the past that is fused again, beside the present."""
        self._draft = Draft(state, scene, emission, is_again=is_again)
        self._identities = Identities(self._draft)
        self._scene, self._emission = scene, emission
        self._columns, self._linking = self._draft.columns, self._draft.linking
        self._telling, self._parking, self._life = self._draft.telling, self._draft.parking, self._draft.life
        self._stalls = StallFilter(self._draft.state.stalls, scene, emission)
        self._counting = list[TrackId]()
        self._covered: tuple[Seen, Covers] | None = None

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
        self._linking.forget(closed_at // SECOND * SECOND - _FORGET)

    def _lose_sight(self, track: Track) -> None:
        if self._identities.give_back(track, track.seen_at + self._scene.parameters.hidden_us):
            return
        taken = {
            other.stall for other in self._draft.state.tracks.values() if other.status == "parked" and other.stall is not None
        }
        self._life.lose_sight(track, self._draft.state.looked_at.get(track.seen_by, track.seen_at), taken)
        self._columns.write(track)
        if track.status == "hidden":
            self._draft.count_lost(track)

    def _frame(self, seen: Seen) -> None:
        camera = seen.pending.camera
        self._draft.state.watched_since.setdefault(camera, seen.at)
        self._draft.state.looked_at[camera] = seen.at
        pairs = match(seen, self._draft.state, self._columns, self._scene)
        if seen.invisible:
            self._linking.displace(seen)
        tracks = self._draft.state.tracks
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
            self._update(self._draft.mine(name), measured, seen)
            self._draft.end(seen.at)
            if name in tracks:
                self._columns.write(tracks[name])
        if run:
            self._keep(run, seen)
        matched, taken = [name for name, _ in pairs], {column for _, column in pairs}
        doubles.note_apart([(tracks[name], seen.measured[column].box) for name, column in pairs if name in tracks], seen.at)
        cover = Cover(boxes_of(seen))
        self._miss(matched, seen, cover)
        shown = set(matched)
        for column, measured in enumerate(seen.measured):
            if column not in taken and measured.is_fresh:
                others = [seen.measured[one].box for one in taken]
                if doubles.is_second_box(measured.box, others):
                    continue
                called = self._called_back(measured, seen, shown)
                if called is None:
                    self._bear(measured, seen)
                else:
                    shown.add(called)
                    taken.add(column)
        if self._counting:
            registration.register(self._draft, self._counting, camera, seen.at)
            self._counting.clear()
        if due := self._stalls.due(seen):
            self._stalls.look(due, seen, self._columns, self._covers(seen))

    def _keep(self, run: Sequence[tuple[TrackId, Measured]], seen: Seen) -> None:
        """``_update`` of parked vehicles whose boxes have not changed, which is most of what cameras send."""
        at, camera, tracks, link = seen.at, seen.pending.camera, self._draft.state.tracks, self._linking.keep
        for name, measured in run:
            track = tracks[name] if name in self._draft.owned else self._draft.mine(name)
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
            note_rate(track, seen.pending.camera, was_seen=True)
            self._parking.measure(track, measured, seen.pending.camera, seen.at)
            if self._scene.parameters.registers_cameras and registration.is_due(track, seen.pending.camera, seen.at):
                self._counting.append(track.id)
        else:
            self._parking.watch_still(track, measured, seen.pending.camera)
            if measured.is_fresh:
                ahead = motion.predict(track.motion, seen.at, self._scene.parameters.acceleration_m2ps3)
                updated = motion.update(ahead, x, y, measured.covariance_m2)
                track.motion = motion.with_floor(updated, self._scene.parameters.bias_sigma_m)
            else:
                track.motion = motion.stopped(track.motion, seen.at, _UNCHANGED_SIGMA_MPS)
            track.heading = heading_of(track.motion, track.heading)
            extend_trail(track)
        if measured.is_fresh and (_is_doubted(track, measured) or is_stranger(track.looks, seen.pending.camera)):
            self._columns.write(track)
            self._refuse(track, measured, seen)
            return
        self._linking.link(track, measured, seen)
        if track.status == "tentative" and not track.gallery:
            track.gallery = with_views(track.gallery, self._draft.state.views.get(measured.box.tracklet, ()))
        if track.status == "tentative" and is_ripe(track, self._scene):
            self._identities.confirm(track)
        elif track.status == "moving":
            self._life.check_portals(track)
            if track.status == "moving":  # it has not just left
                self._telling.move(track)
                self._parking.settle(track)

    def _refuse(self, track: Track, measured: Measured, seen: Seen) -> None:
        """A camera's looks are of another vehicle that stands near by: its tracklet is no longer this track's."""
        name = measured.box.tracklet
        track.doubts = {one: doubt for one, doubt in track.doubts.items() if one != name}
        self._part(track, seen.pending.camera, name)
        self._bear(measured, seen)

    def _called_back(self, measured: Measured, seen: Seen, shown: Container[TrackId]) -> TrackId | None:
        """The vehicle whose track went astray, and which is where a box is again, if there is one."""
        is_sure = measured.box.score >= self._scene.parameters.sure_score
        found = strays(measured, seen, self._draft.state, shown) if is_sure else None
        if found is None:
            return None
        link, others = found
        track = self._draft.mine(link.track)
        for camera, name in others:
            self._part(track, camera, name)
        x, y = link.point_m
        track.motion = motion.born(link.seen_at, x, y, _SOMEWHERE_NEAR, self._scene.parameters.birth_speed_sigma_mps / 2)
        track.still, track.looks, track.sides = None, {}, {}
        track.trail = tuple(point for point in track.trail if point.at <= link.seen_at)
        self._update(track, measured, seen)
        self._draft.end(seen.at)
        if track.id in self._draft.state.tracks:
            self._columns.write(track)
        return track.id

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

    def _bear(self, measured: Measured, seen: Seen) -> None:
        if not is_placed(measured, seen, self._scene):
            return
        self._draft.n_tracks += 1
        track = newborn(self._draft.n_tracks, measured, seen, self._draft.state.watched_since[seen.pending.camera], self._scene)
        track.born_beside = doubles.beside(track, self._columns.around(track.level, *track.first_m, doubles.BESIDE_M))
        apart = [one.id for one in self._draft.state.tracks.values() if measured.box.tracklet in one.refused]
        doubles.know_apart(track, (self._draft.mine(one) for one in apart), seen.at)
        extend_trail(track)
        self._draft.state.tracks[track.id] = track
        self._draft.owned.add(track.id)
        self._columns.write(track)
        self._linking.link(track, measured, seen)

    def _miss(self, matched: Sequence[TrackId], seen: Seen, cover: Cover) -> None:
        """Parked vehicles that this camera should have seen, and did not."""
        camera = seen.pending.camera
        unseen = self._columns.unseen(camera, seen.level, matched)
        shown = self._linking.shown(seen)
        missed = [one for one in unseen if camera in one.seen_rate or camera in one.looks or not one.looks]
        missed = [one for one in missed if one.id not in shown]
        if not missed:
            return
        pixels = self._scene.placing.pixels(seen.camera, [(track.motion.x, track.motion.y) for track in missed], BODY_M)
        if not any(is_shown(seen, pixels)):
            return
        cover = cover.with_others(self._linking.recent(seen))
        clear = visible(seen, pixels, [track.tracklets for track in missed], cover)
        for track, is_clear in zip(missed, clear, strict=True):
            look = track.looks.get(camera)
            if is_clear and not self._is_hidden(track, look, seen, cover):
                mine = self._draft.mine(track.id)
                if (gone_at := miss(mine, camera, seen.at, self._scene.parameters)) is not None:
                    self._life.hide(mine, gone_at)
                note_rate(mine, camera, was_seen=False)
                if mine.status != "parked":
                    self._columns.write(mine)
                if mine.status == "hidden":
                    self._draft.count_lost(mine)
                self._columns.note_seen(mine, (camera,))

    def _covers(self, seen: Seen) -> Covers:
        """Made once a frame, if it is asked for."""
        if self._covered is None or self._covered[0] is not seen:
            camera, boxes = seen.pending.camera, (*boxes_of(seen), *self._linking.recent(seen))
            links, parked = self._draft.state.tracklets.get(camera, {}), self._columns.unseen(camera, seen.level, ())
            self._covered = seen, covers_of(camera, boxes, links, self._draft.state.tracks, parked)
        return self._covered[1]

    def _fade(self, at: Micros) -> None:
        tracks = self._draft.state.tracks.values()
        for name in [one.id for one in tracks if may_stand_surer(one)]:
            self._parking.stand_surer(self._draft.mine(name))
        self._stalls.fade({one.vehicle: one.seen_at for one in tracks if one.vehicle is not None}, at)

    def _is_hidden(self, track: Track, look: Look | None, seen: Seen, cover: Cover) -> bool:
        """Whether a parked vehicle may not be detected for what is before it; of one that was never seen to stand, a car."""
        if look is not None:
            return is_hidden(look.box_px, track.tracklets, cover.boxes)
        if track.stall is None or track.looks:
            return False
        view = self._scene.stall_views(seen.camera, seen.level, seen.pending.frame.frame_px).get(track.stall)
        return view is None or hidden([view], self._covers(seen))[0] > TOO_HIDDEN

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


def _is_doubted(track: Track, measured: Measured) -> bool:
    doubt = track.doubts.get(measured.box.tracklet)
    return track.status == "parked" and doubt is not None and doubt.n >= _DOUBTS
