"""How far one has to drive from one place of a site to another.

Zones are open ground: within one, the straight line is allowed. From a zone one may drive into an adjacent one
through their common border, unless lanes cross that border and all of them are one-way the other way; along a lane
into the next zone on it, also over ground that is in no zone; and through a portal to the level it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import hypot

import networkx as nx
from msgspec import Struct
from shapely import LineString, Polygon
from shapely import Point as ShapelyPoint
from shapely.geometry.base import BaseGeometry

from site_models.schema import Lane, LaneId, LevelId, Point, Site, Zone, ZoneId
from twin.graph.model import ADJACENT_M, adjacent_zones, zones_at

GATES = 5  # points that stand for one border
STEP_M = 0.5  # how finely lanes are walked
RAMP_SLOPE = 0.15  # the steepest ramp there is: a level change is never shorter than this says
UNREACHABLE = float("inf")


class Passage(Struct, frozen=True, kw_only=True):
    """A way from one zone into another: leave at one point, arrive at the other after ``metres``."""

    source: ZoneId
    target: ZoneId
    leave_m: Point
    arrive_m: Point
    metres: float


def zone_graph(site: Site) -> nx.DiGraph[ZoneId]:
    """Zones, and an edge where one can drive from one directly into another.

    An edge's ``weight`` is metres between the zones' centroids by the shortest passage, and its ``passages`` are all of them.
    """
    graph: nx.DiGraph[ZoneId] = nx.DiGraph()
    centre_by_zone = {zone.id: _centre(zone) for zone in site.zones}
    for zone in site.zones:
        graph.add_node(zone.id, level=zone.level, centre_m=centre_by_zone[zone.id])
    for passage in _passages(site):
        ends = centre_by_zone[passage.source], centre_by_zone[passage.target]
        metres = _metres(ends[0], passage.leave_m) + passage.metres + _metres(passage.arrive_m, ends[1])
        edge = graph.get_edge_data(passage.source, passage.target, {"weight": UNREACHABLE, "passages": ()})
        passages = (*edge["passages"], passage)
        graph.add_edge(passage.source, passage.target, weight=min(edge["weight"], metres), passages=passages)
    return graph


class Routes:
    """Shortest driving distances of one site; build once, ask often."""

    def __init__(self, site: Site) -> None:
        self.zones = site.zones
        self._rings = {zone.id: Polygon(zone.ring_m) for zone in site.zones}
        self._net = _passage_net(zone_graph(site))

    def zone_at(self, level: LevelId, point_m: Point) -> ZoneId | None:
        """The zone that contains a point, else the nearest of its level; None on a level without zones."""
        place = ShapelyPoint(point_m)
        distances = [(self._rings[zone.id].distance(place), zone.id) for zone in self.zones if zone.level == level]
        return min(distances)[1] if distances else None

    def driving_m(self, start: tuple[LevelId, Point], end: tuple[LevelId, Point]) -> float:
        """Metres of the shortest drive between two places (level, point); infinity where there is none.

        A place outside all zones counts as one in the nearest zone of its level.
        """
        source, target = self.zone_at(*start), self.zone_at(*end)
        if source is None or target is None:
            return UNREACHABLE
        direct = _metres(start[1], end[1]) if source == target else UNREACHABLE
        reached = self._distances_m(source, start[1])
        arrivals = (
            metres + _metres(passage.arrive_m, end[1]) for passage, metres in reached.items() if passage.target == target
        )
        return min(direct, min(arrivals, default=UNREACHABLE))

    def _distances_m(self, source: ZoneId, start_m: Point) -> Mapping[Passage, float]:
        """Metres from a point of a zone to the far side of every passage that can be reached."""
        first = {
            passage: _metres(start_m, passage.leave_m) + passage.metres for passage in self._net if passage.source == source
        }
        start = "start"
        net: nx.DiGraph[Passage | str] = nx.DiGraph()
        net.add_weighted_edges_from((start, passage, metres) for passage, metres in first.items())
        found = nx.single_source_dijkstra_path_length(nx.compose(self._net, net), start) if first else {}
        return {passage: metres for passage, metres in found.items() if isinstance(passage, Passage)}


def _passage_net(zones: nx.DiGraph[ZoneId]) -> nx.DiGraph[Passage]:
    """Passages, and metres from arriving by one to arriving by the next."""
    net: nx.DiGraph[Passage] = nx.DiGraph()
    for _, _, passages in zones.edges.data("passages"):
        net.add_nodes_from(passages)
    for _, middle, arriving in zones.edges.data("passages"):
        for _, _, leaving in zones.out_edges(middle, data="passages"):
            net.add_weighted_edges_from(
                (one, other, _metres(one.arrive_m, other.leave_m) + other.metres) for one in arriving for other in leaving
            )
    return net


def _passages(site: Site) -> Iterator[Passage]:
    yield from _border_passages(site)
    yield from _lane_passages(site)
    yield from _ramp_passages(site)


def _border_passages(site: Site) -> Iterator[Passage]:
    ring_by_zone = {zone.id: Polygon(zone.ring_m) for zone in site.zones}
    allowed, crossed = _crossings(site)
    for one, other in adjacent_zones(site):
        border = ring_by_zone[one].buffer(ADJACENT_M).intersection(ring_by_zone[other].boundary)
        for source, target in ((one, other), (other, one)):
            if (source, target) in allowed or frozenset((one, other)) not in crossed:
                for gate in _gates(border):
                    yield Passage(source=source, target=target, leave_m=gate, arrive_m=gate, metres=0.0)


def _crossings(site: Site) -> tuple[set[tuple[ZoneId, ZoneId]], set[frozenset[ZoneId]]]:
    """Ordered zone pairs that lanes lead across, and unordered pairs that any lane crosses."""
    allowed = {(hop.source, hop.target) for hop in _lane_passages(site)}
    return allowed, {frozenset(pair) for pair in allowed}


def _gates(border: BaseGeometry) -> list[Point]:
    """Points spread over a border, its ends left out."""
    lines = [part for part in getattr(border, "geoms", [border]) if part.length > 0.0]
    if not lines:
        return [] if border.is_empty else [_rounded(border.representative_point())]
    longest = max(lines, key=lambda line: line.length)
    return [_rounded(longest.interpolate((2 * k + 1) / (2 * GATES), normalized=True)) for k in range(GATES)]


def _lane_passages(site: Site) -> Iterator[Passage]:
    """Hops from zone to zone along every chain of lanes, over stretches in no zone too."""
    walks = {lane.id: list(_walk(site, lane)) for lane in site.lanes}
    lane_by_id = {lane.id: lane for lane in site.lanes}
    for lane in site.lanes:
        for source, target in zip(walks[lane.id], walks[lane.id][1:], strict=False):
            yield from _hop(source, target, reversible=not lane.one_way)
        for following in lane.follows:
            yield from _onward(lane, lane_by_id[following], walks, lane_by_id)


class _Stay(Struct, frozen=True, kw_only=True):
    """A stretch of a lane inside one zone; metres from the lane's start."""

    zone: ZoneId
    enter_m: Point
    leave_m: Point
    from_m: float
    until_m: float


