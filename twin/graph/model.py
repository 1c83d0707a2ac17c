"""A site as a networkx graph.

Nodes are ``(kind, id)``: site, level, zone, stall, lane, portal, landmark, camera; and, folded from facts,
vehicle, session and tracklet. An edge's ``relation`` says what it means:

    contains   site -> level -> zone -> stall; level -> lane, portal, landmark, camera
    adjacent   zone <-> zone, borders within 0.5 m
    follows    lane -> lane, with ``metres``: the first lane's length
    joins      portal -> zone that its line touches; portal -> level that it leads to
    sees       camera -> zone, stall that its footprint covers in part
    in         vehicle -> zone, stall
    of         session -> vehicle, tracklet -> vehicle
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import networkx as nx
import shapely
from shapely import LineString

from site_models.schema import Lane, Portal, Site, ZoneId
from twin.events.ids import Micros
from twin.graph.coverage import Piece, coverage, polygons
from twin.graph.nodes import CameraNow, PortalNow, StallNow, Tally

Node = tuple[str, str]
ADJACENT_M = 0.5
CHANGING = ("vehicle", "session", "tracklet")


class SiteGraph:
    """One site's graph and how far it has been folded.

    Attributes:
        site: the model it was built from.
        net: the networkx graph.
        ids: for each kind of node, the attributes of its nodes by id: the same mappings as in ``net``.
        pieces_by_zone: which sets of cameras cover pieces of a zone.
        tally: counts that no node carries.
        position: last position among the applied facts; 0 before the first.
        at: latest ``occurred_at`` among them; 0 before the first.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.net: nx.DiGraph[Node] = nx.DiGraph()
        self.ids: dict[str, dict[str, dict[str, Any]]] = {}
        self.pieces_by_zone: dict[ZoneId, tuple[Piece, ...]] = {}
        self.tally = Tally()
        self.position = 0
        self.at: Micros = 0

    def put(self, kind: str, name: str, now: object) -> None:
        """Set what a node is now; adds the node where it is missing."""
        attributes = self.ids.setdefault(kind, {}).get(name)
        if attributes is not None:
            attributes["now"] = now
            return
        self.net.add_node((kind, name), now=now)
        self.ids[kind][name] = self.net.nodes[(kind, name)]

    def drop(self, kind: str, name: str) -> None:
        """Remove a node with its edges; one that is missing is left so."""
        if self.ids.get(kind, {}).pop(name, None) is not None:
            self.net.remove_node((kind, name))

    def now(self, kind: str, name: str) -> Any:
        """What a node is now; None where there is no such node."""
        attributes = self.ids.get(kind, {}).get(name)
        return None if attributes is None else attributes["now"]

    def each(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Ids and what they are now, sorted by id."""
        nodes = self.ids.get(kind, {})
        return ((name, nodes[name]["now"]) for name in sorted(nodes))

    def link(self, source: Node, target: Node, relation: str, **attributes: Any) -> None:
        """Add an edge between two nodes; a node that the site does not have gets none."""
        if source in self.net and target in self.net:
            self.net.add_edge(source, target, relation=relation, **attributes)

    def unlink(self, source: Node, target: Node) -> None:
        """Remove an edge if it is there."""
        if self.net.has_edge(source, target):
            self.net.remove_edge(source, target)

    def drop_vehicle(self, name: str) -> None:
        """Remove a vehicle with its tracklets; one that is missing is left so."""
        if self.now("vehicle", name) is None:
            return
        for kind, tracklet in list(self.net.predecessors(("vehicle", name))):
            if kind == "tracklet":
                self.drop(kind, tracklet)
        self.drop("vehicle", name)

    def link_stays(self, vehicle: str) -> None:
        """Link open stays of a vehicle that began before it was on the site."""
        for session, now in self.each("session"):
            if now.vehicle == vehicle:
                self.link(("session", session), ("vehicle", vehicle), "of")

    def n_of(self, kind: str) -> int:
        """How many nodes of a kind there are."""
        return len(self.ids.get(kind, {}))

    def clear(self) -> None:
        """Back to before the first fact; what stands still stays."""
        for kind in CHANGING:
            for name in list(self.ids.get(kind, {})):
                self.drop(kind, name)
        for kind, fresh in (("stall", StallNow()), ("camera", CameraNow()), ("portal", PortalNow())):
            for attributes in self.ids.get(kind, {}).values():
                attributes["now"] = fresh
        self.tally, self.position, self.at = Tally(), 0, 0


def site_graph(site: Site) -> SiteGraph:
    """The graph of a site before its first fact."""
    graph = SiteGraph(site)
    _contain(graph, site)
    _connect(graph, site)
    _look(graph, site)
    return graph


def adjacent_zones(site: Site) -> Iterator[tuple[ZoneId, ZoneId]]:
    """Pairs of zones of one level whose borders come within 0.5 m, each pair once, sorted."""
    rings = polygons([zone.ring_m for zone in site.zones])
    for index, one in enumerate(site.zones):
        is_near = shapely.dwithin(rings[index], rings[index + 1 :], ADJACENT_M)
        for other, near in zip(site.zones[index + 1 :], is_near.tolist(), strict=True):
            if near and one.level == other.level:
                yield one.id, other.id


def lane_length_m(lane: Lane) -> float:
    """Metres along a lane, rounded to 1 mm."""
    return round(float(LineString(lane.line_m).length), 3)


def _contain(graph: SiteGraph, site: Site) -> None:
    root: Node = ("site", site.name)
    graph.put(*root, None)
    _under(graph, "level", ((level.id, root) for level in site.levels), None)
    for kind, members in (("lane", site.lanes), ("landmark", site.landmarks), ("zone", site.zones)):
        _under(graph, kind, ((member.id, ("level", member.level)) for member in members), None)
    _under(graph, "stall", ((stall.id, ("zone", stall.zone)) for stall in site.stalls), StallNow())
    _under(graph, "portal", ((portal.id, ("level", portal.level)) for portal in site.portals), PortalNow())
    _under(graph, "camera", ((camera.id, ("level", camera.level)) for camera in site.cameras), CameraNow())


def _under(graph: SiteGraph, kind: str, members: Iterable[tuple[str, Node]], now: object) -> None:
    for name, parent in members:
        graph.put(kind, name, now)
        graph.link(parent, (kind, name), "contains")


def _connect(graph: SiteGraph, site: Site) -> None:
    for one, other in adjacent_zones(site):
        graph.link(("zone", one), ("zone", other), "adjacent")
        graph.link(("zone", other), ("zone", one), "adjacent")
    for lane in site.lanes:
        for following in lane.follows:
            graph.link(("lane", lane.id), ("lane", following), "follows", metres=lane_length_m(lane))
    for portal in site.portals:
        for zone in zones_at(site, portal):
            graph.link(("portal", portal.id), ("zone", zone), "joins")
        if portal.to_level is not None:
            graph.link(("portal", portal.id), ("level", portal.to_level), "joins")


def zones_at(site: Site, portal: Portal) -> tuple[ZoneId, ...]:
    """Zones that a portal's line touches, on its level and on the one it leads to."""
    levels = {portal.level, portal.to_level}
    zones = [zone for zone in site.zones if zone.level in levels]
    is_near = shapely.dwithin(polygons([zone.ring_m for zone in zones]), LineString(portal.line_m), ADJACENT_M)
    return tuple(zone.id for zone, near in zip(zones, is_near.tolist(), strict=True) if near)


def _look(graph: SiteGraph, site: Site) -> None:
    found = coverage(site)
    for camera, areas in found.seen.items():
        for area in areas:
            graph.link(("camera", camera), area, "sees")
    graph.pieces_by_zone |= found.pieces_by_zone
