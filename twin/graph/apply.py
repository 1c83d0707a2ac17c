"""The fold: one fact changes the graph. Facts are given in (occurred_at, position) order, superseded ones left out.

A fact about a vehicle that is not on the site changes nothing but counts: its position may be the one before it
was confirmed, or one after it was seen leaving. A session may open before its vehicle is confirmed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from twin.events.envelope import RecordedFact
from twin.events.facts import (
    CameraStateChanged,
    Fact,
    IdentitiesMerged,
    PortalCrossed,
    SessionAmended,
    SessionClosed,
    SessionOpened,
    SessionOrphaned,
    SessionStatus,
    StallChanged,
    TrackletAssigned,
    VehicleConfirmed,
    VehicleDismissed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.ids import Micros, VehicleId
from twin.graph.model import SiteGraph
from twin.graph.nodes import CameraNow, PortalNow, SessionNow, StallNow, TrackletNow, VehicleNow

STILL = (0.0, 0.0)


def apply(graph: SiteGraph, recorded: RecordedFact) -> None:
    """Fold one fact in; a type that the graph does not show only moves ``position`` and ``at``."""
    event = recorded.event
    change(graph, event.payload, event.occurred_at)
    graph.position = max(graph.position, recorded.position)
    graph.at = max(graph.at, event.occurred_at)


def change(graph: SiteGraph, payload: Fact, at: Micros) -> None:
    """Fold in what a fact says, apart from where it stands in the log."""
    changing = _CHANGES.get(type(payload))
    if changing is not None:
        changing(graph, payload, at)


def _confirmed(graph: SiteGraph, fact: VehicleConfirmed, at: Micros) -> None:
    now = VehicleNow(
        kind=fact.kind,
        state="moving",
        level=fact.level,
        position_m=fact.position_m,
        covariance_m2=fact.covariance_m2,
        velocity_mps=STILL,
        zone=fact.zone,
        stall=None,
        since_at=at,
        updated_at=at,
    )
    _set(graph, fact.vehicle, now)
    graph.link_stays(fact.vehicle)


def _moved(graph: SiteGraph, fact: VehicleMoved, at: Micros) -> None:
    before: VehicleNow | None = graph.now("vehicle", fact.vehicle)
    if before is None:
        return
    now = VehicleNow(
        kind=before.kind,
        state="moving",
        level=fact.level,
        position_m=fact.position_m,
        covariance_m2=fact.covariance_m2,
        velocity_mps=fact.velocity_mps,
        zone=fact.zone,
        stall=None,
        since_at=before.since_at if before.state == "moving" else at,
        updated_at=at,
        is_inferred=fact.is_inferred,
    )
    _set(graph, fact.vehicle, now)


def _parked(graph: SiteGraph, fact: VehicleParked, at: Micros) -> None:
    before: VehicleNow | None = graph.now("vehicle", fact.vehicle)
    if before is None:
        return
    now = VehicleNow(
        kind=before.kind,
        state="parked",
        level=fact.level,
        position_m=fact.position_m,
        covariance_m2=fact.covariance_m2,
        velocity_mps=STILL,
        zone=fact.zone,
        stall=fact.stall,
        since_at=before.since_at if before.state == "parked" else at,
        updated_at=at,
        takes=fact.takes,
        is_double_parked=fact.is_double_parked,
    )
    _set(graph, fact.vehicle, now)


def _hidden(graph: SiteGraph, fact: VehicleHidden, at: Micros) -> None:
    before: VehicleNow | None = graph.now("vehicle", fact.vehicle)
    if before is None:
        return
    since_at = before.since_at if before.state == "hidden" else at
    where = {"level": fact.level, "position_m": fact.position_m, "zone": fact.zone, "stall": None}
    where |= {"takes": (), "is_double_parked": False, "is_inferred": False}
    _set(graph, fact.vehicle, replace(before, state="hidden", since_at=since_at, updated_at=at, **where))


def _left(graph: SiteGraph, fact: VehicleLeft, at: Micros) -> None:
    graph.drop_vehicle(fact.vehicle)


def _dismissed(graph: SiteGraph, fact: VehicleDismissed, at: Micros) -> None:
    graph.drop_vehicle(fact.vehicle)


def _merged(graph: SiteGraph, fact: IdentitiesMerged, at: Micros) -> None:
    """The merged one goes; its tracklets and stays are said anew."""
    graph.drop_vehicle(fact.merged)


def _set(graph: SiteGraph, vehicle: VehicleId, now: VehicleNow) -> None:
    """Replace a vehicle's node, and its ``in`` edges where it changed place."""
    before: VehicleNow | None = graph.now("vehicle", vehicle)
    graph.put("vehicle", vehicle, now)
    node = ("vehicle", vehicle)
    for kind, old, new in (
        ("zone", before.zone if before else None, now.zone),
        ("stall", before.stall if before else None, now.stall),
    ):
        if old == new:
            continue
        if old is not None:
            graph.unlink(node, (kind, old))
        if new is not None:
            graph.link(node, (kind, new), "in")


