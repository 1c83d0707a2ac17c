"""The whole fold: order by event time, fuse, apply the rules. Pure: the same observations give the same facts anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from site_models.schema import Site
from twin.errors import CodecError
from twin.events.codec import canonical_json
from twin.events.envelope import FactEvent, RecordedObservation
from twin.events.facts import IdentitiesMerged, LedgerClosed, ObservationLate
from twin.events.ids import Micros
from twin.events.observations import (
    CameraCalibrated,
    ClockTicked,
    FrameObserved,
    GateReported,
    InvoiceClosed,
    LoopTripped,
    OperatorDecided,
    PaymentReceived,
    Personal,
    RefuseRequested,
    StallClassified,
    TrackletEmbedded,
)
from twin.fusion import ordering
from twin.fusion.clock_offset import estimated
from twin.fusion.emission import Emission, unanswered
from twin.fusion.ordering import with_one
from twin.fusion.parameters import DEFAULTS, FusionParameters
from twin.fusion.pending import OrderingState, Pending, Tick
from twin.fusion.placing import Placing
from twin.fusion.scene import Scene
from twin.fusion.state import DecidedMerge
from twin.fusion.step import calibrate, followed, with_merge
from twin.rules.decisions import decide
from twin.rules.gates import Gates, GatesState, report
from twin.rules.passage import Passage
from twin.rules.payments import book
from twin.rules.refusion import Refusions, abandoned
from twin.rules.sessions import Sessions, SessionsState, Told
from twin.rules.tariff import Pricing, TariffBook
from twin.rules.window import Core, Window, in_all, marked, reaches, trimmed, with_late

_NEVER: Micros = -(2**62)
FOLD_VERSION = "2"
"""Changes whenever the same observations could give other facts."""


class FoldState(Struct, frozen=True, gc=False):
    """Everything that the fold remembers."""

    order: OrderingState = field(default_factory=OrderingState)
    core: Core = field(default_factory=Core)
    window: Window = field(default_factory=Window)
    sessions: SessionsState = field(default_factory=SessionsState)
    gates: GatesState = field(default_factory=GatesState)


class Fold:
    """The fold of one site.

    Attributes:
        version: of the fold; part of every fact's id.
        config_hash: of the site and the parameters.
    """

    version = FOLD_VERSION

    def __init__(
        self,
        site: Site,
        parameters: FusionParameters = DEFAULTS,
        tariffs: tuple[Pricing, ...] | None = None,
        placing: Placing | None = None,
    ) -> None:
        """``tariffs`` are others than the site's own, ``placing`` another way to place boxes: what a comparison leaves out.
        Their names are part of the configuration, their code is not."""
        self.site = site
        self._tariffs = TariffBook.of(site.tariffs) if tariffs is None else TariffBook(tariffs)
        configuration = {"site": _of_facts(site), "parameters": msgspec.to_builtins(parameters)}
        if tariffs is not None:
            configuration["tariffs"] = [[one.name, one.from_us] for one in tariffs]
        if placing is not None:
            configuration["placing"] = type(placing).__name__
        self.config_hash = hashlib.blake2b(canonical_json(configuration), digest_size=16).hexdigest()
        self._scene = Scene(site, parameters, placing)
        self._refusions = Refusions(site.name, self.version, self._scene)
        self._parameters = parameters

    def initial(self) -> FoldState:
        """The state before the first observation."""
        return FoldState()

    def step(
        self, state: FoldState, recorded: RecordedObservation, personal: Personal | None
    ) -> tuple[FoldState, tuple[FactEvent, ...]]:
        """The next state, and the facts that this observation triggered; the given state is left as it was.

        Args:
            personal: the observation's personal fields, opened; None when it has none, or they were erased.
        """
        state, facts = self.remembering(state, recorded, personal)
        return self._forgotten(state), facts

    def remembering(
        self, state: FoldState, recorded: RecordedObservation, personal: Personal | None
    ) -> tuple[FoldState, tuple[FactEvent, ...]]:
        """As ``step``, but what is older than the horizon is kept, so that ``refuse`` can go back to it."""
        event, payload, parameters = recorded.event, recorded.event.payload, self._parameters
        order, core, window, gates = state.order, state.core, state.window, state.gates
        sessions, told = Sessions(self.site, state.sessions, self._tariffs), tuple[FactEvent, ...]()
        match payload:
            case FrameObserved():
                known = order.cameras.get(payload.camera)
                order, frame, late_by = ordering.accept(order, event, payload, parameters)
                watch = order.cameras.get(payload.camera)
                clock = None if watch is None else estimated(known, watch, payload.camera)
                told = () if clock is None else self._answered(sessions, recorded, [(frame.at, clock)])
                if late_by is not None:
                    window, late = self._late(window, order, recorded, frame, late_by, after=len(told))
                    told = (*told, *late)
            case TrackletEmbedded():
                order, look, late_by = ordering.accept_look(order, event, payload, personal, parameters)
                if look is not None and late_by is not None:
                    window, told = self._late(window, order, recorded, look, late_by)
            case StallClassified():
                order, score, late_by = ordering.accept_score(order, event, payload, parameters)
                if late_by is not None:
                    window, told = self._late(window, order, recorded, score, late_by)
            case ClockTicked():
                order = ordering.tick_clock(order, event.occurred_at, payload, parameters)
            case CameraCalibrated():
                core, window = self._calibrated(core, window, order, event.occurred_at, payload)
            case OperatorDecided():
                core, window, told = self._decided(core, window, order, sessions, recorded)
            case InvoiceClosed():
                closed = LedgerClosed(invoice=payload.invoice, until_at=payload.until_at)
                told = self._answered(sessions, recorded, [(event.occurred_at, closed)])
            case PaymentReceived():
                told = self._answered(sessions, recorded, book(sessions, event, payload, self._latest(order)))
            case GateReported():
                gates, changed = report(gates, event.occurred_at, payload)
                told = self._answered(sessions, recorded, changed)
            case LoopTripped():
                decided = Gates(self._scene, gates, core, order, sessions).decide(event, payload)
                told = self._answered(sessions, recorded, [(event.occurred_at, decided)])
            case _:
                pass
        before = order.closed_at
        order, ticks = ordering.close(order, parameters)
        state = FoldState(order, core, window, sessions.finished(), gates)
        if order.closed_at == before:
            return self._sliced(state) if isinstance(payload, FrameObserved) else state, told
        state, facts = self._closed(state, ticks, before, recorded.position, len(told))
        return state, (*told, *facts)

    def caught_up(self, state: FoldState, cause: int, after: int) -> tuple[FoldState, tuple[FactEvent, ...]]:
        """At the end of all observations: fuse the past again at once for what came late and waits.

        Args:
            cause: position of the last observation, which has told ``after`` facts.
        """
        closed_at, window = state.order.closed_at, abandoned(state.window)
        if closed_at is None or window.late_at is None:
            return state, ()
        sessions = Sessions(self.site, state.sessions, self._tariffs)
        window = self._refusions.begun(window, closed_at)
        core, window, facts = self._refusions.ended(window, sessions, closed_at, cause, after)
        return FoldState(state.order, core, window, sessions.finished(), state.gates), facts

    def knows_until(self, state: FoldState) -> Micros:
        """Until when ticks are closed: of a later time, nothing came too late yet."""
        return _NEVER if state.order.closed_at is None else state.order.closed_at

    def unfused(self, state: FoldState, recorded: RecordedObservation, personal: Personal | None) -> Pending | None:
        """The observation in its place in time, if it is the next of this state and came too late to be fused by ``step``."""
        event, payload, order = recorded.event, recorded.event.payload, state.order
        match payload:
            case FrameObserved():
                _, one, late_by = ordering.accept(order, event, payload, self._parameters)
            case TrackletEmbedded():
                _, one, late_by = ordering.accept_look(order, event, payload, personal, self._parameters)
            case StallClassified():
                _, one, late_by = ordering.accept_score(order, event, payload, self._parameters)
            case _:
                return None
        if one is None or late_by is None or late_by <= 0 or order.closed_at is None:
            return None
        return None if reaches(state.window, one.at, order.closed_at, self._parameters) else one

    def refuse(
        self,
        state: FoldState,
        unfused: Iterable[Pending],
        recorded: RecordedObservation,
        *,
        forgets: bool = True,
    ) -> tuple[FoldState, tuple[FactEvent, ...]]:
        """Answer a request: fuse again from a time on, together with what came too late; the facts are the differences.

        Args:
            state: it remembers everything since the time that the request names.
            unfused: what came too late for ``step`` since then.
        """
        payload, order = recorded.event.payload, state.order
        assert isinstance(payload, RefuseRequested)
        if order.closed_at is None or payload.from_at >= order.closed_at:
            return state, ()
        ticks = state.window.ticks
        for one in unfused:
            if payload.from_at <= one.at < order.closed_at:
                ticks = with_one(ticks, one, self._parameters)
        window = replace(abandoned(state.window), ticks=ticks)
        window = replace(window, late_at=payload.from_at if window.late_at is None else min(payload.from_at, window.late_at))
        sessions = Sessions(self.site, state.sessions, self._tariffs)
        window = self._refusions.begun(window, order.closed_at)
        core, window, facts = self._refusions.ended(window, sessions, order.closed_at, recorded.position, 0)
        state = FoldState(order, core, window, sessions.finished(), state.gates)
        return self._forgotten(state) if forgets else state, facts

    def pack(self, state: FoldState) -> bytes:
        """A state as bytes."""
        return msgspec.msgpack.encode(state)

    def unpack(self, body: bytes) -> FoldState:
        """The same state again, bit for bit; raises CodecError where the bytes are no state."""
        try:
            return msgspec.msgpack.decode(body, type=FoldState)
        except (msgspec.DecodeError, msgspec.ValidationError) as wrong:
            raise CodecError(f"a saved state of the fold cannot be read: {wrong}; delete the snapshot") from None

    def _closed(
        self, state: FoldState, ticks: list[tuple[int, Tick]], before: Micros | None, cause: int, after: int
    ) -> tuple[FoldState, tuple[FactEvent, ...]]:
        """Fuse closed ticks; ``before``: until when they were closed before these."""
        closed_at = state.order.closed_at
        assert closed_at is not None
        window = replace(state.window, ticks={**state.window.ticks, **dict(ticks)}) if ticks else state.window
        sessions = Sessions(self.site, state.sessions, self._tariffs)
        emission = Emission(self.site.name, self.version, cause, sessions.react, after=after, renamed=window.renamed)
        passage = Passage(state.core, window.stretches, self._scene, emission)
        for number, tick in ticks:
            passage.fuse(number, tick)
        core, stretches = passage.finished(closed_at)
        window, facts = replace(window, stretches=stretches), tuple(emission.facts)
        core, window, again = self._refusions.followed(core, window, sessions, before, closed_at, cause, after + len(facts))
        return FoldState(state.order, core, window, sessions.finished(), state.gates), (*facts, *again)

    def _sliced(self, state: FoldState) -> FoldState:
        window = self._refusions.sliced(state.window, state.order.closed_at)
        return state if window is state.window else replace(state, window=window)

    def _forgotten(self, state: FoldState) -> FoldState:
        if state.order.closed_at is None:
            return state
        return replace(state, window=trimmed(state.window, state.order.closed_at, self._parameters))

    def _latest(self, order: OrderingState) -> Micros:
        """The latest time at which anything that is known can have happened."""
        return 2**62 if order.clock_at is None else order.clock_at + self._parameters.ahead_us

    def _answered(self, sessions: Sessions, recorded: RecordedObservation, told: Told) -> tuple[FactEvent, ...]:
        """What an observation that is not fused comes to, as facts of its own. Nothing that is fused later supersedes them."""
        emission = Emission(self.site.name, self.version, recorded.position, sessions.react)
        for at, fact in told:
            emission.emit(at, fact)
        return tuple(emission.facts)

    def _decided(
        self, core: Core, window: Window, order: OrderingState, sessions: Sessions, recorded: RecordedObservation
    ) -> tuple[Core, Window, tuple[FactEvent, ...]]:
        """Carry a person's decision out. Where two are one that are both followed, the fusion says so with its next tick,
        and again whenever those seconds are fused again."""
        event, decided = recorded.event, recorded.event.payload
        assert isinstance(decided, OperatorDecided)
        emission = Emission(self.site.name, self.version, recorded.position, sessions.react)
        seen = followed(core.fusion)
        for at, fact in decide(sessions, event, decided, seen):
            if isinstance(fact, IdentitiesMerged) and {fact.vehicle, fact.merged} <= seen:
                since_at = at if order.closed_at is None else order.closed_at
                core, window = self._with_merge(core, window, DecidedMerge(since_at, fact.vehicle, fact.merged, event.id))
            else:
                emission.emit(at, fact)
        return core, window, tuple(emission.facts)

    @staticmethod
    def _with_merge(core: Core, window: Window, merge: DecidedMerge) -> tuple[Core, Window]:
        window = in_all(window, lambda fusion: with_merge(fusion, merge))
        return replace(core, fusion=with_merge(core.fusion, merge)), window

    def _late(
        self,
        window: Window,
        order: OrderingState,
        recorded: RecordedObservation,
        one: Pending,
        late_by: int,
        *,
        after: int = 0,
    ) -> tuple[Window, tuple[FactEvent, ...]]:
        """Say that an observation is late, or ahead; one inside the horizon is fused later."""
        fate, event = "not_fused", recorded.event
        if late_by > 0 and order.closed_at is not None and reaches(window, one.at, order.closed_at, self._parameters):
            fate, window = "fused_later", with_late(window, one, order.closed_at, self._parameters)
        emission = Emission(self.site.name, self.version, recorded.position, unanswered, after=after)
        late = ObservationLate(camera=one.camera, observation=event.id, late_by_us=late_by, fate=fate)
        emission.emit(event.occurred_at, late)
        return window, tuple(emission.facts)

    def _calibrated(
        self, core: Core, window: Window, order: OrderingState, at: Micros, payload: CameraCalibrated
    ) -> tuple[Core, Window]:
        """Use a camera's new geometry; what was seen since and is still known is fused again with it."""
        window = in_all(window, lambda fusion: calibrate(fusion, at, payload))
        if order.closed_at is not None and at < order.closed_at:
            from_at = max(at, order.closed_at - self._parameters.horizon_us)
            window = marked(window, from_at, order.closed_at, self._parameters)
        return replace(core, fusion=calibrate(core.fusion, at, payload)), window


def _of_facts(site: Site) -> dict[str, Any]:
    """What facts depend on: what a gate does when it cannot reach the twin is none of it."""
    terms = msgspec.to_builtins(site)
    for portal in terms["portals"]:
        del portal["if_unreachable"]
    return terms
