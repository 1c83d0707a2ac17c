"""What each stall holds: a filter of two states, taken and free, whose log-odds gather what speaks for either.

A vehicle that is parked in a stall takes it, as surely as its place lies in it; driving off frees it; a look that would show a
vehicle in it, and shows none, speaks for free by how surely it would. What nobody sees keeps its state, less and less surely;
a stall with a parked vehicle in it never falls free by time.

Source: Moravec & Elfes, "High resolution maps from wide angle sonar" (1985), on cells of two states by sums of log-odds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from twin.events.facts import StallChanged, StallState
from twin.events.ids import SECOND, Micros, StallId, VehicleId
from twin.fusion.arithmetic import probability_of
from twin.fusion.columns import TrackColumns
from twin.fusion.emission import Emission
from twin.fusion.frame import Seen
from twin.fusion.gating import ln1
from twin.fusion.scene import Scene
from twin.fusion.stall_views import Covers, StallView, hidden
from twin.fusion.state import StallBelief

_MOST_NATS = 8.0
_FREE_NATS, _TAKEN_NATS = 6.0, 3.0  # that nothing in it, and that something in it, must reach to be said
_UNKNOWN_NATS = 0.5  # what has faded to less is not known any more
_LEFT_NATS = 4.0  # for free, of a stall that was just left
_SURE_NATS = 1.0  # for taken, at least, while a vehicle is parked in it
_DETECTED = 0.95  # share of the frames in which a vehicle in full view has a box
_LOST_SHARE = 0.75  # hidden: by then detectors find nothing any more
TOO_HIDDEN = 0.6
"""Share of a vehicle behind others' boxes from which on no look tells by itself that it is not there."""
_ALL_HIDDEN = 0.9  # share from which on a look says nothing at all
_GUESS_NATS = 1.4  # for free, at most, of what is too hidden: of such stalls in which nobody was ever seen four in five are
_GUESS_LOOK = 0.01  # nats of one such look: about half a minute of them
_LOOK_SHARE = 0.2  # that a look tells by itself: the next frames of a camera miss the same vehicle for the same reason
_MOST_RATED = 2.5  # nats that one score tells
_ANOTHER_PICTURE: Micros = 10 * SECOND  # sooner, a score is mostly of the same picture as what was seen last
_LOOK_EVERY: Micros = SECOND // 5
_LOOK_AGAIN: Micros = 10 * SECOND  # at a stall that is known to be free
_FADE_EVERY: Micros = 60 * SECOND
_FADE = 0.9771599684342459  # 2^(-1/30): a half in thirty minutes
_MOST_FADES = 600
_NEVER: Micros = 2**62
_TOLD_AGAIN = 0.1  # how far certainty must be from what was said of it
_UNKNOWN = StallBelief("unknown")


class Taken(Struct, frozen=True):
    """A stall that a vehicle takes.

    Attributes:
        vehicle: the one that stands in it; None: ``reached_by`` stands in another one, or none, and reaches into it.
        probability: that it does.
        since_at: when it came to stand there.
    """

    vehicle: VehicleId | None
    probability: float
    since_at: Micros
    reached_by: VehicleId | None = None


