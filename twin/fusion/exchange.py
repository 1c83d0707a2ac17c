"""Tracks that go by each other's names: two boxes crossed, and each went on with the other's tracklet.

A look is of the vehicle that is in the box when it is taken. One that does not look like its track's vehicle, and does look
like another, says that the track follows the other: if that one is seen to look like the first, or is seen no more. A parked
vehicle's track that a neighbour's boxes take to their place is known by who comes up where it had stood.
"""

from __future__ import annotations

from twin.events.ids import SECOND, Micros
from twin.fusion.appearance import Gallery, Nats, View, log_likelihood_ratio
from twin.fusion.identity import vehicle_of
from twin.fusion.scene import Scene
from twin.fusion.standing import away_m
from twin.fusion.state import FusionState, Track, TrackId

_STRANGE_NATS = -2.0  # of 62 vehicles that were found again, none looked so little like itself
_ALIKE_NATS = 1.5
_MARGIN_NATS = 1.5
_LOST: Micros = SECOND  # who is unseen for longer may be who is seen elsewhere
_N_STRANGE = 3
_NEIGHBOUR_M = 6.0
_SETTLED: Micros = 60 * SECOND


def is_strange(views: Gallery, gallery: Gallery, nats: Nats) -> bool:
    """Whether views are not of the vehicle that a gallery is of; never where there is none of either."""
    return log_likelihood_ratio(views, gallery, nats) < _STRANGE_NATS


def with_strange(strange: Gallery, view: View) -> Gallery:
    """The newest views of a track that do not look like its vehicle."""
    return (*strange, view)[-_N_STRANGE:]


def exchanged(state: FusionState, scene: Scene, at: Micros) -> list[tuple[Track, Track]]:
    """Pairs of tracks whose names change places, each track once: first the one that looks like the other's vehicle."""
    found, taken = list[tuple[Track, Track]](), set[TrackId]()
    for track in state.tracks.values():
        if not track.strange or vehicle_of(track) is None or at - track.seen_at > SECOND or track.id in taken:
            continue
        other = _followed(track, state, scene, at)
        if other is not None and other.id not in taken:
            found.append((track, other))
            taken |= {track.id, other.id}
    return found


def _is_shown_as_itself(track: Track, state: FusionState, at: Micros) -> bool:
    """Whether another tracklet that shows the track now looks like its vehicle: then the strange view is of a box that was
    taken for the track's, and the track follows nobody else."""
    names = [
        name
        for links in state.tracklets.values()
        for name, link in links.items()
        if link.track == track.id and link.is_placed and at - link.seen_at <= SECOND
    ]
    shown = [views for name in names if (views := state.views.get(name, ())) and not set(views) & set(track.strange)]
    return any(log_likelihood_ratio(views, track.gallery, state.scores.nats) >= _ALIKE_NATS for views in shown)


def slid(state: FusionState, at: Micros) -> list[Track]:
    """Tracks that left their place a while ago and stand beside it: a neighbour's boxes may have taken them there."""
    return [
        track
        for track in state.tracks.values()
        if track.status == "parked" and track.stood is not None and at - track.stood.at <= _SETTLED
        if away_m(track.stood, track.motion.x, track.motion.y) <= _NEIGHBOUR_M
    ]


def _followed(track: Track, state: FusionState, scene: Scene, at: Micros) -> Track | None:
    """Whose vehicle a track follows, if it is likelier than anybody else's."""
    nats = state.scores.nats
    alike = [
        (log_likelihood_ratio(track.strange, other.gallery, nats), other)
        for other in state.tracks.values()
        if other.id != track.id and vehicle_of(other) is not None
    ]
    alike.sort(key=lambda one: (-one[0], one[1].id))
    if not alike or alike[0][0] < _ALIKE_NATS:
        return None
    best, other = alike[0]
    if len(alike) > 1 and best - alike[1][0] < _MARGIN_NATS:
        return None
    is_mutual = bool(other.strange) and log_likelihood_ratio(other.strange, track.gallery, nats) >= _ALIKE_NATS
    is_lost_here = _may_be_here(other, track, scene, at) and not _is_shown_as_itself(track, state, at)
    return other if is_mutual or is_lost_here else None


def _may_be_here(other: Track, track: Track, scene: Scene, at: Micros) -> bool:
    """Whether one that is seen no more can have come to where the track is."""
    if other.status != "hidden" and at - other.seen_at <= _LOST:
        return False
    there, here = (other.motion.x, other.motion.y), (track.motion.x, track.motion.y)
    way_m = scene.way_m(other.level, there, track.level, here)
    return way_m is not None and way_m <= scene.reach_m(at - other.seen_at)
