"""What people and other systems say of a site's stays, drawn at random: often contradictory, at times of what is not there."""

from __future__ import annotations

import random
from dataclasses import dataclass

from site_models.schema import SiteId
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND, DeviceId, Micros, PaymentId, SessionId, VehicleId
from twin.events.observations import (
    Decision,
    InvoiceClosed,
    Observation,
    OperatorDecided,
    PaymentReceived,
    Personal,
    PlateRead,
    RefuseRequested,
)

from .sim.invariants import Facts

_AGO: Micros = 60 * SECOND
_DECISIONS: tuple[Decision, ...] = ("merge", "merge", "split", "split", "close", "reopen", "set_plate", "waive")
_UNKNOWN = 0.05


@dataclass
class People:
    """One after another, whoever knows no more than what was told until now."""

    draw: random.Random
    site: SiteId
    facts: Facts
    n_said: int = 0
    n_paid: int = 0

    def decides(self, now: Micros) -> ObservationEvent:
        """A decision of any kind, of a moment up to a minute ago."""
        kind = self.draw.choice(_DECISIONS)
        is_of_names = kind in ("merge", "split")
        vehicle, other = self._pair(kind) if is_of_names else (None, None)
        decided = OperatorDecided(
            decision=kind,
            author="proof",
            reason="drawn",
            exit_at=self._some_time(now) if kind == "close" and self.draw.random() < 0.8 else None,
            personal=Personal(plate=PlateRead(text="A1", score=1.0)) if self.draw.random() < 0.9 else None,
            session=None if is_of_names else self._session(),
            vehicle=vehicle,
            other=other,
        )
        return self._said(self._some_time(now), decided)

    def pays(self, now: Micros) -> ObservationEvent:
        """Money for any stay: at times the same again, or in a currency that it is not billed in."""
        is_again = self.n_paid > 0 and self.draw.random() < 0.15
        self.n_paid += not is_again
        number = self.draw.randint(1, self.n_paid) if is_again else self.n_paid
        payment = PaymentReceived(
            payment=PaymentId(f"p{number}"),
            session=self._session(),
            amount_minor=self.draw.choice((1, 50, 70, 100, 140, 500)),
            currency="CHF" if self.draw.random() < _UNKNOWN else "EUR",
        )
        return self._said(self._some_time(now), payment)

    def invoices(self, now: Micros) -> ObservationEvent:
        """The accounts invoice what ended by a moment up to a minute ago."""
        self.n_said += 1
        return self._said(now, InvoiceClosed(invoice=f"invoice-{self.n_said}", until_at=self._some_time(now)))

    def asks(self, now: Micros, from_at: Micros) -> ObservationEvent:
        """Somebody wants the past fused again."""
        return self._said(now, RefuseRequested(from_at=from_at, author="proof", reason="late data"))

    def _pair(self, kind: Decision) -> tuple[VehicleId, VehicleId]:
        merged = self.facts.billing.merged
        if kind == "split" and merged and self.draw.random() < 0.8:
            other = self.draw.choice(sorted(merged))
            return merged[other], other
        return self._vehicle(), self._vehicle()

    def _session(self) -> SessionId:
        known = [*self.facts.billing.stays]
        return SessionId("nobody") if not known or self.draw.random() < _UNKNOWN else self.draw.choice(known)

    def _vehicle(self) -> VehicleId:
        known = sorted({one.vehicle for one in self.facts.billing.stays.values()})
        return VehicleId("nobody") if not known or self.draw.random() < _UNKNOWN else self.draw.choice(known)

    def _some_time(self, now: Micros) -> Micros:
        return now - self.draw.choice((0, self.draw.randint(0, _AGO)))

    def _said(self, at: Micros, payload: Observation) -> ObservationEvent:
        self.n_said += 1
        key = DeviceKey(device=DeviceId("people"), boot_epoch=1, sequence=self.n_said)
        return ObservationEvent(site=self.site, key=key, occurred_at=at, payload=payload)
