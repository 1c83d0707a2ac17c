"""What a second fusion of the same seconds concludes otherwise: only that is said, and what was said instead is superseded.

A fact that is concluded again, with the same time, content and predecessors, stays what it is. Of one vehicle, stall or
camera and one instant, all from the first difference on are said anew, so that net facts of one instant keep their order.
Nothing is compared with a tolerance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from twin.events.codec import subject_of, type_name
from twin.events.envelope import FactEvent
from twin.events.facts import Fact, FactRetracted
from twin.events.ids import EventId, Micros
from twin.fusion.emission import Emission
from twin.rules.window import Stretch, Window

_SUBJECTS = ("session", "stall", "vehicle", "tracklet", "camera")
_Subject = tuple[str, str | None]


class Said:
    """What an earlier fusion said, to be found by what a later one concludes."""

    def __init__(self, facts: Iterable[FactEvent]) -> None:
        self._open: dict[tuple[Micros, str | None], list[FactEvent]] = defaultdict(list)
        self._left: list[FactEvent] = []
        for fact in facts:
            self._open[fact.occurred_at, _line_of(fact.payload)].append(fact)

    def find(self, at: Micros, fact: Fact, supersedes: tuple[EventId, ...]) -> FactEvent | None:
        """The next of its instant and line, if it says the same; else all that follow there are not said again."""
        key = (at, _line_of(fact))
        queue = self._open.get(key)
        if not queue:
            return None
        if queue[0].payload == fact and queue[0].supersedes == supersedes:
            return queue.pop(0)
        self._left += self._open.pop(key)
        return None

    def left(self) -> list[FactEvent]:
        """What was not found."""
        return [*self._left, *(fact for queue in self._open.values() for fact in queue)]


def _line_of(fact: Fact) -> str | None:
    """What facts of one instant must keep their order about: a vehicle, else a stall or a camera."""
    return getattr(fact, "vehicle", None) or subject_of(fact)


class Corrections(Struct, frozen=True):
    """The facts to publish, and the stretches, ``kept`` and ``renamed`` of the window after them."""

    facts: tuple[FactEvent, ...]
    window: Window


def corrections(
    window: Window, stretches: tuple[Stretch, ...], first: int, left: list[FactEvent], emission: Emission
) -> Corrections:
    """Say what differs.

    Args:
        window: as it was before.
        stretches: of the second fusion; those before ``first`` are as they were.
        left: what was said, and is not concluded again.
        emission: of the second fusion; its new facts are published with what they supersede.
    """
    said = [fact for stretch in window.stretches[first:] for fact in stretch.said]
    overruled = {one for fact in said for one in fact.supersedes}
    natural = len(emission.facts)
    anew = _said_anew(window, left, emission)
    standing = [fact for fact in left if fact.id not in overruled]
    paired = _paired(standing, emission)
    facts = tuple(
        replace(fact, supersedes=tuple(dict.fromkeys((*_fresh(fact, n < natural, overruled), *paired.get(fact.id, ())))))
        for n, fact in enumerate(emission.facts)
    )
    renamed = {old: anew[new].id if new in anew else new for old, new in window.renamed.items()}
    return Corrections(
        facts,
        replace(
            window,
            stretches=tuple(_with_renamed(stretch, anew) for stretch in stretches),
            kept={anew[name].id if name in anew else name: anew.get(name, fact) for name, fact in window.kept.items()},
            renamed=renamed | {old: fact.id for old, fact in anew.items()},
        ),
    )


def _said_anew(window: Window, left: list[FactEvent], emission: Emission) -> dict[EventId, FactEvent]:
    """Facts that are true again, because what superseded them is not concluded any more, by their former ids."""
    gone = {fact.id for fact in left}
    again = {one for fact in emission.concluded for one in fact.supersedes}
    true_again = [one for fact in left for one in fact.supersedes if one not in gone and one not in again]
    if not true_again:
        return {}
    known = window.kept | {fact.id: fact for stretch in window.stretches for fact in stretch.said}
    former = {one: known[one] for one in true_again}
    return {one: emission.new(fact.occurred_at, fact.payload, fact.supersedes) for one, fact in former.items()}


def _fresh(fact: FactEvent, is_concluded: bool, overruled: set[EventId]) -> tuple[EventId, ...]:
    """What a fact supersedes by itself; nothing is superseded twice."""
    return tuple(one for one in fact.supersedes if one not in overruled) if is_concluded else ()


def _paired(standing: list[FactEvent], emission: Emission) -> dict[EventId, tuple[EventId, ...]]:
    """Which new fact supersedes what of its type and subject; what has none is retracted."""
    new = defaultdict[_Subject, list[FactEvent]](list)
    for fact in emission.facts:
        new[_subject(fact)].append(fact)
    old = defaultdict[_Subject, list[FactEvent]](list)
    for fact in standing:
        old[_subject(fact)].append(fact)
    paired = defaultdict[EventId, tuple[EventId, ...]](tuple)
    for subject, facts in old.items():
        ordered = sorted(facts, key=lambda fact: fact.occurred_at)
        successors = new.get(subject) or [_retraction(ordered, emission)]
        for n, fact in enumerate(ordered):
            paired[successors[min(n, len(successors) - 1)].id] += (fact.id,)
    return paired


def _subject(fact: FactEvent) -> _Subject:
    return type_name(fact.payload), subject_of(fact.payload)


def _retraction(facts: list[FactEvent], emission: Emission) -> FactEvent:
    of = {name: getattr(facts[0].payload, name, None) for name in _SUBJECTS}
    first = next((name for name, value in of.items() if value is not None), None)
    about = {} if first is None else {first: of[first]}
    kind = type_name(facts[0].payload)
    return emission.new(facts[0].occurred_at, FactRetracted(kind=kind, reason="late_data", **about), ())


def _with_renamed(stretch: Stretch, anew: dict[EventId, FactEvent]) -> Stretch:
    if not any(fact.id in anew for fact in stretch.said):
        return stretch
    return replace(stretch, said=tuple(anew.get(fact.id, fact) for fact in stretch.said))
