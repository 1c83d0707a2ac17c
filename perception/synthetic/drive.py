"""When to be where on a path: speeds that keep clear of everyone who has already planned.

Vehicles plan one after another, each against the plans before it, over path and time. A plan, once made, ends in a
stall or outside, so nobody can wait for ever and no two vehicles touch. Speeds change once every half second by
whole steps, which keeps every vehicle on whole steps of its path; the fastest plan that is clear is found depth first.

Source: prioritized planning, Erdmann & Lozano-Pérez, "On multiple moving objects" (1987), over path and time as in
Kant & Zucker, "Toward efficient trajectory planning: the path-velocity decomposition" (1986).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from perception.synthetic.footprints import Rectangle, overlap
from perception.synthetic.paths import SPEED_STEP_MPS, Path
from site_models.schema import LevelId
from twin.events.ids import Micros

TICK: Micros = 500_000
"""Time between changes of speed."""

_CHANGES = (1, 0, -1, -2, -3)  # steps of speed a tick: up to 1 m/s² faster, 3 m/s² slower
_MARGIN_M, _SIDE_M, _HEADWAY_S = 0.35, 0.2, 0.6
_MOST_STATES = 4_000
_LONGEST_TICKS = 360
_NO_WAITS: Mapping[int, int] = MappingProxyType({})


class _Room(NamedTuple):
    """What a vehicle needs at a moment; nothing farther from its middle than ``reach_m`` belongs to it."""

    x: float
    y: float
    reach_m: float
    rectangle: Rectangle
    levels: frozenset[LevelId]


def _room(path: Path, step: float, speed_mps: float) -> _Room:
    rectangle = path.room(step, speed_mps, _MARGIN_M, _SIDE_M, _HEADWAY_S)
    x, y, _, _, length, width = rectangle
    return _Room(x, y, length + width, rectangle, path.levels[min(int(step), path.last)])


class Drive(NamedTuple):
    """A path and where on it one is at each tick.

    Attributes:
        start_at: time of the first tick.
        steps: (K,) steps of the path; speeds: (K,) at each tick, in steps of ``SPEED_STEP_MPS``.
    """

    path: Path
    start_at: Micros
    steps: list[int]
    speeds: list[int]

    @property
    def end_at(self) -> Micros:
        """When the path's end is reached."""
        return self.start_at + (len(self.steps) - 1) * TICK

    def at(self, at: Micros) -> tuple[float, float]:
        """Step of the path, and speed in metres per second along it."""
        tick, rest = divmod(at - self.start_at, TICK)
        if tick >= len(self.steps) - 1:
            return float(self.steps[-1]), self.speeds[-1] * SPEED_STEP_MPS
        share, before = rest / TICK, self.speeds[tick]
        change = self.speeds[tick + 1] - before
        return self.steps[tick] + share * (2 * before + share * change), (before + share * change) * SPEED_STEP_MPS

    def reaches_at(self, step: float) -> Micros:
        """When a step of the path is reached, to the microsecond."""
        tick = min(max(bisect_right(self.steps, step) - 1, 0), len(self.steps) - 2)
        low, high = 0, TICK
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.at(self.start_at + tick * TICK + middle)[0] <= step else (low, middle)
        return self.start_at + tick * TICK + high

    def without_waiting(self) -> Drive:
        """The drive from the moment it moves."""
        n_waiting = next((tick for tick, step in enumerate(self.steps) if step > 0), 1) - 1
        return Drive(self.path, self.start_at + n_waiting * TICK, self.steps[n_waiting:], self.speeds[n_waiting:])


