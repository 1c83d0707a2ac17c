"""Money that was received: put on the account of a stay, or told to be for none. None is lost silently, none counts twice."""

from __future__ import annotations

from msgspec.structs import replace

from twin.events.envelope import ObservationEvent
from twin.events.facts import PaymentBooked, PaymentFate
from twin.events.ids import Micros
from twin.events.observations import PaymentReceived
from twin.rules.sessions import Sessions, Told
from twin.rules.settlement import Payment
from twin.rules.stays import Stay


def book(sessions: Sessions, event: ObservationEvent, received: PaymentReceived, until_at: Micros) -> Told:
    """What becomes of a payment, and the amendment of a stay that was over and costs less by it.

    Args:
        until_at: no payment was made later, whatever the payment system's clock says.
    """
    paid_at = min(event.occurred_at, until_at)
    stay = sessions.state.standing(received.session)
    fate = _fate(sessions, received, stay)
    if stay is None or fate not in ("credited", "no_stay"):
        if fate != "already_booked":
            sessions.set_aside(received.payment, paid_at)
        return [(paid_at, _booked(event, received, fate, paid_at))]
    payment = Payment(received.payment, paid_at, received.amount_minor, received.currency, event.id)
    said_at = max(paid_at, stay.said_at)
    amended = sessions.credit(stay, received.session, payment, said_at)
    return [(said_at, _credited(sessions, event, received, fate, payment, stay)), *amended]


def _fate(sessions: Sessions, received: PaymentReceived, stay: Stay | None) -> PaymentFate:
    if sessions.state.is_booked(received.payment):
        return "already_booked"
    if stay is None:
        return "unknown_session"
    if stay.status not in ("open", "closed"):
        return "no_stay"
    currency = sessions.currency_of(stay)
    if currency is None:
        return "no_tariff"
    return "credited" if currency == received.currency else "wrong_currency"


def _credited(
    sessions: Sessions,
    event: ObservationEvent,
    received: PaymentReceived,
    fate: PaymentFate,
    payment: Payment,
    stay: Stay,
) -> PaymentBooked:
    booked = replace(_booked(event, received, fate, payment.at), session=stay.session, settled_at=sessions.settled_at(stay))
    named = None if stay.session == received.session else received.session
    return replace(booked, named=named, paid_minor=sessions.state.paid_minor(stay))


def _booked(event: ObservationEvent, received: PaymentReceived, fate: PaymentFate, paid_at: Micros) -> PaymentBooked:
    return PaymentBooked(
        payment=received.payment,
        session=received.session,
        fate=fate,
        amount_minor=received.amount_minor,
        currency=received.currency,
        paid_at=paid_at,
        observation=event.id,
    )
