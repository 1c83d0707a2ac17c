"""How tracklets look: views that they and their tracks are known by, and pairs of views that tell what likeness is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from copy import copy
from heapq import nsmallest

from msgspec.structs import replace

from twin.events.ids import SECOND, CameraId, Micros, TrackletId
from twin.fusion.appearance import ANY_SIDE, View, likeness, octant, with_views
from twin.fusion.emission import Emission
from twin.fusion.exchange import is_strange, with_strange
from twin.fusion.look_scores import LookScores, calibrated, with_scores
from twin.fusion.pending import PendingLook
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrackId, TrackletLink

_N_VIEWS = 4_096
_BESIDE: Micros = SECOND // 2  # so short a while ago another camera had a box of it
_SURELY_APART_M = 6.0
_N_OTHERS = 3
_ROUNDING_M2 = 1e-6  # more than rounding
_SEEN = ("moving", "parked")

_Links = Mapping[CameraId, Mapping[TrackletId, TrackletLink]]


def embed(state: FusionState, looks: Iterable[PendingLook], scene: Scene, emission: Emission) -> FusionState:
    """Note how tracklets look; the tracks they belong to learn it too, and so does who weighs looks.

    A tracklet whose newest box has no place tells nothing of its track: nobody can see any more whether it is that one's.
    """
    views, tracks, scores = dict(state.views), dict(state.tracks), state.scores
    for look in looks:
        name = look.tracklet
        link = state.tracklets.get(look.camera, {}).get(name)
        track = tracks.get(link.track) if link is not None and link.is_placed else None
        if scene.parameters.calibrates_looks and track is not None and name not in views:
            scores = _with_first(scores, look, track, tracks.values(), state.tracklets, emission)
        side = ANY_SIDE if track is None else _side(track, look, state, scene)
        view = View(look.embedding, side, look.quality, look.plate)
        views[name] = with_views(views.get(name, ()), [view])
        while len(views) > _N_VIEWS:
            del views[next(iter(views))]
        if track is not None:
            mine = copy(track)
            if track.vehicle is not None and is_strange((view,), track.gallery, scores.nats):
                mine.strange = with_strange(track.strange, view)
            else:
                mine.gallery, mine.strange = with_views(track.gallery, [view]), ()
            tracks[track.id] = mine
    return replace(state, views=views, tracks=tracks, scores=scores)


def _side(track: Track, look: PendingLook, state: FusionState, scene: Scene) -> int:
    """From which side a look's camera sees its vehicle."""
    found = scene.camera(look.camera, look.at, state.calibrations.get(look.camera, ()))
    if found is None:
        return ANY_SIDE
    (x, y), motion = found[0].origin_m, track.motion
    return octant(track.heading, (x - motion.x, y - motion.y))


def _with_first(
    scores: LookScores, look: PendingLook, track: Track, tracks: Iterable[Track], links: _Links, emission: Emission
) -> LookScores:
    """Compare the first look of a tracklet with the vehicle that another camera sees in its place, and with others seen now."""
    if track.vehicle is None or not _has_other_camera(links, track, look):
        return scores
    view = (View(look.embedding),)
    own = likeness(view, track.gallery)
    if own is None:
        return scores
    others = [likeness(view, other.gallery) for other in _others(tracks, track, look.at)]
    different = [one for one in others if one is not None]
    after = with_scores(scores, look.embedder, [own], different)
    if (fact := calibrated(scores, after)) is not None:
        emission.emit(look.at, fact)
    return after


def _has_other_camera(tracklets: _Links, track: Track, look: PendingLook) -> bool:
    name, since = track.id, look.at - _BESIDE
    for camera, links in tracklets.items():
        if camera != look.camera:
            for link in links.values():
                if link.track == name and link.seen_at >= since:
                    return True
    return False


def _others(tracks: Iterable[Track], track: Track, at: Micros) -> list[Track]:
    """The nearest vehicles that are seen now and are surely others."""
    x, y, since = track.motion.x, track.motion.y, at - SECOND
    surely, farthest = list[tuple[float, TrackId, Track]](), math.inf
    for one in tracks:
        dx, dy = one.motion.x - x, one.motion.y - y
        if dx * dx + dy * dy > farthest or one.seen_at < since or one.status not in _SEEN:
            continue
        if one.vehicle is None or one.id == track.id:
            continue
        away = dx**2 + dy**2
        if away > _SURELY_APART_M * _SURELY_APART_M or one.level != track.level:
            surely = nsmallest(_N_OTHERS, [*surely, (away, one.id, one)])
            farthest = surely[-1][0] + _ROUNDING_M2 if len(surely) == _N_OTHERS else math.inf
    return [one for _, _, one in surely]
