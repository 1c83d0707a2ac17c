"""One site's rules, its billing invariants and its ledger, told the same facts."""

import pytest

from site_models.schema import Tariff
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import PortalCrossed
from twin.events.observations import OperatorDecided, PaymentReceived
from twin.rules.decisions import decide
from twin.rules.invariants import Billing
from twin.rules.ledger import LedgerState, balance_minor, net_minor, post
from twin.rules.payments import book
from twin.rules.sessions import Sessions, SessionsState
from twin.rules.tariff import MINUTE, StepTariff, TariffBook

T0 = 1_767_268_800_000_000
TARIFF = StepTariff(Tariff(id="t", version=1, currency="EUR", step_minutes=7, price_minor=30, day_cap_minor=900))
BOOK = TariffBook((TARIFF,))


class Site:
    """Minutes count from ``T0``; every fact goes through the invariants."""

    def __init__(self, lot):
        self.gate = next(portal.id for portal in lot.portals if portal.role == "boundary")
        self.rules = Sessions(lot, SessionsState(), BOOK)
        self.billing = Billing(frozenset({self.gate}), BOOK)
        self.tariff = TARIFF
        self.ledger, self.lines, self.n, self.facts = LedgerState(), [], 0, []

    def cause(self, minute, *payloads, number=None):
        """Facts of one observation; ``number`` names it, so that crossings keep their names in any order."""
        self.n += 1
        ordinal, made = 0, []
        for payload in payloads:
            event = self._event(round(minute * MINUTE) + T0, payload, number or 10_000 + self.n, ordinal)
            told = self._tell(event, ordinal)
            made += told
            ordinal += 1 + len(told)
        self.billing.end_of_cause()
        return made

    def correct(self, *told, number=None):
        """Facts of one observation that take others back: (minute, payload, what it supersedes) each."""
        self.n += 1
        ordinal, made = 0, []
        for minute, payload, supersedes in told:
            at = round(minute * MINUTE) + T0
            event = self._event(at, payload, number or 10_000 + self.n, ordinal, supersedes=tuple(supersedes))
            answered = self._tell(event, ordinal)
            made += answered
            ordinal += 1 + len(answered)
        self.billing.end_of_cause()
        return made

    def crossed(self, vehicle, direction):
        """The facts of a vehicle's crossings."""
        of = [one for one in self.facts if isinstance(one.payload, PortalCrossed) and one.payload.vehicle == vehicle]
        return [one.id for one in of if one.payload.direction == direction]

    def _tell(self, event, ordinal):
        self._note(event)
        told = self.rules.react(event)
        for place, (at, fact) in enumerate(told, ordinal + 1):
            self._note(self._event(at, fact, event.cause, place))
        return [fact for _, fact in told]

    def decide(self, minute, **decided):
        self.n += 1
        key = DeviceKey(device="desk", boot_epoch=1, sequence=self.n)
        payload = OperatorDecided(author="ann", reason="seen on the recording", **decided)
        event = ObservationEvent(site="lot", key=key, occurred_at=T0 + minute * MINUTE, payload=payload)
        ordinal, made = 0, []
        for at, fact in decide(self.rules, event, payload, frozenset()):
            told = self._tell(self._event(at, fact, 10_000 + self.n, ordinal), ordinal)
            made += [fact, *told]
            ordinal += 1 + len(told)
        self.billing.end_of_cause()
        return made

    def pay(self, minute, payment, session, amount, currency="EUR"):
        """Money that was received, as the payment system says, ``minute`` by its clock."""
        self.n += 1
        key = DeviceKey(device="till", boot_epoch=1, sequence=self.n)
        payload = PaymentReceived(payment=payment, session=session, amount_minor=amount, currency=currency)
        event = ObservationEvent(site="lot", key=key, occurred_at=T0 + minute * MINUTE, payload=payload)
        told = book(self.rules, event, payload, 2**62)
        for ordinal, (at, fact) in enumerate(told):
            self._note(self._event(at, fact, 10_000 + self.n, ordinal))
        self.billing.end_of_cause()
        return [fact for _, fact in told]

    def cross(self, minute, vehicle, direction, number=None):
        return self.cause(minute, self.crossing(vehicle, direction), number=number)

    def crossing(self, vehicle, direction):
        return PortalCrossed(vehicle=vehicle, portal=self.gate, direction=direction, position_m=(0.0, 0.0), speed_mps=3.0)

    @property
    def stays(self):
        """What stands: of each vehicle, its stays and orphans by session."""
        return {
            one.session: (one.status, one.entry_at, one.exit_at)
            for one in self.rules.state.stays.values()
            if one.status != "void"
        }

    @property
    def balance(self):
        """What is still due of each stay, or, below 0, to be paid back."""
        return {session: amount for (session, _), amount in balance_minor(self.lines).items() if amount}

    @property
    def net(self):
        return {key: amount for key, amount in net_minor(self.lines).items() if amount}

    def _event(self, at, payload, cause, ordinal, supersedes=()):
        given = {"cause": cause, "ordinal": ordinal, "occurred_at": at, "payload": payload, "supersedes": supersedes}
        return FactEvent(site="lot", fold_version="2", **given)

    def _note(self, event):
        self.billing.check(event, f"fact {len(self.facts) + 1}")
        self.ledger, lines = post(self.ledger, event)
        self.lines += lines
        self.facts.append(event)


@pytest.fixture
def new_site(lot):
    return lambda: Site(lot)


@pytest.fixture
def site(new_site):
    return new_site()
