"""What a read makes of a strip: the things at its beginning as they were known, and its facts until a moment."""

from __future__ import annotations

from collections.abc import Sequence

from twin.events.ids import Micros
from twin.graph.apply import change
from twin.graph.flat import FlatGraph
from twin.projections.strips.strip import CameraRow, ReadStrip, Sealed, SessionRow, StallRow, VehicleRow, shown_in
from twin.projections.strips.things import thing_of


def begin(graph: FlatGraph, strip: ReadStrip, known_at: int) -> None:
    """What things were at a strip's beginning."""
    told: dict[str, Sequence[VehicleRow | StallRow | CameraRow | SessionRow]] = {
        "vehicle": strip.vehicles,
        "stall": strip.stalls,
        "camera": strip.cameras,
        "session": strip.sessions,
    }
    for kind, rows in told.items():
        nodes = graph.nodes[kind]
        for row in rows:
            if row.position > known_at:
                continue
            if row.now is None:
                nodes.pop(row.name, None)
            else:
                nodes[row.name] = row.now
    for position, at in strip.newest:
        if position <= known_at:
            graph.at = at


def go_on(graph: FlatGraph, facts: list[Sealed], at: Micros, known_at: int) -> None:
    """Fold in a strip's facts that occurred until a time and were known at a position.

    Of a vehicle's moves in a row the first says since when it moves, and the last all else: others need not be looked at.
    """
    moving: dict[str, Sealed | None] = {}
    for one in facts:
        if one.occurred_at > at:
            break
        if not one.position <= known_at < one.until:
            continue
        graph.at = max(graph.at, one.occurred_at)
        if one.moves and one.moves in moving:
            moving[one.moves] = one
            continue
        payload = shown_in(one)
        if payload is None:
            continue
        kind, name = thing_of(payload)
        if kind == "vehicle" and (last := moving.pop(name, None)) is not None:
            _apply(graph, last)
        if one.moves:
            moving[name] = None
        change(graph, payload, one.occurred_at)
    for last in moving.values():
        if last is not None:
            _apply(graph, last)


def _apply(graph: FlatGraph, one: Sealed) -> None:
    payload = shown_in(one)
    if payload is not None:
        change(graph, payload, one.occurred_at)
