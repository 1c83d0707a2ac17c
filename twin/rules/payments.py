"""Money that was received: put on the account of a stay, or told to be for none. None is lost silently, none counts twice."""

from __future__ import annotations

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
    return [(said_at, _booked(event, received, fate, paid_at, stay, sessions.state.paid_minor(stay))), *amended]


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


def _booked(
    event: ObservationEvent,
    received: PaymentReceived,
    fate: PaymentFate,
    paid_at: Micros,
    stay: Stay | None = None,
    paid_minor: int = 0,
) -> PaymentBooked:
    session = received.session if stay is None else stay.session
    return PaymentBooked(
        payment=received.payment,
        session=session,
        fate=fate,
        amount_minor=received.amount_minor,
        currency=received.currency,
        paid_at=paid_at,
        paid_minor=paid_minor,
        named=None if session == received.session else received.session,
        observation=event.id,
    )