def _assigned(graph: SiteGraph, fact: TrackletAssigned, at: Micros) -> None:
    before: TrackletNow | None = graph.now("tracklet", fact.tracklet)
    if before is not None:
        graph.unlink(("tracklet", fact.tracklet), ("vehicle", before.vehicle))
    if graph.now("vehicle", fact.vehicle) is None:
        graph.drop("tracklet", fact.tracklet)
        return
    graph.put("tracklet", fact.tracklet, TrackletNow(vehicle=fact.vehicle, camera=fact.camera))
    graph.link(("tracklet", fact.tracklet), ("vehicle", fact.vehicle), "of")


def _crossed(graph: SiteGraph, fact: PortalCrossed, at: Micros) -> None:
    counts: PortalNow | None = graph.now("portal", fact.portal)
    if counts is None:
        return
    n_in, n_out = (1, 0) if fact.direction == "in" else (0, 1)
    graph.put("portal", fact.portal, PortalNow(n_in=counts.n_in + n_in, n_out=counts.n_out + n_out))


def _stall(graph: SiteGraph, fact: StallChanged, at: Micros) -> None:
    before: StallNow | None = graph.now("stall", fact.stall)
    if before is None:
        return
    since_at = before.since_at if before.state == fact.state and before.since_at is not None else at
    graph.put(
        "stall", fact.stall, StallNow(state=fact.state, vehicle=fact.vehicle, since_at=since_at, certainty=fact.certainty)
    )


def _camera(graph: SiteGraph, fact: CameraStateChanged, at: Micros) -> None:
    before: CameraNow | None = graph.now("camera", fact.camera)
    if before is not None and before.state != fact.state:
        graph.put("camera", fact.camera, CameraNow(state=fact.state, since_at=at))


def _opened(graph: SiteGraph, fact: SessionOpened, at: Micros) -> None:
    graph.put("session", fact.session, SessionNow(vehicle=fact.vehicle, entry_at=fact.entry_at))
    graph.link(("session", fact.session), ("vehicle", fact.vehicle), "of")
    graph.tally = replace(graph.tally, n_opened=graph.tally.n_opened + 1)


def _closed(graph: SiteGraph, fact: SessionClosed, at: Micros) -> None:
    graph.drop("session", fact.session)
    graph.tally = replace(graph.tally, n_closed=graph.tally.n_closed + 1)


def _orphaned(graph: SiteGraph, fact: SessionOrphaned, at: Micros) -> None:
    graph.tally = replace(graph.tally, n_orphaned=graph.tally.n_orphaned + 1)


def _amended(graph: SiteGraph, fact: SessionAmended, at: Micros) -> None:
    """The stay as it is now; the counts lose what it was and gain what it is."""
    if graph.now("session", fact.session) is not None:
        graph.drop("session", fact.session)
    if fact.status == "open" and fact.entry_at is not None:
        graph.put("session", fact.session, SessionNow(vehicle=fact.vehicle, entry_at=fact.entry_at))
        graph.link(("session", fact.session), ("vehicle", fact.vehicle), "of")
    _count(graph, fact, fact.was, -1)
    _count(graph, fact, fact.status, 1)


def _count(graph: SiteGraph, fact: SessionAmended, status: SessionStatus, by: int) -> None:
    counted = {"closed": "n_closed", "orphan": "n_orphaned", "void": None if fact.entry_at is None else "n_void"}.get(status)
    if counted is not None:
        graph.tally = replace(graph.tally, **{counted: getattr(graph.tally, counted) + by})


_CHANGES: dict[type, Callable[[SiteGraph, Any, Micros], None]] = {
    VehicleConfirmed: _confirmed,
    VehicleMoved: _moved,
    VehicleParked: _parked,
    VehicleHidden: _hidden,
    VehicleLeft: _left,
    IdentitiesMerged: _merged,
    VehicleDismissed: _dismissed,
    TrackletAssigned: _assigned,
    PortalCrossed: _crossed,
    StallChanged: _stall,
    CameraStateChanged: _camera,
    SessionOpened: _opened,
    SessionClosed: _closed,
    SessionOrphaned: _orphaned,
    SessionAmended: _amended,
}