class StallFilter:
    """Works on the stalls of one step; ``stalls`` is written to."""

    def __init__(self, stalls: dict[StallId, StallBelief], scene: Scene, emission: Emission) -> None:
        self._stalls, self._scene, self._emission = stalls, scene, emission
        self._due = {name: _due_at(belief) for name, belief in stalls.items()}

    def occupy(self, taken: Mapping[StallId, Taken], left_at: Mapping[VehicleId, Micros], at: Micros) -> None:
        """Bring stalls in line with who is parked in them.

        Args:
            left_at: when those drove off that did.
        """
        stalls = self._stalls
        for name in sorted(name for name, belief in stalls.items() if belief.holder is not None and name not in taken):
            holder = stalls[name].holder
            assert holder is not None
            free = replace(stalls[name], state="free", vehicle=None, reached_by=None, free_nats=_LEFT_NATS, seen_at=at)
            self._tell(name, free, left_at.get(holder, at))
        for name in sorted([name for name, one in taken.items() if not _is_as_taken(stalls.get(name, _UNKNOWN), one)]):
            before, one = stalls.get(name, _UNKNOWN), taken[name]
            if before.vehicle != one.vehicle or before.reached_by != one.reached_by:
                held = replace(before, state="occupied", vehicle=one.vehicle, reached_by=one.reached_by)
                since_at = one.since_at if before.holder is None else at  # else it was another's until now
                self._tell(name, replace(held, free_nats=_taken_nats(one.probability), seen_at=at), since_at)
            else:  # where it stands is known better now
                self._stalls[name] = replace(before, free_nats=_taken_nats(one.probability), seen_at=at)

    def due(self, seen: Seen, columns: TrackColumns) -> list[StallView]:
        """Stalls of which it is asked what a frame says: it is time, and nothing is tracked in them."""
        shown = self._scene.stall_views(seen.camera, seen.level, seen.pending.frame.frame_px)
        found = [view for name, view in shown.items() if self._due.get(name, 0) <= seen.at]
        return self.untracked(found, columns) if found else found

    def untracked(self, views: Sequence[StallView], columns: TrackColumns) -> list[StallView]:
        """Those of these stalls in which nothing is tracked."""
        tracked = columns.in_stalls(self._scene.map.stall_at)
        return [view for view in views if view.place.id not in tracked]

    def look(self, due: Sequence[StallView], seen: Seen, covers: Covers) -> None:
        """What a frame says of stalls in which it shows nothing."""
        for view, share in zip(due, hidden(due, covers), strict=True):
            if share <= _ALL_HIDDEN:
                is_guess = share > TOO_HIDDEN
                told, most = (_GUESS_LOOK, _GUESS_NATS) if is_guess else (_told_by_look(share), _MOST_NATS)
                self._weigh(view.place.id, told, seen.at, most)

    def rate(self, name: StallId, score: float, at: Micros) -> None:
        """What a classifier says of a stall: the probability that it is taken. One that the site does not have is let be."""
        if name in self._scene.centre_m:
            before = self._stalls.get(name, _UNKNOWN)
            anew = min(max((at - before.rated_at) / _ANOTHER_PICTURE, 0.0), 1.0)
            self._stalls[name] = replace(before, rated_at=max(at, before.rated_at))
            self._weigh(name, -anew * min(max(_log_odds(score), -_MOST_RATED), _MOST_RATED), at)

    def fade(self, seen_at: Mapping[VehicleId, Micros], at: Micros) -> None:
        """What nobody saw for long is less sure; of what is no more than a guess nothing is known.

        Args:
            seen_at: when parked vehicles were last seen.
        """
        for name, belief in list(self._stalls.items()):
            if belief.state == "unknown":
                continue
            if belief.certainty is None:  # a release before this one kept no more than the state
                nats = _LEFT_NATS if belief.state == "free" else -_LEFT_NATS
                sure = _certainty(belief.state, nats)
                self._stalls[name] = replace(belief, free_nats=nats, seen_at=at, certainty=sure)
                continue
            holder = belief.holder
            newest = belief.seen_at if holder is None else max(belief.seen_at, seen_at.get(holder, 0))
            nats = _faded(belief.free_nats, at - newest)
            if holder is None and abs(nats) < _UNKNOWN_NATS:
                self._tell(name, replace(belief, state="unknown"), at)
                continue
            nats = nats if holder is None else min(nats, -_SURE_NATS)
            sure = _certainty(belief.state, nats)
            if sure is not None and abs(sure - belief.certainty) >= _TOLD_AGAIN:
                self._tell(name, belief, at, nats)

    def _weigh(self, name: StallId, nats: float, at: Micros, most: float = _MOST_NATS) -> None:
        """Something speaks for free, or, by less than nothing, for taken, of a stall that no parked vehicle takes.

        Args:
            most: that it can make it, if it was less.
        """
        before = self._stalls.get(name, _UNKNOWN)
        if before.holder is not None:
            return
        known = _faded(before.free_nats, at - before.seen_at)
        total = max(min(known + nats, max(known, most)), -_MOST_NATS)
        is_new = total * before.free_nats <= 0.0 or at - before.seen_at > _FADE_EVERY or not before.watched_at
        after = replace(before, free_nats=total, seen_at=at, watched_at=at if is_new else before.watched_at)
        state = "free" if total >= min(_FREE_NATS, most) else "occupied" if total <= -_TAKEN_NATS else before.state
        if state == before.state:
            self._stalls[name] = after
            self._due[name] = _due_at(after)
        else:  # what it is when it becomes known it was since it was watched: nobody came or went
            self._tell(name, replace(after, state=state), at if before.since_at else after.watched_at)

    def _tell(self, name: StallId, belief: StallBelief, at: Micros, faded_nats: float | None = None) -> None:
        """Say what a stall holds, and since when: never before what was said of it last."""
        at = max(at, belief.since_at + 1)
        certainty = _certainty(belief.state, belief.free_nats if faded_nats is None else faded_nats)
        self._stalls[name] = told = replace(belief, since_at=at, certainty=certainty)
        self._due[name] = _due_at(told)
        fact = StallChanged(stall=name, state=belief.state, vehicle=belief.vehicle, certainty=certainty)
        self._emission.emit(at, fact)


def _is_as_taken(belief: StallBelief, taken: Taken) -> bool:
    """Whether a stall is known to be taken so by now."""
    is_holder = belief.vehicle == taken.vehicle and belief.reached_by == taken.reached_by
    return is_holder and belief.free_nats == _taken_nats(taken.probability)


def _due_at(belief: StallBelief) -> Micros:
    """When the next look at a stall is taken into account."""
    if belief.holder is not None:
        return _NEVER
    return belief.seen_at + (_LOOK_AGAIN if belief.state == "free" else _LOOK_EVERY)


def _told_by_look(share: float) -> float:
    """Nats for free: a vehicle hidden by this share would have been seen so surely."""
    rate = _DETECTED * max(0.0, 1.0 - share / _LOST_SHARE)
    return -_LOOK_SHARE * ln1(1.0 - rate)


@lru_cache(maxsize=4_096)
def _taken_nats(probability: float) -> float:
    return -max(min(_log_odds(probability), _MOST_NATS), _SURE_NATS)


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 1e-6), 1.0 - 1e-6)
    return ln1(inside) - ln1(1.0 - inside)


def _faded(nats: float, unseen_us: Micros) -> float:
    for _ in range(min(max(unseen_us, 0) // _FADE_EVERY, _MOST_FADES)):
        nats *= _FADE
    return nats


def _certainty(state: StallState, free_nats: float) -> float | None:
    """How sure a state is; None where nothing is known."""
    if state == "unknown":
        return None
    return probability_of(free_nats if state == "free" else -free_nats)
