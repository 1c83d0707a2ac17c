"""Sightings in columns: those of one vehicle, and those of all candidates one after the other. Pure.

What evidence asks of thousands of sightings is so asked at once; a ``Shot`` is made of those that are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import inf
from typing import Any, get_args

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from retrieval.context import (
    DRIVE_MPS,
    HARD,
    RACE_MPS,
    SLACK_S,
    WALK_MPS,
    Distance,
    Drive,
    Kind,
    Own,
    Shot,
    kind_of,
    own_of,
)
from twin.events.ids import SECOND, CameraId, Micros
from twin.events.observations import VehicleKind

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_EVER: Micros = 2**62


KINDS: tuple[VehicleKind, ...] = get_args(VehicleKind)
KIND_CODE: Mapping[str | None, int] = {None: -1, **{name: code for code, name in enumerate(KINDS)}}


class Columns(Struct, frozen=True, kw_only=True, eq=False):
    """Sightings of one vehicle.

    Attributes:
        at: (N,) by the site's clock.
        cameras: names; ``camera`` (N,) which of them saw it.
        look: (N,) cosine with the probe, nan where it was not compared.
        kind: (N,) place in ``KINDS``, -1 of one without.
    """

    at: Ints
    cameras: Sequence[CameraId]
    camera: Ints
    look: Floats
    kind: Ints


def columns_of(shots: Sequence[Shot]) -> Columns:
    """Of shots as they are."""
    if isinstance(shots, ShotsInColumns):
        return shots.columns
    names = dict.fromkeys(shot.camera for shot in shots)
    code_of = {name: code for code, name in enumerate(names)}
    return Columns(
        at=np.array([shot.at for shot in shots], np.int64),
        cameras=tuple(names),
        camera=np.array([code_of[shot.camera] for shot in shots], np.int64),
        look=np.array([np.nan if shot.look is None else shot.look for shot in shots], np.float64),
        kind=np.array([KIND_CODE[shot.kind] for shot in shots], np.int64),
    )


class ShotsInColumns(Sequence[Shot]):
    """Shots that are made when they are asked for."""

    columns: Columns

    def __len__(self) -> int:
        return len(self.columns.at)

    def __iter__(self) -> Iterator[Shot]:
        return (self.shot(row) for row in range(len(self)))

    def __getitem__(self, row: Any) -> Any:
        return [self.shot(one) for one in range(*row.indices(len(self)))] if isinstance(row, slice) else self.shot(row)

    def shot(self, row: int) -> Shot:
        """The one in a row."""
        raise NotImplementedError


class ShotsInOrder(Sequence[Shot]):
    """Some of a vehicle's shots, in an order of their own."""

    def __init__(self, shots: ShotsInColumns, rows: Ints) -> None:
        self._shots = shots
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self._shots.shot(row) for row in self._rows[place].tolist()]
        return self._shots.shot(int(self._rows[place]))

    def compared(self) -> ShotsInOrder:
        """Those that were compared with the probe."""
        return ShotsInOrder(self._shots, self._rows[~np.isnan(self._shots.columns.look[self._rows])])


def best_first(shots: Sequence[Shot]) -> Sequence[Shot]:
    """The most alike first, those that were not compared last; equally alike ones by time, camera, tracklet and crop."""
    if isinstance(shots, ShotsInColumns):
        at, look = shots.columns.at, np.where(np.isnan(shots.columns.look), NOT_COMPARED, shots.columns.look)
        rows = np.lexsort((at, -look))
        if not ((np.diff(look[rows]) == 0.0) & (np.diff(at[rows]) == 0)).any():  # else the names decide
            return ShotsInOrder(shots, rows)
    return tuple(sorted(shots, key=_order))


def compared_only(shots: Sequence[Shot]) -> Sequence[Shot]:
    """Without those that were not compared with the probe."""
    return shots.compared() if isinstance(shots, ShotsInOrder) else tuple(shot for shot in shots if shot.look is not None)


NOT_COMPARED = -2.0


def _order(shot: Shot) -> tuple[float, Micros, str, str, str]:
    look = NOT_COMPARED if shot.look is None else shot.look
    return -look, shot.at, shot.camera, shot.tracklet, shot.crop or ""


