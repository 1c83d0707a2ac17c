"""What durable subscriptions are asked for and answered with, over HTTP."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from twin.api.schemas import CloudEvent
from twin.events.codec import FACT_TYPES
from twin.events.wire import LARGEST, POSITION, of_site

MOST_LEASED = 1_000

# What the handlers check themselves, in words of their own, is only said here.
Position = Annotated[str, Meta(extra_json_schema=POSITION)]
FactType = Annotated[str, Meta(extra_json_schema={"enum": sorted(FACT_TYPES)})]
ZoneName = Annotated[str, Meta(extra_json_schema=of_site("zone"))]
Subjects = Annotated[tuple[str, ...], Meta(extra_json_schema={"maxItems": 1_000})]
_Lease = Annotated[int, Meta(ge=0, le=LARGEST)]
_LeaseS = Annotated[float, Meta(extra_json_schema={"minimum": 1, "maximum": 3600})]


class Wanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subscription as it is put; ``after`` is a position (digits), absent: from now on."""

    types: tuple[FactType, ...] = ()
    zones: tuple[ZoneName, ...] = ()
    subjects: Subjects = ()
    after: Position | None = None
    most_attempts: Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": 100})] = 5


class LeaseWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many facts, for how long, and how long to wait for the first.

    Attributes:
        wait_s: it may be answered sooner, with nothing.
        consumer: who asks, if it says so: what it still held under an earlier lease is taken back.
    """

    limit: Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": MOST_LEASED})] = 100
    lease_s: _LeaseS = 30.0
    wait_s: Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 60})] = 0.0
    consumer: Annotated[str, Meta(extra_json_schema={"maxLength": 200})] = ""


class Acknowledged(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Positions (digits) of a lease that are done."""

    lease: _Lease
    positions: Annotated[tuple[Position, ...], Meta(max_length=10_000)]


class Refused(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A position of a lease that could not be done, and why."""

    lease: _Lease
    position: Position
    reason: str = ""


class Held(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lease; ``lease_s`` is from now."""

    lease: _Lease
    lease_s: _LeaseS = 30.0


class ReplayWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Positions (digits) to deliver again; ``until`` absent: all that was read."""

    after: Position
    until: Position | None = None


class HandedView(Struct, frozen=True, kw_only=True):
    """A fact, and how many times it was delivered, this time included."""

    n_attempts: int
    event: CloudEvent


class LeaseView(Struct, frozen=True, kw_only=True):
    """What was handed out; ``lease`` is 0 when there was nothing."""

    lease: int
    until: str
    deliveries: list[HandedView]


class Done(Struct, frozen=True, kw_only=True):
    """Positions that the lease no longer held; they are delivered again."""

    lost: list[str]


class Extended(Struct, frozen=True, kw_only=True):
    """Whether the lease still held anything."""

    is_held: bool
