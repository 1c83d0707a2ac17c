"""Which of a moving vehicle's tracklets has gone over to another vehicle, where two cameras' boxes of it part.

While a vehicle drives in between others, a camera that sees it less and less may go on with a neighbour's box, and that takes
the track with it, until the box of a camera that sees it well is too far off to be the track's. So what falls out of a track's
gate need not be what strayed: the tracklet that has been the track's for longer stays, and younger ones of other cameras go,
where they are no surer of the place.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from twin.events.ids import SECOND, CameraId, Micros, TrackletId
from twin.fusion.frame import Measured, Seen
from twin.fusion.motion import Cov2
from twin.fusion.state import FusionState, Track, TrackId, TrackletLink

_IN_SIGHT: Micros = SECOND // 2

Strays = list[tuple[CameraId, TrackletId]]


def strays(measured: Measured, seen: Seen, state: FusionState, shown: Container[TrackId]) -> tuple[TrackletLink, Strays] | None:
    """The link of a box of nobody to a moving vehicle that the frame does not show elsewhere, and the younger tracklets that
    took that one away.

    Args:
        shown: tracks that have a box of the frame.
    """
    name, camera = measured.box.tracklet, seen.pending.camera
    link = state.tracklets.get(camera, {}).get(name)
    track = None if link is None else state.tracks.get(link.track)
    if link is None or track is None or track.id in shown or track.status != "moving" or track.level != seen.level:
        return None
    if name not in track.tracklets:
        return None
    younger = track.tracklets[track.tracklets.index(name) + 1 :]
    found = [
        (other, one, links[one])
        for one in younger
        for other, links in state.tracklets.items()
        if other != camera and _is_of(links, one, track, seen.at)
    ]
    if not found or any(_variance(link.covariance_m2) < _variance(measured.covariance_m2) for _, _, link in found):
        return None
    return link, [(other, one) for other, one, _ in found]


def _is_of(links: Mapping[TrackletId, TrackletLink], name: TrackletId, track: Track, at: Micros) -> bool:
    link = links.get(name)
    return link is not None and link.track == track.id and link.is_placed and at - link.seen_at <= _IN_SIGHT


def _variance(covariance_m2: Cov2) -> float:
    return covariance_m2[0] + covariance_m2[2]
