"""What stays are made of, what was paid for them, and as what each was told last."""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from twin.events.ids import EventId, Micros, PaymentId, SessionId, VehicleId
from twin.rules.passages import Passage, Pin
from twin.rules.settlement import Payment
from twin.rules.stays import Merge, Stay


class SessionsState(Struct, frozen=True):
    """What stays are made of, and as what each was told last.

    Attributes:
        passages: boundary crossings of each vehicle, under the name that it had then.
        kept: for each name that is no more, the one that it is.
        apart: pairs of names of which a person said that they are two, and when.
        undone: decisions that two are one which a person took back, and when.
        payments: what was received for stays, under the name that was given for each.
        aside: payments that are for no stay, and when they were made.
        swept_at: when what is over was last forgotten.
    """

    passages: dict[VehicleId, tuple[Passage, ...]] = field(default_factory=dict[VehicleId, tuple[Passage, ...]])
    kept: dict[VehicleId, VehicleId] = field(default_factory=dict[VehicleId, VehicleId])
    merges: tuple[Merge, ...] = ()
    apart: dict[str, Micros] = field(default_factory=dict[str, Micros])
    undone: dict[EventId, Micros] = field(default_factory=dict[EventId, Micros])
    pins: dict[SessionId, Pin] = field(default_factory=dict[SessionId, Pin])
    stays: dict[SessionId, Stay] = field(default_factory=dict[SessionId, Stay])
    payments: dict[SessionId, tuple[Payment, ...]] = field(default_factory=dict[SessionId, tuple[Payment, ...]])
    aside: dict[PaymentId, Micros] = field(default_factory=dict[PaymentId, Micros])
    swept_at: Micros = 0

    @property
    def open(self) -> dict[VehicleId, Stay]:
        """Open stays by vehicle: at most one each."""
        return {stay.vehicle: stay for stay in self.stays.values() if stay.status == "open"}

    def root(self, vehicle: VehicleId) -> VehicleId:
        """The name that a vehicle has now."""
        while vehicle in self.kept:
            vehicle = self.kept[vehicle]
        return vehicle

    def names(self, root: VehicleId) -> list[VehicleId]:
        """Every name that a vehicle has had, its present one first."""
        return [root, *sorted(name for name in self.kept if self.root(name) == root)]

    def standing(self, session: SessionId) -> Stay | None:
        """The stay that a session is part of now; itself where it is an orphan, or void and part of none."""
        stay = self.stays.get(session)
        if stay is not None and stay.status != "void":
            return stay
        heirs = (one for one in self.stays.values() if one.status != "void" and session in one.sessions)
        return next(heirs, None if stay is None else replace(stay, sessions=(session,)))

    def is_booked(self, payment: PaymentId) -> bool:
        """Whether this payment was received before."""
        booked = (one.payment == payment for payments in self.payments.values() for one in payments)
        return payment in self.aside or any(booked)

    def payments_of(self, stay: Stay) -> list[Payment]:
        """What was received for a stay under all its names."""
        return [one for name in stay.sessions for one in self.payments.get(name, ())]

    def paid_minor(self, stay: Stay) -> int:
        """What was received for a stay so far."""
        return sum(one.amount_minor for one in self.payments_of(stay))
