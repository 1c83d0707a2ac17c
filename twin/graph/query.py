"""What a graph says: the whole state of a site in the form that every read, feed and command gives it.

The types of ``twin.events.state`` document that form; ``state`` builds it as plain mappings, because it is built at every read
and every tick of the live feed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from twin.events.codec import rfc3339
from twin.events.ids import Micros
from twin.graph.model import SiteGraph
from twin.graph.nodes import CameraNow, StallNow, VehicleNow


def state(graph: SiteGraph, *, at: Micros | None = None, position: int | None = None) -> dict[str, Any]:
    """The whole state, as ``StateView`` describes it; lists are sorted by id.

    Args:
        at: valid time that was asked for; without it, the latest applied fact's (1970 before the first).
        position: what the answer knows; without it, the last applied fact's.
    """
    told = around(graph, at, position)
    told["vehicles"] = _vehicles(graph)
    told["stalls"] = [_stall(name, now) for name, now in graph.each("stall")]
    return told


def around(graph: SiteGraph, at: Micros | None, position: int | None) -> dict[str, Any]:
    """The state without what there are most of: vehicles and stalls."""
    return {
        "site": graph.site.name,
        "at": rfc3339(graph.at if at is None else at),
        "position": str(graph.position if position is None else position),
        "level_ids": [level.id for level in graph.site.levels],
        "zones": _zones(graph),
        "cameras": [_camera(name, now) for name, now in graph.each("camera")],
        "counters": _counters(graph),
        "portals": [{"portal": name, "n_in": now.n_in, "n_out": now.n_out} for name, now in graph.each("portal")],
    }


def counts(graph: SiteGraph, zone: str | None = None) -> dict[str, Any]:
    """The state's zones (or one of them) and counters."""
    zones = [one for one in _zones(graph) if zone in (None, one["zone"])]
    return {"zones": zones, "counters": _counters(graph)}


def _vehicles(graph: SiteGraph) -> list[dict[str, Any]]:
    session_by_vehicle = {now.vehicle: name for name, now in graph.each("session")}
    return [_vehicle(name, now, session_by_vehicle.get(name)) for name, now in graph.each("vehicle")]


def _vehicle(name: str, now: VehicleNow, session: str | None) -> dict[str, Any]:
    return {
        "vehicle": name,
        "kind": now.kind,
        "state": now.state,
        "level": now.level,
        "position_m": list(now.position_m),
        "covariance_m2": list(now.covariance_m2),
        "velocity_mps": list(now.velocity_mps),
        "zone": now.zone,
        "stall": now.stall,
        "session": session,
        "since_at": rfc3339(now.since_at),
        "updated_at": rfc3339(now.updated_at),
        "takes": list(now.takes),
        "is_double_parked": now.is_double_parked,
        "is_inferred": now.is_inferred,
    }


def _stall(name: str, now: StallNow) -> dict[str, Any]:
    since_at = _time(now.since_at)
    return {"stall": name, "state": now.state, "vehicle": now.vehicle, "since_at": since_at, "certainty": now.certainty}


def _camera(name: str, now: CameraNow) -> dict[str, Any]:
    return {"camera": name, "state": now.state, "since_at": _time(now.since_at)}


def _zones(graph: SiteGraph) -> list[dict[str, Any]]:
    n_vehicles = Counter(now.zone for _, now in graph.each("vehicle"))
    n_stalls = Counter(stall.zone for stall in graph.site.stalls)
    n_free = Counter(stall.zone for stall in graph.site.stalls if graph.now("stall", stall.id).state == "free")
    delivering = {name for name, now in graph.each("camera") if now.state == "active"}
    return [
        {
            "zone": zone.id,
            "state": "known" if all(piece & delivering for piece in graph.pieces_by_zone[zone.id]) else "unknown",
            "n_vehicles": n_vehicles[zone.id],
            "n_stalls": n_stalls[zone.id],
            "n_free": n_free[zone.id],
        }
        for zone in graph.site.zones
    ]


def _counters(graph: SiteGraph) -> dict[str, int]:
    return {
        "entries": graph.tally.n_opened - graph.tally.n_void,
        "exits": graph.tally.n_closed,
        "inside": graph.n_of("vehicle"),
        "orphans": graph.tally.n_orphaned,
        "sessions_open": graph.n_of("session"),
    }


def _time(at: Micros | None) -> str | None:
    return None if at is None else rfc3339(at)
