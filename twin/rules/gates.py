"""May this vehicle pass? The answer to whoever stands at a gate, from the last closed tick and from what is paid.

It is given once, where the question stands in the log: seconds that are fused again later do not change it. What is not
known is never held against anybody who wants to leave: the site says whether the gate opens then or an attendant is asked.
"""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from site_models.schema import GateAnswer, Portal, PortalId
from twin.events.envelope import ObservationEvent
from twin.events.facts import Direction, Fact, GateChanged, GateDecided, GateReason
from twin.events.ids import SECOND, DecisionId, EventId, Micros, SessionId, VehicleId, name_of
from twin.events.observations import GateReported, GateState, LoopTripped
from twin.fusion.pending import OrderingState
from twin.fusion.scene import Scene
from twin.fusion.state import Track
from twin.rules.approach import approaching, is_watched
from twin.rules.passages import UNSURE
from twin.rules.sessions import Sessions, Told
from twin.rules.stays import Stay
from twin.rules.window import Core


class Barrier(Struct, frozen=True, array_like=True):
    """How a gate's controller last said that its barrier is."""

    at: Micros
    state: GateState


class GatesState(Struct, frozen=True):
    """What gates said."""

    barriers: dict[PortalId, Barrier] = field(default_factory=dict[PortalId, Barrier])


class Verdict(Struct, frozen=True):
    """An answer without its envelope."""

    answer: GateAnswer
    reasons: tuple[GateReason, ...]
    confidence: float = 0.0
    vehicle: VehicleId | None = None
    session: SessionId | None = None
    due_minor: int | None = None
    currency: str | None = None
    evidence: tuple[EventId, ...] = ()


def report(state: GatesState, at: Micros, told: GateReported) -> tuple[GatesState, Told]:
    """A gate's state as its controller says; one that is older than what is known changes nothing.

    What somebody other than the twin decided is told in any case: of a gate that was cut off it comes late.
    """
    known = state.barriers.get(told.portal)
    is_old = known is not None and at < known.at
    changed: list[tuple[Micros, Fact]] = []
    if told.by is not None or not (is_old or (known is not None and known.state == told.state)):
        fact = GateChanged(
            portal=told.portal, state=told.state, by=told.by, author=told.author, reason=told.reason, asked=told.asked
        )
        changed = [(at, fact)]
    if is_old:
        return state, changed
    return replace(state, barriers={**state.barriers, told.portal: Barrier(at, told.state)}), changed