class ShotTable:
    """Sightings of V candidates.

    Attributes:
        first_at, last_at: (V,) when each was seen; of one that nobody saw, ever later and ever earlier.
    """

    def __init__(self, each: Sequence[Columns]) -> None:
        sizes = np.array([len(one.at) for one in each], np.int64)
        of_names = {id(one.cameras): tuple(one.cameras) for one in each}  # most share one sequence
        codes = {name: code for code, name in enumerate(dict.fromkeys(chain.from_iterable(of_names.values())))}
        of_each = {key: np.array([codes[name] for name in names], np.int64) for key, names in of_names.items()}
        none = [np.zeros(0, np.int64)]
        self._n = len(each)
        self._starts = np.cumsum(sizes) - sizes
        self._seen = np.flatnonzero(sizes)
        self._owner = np.repeat(np.arange(len(each)), sizes)
        self._at = np.concatenate([*none, *(one.at for one in each)])
        self._look = np.concatenate([np.zeros(0), *(one.look for one in each)])
        self._camera = np.concatenate([*none, *(of_each[id(one.cameras)][one.camera] for one in each)])
        self._kind = np.concatenate([*none, *(one.kind for one in each)])
        self._names = list(codes)
        self.first_at: Ints = self._reduced(np.minimum, self._at, _EVER)
        self.last_at: Ints = self._reduced(np.maximum, self._at, -_EVER)

    def drives(self, camera: CameraId, at: Micros, distance_m: Distance) -> list[Drive]:
        """Whether one drive joins the anchor with the sightings around it: the hardest of those that it takes.

        Around it are the last sightings up to its time and the first after it: these bound where the vehicle was then.
        """
        slack, is_before = round(SLACK_S * SECOND), self._at <= at
        last = self._reduced(np.maximum, np.where(is_before, self._at, -_EVER), -_EVER)[self._owner]
        first = self._reduced(np.minimum, np.where(is_before, _EVER, self._at), _EVER)[self._owner]
        rows = np.flatnonzero(np.where(is_before, self._at >= last - slack, self._at <= first + slack))
        told = [Drive(reach="unknown")] * self._n
        if not len(rows):
            return told
        seen_at, code, owner = self._at[rows], self._camera[rows], self._owner[rows]
        metres, seconds = self._metres(code, is_before[rows], camera, distance_m), np.abs(seen_at - at) / SECOND
        hard = _hard(metres, seconds)
        # The hardest; of equally hard ones the farthest, then the last by the camera's name, then the first by time.
        order = np.lexsort((seen_at, -self._ranks()[code], -metres, -hard, owner))
        best = order[np.append(True, np.diff(owner[order]) > 0)]
        for row, who in zip(best.tolist(), owner[best].tolist(), strict=True):
            told[who] = Drive(
                reach=HARD[hard[row]],
                camera=self._names[code[row]],
                metres=float(metres[row]),
                seconds=float(seconds[row]),
            )
        return told

    def own(self, camera: CameraId, at: Micros, itself_from: float) -> list[tuple[Own, float]]:
        """How near in time a camera itself saw each vehicle, and seconds to it: see ``context.own_of``."""
        gaps_s, is_itself = np.full(self._n, inf), np.zeros(self._n, np.bool_)
        if camera in self._names:
            rows = np.flatnonzero(self._camera == self._names.index(camera))
            owner, gap_s = self._owner[rows], np.abs(self._at[rows] - at) / SECOND
            np.minimum.at(gaps_s, owner, gap_s)
            is_itself[owner[(gap_s <= SLACK_S) & (self._look[rows] >= itself_from)]] = True
        return [(own_of(gap_s, itself), gap_s) for gap_s, itself in zip(gaps_s.tolist(), is_itself.tolist(), strict=True)]

    def nearest(self, camera: CameraId, distance_m: Distance) -> list[Drive]:
        """Of a probe whose time is not known: the shortest way from its camera to one that saw the vehicle."""
        ways = sorted((distance_m(camera, name), name) for name in self._names)
        rank_of = {name: rank for rank, (_, name) in enumerate(ways)}
        ranks = np.array([rank_of[name] for name in self._names], np.int64)[self._camera]
        told = list[Drive]()
        for rank in self._reduced(np.minimum, ranks, len(ways)).tolist():
            if rank == len(ways):
                told.append(Drive(reach="unknown"))
                continue
            metres, name = ways[rank]
            reach = "no_way" if metres == inf else "standing" if metres <= 0.0 else "driving"
            told.append(Drive(reach=reach, camera=name, metres=metres))
        return told

    def kinds(self, kind: VehicleKind | None) -> list[Kind]:
        """Whether most sightings of each vehicle are of a kind."""
        if kind is None:
            return ["unknown"] * self._n
        n_told = np.bincount(self._owner[self._kind >= 0], minlength=self._n).tolist()
        n_same = np.bincount(self._owner[self._kind == KIND_CODE[kind]], minlength=self._n).tolist()
        return [kind_of(told, same) for told, same in zip(n_told, n_same, strict=True)]

    def seen_by(self, camera: CameraId, from_at: Micros, until_at: Micros) -> Bools:
        """(V,) whether a camera saw each between two times, both included."""
        found = np.zeros(self._n, np.bool_)
        if camera in self._names:
            rows = (self._camera == self._names.index(camera)) & (self._at >= from_at) & (self._at <= until_at)
            found[self._owner[rows]] = True
        return found

    def _reduced(self, of: np.ufunc, values: NDArray[Any], of_none: int) -> Ints:
        found = np.full(self._n, of_none, np.int64)
        if len(self._seen):
            found[self._seen] = of.reduceat(values, self._starts[self._seen])
        return found

    def _metres(self, code: Ints, is_before: Bools, camera: CameraId, distance_m: Distance) -> Floats:
        """Of each row, from who saw the vehicle before to the camera, and from the camera to who saw it afterwards."""
        ways, which = np.unique(code * 2 + is_before, return_inverse=True)
        asked = [(self._names[way // 2], camera) if way % 2 else (camera, self._names[way // 2]) for way in ways.tolist()]
        return np.array([distance_m(start, end) for start, end in asked], np.float64)[which]

    def _ranks(self) -> Ints:
        """(K,) of each camera, its place by name."""
        ranks = np.empty(len(self._names), np.int64)
        ranks[sorted(range(len(self._names)), key=self._names.__getitem__)] = np.arange(len(self._names))
        return ranks


def _hard(metres: Floats, seconds: Floats) -> Ints:
    """How hard drives are, as numbers of ``context.HARD``."""
    speed_mps = metres / (seconds + SLACK_S)
    by_speed = 1 + (speed_mps > WALK_MPS) + (speed_mps > DRIVE_MPS) + (speed_mps > RACE_MPS).astype(np.int64)
    return np.where(np.isinf(metres), HARD.index("no_way"), by_speed)
