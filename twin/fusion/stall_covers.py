"""What of a frame may hide stalls, or be of vehicles in them: its boxes, and those that its camera knows of and missed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twin.events.ids import CameraId, StallId, TrackletId
from twin.events.observations import DetectedBox
from twin.fusion.draft import Draft
from twin.fusion.frame import Seen
from twin.fusion.sight import boxes_of
from twin.fusion.stall_views import BoxPx, Covers
from twin.fusion.state import Track, TrackId, TrackletLink


class FrameCovers:
    """Those of a frame of a draft, made once, if they are asked for."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._made: tuple[Seen, Covers] | None = None

    def of(self, seen: Seen) -> Covers:
        """What hides stalls in a frame, as tracks are when that is asked first."""
        if self._made is None or self._made[0] is not seen:
            camera, boxes = seen.pending.camera, (*boxes_of(seen), *self._draft.linking.recent(seen))
            state, parked = self._draft.state, self._draft.columns.at(self._draft.columns.unseen(camera, seen.level, ()))
            self._made = seen, _covers_of(camera, boxes, state.tracklets.get(camera, {}), state.tracks, parked)
        return self._made[1]


def _covers_of(
    camera: CameraId,
    boxes: Iterable[DetectedBox],
    links: Mapping[TrackletId, TrackletLink],
    tracks: Mapping[TrackId, Track],
    parked: Iterable[Track],
) -> Covers:
    """Boxes of a camera, with where the vehicles are parked that they are of, and parked vehicles as it saw them last.

    Args:
        boxes: of a frame, and of the moment before it. links: of the camera's tracklets.
        parked: tracks, those of which the camera has a look among them.
    """
    found, stalls = list[BoxPx](), list[StallId | None]()
    for box in boxes:
        link = links.get(box.tracklet)
        track = None if link is None else tracks.get(link.track)
        found.append(box.box_px)
        stalls.append(track.stall if track is not None and track.status == "parked" else None)
    for track in parked:
        if track.stall is not None and (look := track.looks.get(camera)) is not None:
            found.append(look.box_px)
            stalls.append(track.stall)
    return Covers(found, stalls)
