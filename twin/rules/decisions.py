"""What people decide: checked against what is known, then held for good. What cannot be done is refused in a fact."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from twin.events.envelope import ObservationEvent
from twin.events.facts import DecisionRefused, Fact, IdentitiesMerged, IdentitiesSplit, RefusalReason
from twin.events.ids import VehicleId
from twin.events.observations import OperatorDecided
from twin.rules.passages import Pin
from twin.rules.sessions import Sessions, Told


def decide(sessions: Sessions, event: ObservationEvent, decided: OperatorDecided, followed: AbstractSet[VehicleId]) -> Told:
    """What a decision comes to. Facts that names are one or two are for the caller to emit, and the rules answer them.

    Args:
        followed: vehicles that are being followed now. Who is followed keeps its name.
    """
    if decided.decision in ("merge", "split"):
        return [(event.occurred_at, _of_names(sessions, event, decided, followed))]
    refusal, pin = _pin(sessions, event, decided)
    if refusal is not None or decided.session is None:
        return [(event.occurred_at, _refused(event, decided, refusal or "unknown_session"))]
    at = pin.at if decided.decision == "set_plate" else event.occurred_at
    pin = replace(pin, at=at, evidence=(*pin.evidence, event.id))
    return sessions.pin(decided.session, pin, event.occurred_at, event.id)


def _pin(sessions: Sessions, event: ObservationEvent, decided: OperatorDecided) -> tuple[RefusalReason | None, Pin]:
    """The stay's pin with the decision in it, or why there is none."""
    stay = None if decided.session is None else sessions.state.stays.get(decided.session)
    if stay is None:
        return "unknown_session", Pin()
    pin = sessions.state.pins.get(stay.session, Pin())
    if stay.status not in ("open", "closed") or stay.entry_at is None:
        return "no_stay", pin
    match decided.decision:
        case "close":
            exit_at = event.occurred_at if decided.exit_at is None else decided.exit_at
            if exit_at < stay.entry_at:
                return "exit_before_entry", pin
            is_so = stay.exit_at == exit_at and pin.exit_at == exit_at
            return "already_so" if is_so else None, replace(pin, exit_at=exit_at)
        case "reopen":
            denied = (*pin.denied, *(one for one in stay.exits if one not in pin.denied))
            return "already_so" if stay.status == "open" else None, replace(pin, exit_at=None, denied=denied)
        case "waive":
            return "already_so" if stay.is_waived else None, replace(pin, is_waived=True)
        case "set_plate":
            has_plate = decided.sealed is not None or decided.personal is not None
            return None if has_plate else "no_plate", replace(pin, plate=event.id, plate_at=event.occurred_at)
        case _:
            return None, pin


def _of_names(sessions: Sessions, event: ObservationEvent, decided: OperatorDecided, followed: AbstractSet[VehicleId]) -> Fact:
    state, vehicle, other = sessions.state, decided.vehicle, decided.other
    if vehicle is None or other is None:
        return _refused(event, decided, "unknown_vehicle")
    known = followed | state.passages.keys() | state.kept.keys()
    if vehicle not in known or other not in known:
        return _refused(event, decided, "unknown_vehicle")
    root, merged = state.root(vehicle), state.root(other)
    if decided.decision == "split":
        if root != merged or other not in state.kept:
            return _refused(event, decided, "not_merged")
        return IdentitiesSplit(vehicle=root, split=other, decision=event.id)
    if root == merged:
        return _refused(event, decided, "already_so")
    if merged in followed and root not in followed:
        root, merged = merged, root
    return IdentitiesMerged(vehicle=root, merged=merged, decision=event.id)


def _refused(event: ObservationEvent, decided: OperatorDecided, reason: RefusalReason) -> DecisionRefused:
    return DecisionRefused(
        decision=event.id,
        kind=decided.decision,
        reason=reason,
        session=decided.session,
        vehicle=decided.vehicle,
        other=decided.other,
    )
