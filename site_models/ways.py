"""Whether a site can be driven: lanes that meet, portals crossed the right way, stalls between an entry and an exit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import networkx as nx
from shapely import LineString, Point, Polygon, STRtree

from site_models.faults import Faults
from site_models.schema import Lane, LaneId, Portal, Site

_STALL_REACH_M = 9.0
_MOST_APART_M = 5.0  # between a lane's end and a lane that it leads into
MAP = "map.geojson"


def check_ways(site: Site, faults: Faults) -> None:
    """Add every fault of lanes and portals; stalls are checked where the site has lanes."""
    _follows(site, faults)
    _directions(site, faults)
    if not site.stalls or not site.lanes:
        return
    for direction in ("in", "out"):
        if not any(portal.role == "boundary" and portal.direction in (direction, "both") for portal in site.portals):
            faults.add(MAP, f"there are stalls, but no boundary portal with direction {direction}; sessions need one")
    _stalls(site, faults)


def _follows(site: Site, faults: Faults) -> None:
    lanes = {lane.id: lane for lane in site.lanes}
    for lane in site.lanes:
        for name in lane.follows:
            other = lanes.get(name)
            if other is None:
                faults.add(_feature(lane.id), f"follows lane '{name}', which does not exist; draw it, or take it out")
            elif (apart := LineString(other.line_m).distance(Point(lane.line_m[-1]))) > _MOST_APART_M:
                faults.add(
                    _feature(lane.id),
                    f"follows lane '{name}', which is {apart:.1f} m from its end; draw them to meet within {_MOST_APART_M:g} m",
                )
            elif other.level != lane.level and not _has_ramp(site, lane, other):
                faults.add(
                    _feature(lane.id),
                    f"follows lane '{name}' on level '{other.level}', but crosses no level portal to it; draw one",
                )


def _has_ramp(site: Site, lane: Lane, other: Lane) -> bool:
    return any(
        portal.role == "level" and portal.to_level == other.level and bool(_senses(lane, portal)) for portal in site.portals
    )


def _directions(site: Site, faults: Faults) -> None:
    for portal in site.portals:
        for lane in site.lanes:
            senses = _senses(lane, portal)
            if senses and portal.direction not in ("both", *senses):
                faults.add(
                    _feature(portal.id),
                    f"its direction is {portal.direction}, but lane '{lane.id}' crosses it {senses[0]};"
                    " swap its two points, or change the direction",
                )


def _stalls(site: Site, faults: Faults) -> None:
    boundaries = [portal for portal in site.portals if portal.role == "boundary"]
    ways = _graph(site)
    from_entry = _crossing(site, boundaries, "in")
    from_entry |= set[LaneId]().union(*(nx.descendants(ways, lane) for lane in from_entry))
    to_exit = _crossing(site, boundaries, "out")
    to_exit |= set[LaneId]().union(*(nx.ancestors(ways, lane) for lane in to_exit))
    tree = STRtree([LineString(lane.line_m) for lane in site.lanes])
    for stall in site.stalls:
        found = tree.query(Polygon(stall.ring_m), predicate="dwithin", distance=_STALL_REACH_M)
        near = {site.lanes[int(n)].id for n in found if site.lanes[int(n)].level == stall.level}
        if not near:
            faults.add(_feature(stall.id), f"no lane passes within {_STALL_REACH_M:g} m of it; draw the lane that leads to it")
        elif not near & from_entry:
            faults.add(_feature(stall.id), "no lane leads to it from an entry; check lanes' follows and the entry portal")
        elif not near & to_exit:
            faults.add(_feature(stall.id), "no lane leads from it to an exit; check lanes' follows and the exit portal")


def _graph(site: Site) -> nx.DiGraph[LaneId]:
    """Lanes, and what may be driven into from each; between two two-way lanes, also back."""
    two_way = {lane.id for lane in site.lanes if not lane.one_way}
    ways: nx.DiGraph[LaneId] = nx.DiGraph()
    ways.add_nodes_from(lane.id for lane in site.lanes)
    for lane in site.lanes:
        for other in lane.follows:
            ways.add_edge(lane.id, other)
            if lane.id in two_way and other in two_way:
                ways.add_edge(other, lane.id)
    return ways


def _crossing(site: Site, boundaries: list[Portal], direction: str) -> set[LaneId]:
    gates = [portal for portal in boundaries if portal.direction in (direction, "both")]
    return {lane.id for lane in site.lanes if any(direction in _senses(lane, portal) for portal in gates)}


def _senses(lane: Lane, portal: Portal) -> tuple[str, ...]:
    """In which directions vehicles on the lane cross the portal; none where it does not."""
    if lane.level != portal.level or not LineString(lane.line_m).intersects(LineString(portal.line_m)):
        return ()
    if not lane.one_way:
        return ("in", "out")
    return tuple(dict.fromkeys(_one_way_senses(lane, portal)))


def _one_way_senses(lane: Lane, portal: Portal) -> Iterator[str]:
    (ax, ay), (bx, by) = portal.line_m
    for (px, py), (qx, qy) in pairwise(lane.line_m):
        if LineString(((px, py), (qx, qy))).intersects(LineString(portal.line_m)):
            turn = (bx - ax) * (qy - py) - (by - ay) * (qx - px)
            if turn != 0:
                yield "in" if turn > 0 else "out"


def _feature(name: str) -> str:
    return f"{MAP}: feature '{name}'"
