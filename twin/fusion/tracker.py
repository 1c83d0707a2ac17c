"""One frame's boxes and the tracks: each box is another look at its track's vehicle, or none's, and then a track begins."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence

from twin.events.ids import CameraId, TrackletId
from twin.events.observations import DetectedBox
from twin.fusion import doubles, joining, motion, registration, standing
from twin.fusion.absence import note_rate
from twin.fusion.appearance import with_views
from twin.fusion.birth import is_placed, newborn
from twin.fusion.draft import Draft
from twin.fusion.frame import Measured, Seen, heading_of
from twin.fusion.identities import Identities
from twin.fusion.parking import keep
from twin.fusion.place import is_stranger
from twin.fusion.ripeness import is_ripe
from twin.fusion.state import Track, TrackId
from twin.fusion.straying import strays
from twin.fusion.trails import extend_trail

_UNCHANGED_SIGMA_MPS = 0.1  # of the speed of what a camera says has not changed
_SOMEWHERE_NEAR: motion.Cov2 = (9.0, 0.0, 9.0)  # where one was that is called back
_N_EVIDENCE = 2
_SCORE_GAIN = 0.2
_N_REFUSED = 8
_DOUBTS = 3

Pairs = Sequence[tuple[TrackId, int]]
"""Tracks, each with the place of its box among a frame's."""


class Tracker:
    """Works on a draft: of each frame ``follow``, then ``begin``, then ``register``."""

    def __init__(self, draft: Draft, identities: Identities) -> None:
        self._draft, self._identities, self._scene = draft, identities, draft.scene
        self._columns, self._linking = draft.columns, draft.linking
        self._telling, self._parking, self._life = draft.telling, draft.parking, draft.life
        self._counting = list[TrackId]()

    def follow(self, pairs: Pairs, seen: Seen) -> None:
        """Update the tracks that boxes of a frame were matched to, in order."""
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

    def begin(self, pairs: Pairs, seen: Seen) -> None:
        """What becomes of a frame's boxes that were matched to no track."""
        shown, taken = {name for name, _ in pairs}, {column for _, column in pairs}
        for column, measured in enumerate(seen.measured):
            if column not in taken and measured.is_fresh:
                others = [seen.measured[one].box for one in taken]
                if doubles.is_second_box(measured.box, others):
                    continue
                called = self._driven_off(measured, seen, shown) or self._called_back(measured, seen, shown)
                if called is None:
                    self._bear(measured, seen)
                else:
                    shown.add(called)
                    taken.add(column)

    def register(self, seen: Seen) -> None:
        """Let the frame's camera learn from the parked vehicles that it has seen often enough."""
        if self._counting:
            registration.register(self._draft, self._counting, seen.pending.camera, seen.at)
            self._counting.clear()

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
        camera, at = seen.pending.camera, seen.at
        track.seen_at, track.seen_by, track.hits = at, camera, track.hits + 1
        if measured.is_fresh:
            self._note(track, measured.box, seen)
        if track.status == "parked":
            note_rate(track, camera, was_seen=True)
            self._parking.measure(track, measured, camera, at)
            if self._scene.parameters.registers_cameras and registration.is_due(track, camera, at):
                self._counting.append(track.id)
        else:
            self._parking.watch_still(track, measured, camera)
            if measured.is_fresh:
                x, y = measured.point_m
                ahead = motion.predict(track.motion, at, self._scene.parameters.acceleration_m2ps3)
                updated = motion.update(ahead, x, y, measured.covariance_m2)
                track.motion = motion.with_floor(updated, self._scene.parameters.bias_sigma_m)
            else:
                track.motion = motion.stopped(track.motion, at, _UNCHANGED_SIGMA_MPS)
            track.heading = heading_of(track.motion, track.heading)
            extend_trail(track)
        if measured.is_fresh and (_is_doubted(track, measured) or is_stranger(track.looks, camera)):
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

    def _driven_off(self, measured: Measured, seen: Seen, shown: Container[TrackId]) -> TrackId | None:
        """The parked vehicle whose place this tracklet was off again and again, and is too far off now to be matched."""
        name, tracks = measured.box.tracklet, self._draft.state.tracks
        link = self._draft.state.tracklets.get(seen.pending.camera, {}).get(name)
        known = None if link is None else tracks.get(link.track)
        if known is None or known.id in shown or not standing.is_driving_off(known, name, seen.level, seen.at):
            return None
        was_at, (dx, dy) = max(known.away_at, known.motion.at), known.away_m  # another camera may have seen it since
        x, y = known.motion.x + dx, known.motion.y + dy
        is_near = math.dist((x, y), measured.point_m) <= self._scene.reach_m(seen.at - was_at)
        if not is_near or measured.box.score < self._scene.parameters.sure_score or not is_placed(measured, seen, self._scene):
            return None  # its tracklet may have passed to who drives by
        track = self._draft.mine(known.id)
        off = motion.born(was_at, x, y, _SOMEWHERE_NEAR, self._scene.parameters.birth_speed_sigma_mps / 2)
        self._parking.depart(track, off)
        self._update(track, measured, seen)
        self._draft.end(seen.at)
        if track.id in tracks:
            self._columns.write(track)
        return track.id

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
        if box.kind != track.kind:  # what was likeliest stays it when more speaks for it
            track.kind = joining.likeliest(track.kind_scores)
        track.score += _SCORE_GAIN * (score - track.score)
        track.sure_hits += score >= self._scene.parameters.sure_score
        track.evidence = (*track.evidence[1 - _N_EVIDENCE :], seen.pending.observation)

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


def _is_doubted(track: Track, measured: Measured) -> bool:
    if not track.doubts or track.status != "parked":
        return False
    doubt = track.doubts.get(measured.box.tracklet)
    return doubt is not None and doubt.n >= _DOUBTS
