"""The whole fold: order by event time, fuse, apply the rules. Pure: the same observations give the same facts anywhere."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from site_models.schema import Site
from twin.errors import CodecError
from twin.events.codec import canonical_json
from twin.events.envelope import FactEvent, RecordedObservation
from twin.events.facts import LedgerClosed, ObservationLate
from twin.events.observations import (
    CameraCalibrated,
    ClockTicked,
    FrameObserved,
    InvoiceClosed,
    OperatorDecided,
    Personal,
    TrackletEmbedded,
)
from twin.fusion import ordering
from twin.fusion.emission import Emission
from twin.fusion.parameters import DEFAULTS, FusionParameters
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, OrderingState
from twin.fusion.step import Step, calibrate, embed
from twin.rules.decisions import decide
from twin.rules.sessions import Sessions, SessionsState
from twin.rules.tariff import Pricing, TariffBook

FOLD_VERSION = "2"
"""Changes whenever the same observations could give other facts."""


class FoldState(Struct, frozen=True):
    """Everything that the fold remembers."""

    order: OrderingState = field(default_factory=OrderingState)
    fusion: FusionState = field(default_factory=FusionState)
    sessions: SessionsState = field(default_factory=SessionsState)


class Fold:
    """The fold of one site.

    Attributes:
        version: of the fold; part of every fact's id.
        config_hash: of the site and the parameters.
    """

    version = FOLD_VERSION

    def __init__(self, site: Site, parameters: FusionParameters = DEFAULTS, tariffs: tuple[Pricing, ...] | None = None) -> None:
        """``tariffs`` are others than the site's own; their names are part of the configuration, their code is not."""
        self.site = site
        self._tariffs = TariffBook.of(site.tariffs) if tariffs is None else TariffBook(tariffs)
        configuration = {"site": msgspec.to_builtins(site), "parameters": msgspec.to_builtins(parameters)}
        if tariffs is not None:
            configuration["tariffs"] = [[one.name, one.from_us] for one in tariffs]
        self.config_hash = hashlib.blake2b(canonical_json(configuration), digest_size=16).hexdigest()
        self._scene = Scene(site, parameters)
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
        event, payload = recorded.event, recorded.event.payload
        sessions = Sessions(self.site, state.sessions, self._tariffs)
        emission = Emission(self.site.name, self.version, recorded.position, sessions.react)
        order, fusion = state.order, state.fusion
        match payload:
            case FrameObserved():
                order, changes, late_by = ordering.accept(order, event, payload, self._parameters)
                for at, change in changes:
                    emission.emit(at, change)
                if late_by is not None:
                    late = ObservationLate(camera=payload.camera, observation=event.id, late_by_us=late_by)
                    emission.emit(event.occurred_at, late)
            case ClockTicked():
                order, changes = ordering.tick_clock(order, event.occurred_at, payload, self._parameters)
                for at, change in changes:
                    emission.emit(at, change)
            case TrackletEmbedded():
                fusion = embed(fusion, payload, personal)
            case CameraCalibrated():
                fusion = calibrate(fusion, event.occurred_at, payload)
            case OperatorDecided():
                step = Step(fusion, self._scene, emission)
                for at, fact in decide(sessions, event, payload, step.followed()):
                    step.tell(at, fact)
                fusion = step.finished()
            case InvoiceClosed():
                emission.emit(event.occurred_at, LedgerClosed(invoice=payload.invoice, until_at=payload.until_at))
            case _:
                pass
        order, fusion = self._close(order, fusion, emission)
        after = replace(state, order=order, fusion=fusion, sessions=sessions.finished())
        return after, tuple(emission.facts)

    def pack(self, state: FoldState) -> bytes:
        """A state as bytes."""
        return msgspec.msgpack.encode(state)

    def unpack(self, body: bytes) -> FoldState:
        """The same state again, bit for bit; raises CodecError where the bytes are no state."""
        try:
            return msgspec.msgpack.decode(body, type=FoldState)
        except (msgspec.DecodeError, msgspec.ValidationError) as wrong:
            raise CodecError(f"a saved state of the fold cannot be read: {wrong}; delete the snapshot") from None

    def _close(self, order: OrderingState, fusion: FusionState, emission: Emission) -> tuple[OrderingState, FusionState]:
        before = order.closed_at
        order, ticks = ordering.close(order, self._parameters)
        if order.closed_at == before or order.closed_at is None:
            return order, fusion
        step = Step(fusion, self._scene, emission)
        for frames in ticks:
            step.expire(frames[0].at // self._parameters.tick_us * self._parameters.tick_us)
            step.fuse(frames)
        step.expire(order.closed_at)
        return order, step.finished()