class Road:
    """The plans of everyone who drives: what room is taken when, at every half tick."""

    def __init__(self) -> None:
        self._taken: defaultdict[int, list[_Room]] = defaultdict(list)

    def is_clear(self, room: _Room, half_tick: int) -> bool:
        """Whether nobody's room overlaps this one then."""
        x, y, reach_m, rectangle, levels = room
        for other_x, other_y, other_reach_m, other, on in self._taken.get(half_tick, ()):
            far_m = reach_m + other_reach_m
            if -far_m < x - other_x < far_m and -far_m < y - other_y < far_m and levels & on and overlap(rectangle, other):
                return False
        return True

    def take(self, drive: Drive) -> None:
        """Reserve a drive's room."""
        first = drive.start_at // (TICK // 2)
        for half in range(2 * len(drive.steps) - 1):
            self._taken[first + half].append(_room(drive.path, *drive.at(drive.start_at + half * (TICK // 2))))

    def forget(self, before_at: Micros) -> None:
        """Drop what was taken before a time."""
        limit = before_at // (TICK // 2)
        for half_tick in [half_tick for half_tick in self._taken if half_tick < limit]:
            del self._taken[half_tick]


class _Moment(NamedTuple):
    """A state of the search: after ``tick`` ticks one is at a step, with a speed, and has waited there if one must."""

    tick: int
    step: int
    speed: int


class _Search:
    """Depth first over (tick, step, speed), fastest first; every state is tried once."""

    def __init__(self, road: Road, path: Path, start_at: Micros, *, is_parked_at_first: bool, waits: Mapping[int, int]) -> None:
        self._road, self._path, self._is_parked_at_first, self._waits = road, path, is_parked_at_first, waits
        self._first = start_at // (TICK // 2)
        self._seen: set[tuple[int, int, int]] = set()
        self._rooms: dict[tuple[float, float], _Room] = {}

    def run(self, speed: int) -> list[_Moment] | None:
        """The moments of change, or None when no clear plan was found within bounds."""
        if not self._is_clear(0, 0.0, speed * SPEED_STEP_MPS):
            return None
        plan = [_Moment(0, 0, speed)]
        choices = [self._moves(*plan[0])]
        while choices and len(self._seen) < _MOST_STATES:
            move = next(choices[-1], None)
            if move is None:
                choices.pop()
                plan.pop()
            else:
                plan.append(move)
                if move.step == self._path.last:
                    return plan
                choices.append(self._moves(*move))
        return None

    def _moves(self, tick: int, step: int, speed: int) -> Iterator[_Moment]:
        if tick >= _LONGEST_TICKS:
            return
        last, limit = self._path.last, self._path.limit
        for change in _CHANGES:
            faster = speed + change
            if faster < 0:
                return
            after = min(step + speed + faster, last)
            if faster > limit[after] or 0 in limit[step + 1 : after] or (tick + 1, after, faster) in self._seen:
                continue
            self._seen.add((tick + 1, after, faster))
            half = step + speed + change / 4
            if self._is_clear(2 * tick + 1, min(half, last), (speed + change / 2) * SPEED_STEP_MPS) and self._is_clear(
                2 * tick + 2, float(after), faster * SPEED_STEP_MPS
            ):
                wait = self._waits.get(after, 0) if after != step else 0
                if self._can_wait(tick + 1, after, wait):
                    yield _Moment(tick + 1 + wait, after, faster)

    def _can_wait(self, tick: int, step: int, n_ticks: int) -> bool:
        return all(self._is_clear(2 * tick + half, float(step), 0.0) for half in range(1, 2 * n_ticks + 1))

    def _is_clear(self, half: int, step: float, speed_mps: float) -> bool:
        if step == 0 and self._is_parked_at_first:
            return True
        room = self._rooms.get((step, speed_mps))
        if room is None:
            room = self._rooms[step, speed_mps] = _room(self._path, step, speed_mps)
        return self._road.is_clear(room, self._first + half)


def planned(
    road: Road,
    path: Path,
    start_at: Micros,
    *,
    speed: int,
    is_parked_at_first: bool,
    waits: Mapping[int, int] = _NO_WAITS,
) -> Drive | None:
    """The fastest drive found that keeps clear of the road's plans, or None: try again later.

    Args:
        start_at: a multiple of ``TICK``.
        speed: at the path's start, in steps of ``SPEED_STEP_MPS``.
        is_parked_at_first: the path begins in a stall, where nobody is in the way and waiting is safe.
        waits: ticks to stand at steps where the path's limit is 0.
    """
    plan = _Search(road, path, start_at, is_parked_at_first=is_parked_at_first, waits=waits).run(speed)
    if plan is None:
        return None
    steps, speeds = [0], [speed]
    for before, after in pairwise(plan):
        n_ticks = after.tick - before.tick
        steps += [after.step] * n_ticks
        speeds += [after.speed] * n_ticks
    return Drive(path, start_at, steps, speeds)