def _walk(site: Site, lane: Lane) -> Iterator[_Stay]:
    line = LineString(lane.line_m)
    zones = [(zone.id, Polygon(zone.ring_m)) for zone in site.zones if zone.level == lane.level]
    steps = max(1, int(line.length / STEP_M))
    stay: _Stay | None = None
    for k in range(steps + 1):
        along_m = line.length * k / steps
        place = line.interpolate(along_m)
        zone = next((name for name, ring in zones if ring.covers(place)), None)
        if stay is not None and zone == stay.zone:
            stay = _Stay(zone=stay.zone, enter_m=stay.enter_m, leave_m=_rounded(place), from_m=stay.from_m, until_m=along_m)
            continue
        if stay is not None and zone is not None:
            yield stay
        if zone is not None:
            stay = _Stay(zone=zone, enter_m=_rounded(place), leave_m=_rounded(place), from_m=along_m, until_m=along_m)
    if stay is not None:
        yield stay


def _hop(source: _Stay, target: _Stay, *, reversible: bool, metres: float | None = None) -> Iterator[Passage]:
    if source.zone == target.zone:
        return
    gap_m = round(target.from_m - source.until_m if metres is None else metres, 3)
    ends = {"leave_m": source.leave_m, "arrive_m": target.enter_m}
    yield Passage(source=source.zone, target=target.zone, metres=gap_m, **ends)
    if reversible:
        back = {"leave_m": target.enter_m, "arrive_m": source.leave_m}
        yield Passage(source=target.zone, target=source.zone, metres=gap_m, **back)


def _onward(
    lane: Lane, following: Lane, walks: Mapping[LaneId, list[_Stay]], lanes: Mapping[LaneId, Lane]
) -> Iterator[Passage]:
    """From a lane's last zone to the first zone of the lanes after it, through lanes that touch none."""
    if not walks[lane.id]:
        return
    last = walks[lane.id][-1]
    reversible = not lane.one_way
    waiting = [(following, _length_m(lane) - last.until_m + _metres(lane.line_m[-1], following.line_m[0]), reversible)]
    visited = {lane.id}
    while waiting:
        here, metres, back = waiting.pop()
        if here.id in visited:
            continue
        visited.add(here.id)
        back = back and not here.one_way
        if walks[here.id]:
            first = walks[here.id][0]
            yield from _hop(last, first, reversible=back, metres=metres + first.from_m)
            continue
        length_m = metres + _length_m(here)
        waiting += [(lanes[after], length_m + _metres(here.line_m[-1], lanes[after].line_m[0]), back) for after in here.follows]


def _ramp_passages(site: Site) -> Iterator[Passage]:
    height_by_level = {level.id: level.elevation_m for level in site.levels}
    level_by_zone = {zone.id: zone.level for zone in site.zones}
    for portal in site.portals:
        if portal.role != "level" or portal.to_level is None:
            continue
        middle = _middle(portal.line_m)
        climb_m = abs(height_by_level[portal.to_level] - height_by_level[portal.level])
        zones = zones_at(site, portal)
        lower = [zone for zone in zones if level_by_zone[zone] == portal.level]
        upper = [zone for zone in zones if level_by_zone[zone] == portal.to_level]
        for pair in ((one, other) for one in lower for other in upper):
            for source, target, way in ((*pair, "in"), (*reversed(pair), "out")):
                if portal.direction in (way, "both"):
                    ramp_m = round(climb_m / RAMP_SLOPE, 3)
                    yield Passage(source=source, target=target, leave_m=middle, arrive_m=middle, metres=ramp_m)


def _length_m(lane: Lane) -> float:
    return float(LineString(lane.line_m).length)


def _centre(zone: Zone) -> Point:
    return _rounded(Polygon(zone.ring_m).centroid)


def _middle(line: tuple[Point, Point]) -> Point:
    (x1, y1), (x2, y2) = line
    return ((x1 + x2) / 2, (y1 + y2) / 2)


def _rounded(place: BaseGeometry) -> Point:
    x, y = place.coords[0]
    return (round(float(x), 3), round(float(y), 3))


def _metres(one: Point, other: Point) -> float:
    return hypot(other[0] - one[0], other[1] - one[1])
