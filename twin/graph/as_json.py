"""The whole state as JSON without the mappings of ``twin.graph.query.state``: half of what a read of the past costs.

The fields of each are in the order of their names, so that the encoder need not sort them.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from twin.events.codec import rfc3339
from twin.events.ids import Micros
from twin.graph.model import SiteGraph
from twin.graph.nodes import VehicleNow
from twin.graph.query import around


class _Vehicle(Struct, frozen=True, gc=False):
    covariance_m2: tuple[float, float, float]
    is_double_parked: bool
    is_inferred: bool
    kind: str
    level: str
    position_m: tuple[float, float]
    session: str | None
    since_at: str
    stall: str | None
    state: str
    takes: tuple[str, ...]
    updated_at: str
    vehicle: str
    velocity_mps: tuple[float, float]
    zone: str | None


class _Stall(Struct, frozen=True, gc=False):
    certainty: float | None
    since_at: str | None
    stall: str
    state: str
    vehicle: str | None


_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode


def state_json(graph: SiteGraph, *, at: Micros | None = None, position: int | None = None) -> bytes:
    """The bytes of ``canonical_json(state(graph, at=at, position=position))``."""
    told: dict[str, Any] = {name: msgspec.Raw(_encode_sorted(value)) for name, value in around(graph, at, position).items()}
    sessions = {now.vehicle: name for name, now in graph.each("session")}
    told["vehicles"] = [_vehicle(name, now, sessions.get(name)) for name, now in graph.each("vehicle")]
    told["stalls"] = [
        _Stall(now.certainty, None if now.since_at is None else rfc3339(now.since_at), name, now.state, now.vehicle)
        for name, now in graph.each("stall")
    ]
    return _encode({name: told[name] for name in sorted(told)})


def _vehicle(name: str, now: VehicleNow, session: str | None) -> _Vehicle:
    return _Vehicle(
        now.covariance_m2,
        now.is_double_parked,
        now.is_inferred,
        now.kind,
        now.level,
        now.position_m,
        session,
        rfc3339(now.since_at),
        now.stall,
        now.state,
        now.takes,
        rfc3339(now.updated_at),
        name,
        now.velocity_mps,
        now.zone,
    )
