"""How tracklets look: views that they and their tracks are known by, and pairs of views that tell what likeness is worth."""

from __future__ import annotations

from copy import copy

from msgspec.structs import replace

from twin.events.ids import SECOND, Micros
from twin.fusion.appearance import likeness, with_views
from twin.fusion.emission import Emission
from twin.fusion.exchange import is_strange, with_strange
from twin.fusion.look_scores import calibrated, with_scores
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, PendingLook, Track

_N_VIEWS = 4_096
_BESIDE: Micros = SECOND // 2  # so short a while ago another camera had a box of it
_SURELY_APART_M = 6.0
_N_OTHERS = 3


def embed(state: FusionState, look: PendingLook, scene: Scene, emission: Emission) -> FusionState:
    """Note how a tracklet looks; the track it belongs to learns it too, and so does who weighs looks."""
    if scene.parameters.calibrates_looks:
        state = _with_scores(state, look, emission)
    views = {**state.views, look.tracklet: with_views(state.views.get(look.tracklet, ()), [look.embedding])}
    while len(views) > _N_VIEWS:
        del views[next(iter(views))]
    link = state.tracklets.get(look.camera, {}).get(look.tracklet)
    if link is None or link.track not in state.tracks:
        return replace(state, views=views)
    track = copy(state.tracks[link.track])
    if track.vehicle is not None and is_strange((look.embedding,), track.gallery, state.scores.nats):
        track.strange = with_strange(track.strange, look.embedding)
    else:
        track.gallery, track.strange = with_views(track.gallery, [look.embedding]), ()
    return replace(state, views=views, tracks={**state.tracks, track.id: track})


def _with_scores(state: FusionState, look: PendingLook, emission: Emission) -> FusionState:
    """Compare the first look of a tracklet with the vehicle that another camera sees in its place, and with others seen now."""
    link = state.tracklets.get(look.camera, {}).get(look.tracklet)
    track = None if link is None or look.tracklet in state.views else state.tracks.get(link.track)
    if track is None or track.vehicle is None or not _has_other_camera(state, track, look):
        return state
    own = likeness((look.embedding,), track.gallery)
    if own is None:
        return state
    others = [likeness((look.embedding,), other.gallery) for other in _others(state, track, look.at)]
    different = [one for one in others if one is not None]
    scores = with_scores(state.scores, look.embedder, [own], different)
    if (fact := calibrated(state.scores, scores)) is not None:
        emission.emit(look.at, fact)
    return replace(state, scores=scores)


def _has_other_camera(state: FusionState, track: Track, look: PendingLook) -> bool:
    return any(
        link.track == track.id and look.at - link.seen_at <= _BESIDE
        for camera, links in state.tracklets.items()
        if camera != look.camera
        for link in links.values()
    )


def _others(state: FusionState, track: Track, at: Micros) -> list[Track]:
    """The nearest vehicles that are seen now and are surely others."""
    apart = [
        ((one.motion.x - track.motion.x) ** 2 + (one.motion.y - track.motion.y) ** 2, one)
        for one in state.tracks.values()
        if one.vehicle is not None and one.id != track.id and one.status in ("moving", "parked") and at - one.seen_at <= SECOND
    ]
    surely = [(away, one) for away, one in apart if one.level != track.level or away > _SURELY_APART_M * _SURELY_APART_M]
    return [one for _, one in sorted(surely, key=lambda pair: (pair[0], pair[1].id))[:_N_OTHERS]]