class Gates:
    """Answers at one moment: everything that it looks at is of the state before the question."""

    def __init__(self, scene: Scene, state: GatesState, core: Core, order: OrderingState, sessions: Sessions) -> None:
        self._scene, self._terms = scene, scene.site.gates
        self._state, self._core, self._sessions = state, core, sessions
        self._closed_at = order.closed_at
        self._now_at = order.closed_at if order.clock_at is None else order.clock_at

    def decide(self, event: ObservationEvent, asked: LoopTripped) -> GateDecided:
        """The answer; the same observation gives the same one."""
        portal = next((one for one in self._scene.site.portals if one.id == asked.portal and one.role == "boundary"), None)
        direction = None if portal is None else _direction(portal, asked)
        verdict = self._verdict(event, portal, direction)
        asked_at = event.occurred_at if self._now_at is None else min(event.occurred_at, self._now_at)
        return GateDecided(
            decision=DecisionId(name_of("g", event.id)),
            portal=asked.portal,
            direction=direction,
            answer=verdict.answer,
            reasons=verdict.reasons,
            confidence=round(verdict.confidence, 3),
            expires_at=asked_at + self._valid_us,
            as_of_at=self._closed_at,
            asked=event.id,
            vehicle=verdict.vehicle,
            session=verdict.session,
            due_minor=verdict.due_minor,
            currency=verdict.currency,
            evidence=verdict.evidence,
        )

    @property
    def _valid_us(self) -> Micros:
        return self._terms.valid_s * SECOND

    def _verdict(self, event: ObservationEvent, portal: Portal | None, direction: Direction | None) -> Verdict:
        if portal is None:
            return Verdict("ask", ("unknown_portal",))
        if direction is None:
            return Verdict("ask", ("unknown_direction",))
        if self._now_at is not None and abs(event.occurred_at - self._now_at) > self._valid_us:
            return Verdict("ask", ("stale",))
        barrier = self._state.barriers.get(portal.id)
        if barrier is not None and barrier.state == "fault":
            return Verdict("ask", ("gate_fault",))
        return self._inwards(portal) if direction == "in" else self._outwards(portal)

    def _inwards(self, portal: Portal) -> Verdict:
        if self._terms.capacity is not None and self._n_inside() >= self._terms.capacity:
            return Verdict("refuse", ("site_full",), 1.0)
        track = self._who(portal, "in")
        if isinstance(track, Verdict):
            return track
        return Verdict("open", ("room_inside",), track.certainty, self._name(track), evidence=track.evidence)

    def _outwards(self, portal: Portal) -> Verdict:
        track = self._who(portal, "out")
        if isinstance(track, Verdict):
            return track
        vehicle = self._name(track)
        stay = self._sessions.state.open.get(vehicle)
        if stay is None:
            return self._unknown("out", "no_stay", vehicle, evidence=track.evidence)
        evidence = (*track.evidence, *stay.evidence, *(one.observation for one in self._sessions.state.payments_of(stay)))
        if track.certainty < UNSURE or "ambiguous_identity" in (*track.flags, *stay.flags):
            return self._unknown("out", "ambiguous_identity", vehicle, stay.session, evidence)
        confidence = min(track.certainty, stay.confidence)
        found = self._of_stay(stay)
        return replace(found, vehicle=vehicle, session=stay.session, evidence=evidence, confidence=confidence)

    def _of_stay(self, stay: Stay) -> Verdict:
        """Whether a stay is settled. One that is in doubt keeps nobody inside: then a person looks."""
        doubts: tuple[GateReason, ...] = ("unverified",) if "unverified" in stay.flags else ()
        assert self._closed_at is not None
        due = self._sessions.due(stay, self._closed_at)
        if due is None:
            return Verdict("open", ("not_billed", *doubts))
        if stay.is_waived:
            return Verdict("open", ("waived", *doubts))
        if due.due_minor <= 0:
            reason: GateReason = "paid" if due.amount_minor else "nothing_due"
            return Verdict("open", (reason, *doubts), due_minor=0, currency=due.currency)
        answer: GateAnswer = "ask" if doubts else "refuse"
        return Verdict(answer, ("unpaid", *doubts), due_minor=due.due_minor, currency=due.currency)

    def _who(self, portal: Portal, direction: Direction) -> Track | Verdict:
        """The one vehicle that may have asked, or what is answered where there is none or more."""
        fusion, deliveries = self._core.fusion, self._core.deliveries
        tracks = approaching(fusion, portal, direction)
        if not is_watched(fusion, deliveries, self._scene, portal, direction):
            return self._unknown(direction, "camera_silent")
        if not tracks:
            return self._unknown(direction, "no_vehicle")
        track, *others = tracks
        if others:
            evidence = tuple(one for track in tracks for one in track.evidence)
            return self._unknown(direction, "ambiguous_vehicle", evidence=evidence)
        return track

    def _unknown(
        self,
        direction: Direction,
        reason: GateReason,
        vehicle: VehicleId | None = None,
        session: SessionId | None = None,
        evidence: tuple[EventId, ...] = (),
    ) -> Verdict:
        answer = self._terms.unknown_in if direction == "in" else self._terms.unknown_out
        return Verdict(answer, (reason,), vehicle=vehicle, session=session, evidence=evidence)

    def _name(self, track: Track) -> VehicleId:
        assert track.vehicle is not None
        return self._sessions.state.root(track.vehicle)

    def _n_inside(self) -> int:
        """Vehicles that are followed inside, and those with an open stay."""
        inside = {one.vehicle for one in self._sessions.state.stays.values() if one.status == "open"}
        for track in self._core.fusion.tracks.values():
            is_here = track.vehicle is not None and track.status != "left"
            if is_here and not self._scene.is_outside(track.level, track.motion.x, track.motion.y):
                inside.add(self._name(track))
        return len(inside)


def _direction(portal: Portal, asked: LoopTripped) -> Direction | None:
    """Which way is asked for; None: the portal has two, or has not this one."""
    if portal.direction == "both":
        return asked.direction
    return portal.direction if asked.direction in (None, portal.direction) else None
