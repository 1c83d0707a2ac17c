"""Tracks as columns, for what looks at all of them in each frame. Beside the tracks, for the time of a step; never saved.

Shape letters: T tracks, in the order of the state's, with those that are no more among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Self

import numpy as np

from twin.events.ids import CameraId, LevelId, Micros, StallId
from twin.fusion.gating import GONE, HIDDEN, LEFT, MOVING, PARKED, TENTATIVE, inside, standing
from twin.fusion.motion import Upper
from twin.fusion.place import Look
from twin.fusion.state import Status, Track, TrackId
from twin.spatial.compiled import Bools, Floats, Ints

_CODE: dict[Status, int] = {"tentative": TENTATIVE, "moving": MOVING, "parked": PARKED, "hidden": HIDDEN, "left": LEFT}
_Kinds = tuple[int, int, bool, bool]
_Written = tuple[float, float, float, float, Upper, _Kinds]
StallAt = Callable[[LevelId, float, float], StallId | None]
_N_NUMBERS = 14
_SPARE = 64
_SLACK_M = 0.01  # more than rounding
_KNOWN_LOOKS = 3
_OWN_SHARE = 0.35  # of a look's variance: what a camera's looks at one place do not have in common
_NO_LOOKS: Mapping[CameraId, Look] = MappingProxyType({})
_NOT_KNOWN = (0.0, 0.0, 0.0, 0.0, 0.0, -1.0)


class TrackColumns:
    """What is asked of all tracks at once, by rows.

    Attributes:
        numbers: (T, 14) x, y, vx, vy and the upper triangle of their covariance, as ``Motion``.
        times: (T, 2) the motion's, and when it was last seen.
        kinds: (T, 4) level, status, whether it stands, whether no camera's look at it is kept.
        tracks: by row.
    """

    def __init__(self) -> None:
        self._level: dict[LevelId, int] = {}
        self._fill(())

    def of(self, tracks: Mapping[TrackId, Track]) -> Self:
        """These columns, of tracks in the order of their ids; most of them are those that they were of before.

        What a state holds is never changed in place: the same object has the same row.
        """
        gone = self.row_by_id.keys() - tracks.keys()
        if len(self.tracks) > 2 * len(tracks) + _SPARE or len(self.row_by_id) - len(gone) != len(tracks):
            self._fill(tracks.values())
            return self
        for name in gone:
            self.drop(name)
        for name, track in tracks.items():
            if self.tracks[self.row_by_id[name]] is not track:
                self.write(track)
                self.note_seen(track, (*track.seen_rate, *track.looks))
        return self

    def _fill(self, tracks: Iterable[Track]) -> None:
        self.tracks = list(tracks)
        self.row_by_id: dict[TrackId, int] = {track.id: row for row, track in enumerate(self.tracks)}
        self._known_by: dict[CameraId, Bools] = {}
        n = len(self.tracks)
        self.numbers, self.times = np.zeros((n + _SPARE, _N_NUMBERS)), np.zeros((n + _SPARE, 2), dtype=np.int64)
        self.kinds = np.full((n + _SPARE, 4), GONE, dtype=np.int64)
        self._written: list[_Written | None] = [None] * n
        self._looks: list[Mapping[CameraId, Look]] = [_NO_LOOKS] * n  # that are in these
        self._looks_of: dict[CameraId, Floats] = {}
        self._stall_of: list[StallId | None] = [None] * n
        self._n_in: dict[StallId, int] = {}
        self._moved = set[int]()  # rows of which it is not known yet in which stall they are
        for track in self.tracks:
            self.write(track)
            self.note_seen(track, (*track.seen_rate, *track.looks))

    def level(self, name: LevelId) -> int:
        """A level's number in ``kinds``."""
        return self._level.setdefault(name, len(self._level) + 1)

    def write(self, track: Track) -> None:
        """Note a track as it is now; a new one comes last."""
        row = self.row_by_id.get(track.id)
        if row is None:
            row = self._add(track)
        self.tracks[row] = track
        motion, kinds = track.motion, self._kinds_of(track)
        now = motion.x, motion.y, motion.vx, motion.vy, motion.p, kinds
        if self._written[row] != now:  # comparing costs less than writing, and most of what stands stays as it is
            self.numbers[row], self.kinds[row], self._written[row] = (*now[:4], *motion.p), kinds, now
            self._moved.add(row)
        self.times[row, 0], self.times[row, 1] = motion.at, track.seen_at
        if self._looks[row] is not track.looks:
            self._write_looks(row, track.looks)

    def keep(self, tracks: Iterable[TrackId], at: Micros) -> None:
        """Note that these were seen at a time, and are as they were."""
        rows = self.row_by_id
        self.times[[rows[name] for name in tracks]] = at

    def looks(self, camera: CameraId) -> Floats:
        """(T, 6) how a camera saw vehicles often enough to know it, as ``gating.pairs`` wants it."""
        found = self._looks_of.get(camera)
        if found is None:
            found = self._looks_of[camera] = np.tile(np.array(_NOT_KNOWN), (len(self.numbers), 1))
        return found

    def note_seen(self, track: Track, cameras: Iterable[CameraId]) -> None:
        """A track has a rate or a look of these cameras."""
        for camera in cameras:
            self._is_known(camera)[self.row_by_id[track.id]] = True

    def drop(self, track: TrackId) -> None:
        """Forget a track."""
        row = self.row_by_id.pop(track)
        self.kinds[row, 1] = GONE
        self._moved.add(row)

    def around(self, level: LevelId, x: float, y: float, reach_m: float) -> list[Track]:
        """Tracks on a level no farther from a place, and a few more, in order."""
        reach_m += _SLACK_M
        return self.between(level, x - reach_m, y - reach_m, x + reach_m, y + reach_m)

    def between(self, level: LevelId, left: float, low: float, right: float, high: float) -> list[Track]:
        """Tracks on a level in a rectangle, its edges included, in order."""
        rows = self.rows()
        n = inside(self.numbers, self.kinds, self.level(level), left, low, right, high, rows)
        return [self.tracks[row] for row in rows[:n].tolist()]

    def in_stalls(self, stall_at: StallAt) -> Mapping[StallId, int]:
        """How many tracks there are in each stall in which there is one.

        Args:
            stall_at: which stall is at a place on a level; always the same.
        """
        for row in self._moved:
            track, before = self.tracks[row], self._stall_of[row]
            is_gone = self.row_by_id.get(track.id) != row
            now = None if is_gone else stall_at(track.level, track.motion.x, track.motion.y)
            if now != before:
                self._stall_of[row] = now
                _add(self._n_in, before, -1)
                _add(self._n_in, now, 1)
        self._moved.clear()
        return self._n_in

    def unseen(self, camera: CameraId, level: LevelId, shown: Iterable[TrackId]) -> Ints:
        """Rows of parked tracks on a level that a camera has a rate or a look of, some of which it has none of any more, or at
        which no camera's look is kept, in order; ``shown`` are those that its frame shows, of which it now has one."""
        row_by_id, is_known, rows = self.row_by_id, self._is_known(camera), self.rows()
        here = [row for name in shown if (row := row_by_id.get(name)) is not None]
        is_shown = np.zeros(len(self.kinds), dtype=np.bool_)
        is_shown[here] = is_known[here] = True
        return rows[: standing(self.kinds, self.level(level), is_known, is_shown, rows)]

    def at(self, rows: Ints) -> list[Track]:
        """Tracks by their rows."""
        numbers: list[int] = rows.tolist()
        return [self.tracks[row] for row in numbers]

    def rows(self) -> Ints:
        """(T,) room for rows."""
        return np.empty(len(self.kinds), dtype=np.int64)

    def _is_known(self, camera: CameraId) -> Bools:
        """(T,) of which tracks a camera has a rate or a look, and some of which it has none any more."""
        found = self._known_by.get(camera)
        if found is None:
            found = self._known_by[camera] = np.zeros(len(self.kinds), dtype=np.bool_)
        return found

    def _add(self, track: Track) -> int:
        row = self.row_by_id[track.id] = len(self.tracks)
        self.tracks.append(track)
        self._written.append(None)
        self._looks.append(_NO_LOOKS)
        self._stall_of.append(None)
        if row == len(self.numbers):
            self.numbers, self.times = np.concatenate((self.numbers, np.zeros_like(self.numbers))), np.tile(self.times, (2, 1))
            self.kinds = np.concatenate((self.kinds, np.full_like(self.kinds, GONE)))
            self._known_by = {camera: np.concatenate((one, np.zeros_like(one))) for camera, one in self._known_by.items()}
            spare = np.tile(np.array(_NOT_KNOWN), (row, 1))
            self._looks_of = {camera: np.concatenate((looks, spare)) for camera, looks in self._looks_of.items()}
        return row

    def _write_looks(self, row: int, looks: Mapping[CameraId, Look]) -> None:
        before = self._looks[row]
        self._looks[row] = looks
        for camera, look in looks.items():
            if before.get(camera) is not look and look.n >= _KNOWN_LOOKS:
                xx, xy, yy = look.covariance_m2
                self.looks(camera)[row] = look.x, look.y, _OWN_SHARE * xx, _OWN_SHARE * xy, _OWN_SHARE * yy, look.rank
            elif look.n < _KNOWN_LOOKS and camera in before:
                self.looks(camera)[row] = _NOT_KNOWN
        for camera in before:
            if camera not in looks:
                self.looks(camera)[row] = _NOT_KNOWN

    def _kinds_of(self, track: Track) -> _Kinds:
        code = _CODE[track.status]
        is_standing = code == PARKED or (code == TENTATIVE and track.still is not None)
        return self._level.get(track.level) or self.level(track.level), code, is_standing, not track.looks


def _add(counts: dict[StallId, int], stall: StallId | None, n: int) -> None:
    """Count so many more in a stall; one in which there is none is not among them."""
    if stall is not None:
        counts[stall] = counts.get(stall, 0) + n
        if not counts[stall]:
            del counts[stall]
