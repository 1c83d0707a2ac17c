"""Offline fusion: a file of observations through the whole fold, with no server and no log.

What the log and the fold writer do online is done here the same way: dense positions from 1, each device key
once, and a clock. A file without clock ticks gets them from its own event times, so that the same file always
gives the same facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from twin.errors import BadInput
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, Recorded, RecordedFact, RecordedObservation
from twin.events.ids import SECOND, DeviceId, Micros, SiteId
from twin.events.observations import ClockTicked, Personal, RefuseRequested, TrackletEmbedded
from twin.fusion.pending import Pending
from twin.rules.fold import Fold, FoldState

TICK_EVERY: Micros = SECOND
LATENESS: Micros = 5 * SECOND
"""How far a camera may lag behind the newest one in a file without ticks: as late as frames come in the noise profiles."""
FLUSH: Micros = SECOND
"""How far the last tick is past the last frame: over the fold's hold, under its idle bound."""


OFFLINE_CLOCK = DeviceId("offline-clock")


class DeviceKeys:
    """Which device keys were seen: a contiguous mark a device, and what lies above it."""

    def __init__(self) -> None:
        self._mark: dict[tuple[str, int], int] = {}
        self._above: dict[tuple[str, int], set[int]] = {}

    def add(self, key: DeviceKey) -> bool:
        """Note a key; False when it was there already."""
        device = (key.device, key.boot_epoch)
        mark, above = self._mark.get(device, 0), self._above.setdefault(device, set())
        if key.sequence <= mark or key.sequence in above:
            return False
        above.add(key.sequence)
        while mark + 1 in above:
            mark += 1
            above.remove(mark)
        self._mark[device] = mark
        return True


class FuseSummary(Struct, kw_only=True):
    """What an offline fusion read and concluded."""

    observations: int = 0
    duplicates: int = 0
    ticks_added: int = 0
    facts: int = 0
    first_at: Micros | None = None
    last_at: Micros | None = None


def with_clock(events: Iterable[ObservationEvent], site: SiteId) -> Iterator[ObservationEvent]:
    """Add clock ticks that follow the newest event time by ``LATENESS``, and one at the end that closes all."""
    newest: Micros | None = None
    ticked: Micros | None = None
    sequence = 0
    for event in events:
        yield event
        newest = event.occurred_at if newest is None else max(newest, event.occurred_at)
        if ticked is None or newest - LATENESS >= ticked + TICK_EVERY:
            ticked = newest - LATENESS
            sequence += 1
            yield _tick(site, sequence, ticked)
    if newest is not None:
        yield _tick(site, sequence + 1, newest + FLUSH)


def fuse(
    fold: Fold,
    events: Iterable[ObservationEvent],
    summary: FuseSummary,
    *,
    again: Callable[[], Iterable[ObservationEvent]] | None = None,
    catches_up: bool = True,
) -> Iterator[RecordedFact]:
    """Fold observations into facts with positions, counting into ``summary``.

    Args:
        again: the same observations from the first on, for whoever asks among them to fuse again (``twin refuse``).
        catches_up: at the end, fuse at once what came late and waits. A service says it when more observations come.

    Raises:
        BadInput: an observation belongs to another site than the fold's; or one asks to fuse again, without ``again``.
    """
    state, asked, newest = fold.initial(), list[Micros](), None
    n_told = 0
    for recorded in _recorded(fold, events, summary):
        if isinstance(recorded.event.payload, RefuseRequested):
            if again is None:
                raise BadInput(f"observation {recorded.position} asks to fuse again, and the observations can be read but once")
            asked.append(recorded.event.payload.from_at)
            state, facts = _refused(fold, again(), recorded, min(asked))
        else:
            state, facts = fold.step(state, recorded, _personal(recorded.event))
        newest, n_told = recorded, len(facts)
        yield from _recorded_facts(facts, recorded, summary)
    if newest is not None and catches_up:
        _, facts = fold.caught_up(state, newest.position, n_told)
        yield from _recorded_facts(facts, newest, summary)


def _recorded_facts(
    facts: tuple[FactEvent, ...], recorded: RecordedObservation, summary: FuseSummary
) -> Iterator[RecordedFact]:
    for fact in facts:
        summary.facts += 1
        yield Recorded(position=summary.facts, recorded_at=recorded.recorded_at, event=fact)


def _refused(
    fold: Fold, events: Iterable[ObservationEvent], request: RecordedObservation, back_to: Micros
) -> tuple[FoldState, tuple[FactEvent, ...]]:
    """The answer to a request, as ``twin.refusal`` gives it; ``back_to`` is the earliest time that it, or one before, names."""
    state, unfused, is_remembering = fold.initial(), list[Pending](), False
    for recorded in _recorded(fold, events, FuseSummary()):
        if recorded.position == request.position:
            break
        if isinstance(recorded.event.payload, RefuseRequested):
            state, _ = fold.refuse(state, unfused, recorded, forgets=False)
            continue
        personal = _personal(recorded.event)
        if not is_remembering:
            after, _ = fold.step(state, recorded, personal)
            is_remembering = fold.knows_until(after) > back_to
            state = state if is_remembering else after
        if is_remembering:
            if (one := fold.unfused(state, recorded, personal)) is not None:
                unfused.append(one)
            state, _ = fold.remembering(state, recorded, personal)
    return fold.refuse(state, unfused, request)


def _recorded(fold: Fold, events: Iterable[ObservationEvent], summary: FuseSummary) -> Iterator[RecordedObservation]:
    """Each device key once, with the position and time at which a log would have it."""
    keys, recorded_at = DeviceKeys(), 0
    for event in events:
        if event.site != fold.site.name:
            raise BadInput(
                f"observation {summary.observations + 1} is of site '{event.site}', but --site is '{fold.site.name}'; "
                "give the folder of the observations' site"
            )
        if not keys.add(event.key):
            summary.duplicates += 1
            continue
        summary.observations += 1
        recorded_at = max(recorded_at, event.occurred_at)
        _note_time(summary, event)
        yield RecordedObservation(position=summary.observations, recorded_at=recorded_at, event=event)


def _note_time(summary: FuseSummary, event: ObservationEvent) -> None:
    if isinstance(event.payload, ClockTicked):
        summary.ticks_added += event.key.device == OFFLINE_CLOCK
        return
    at = event.occurred_at
    summary.first_at = at if summary.first_at is None else min(summary.first_at, at)
    summary.last_at = at if summary.last_at is None else max(summary.last_at, at)


def _personal(event: ObservationEvent) -> Personal | None:
    return event.payload.personal if isinstance(event.payload, TrackletEmbedded) else None


def _tick(site: SiteId, sequence: int, at: Micros) -> ObservationEvent:
    key = DeviceKey(device=OFFLINE_CLOCK, boot_epoch=1, sequence=sequence)
    return ObservationEvent(site=site, key=key, occurred_at=at, payload=ClockTicked(worker="offline", source="events"))
