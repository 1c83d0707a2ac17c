"""The past fused again for what came too late, in slices, while the present goes on.

A refusion goes on from a kept state until it has caught up with the present; then what it concludes otherwise is told, and its
state is the present one. It is compared at once with all that was said by then, so that slices of another size would tell the
same. Until then its facts are numbered under a position that no observation has.
"""

from __future__ import annotations

from msgspec.structs import replace

from twin.events.envelope import FactEvent
from twin.events.ids import EventId, Micros, SiteId
from twin.fusion.emission import Emission, unanswered
from twin.fusion.scene import Scene
from twin.fusion.state import with_names
from twin.rules.differences import Said, corrections
from twin.rules.passage import Passage
from twin.rules.sessions import Sessions
from twin.rules.window import Core, Refusion, Stretch, Window

_UNTOLD = 0

Told = tuple[Core, Window, tuple[FactEvent, ...]]


class Refusions:
    """Those of one fold. They follow from its window alone."""

    def __init__(self, site: SiteId, version: str, scene: Scene) -> None:
        self._site, self._version, self._scene = site, version, scene
        self._parameters = scene.parameters

    def followed(
        self, core: Core, window: Window, sessions: Sessions, before: Micros | None, closed_at: Micros, cause: int, after: int
    ) -> Told:
        """After ticks were closed: do what was due before, end a refusion in time, and begin one where late data has waited
        long enough."""
        facts, within = tuple[FactEvent, ...](), self._parameters.refuse_within_us
        if window.refusion is not None and closed_at >= window.refusion.begun_at + within:
            core, window, facts = self.ended(window, sessions, closed_at, cause, after)
        elif window.refusion is not None and before is not None:
            window = self._advanced(window, self._due_until(window.refusion, before))
        if window.refusion is None and window.due_at is not None and closed_at >= window.due_at:
            due_at = window.due_at
            window = self.begun(window, due_at)
            if closed_at >= due_at + within:
                core, window, more = self.ended(window, sessions, closed_at, cause, after + len(facts))
                facts = (*facts, *more)
        return core, window, facts

    def sliced(self, window: Window, closed_at: Micros | None) -> Window:
        """Fuse one tick again, if one is due."""
        if window.refusion is None or closed_at is None:
            return window
        return self._advanced(window, self._due_until(window.refusion, closed_at), most=1)

    def begun(self, window: Window, begun_at: Micros) -> Window:
        """Go back to the newest state before the oldest late observation; nothing is fused yet."""
        assert window.late_at is not None
        tick_us, late_at = self._parameters.tick_us, window.late_at
        begin = next(stretch for stretch in reversed(window.stretches) if stretch.from_at <= late_at)
        first = begin.from_at // tick_us
        seen_at = (number * tick_us for number in window.ticks if number >= first)
        refusion = Refusion(
            late_at=late_at,
            from_at=begin.from_at,
            since_at=min(seen_at, default=begun_at),
            begun_at=begun_at,
            next_tick=first,
            core=begin.core,
            stretches=(replace(begin, said=()),),
        )
        return replace(window, refusion=refusion, late_at=None, due_at=None)

    def ended(self, window: Window, sessions: Sessions, closed_at: Micros, cause: int, after: int) -> Told:
        """Catch up with the present and take its place; the facts are the differences.

        The rules answer the differences: a stay is amended, and never said again.
        """
        window = self._advanced(window, closed_at)
        refusion = window.refusion
        assert refusion is not None
        core, stretches = self._passage(refusion).finished(closed_at)
        first = next(n for n, stretch in enumerate(window.stretches) if stretch.from_at == refusion.from_at)
        said = Said(fact for stretch in window.stretches[first:] for fact in stretch.said)
        emission = Emission(self._site, self._version, cause, unanswered, after=after, recall=said, renamed=window.renamed)
        stretches, names = _concluded(stretches, emission)
        again = (*window.stretches[:first], *stretches)
        corrected = corrections(replace(window, refusion=None), again, first, said.left(), emission)
        answers = Emission(self._site, self._version, cause, unanswered, after=after + len(corrected.facts))
        for fact in corrected.facts:
            for at, answer in sessions.react(fact):
                answers.new(at, answer, ())
        return _named(core, names), corrected.window, (*corrected.facts, *answers.facts)

    def _due_until(self, refusion: Refusion, closed_at: Micros) -> Micros:
        """Until when it has fused at an even pace that leaves no more for its end than the present's newest tick."""
        within, behind = self._parameters.refuse_within_us, refusion.begun_at - refusion.since_at
        passed = closed_at + self._parameters.tick_us - refusion.begun_at
        return min(closed_at, refusion.since_at + passed * (behind + within) // within)

    def _advanced(self, window: Window, until_at: Micros, most: int | None = None) -> Window:
        """Fuse what was seen before a time, at most so many ticks of it."""
        refusion, until = window.refusion, until_at // self._parameters.tick_us
        assert refusion is not None
        if refusion.next_tick >= until:
            return window
        due = range(refusion.next_tick, until)
        if len(due) > len(window.ticks):  # after a silence there are far fewer ticks than there could be
            numbers = sorted([number for number in window.ticks if number in due])
        else:
            numbers = [number for number in due if number in window.ticks]
        fused = numbers[:most]
        if not fused:
            return replace(window, refusion=replace(refusion, next_tick=until))
        passage = self._passage(refusion)
        for number in fused:
            passage.fuse(number, window.ticks[number])
        core, stretches = passage.paused()
        next_tick = until if len(fused) == len(numbers) else fused[-1] + 1
        return replace(window, refusion=replace(refusion, next_tick=next_tick, core=core, stretches=stretches))

    def _passage(self, refusion: Refusion) -> Passage:
        n_concluded = sum(len(stretch.said) for stretch in refusion.stretches)
        emission = Emission(self._site, self._version, _UNTOLD, unanswered, after=n_concluded)
        return Passage(refusion.core, refusion.stretches, self._scene, emission, is_again=True)


def abandoned(window: Window) -> Window:
    """Leave a refusion that is under way; what it was for is late again."""
    refusion = window.refusion
    if refusion is None:
        return window
    late_at = refusion.late_at if window.late_at is None else min(refusion.late_at, window.late_at)
    return replace(window, refusion=None, late_at=late_at)


def _concluded(stretches: tuple[Stretch, ...], emission: Emission) -> tuple[tuple[Stretch, ...], dict[EventId, EventId]]:
    """The stretches by ids of facts that are told: of what was said alike, or new ones; and which id became which."""
    names = dict[EventId, EventId]()
    told = list[Stretch]()
    for stretch in stretches:
        before = len(emission.concluded)
        for fact in stretch.said:
            supersedes = tuple(names.get(one, one) for one in fact.supersedes)
            names[fact.id] = emission.emit(fact.occurred_at, fact.payload, supersedes=supersedes)
        told.append(replace(stretch, said=tuple(emission.concluded[before:])))
    return tuple(replace(stretch, core=_named(stretch.core, names)) for stretch in told), names


def _named(core: Core, names: dict[EventId, EventId]) -> Core:
    return replace(core, fusion=with_names(core.fusion, names))
