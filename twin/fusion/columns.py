"""Tracks as columns, for what looks at all of them in each frame. Beside the tracks, for the time of a step; never saved.

Shape letters: T tracks, in the order of the state's, with those that are no more among them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from twin.events.ids import CameraId, LevelId
from twin.fusion.gating import GONE, HIDDEN, LEFT, MOVING, PARKED, TENTATIVE
from twin.fusion.state import Status, Track, TrackId
from twin.spatial.compiled import Bools

_CODE: dict[Status, int] = {"tentative": TENTATIVE, "moving": MOVING, "parked": PARKED, "hidden": HIDDEN, "left": LEFT}
_N_NUMBERS = 14
_SPARE = 64


class TrackColumns:
    """What is asked of all tracks at once, by rows.

    Attributes:
        numbers: (T, 14) x, y, vx, vy and the upper triangle of their covariance, as ``Motion``.
        times: (T, 2) the motion's, and when it was last seen.
        kinds: (T, 4) level, status, whether it stands, whether no camera's look at it is kept.
        tracks: by row.
        seen_by: of each camera, the tracks that it has a rate or a look of, and some that it has none of any more.
    """

    def __init__(self, tracks: Iterable[Track]) -> None:
        self.tracks = list(tracks)
        self.row_by_id: dict[TrackId, int] = {track.id: row for row, track in enumerate(self.tracks)}
        self.seen_by: dict[CameraId, dict[TrackId, None]] = {}
        for track in self.tracks:
            self.note_seen(track, (*track.seen_rate, *track.looks))
        self._level: dict[LevelId, int] = {}
        n = len(self.tracks)
        self.numbers, self.times = np.zeros((n + _SPARE, _N_NUMBERS)), np.zeros((n + _SPARE, 2), dtype=np.int64)
        self.kinds = np.full((n + _SPARE, 4), GONE, dtype=np.int64)
        if n:
            motions = [track.motion for track in self.tracks]
            self.numbers[:n] = [(one.x, one.y, one.vx, one.vy, *one.p) for one in motions]
            self.times[:n] = [(one.motion.at, one.seen_at) for one in self.tracks]
            self.kinds[:n] = [self._kinds_of(track) for track in self.tracks]

    def level(self, name: LevelId) -> int:
        """A level's number in ``kinds``."""
        return self._level.setdefault(name, len(self._level))

    def write(self, track: Track) -> None:
        """Note a track as it is now; a new one comes last."""
        row = self.row_by_id.get(track.id)
        if row is None:
            row = self._add(track)
        self.tracks[row] = track
        motion = track.motion
        self.numbers[row] = (motion.x, motion.y, motion.vx, motion.vy, *motion.p)
        self.times[row] = (motion.at, track.seen_at)
        self.kinds[row] = self._kinds_of(track)

    def note_seen(self, track: Track, cameras: Iterable[CameraId]) -> None:
        """A track has a rate or a look of these cameras."""
        for camera in cameras:
            self.seen_by.setdefault(camera, {})[track.id] = None

    def drop(self, track: TrackId) -> None:
        """Forget a track."""
        self.kinds[self.row_by_id.pop(track), 1] = GONE

    def within(self, level: LevelId, x: float, y: float, reach_m: float) -> list[Track]:
        """Tracks on a level no farther from a place, in order."""
        dx, dy = self.numbers[:, 0] - x, self.numbers[:, 1] - y
        return self._some(level, dx * dx + dy * dy <= reach_m * reach_m)

    def between(self, level: LevelId, left: float, low: float, right: float, high: float) -> list[Track]:
        """Tracks on a level in a rectangle, its edges included, in order."""
        x, y = self.numbers[:, 0], self.numbers[:, 1]
        return self._some(level, (left <= x) & (x <= right) & (low <= y) & (y <= high))

    def not_looked_at(self, level: LevelId) -> list[TrackId]:
        """Parked tracks on a level at which no camera's look is kept."""
        return [track.id for track in self._some(level, (self.kinds[:, 1] == PARKED) & (self.kinds[:, 3] == 1))]

    def _some(self, level: LevelId, is_meant: Bools) -> list[Track]:
        is_meant = is_meant & (self.kinds[:, 0] == self.level(level)) & (self.kinds[:, 1] != GONE)
        rows: list[int] = np.flatnonzero(is_meant).tolist()
        return [self.tracks[row] for row in rows]

    def _add(self, track: Track) -> int:
        row = self.row_by_id[track.id] = len(self.tracks)
        self.tracks.append(track)
        if row == len(self.numbers):
            self.numbers, self.times = np.concatenate((self.numbers, np.zeros_like(self.numbers))), np.tile(self.times, (2, 1))
            self.kinds = np.concatenate((self.kinds, np.full_like(self.kinds, GONE)))
        return row

    def _kinds_of(self, track: Track) -> tuple[int, int, bool, bool]:
        code = _CODE[track.status]
        is_standing = code == PARKED or (code == TENTATIVE and track.still is not None)
        return self.level(track.level), code, is_standing, not track.looks
