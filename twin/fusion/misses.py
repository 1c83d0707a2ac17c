"""Parked vehicles that a frame's camera should have seen, and did not: in its clear view, and matched by none of its boxes."""

from __future__ import annotations

from collections.abc import Sequence

from twin.fusion.absence import miss, note_rate
from twin.fusion.draft import Draft
from twin.fusion.frame import Seen
from twin.fusion.place import Look
from twin.fusion.placing import BODY_M
from twin.fusion.sight import Cover, cover_of, is_hidden, shown, visible
from twin.fusion.stall_covers import FrameCovers
from twin.fusion.stall_views import hidden
from twin.fusion.stalls import TOO_HIDDEN
from twin.fusion.state import Track, TrackId


class Misses:
    """Works on a draft."""

    def __init__(self, draft: Draft, covers: FrameCovers) -> None:
        self._draft, self._covers = draft, covers
        self._columns, self._linking = draft.columns, draft.linking

    def take(self, matched: Sequence[TrackId], seen: Seen) -> None:
        """What a frame says of parked vehicles that it does not show; those that are gone by that are hidden.

        Args:
            matched: tracks that have a box of the frame.
        """
        camera = seen.pending.camera
        rows = self._columns.unseen(camera, seen.level, matched)
        if not len(rows):
            return
        pixels = self._draft.scene.placing.pixels(seen.camera, self._columns.numbers[rows], BODY_M)
        if (is_shown := shown(seen, pixels)) is None:
            return
        tracks, without_place = self._columns.at(rows), self._linking.without_place(seen)
        cover = cover_of(seen, self._linking.recent(seen))
        for place in visible(pixels, is_shown, [track.tracklets for track in tracks], cover):
            track = tracks[place]
            if track.id in without_place or not (camera in track.seen_rate or camera in track.looks or not track.looks):
                continue
            if not self._is_hidden(track, track.looks.get(camera), seen, cover):
                self._miss(self._draft.mine(track.id), seen)

    def _miss(self, track: Track, seen: Seen) -> None:
        camera = seen.pending.camera
        gone_at = miss(track, camera, seen.at, self._draft.scene.parameters)
        if gone_at is not None:
            self._draft.life.hide(track, gone_at)
        note_rate(track, camera, was_seen=False)
        if track.status != "parked":
            self._columns.write(track)
        if track.status == "hidden":
            self._draft.count_lost(track)
        self._columns.note_seen(track, (camera,))

    def _is_hidden(self, track: Track, look: Look | None, seen: Seen, cover: Cover) -> bool:
        """Whether a parked vehicle may not be detected for what is before it; of one that was never seen to stand, a car."""
        if look is not None:
            return is_hidden(look.box_px, track.tracklets, cover.boxes)
        if track.stall is None or track.looks:
            return False
        view = self._draft.scene.stall_views(seen.camera, seen.level, seen.pending.frame.frame_px).get(track.stall)
        return view is None or hidden([view], self._covers.of(seen))[0] > TOO_HIDDEN
