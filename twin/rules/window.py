"""What the fold keeps of the last seconds, so that it can go back: states on the way, what was seen, and what was said.

States are immutable values: those that are kept share with the present one whatever did not change. The window reaches back
as far as the horizon and to the state before it, and no further.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field
from msgspec.structs import replace

from twin.events.envelope import FactEvent
from twin.events.ids import EventId, Micros
from twin.fusion.ordering import with_one
from twin.fusion.parameters import FusionParameters
from twin.fusion.pending import Pending, Tick
from twin.fusion.silence import Deliveries, Delivery
from twin.fusion.state import CameraId, FusionState, replaceable

_BEFORE_ALL: Micros = -(2**62)


class Core(Struct, frozen=True, gc=False):
    """All that follows from what was seen up to a time. Stays are not among it: they are amended, never made again."""

    fusion: FusionState = field(default_factory=FusionState)
    deliveries: Deliveries = field(default_factory=dict[CameraId, Delivery])


class Stretch(Struct, frozen=True, gc=False):
    """The state before a tick, and what was concluded from there to the next stretch, in order.

    Attributes:
        from_at: the tick's beginning; everything before it is in ``core``.
        said: as the fusion concluded it; that it superseded what an earlier fusion had said is left out.
    """

    from_at: Micros = _BEFORE_ALL
    core: Core = field(default_factory=Core)
    said: tuple[FactEvent, ...] = ()


class Refusion(Struct, frozen=True, gc=False):
    """Past seconds that are being fused again.

    Attributes:
        late_at: the oldest late observation that it goes back for.
        from_at: the beginning of the stretch that it began with; ``since_at``: of the first tick that was seen since then.
        begun_at: until when ticks were closed then.
        next_tick: number of the first tick that it has not fused.
        core: after the ticks before that.
        stretches: what it concluded, under ids that no fact has that was told.
    """

    late_at: Micros
    from_at: Micros
    since_at: Micros
    begun_at: Micros
    next_tick: int
    core: Core
    stretches: tuple[Stretch, ...]


class Window(Struct, frozen=True, gc=False):
    """The last seconds.

    Attributes:
        stretches: at least one, the oldest first.
        ticks: closed ones since the oldest stretch began, by number.
        late_at: the oldest observation among them that is neither fused nor will be by ``refusion``; None: there is none.
        due_at: when the past is fused again: at the first tick that closes from here on.
        refusion: one that is under way.
        kept: facts from before the window that one in it may supersede, and that would have to be said anew without that.
        renamed: under which id such a fact was said anew.
    """

    stretches: tuple[Stretch, ...] = (Stretch(),)
    ticks: dict[int, Tick] = field(default_factory=dict[int, Tick])
    late_at: Micros | None = None
    due_at: Micros | None = None
    refusion: Refusion | None = None
    kept: dict[EventId, FactEvent] = field(default_factory=dict[EventId, FactEvent])
    renamed: dict[EventId, EventId] = field(default_factory=dict[EventId, EventId])


def reaches(window: Window, at: Micros, closed_at: Micros, parameters: FusionParameters) -> bool:
    """Whether a late observation of this time can still be fused."""
    return at >= max(closed_at - parameters.horizon_us, window.stretches[0].from_at)


def with_late(window: Window, one: Pending, closed_at: Micros, parameters: FusionParameters) -> Window:
    """Put a late observation into its place; the past is fused again soon, unless it just is and not so far yet."""
    window, refusion = replace(window, ticks=with_one(window.ticks, one, parameters)), window.refusion
    if refusion is not None and one.at // parameters.tick_us >= refusion.next_tick:
        return window
    return marked(window, one.at, closed_at, parameters)


def marked(window: Window, at: Micros, closed_at: Micros, parameters: FusionParameters) -> Window:
    """Let the past be fused again from a time on."""
    at = max(at, window.stretches[0].from_at)
    late_at = at if window.late_at is None else min(window.late_at, at)
    due_at = closed_at + parameters.refuse_every_us if window.due_at is None else window.due_at
    return replace(window, late_at=late_at, due_at=due_at)


def in_all(window: Window, change: Callable[[FusionState], FusionState]) -> Window:
    """Change every state that is kept."""

    def changed(core: Core) -> Core:
        return replace(core, fusion=change(core.fusion))

    def each(stretches: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
        return tuple(replace(stretch, core=changed(stretch.core)) for stretch in stretches)

    refusion = window.refusion
    if refusion is not None:
        refusion = replace(refusion, core=changed(refusion.core), stretches=each(refusion.stretches))
    return replace(window, stretches=each(window.stretches), refusion=refusion)


def trimmed(window: Window, closed_at: Micros, parameters: FusionParameters) -> Window:
    """Drop what no late observation can reach any more."""
    until = closed_at - parameters.horizon_us
    until = until if window.late_at is None else min(until, window.late_at)
    until = until if window.refusion is None else min(until, window.refusion.late_at)
    n_old = sum(stretch.from_at <= until for stretch in window.stretches[1:])
    if not n_old:
        return window
    dropped, stretches = window.stretches[:n_old], window.stretches[n_old:]
    first_tick = stretches[0].from_at // parameters.tick_us
    wanted = {window.renamed.get(one, one) for one in replaceable(stretches[0].core.fusion)}
    known = window.kept | {fact.id: fact for stretch in dropped for fact in stretch.said}
    kept = {name: fact for name, fact in known.items() if name in wanted}
    return replace(
        window,
        stretches=stretches,
        ticks={number: tick for number, tick in window.ticks.items() if number >= first_tick},
        kept=kept,
        renamed=_still_named(window.renamed, kept, stretches),
    )


def _still_named(
    renamed: dict[EventId, EventId], kept: dict[EventId, FactEvent], stretches: tuple[Stretch, ...]
) -> dict[EventId, EventId]:
    if not renamed:
        return renamed
    alive = {*kept, *(fact.id for stretch in stretches for fact in stretch.said)}
    return {old: new for old, new in renamed.items() if new in alive}
