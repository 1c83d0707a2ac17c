"""Tracks as columns, for what looks at all of them in each frame. Beside the tracks, for the time of a step; never saved.

Shape letters: T tracks, in the order of the state's, with those that are no more among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

import numpy as np

from twin.events.ids import CameraId, LevelId
from twin.fusion.gating import GONE, HIDDEN, LEFT, MOVING, PARKED, TENTATIVE, inside, unlooked
from twin.fusion.state import Status, Track, TrackId
from twin.spatial.compiled import Ints

_CODE: dict[Status, int] = {"tentative": TENTATIVE, "moving": MOVING, "parked": PARKED, "hidden": HIDDEN, "left": LEFT}
_Written = tuple[tuple[float, ...], tuple[int, int, bool, bool]]
_N_NUMBERS = 14
_SPARE = 64
_SLACK_M = 0.01  # more than rounding


class TrackColumns:
    """What is asked of all tracks at once, by rows.

    Attributes:
        numbers: (T, 14) x, y, vx, vy and the upper triangle of their covariance, as ``Motion``.
        times: (T, 2) the motion's, and when it was last seen.
        kinds: (T, 4) level, status, whether it stands, whether no camera's look at it is kept.
        tracks: by row.
        seen_by: of each camera, the tracks that it has a rate or a look of, and some that it has none of any more.
    """

    def __init__(self) -> None:
        self._level: dict[LevelId, int] = {}
        self._fill(())

    def of(self, tracks: Mapping[TrackId, Track]) -> Self:
        """These columns, of tracks in the order of their ids; most of them are those that they were of before.

        What a state holds is never changed in place: the same object has the same row.
        """
        if len(self.tracks) > 2 * len(tracks) + _SPARE or not all(name in self.row_by_id for name in tracks):
            self._fill(tracks.values())
            return self
        for name in [name for name in self.row_by_id if name not in tracks]:
            self.drop(name)
        for name, track in tracks.items():
            if self.tracks[self.row_by_id[name]] is not track:
                self.write(track)
                self.note_seen(track, (*track.seen_rate, *track.looks))
        return self

    def _fill(self, tracks: Iterable[Track]) -> None:
        self.tracks = list(tracks)
        self.row_by_id: dict[TrackId, int] = {track.id: row for row, track in enumerate(self.tracks)}
        self.seen_by: dict[CameraId, dict[TrackId, None]] = {}
        n = len(self.tracks)
        self.numbers, self.times = np.zeros((n + _SPARE, _N_NUMBERS)), np.zeros((n + _SPARE, 2), dtype=np.int64)
        self.kinds = np.full((n + _SPARE, 4), GONE, dtype=np.int64)
        self._written: list[_Written | None] = [None] * n
        for track in self.tracks:
            self.write(track)
            self.note_seen(track, (*track.seen_rate, *track.looks))

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
        numbers, kinds = (motion.x, motion.y, motion.vx, motion.vy, *motion.p), self._kinds_of(track)
        known = self._written[row]
        if known != (numbers, kinds):  # comparing costs less than writing, and most of what stands stays as it is
            self.numbers[row], self.kinds[row], self._written[row] = numbers, kinds, (numbers, kinds)
        self.times[row, 0], self.times[row, 1] = motion.at, track.seen_at

    def note_seen(self, track: Track, cameras: Iterable[CameraId]) -> None:
        """A track has a rate or a look of these cameras."""
        for camera in cameras:
            self.seen_by.setdefault(camera, {})[track.id] = None

    def drop(self, track: TrackId) -> None:
        """Forget a track."""
        self.kinds[self.row_by_id.pop(track), 1] = GONE

    def around(self, level: LevelId, x: float, y: float, reach_m: float) -> list[Track]:
        """Tracks on a level no farther from a place, and a few more, in order."""
        reach_m += _SLACK_M
        return self.between(level, x - reach_m, y - reach_m, x + reach_m, y + reach_m)

    def between(self, level: LevelId, left: float, low: float, right: float, high: float) -> list[Track]:
        """Tracks on a level in a rectangle, its edges included, in order."""
        rows = self.rows()
        n = inside(self.numbers, self.kinds, self.level(level), left, low, right, high, rows)
        return [self.tracks[row] for row in rows[:n].tolist()]

    def not_looked_at(self, level: LevelId) -> list[TrackId]:
        """Parked tracks on a level at which no camera's look is kept."""
        rows = self.rows()
        found: list[int] = rows[: unlooked(self.kinds, self.level(level), rows)].tolist()
        return [self.tracks[row].id for row in found]

    def rows(self) -> Ints:
        """(T,) room for rows."""
        return np.empty(len(self.kinds), dtype=np.int64)

    def _add(self, track: Track) -> int:
        row = self.row_by_id[track.id] = len(self.tracks)
        self.tracks.append(track)
        self._written.append(None)
        if row == len(self.numbers):
            self.numbers, self.times = np.concatenate((self.numbers, np.zeros_like(self.numbers))), np.tile(self.times, (2, 1))
            self.kinds = np.concatenate((self.kinds, np.full_like(self.kinds, GONE)))
        return row

    def _kinds_of(self, track: Track) -> tuple[int, int, bool, bool]:
        code = _CODE[track.status]
        is_standing = code == PARKED or (code == TENTATIVE and track.still is not None)
        return self._level.get(track.level) or self.level(track.level), code, is_standing, not track.looks
