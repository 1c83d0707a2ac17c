"""The envelope around every event, with CloudEvents' attribute names at the border.

``ObservationEvent`` is what a producer appends; ``FactEvent`` is what the fold appends. ``Recorded`` adds
what only the log knows: the dense position and when it was recorded.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from twin.events.facts import Fact
from twin.events.ids import DeviceId, EventId, Micros, SiteId, fact_id, observation_id
from twin.events.observations import Observation


class DeviceKey(Struct, frozen=True, kw_only=True, gc=False, order=True):
    """Names one message of one device for ever: a resend carries the same key."""

    device: DeviceId
    boot_epoch: int  # grows with every start of the device
    sequence: int  # 1, 2, 3, … within a boot epoch


class ObservationEvent(Struct, frozen=True, kw_only=True, gc=False):
    """An observation with who saw it and when."""

    site: SiteId
    key: DeviceKey
    occurred_at: Micros
    payload: Observation

    @property
    def id(self) -> EventId:
        """Derived from the device key, so that a resend has the same id."""
        return observation_id(self.site, self.key.device, self.key.boot_epoch, self.key.sequence)


class FactEvent(Struct, frozen=True, kw_only=True, gc=False):
    """A fact with its cause: the position of the observation that triggered it, and its place among its facts."""

    site: SiteId
    fold_version: str
    cause: int
    ordinal: int
    occurred_at: Micros
    payload: Fact
    supersedes: tuple[EventId, ...] = ()

    @property
    def id(self) -> EventId:
        """hash(site, fold version, cause, ordinal): a second try of the same fold is a no-op."""
        return fact_id(self.site, self.fold_version, self.cause, self.ordinal)


EventT = TypeVar("EventT", ObservationEvent, FactEvent, covariant=True)


class Recorded(Struct, Generic[EventT], frozen=True, kw_only=True, gc=False):
    """An event as a log holds it.

    Attributes:
        position: dense per site and log, 1..n in commit order.
        recorded_at: monotonic per site; outside every hash.
    """

    position: int
    recorded_at: Micros
    event: EventT


RecordedObservation = Recorded[ObservationEvent]
RecordedFact = Recorded[FactEvent]
