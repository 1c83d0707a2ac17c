"""A site's lanes as a SUMO network, in site frame metres.

Directed lanes are cut wherever one joins or crosses another; what lies between two cuts is an edge of one lane, and
cuts that belong together are a node. SUMO decides who yields there. Stretches inside a node are SUMO's own curves.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

import networkx as nx
import numpy as np

from perception.synthetic.lines import Floats, Line
from perception.synthetic.routes import DirectedLane, LaneGraph, Place
from perception.synthetic.sumo.programs import complete
from site_models.schema import LevelId, Site
from twin.errors import BadInput

_WIDTH_M = 3.0  # of the driven strip; wider ones only move stop lines away from corners
_RADIUS_M = 1.5
_LATERAL_MPS2 = 1.8  # what drivers take curves at
_TOGETHER_M = 4.0  # cuts of a lane that are nearer than this are one node

EdgeId = str
_Join = tuple[Place, Place]


class Edge(NamedTuple):
    """A stretch of a directed lane between two nodes.

    Attributes:
        lane: which directed lane of the graph.
        shape: SUMO's lane, site frame: the piece of it that lies between the stop lines.
        level: of the lane.
    """

    id: EdgeId
    lane: int
    level: LevelId
    shape: Line


class Network:
    """A built network.

    Attributes:
        path: the file that ``sumo`` reads.
        edges: by id, in the order of lanes and along them.

    Raises:
        BadInput: a two-way lane with room for one vehicle only; SUMO has no rule for those.
        SumoFailed: netconvert refused the network.
    """

    def __init__(self, site: Site, graph: LaneGraph, speed_mps: float, folder: Path) -> None:
        _check_widths(site, graph)
        self.graph, self.path = graph, folder / "site.net.xml"
        cuts = _cuts(graph)
        node_of = _nodes(graph, cuts)
        pieces = [piece for lane, places in enumerate(cuts) for piece in _pieces(lane, places, node_of)]
        _write(folder / "site.nod.xml", _node_elements(graph, node_of), "nodes")
        _write(folder / "site.edg.xml", _edge_elements(graph, pieces, node_of, speed_mps), "edges")
        _write(folder / "site.con.xml", _connection_elements(graph, pieces, node_of), "connections")
        complete("netconvert", [*_inputs(folder), *_OPTIONS, "--output-file", str(self.path)])
        shapes = _shapes(self.path)
        self.edges = {name: Edge(name, start.lane, graph.lanes[start.lane].level, shapes[name]) for name, start, _ in pieces}

    def edge_at(self, place: Place) -> tuple[EdgeId, float]:
        """The edge of a place on a lane nearest to it, and how far along the edge; beyond an end, less than 0 or past it."""
        point = self.graph.lanes[place.lane].line.at(place.s_m)
        on_lane = [edge for edge in self.edges.values() if edge.lane == place.lane]
        best = min(on_lane, key=lambda edge: edge.shape.nearest(point)[1])
        direction = best.shape.direction(0.0)
        along_m = best.shape.nearest(point)[0]
        if along_m == 0.0:
            along_m = float((point - best.shape.points_m[0]) @ direction)
        return best.id, along_m


_OPTIONS = (
    "--offset.disable-normalization",  # keeps the site frame's metres
    "--no-turnarounds",
    "--default.junctions.radius",
    str(_RADIUS_M),
    "--junctions.internal-link-detail",
    "20",
    "--junctions.limit-turn-speed",
    str(_LATERAL_MPS2),
    "--no-warnings",
)


def _inputs(folder: Path) -> list[str]:
    kinds = (("--node-files", "nod"), ("--edge-files", "edg"), ("--connection-files", "con"))
    return [text for option, suffix in kinds for text in (option, str(folder / f"site.{suffix}.xml"))]


def _check_widths(site: Site, graph: LaneGraph) -> None:
    for lane in site.lanes:
        both = [one.line for one in graph.lanes if one.id == lane.id]
        if len(both) == 2 and both[0].nearest(both[1].at(both[1].length_m / 2))[1] < _WIDTH_M / 2:
            raise BadInput(
                f"lane '{lane.id}' of site '{site.name}' is two-way and {lane.width_m} m wide: SUMO would drive vehicles "
                "through each other there; make it one-way or wide enough for two, or use --traffic own"
            )


def _cuts(graph: LaneGraph) -> list[list[Place]]:
    """(number of lanes) places where each is cut, in driving order, its ends among them."""
    cuts = [{0.0, lane.line.length_m} for lane in graph.lanes]
    for one, other in (*_joined(graph), *_crossed(graph)):
        for place in (one, other):
            cuts[place.lane].add(min(max(place.s_m, 0.0), graph.lanes[place.lane].line.length_m))
    return [[Place(lane, s_m) for s_m in sorted(places)] for lane, places in enumerate(cuts)]


def _joined(graph: LaneGraph) -> Iterator[_Join]:
    for lane, leaving in enumerate(graph.joints):
        for joint in leaving:
            yield Place(lane, joint.leave_m), joint.enter


def _crossed(graph: LaneGraph) -> Iterator[_Join]:
    """Where lanes of a level cross without a way from one to the other."""
    for (one, a), (other, b) in combinations(enumerate(graph.lanes), 2):
        if a.level == b.level and a.id != b.id:
            for start, end in pairwise(b.line.points_m):
                crossing = a.line.crossing(start, end)
                if crossing is not None:
                    point = a.line.at(crossing[0])
                    yield Place(one, crossing[0]), Place(other, b.line.nearest(point)[0])


def _nodes(graph: LaneGraph, cuts: list[list[Place]]) -> dict[Place, str]:
    together = nx.Graph()
    together.add_nodes_from(place for places in cuts for place in places)
    for one, other in (*_joined(graph), *_crossed(graph)):
        together.add_edge(_clamped(graph, one), _clamped(graph, other))
    for places in cuts:
        together.add_edges_from((a, b) for a, b in pairwise(places) if b.s_m - a.s_m < _TOGETHER_M)
    clusters = sorted(sorted(cluster) for cluster in nx.connected_components(together))
    return {place: f"n{number}" for number, cluster in enumerate(clusters) for place in cluster}


def _clamped(graph: LaneGraph, place: Place) -> Place:
    return place._replace(s_m=min(max(place.s_m, 0.0), graph.lanes[place.lane].line.length_m))


def _pieces(lane: int, places: list[Place], node_of: dict[Place, str]) -> list[tuple[EdgeId, Place, Place]]:
    steps = [(a, b) for a, b in pairwise(places) if node_of[a] != node_of[b]]
    return [(f"e{lane}_{number}", start, end) for number, (start, end) in enumerate(steps)]


def _node_elements(graph: LaneGraph, node_of: dict[Place, str]) -> Iterator[ET.Element]:
    points: dict[str, list[Floats]] = {}
    for place, node in node_of.items():
        points.setdefault(node, []).append(graph.lanes[place.lane].line.at(place.s_m))
    for node, of_node in points.items():
        x, y = np.mean(of_node, axis=0)
        yield ET.Element("node", id=node, x=f"{x:.3f}", y=f"{y:.3f}", type="priority")


def _edge_elements(
    graph: LaneGraph, pieces: list[tuple[EdgeId, Place, Place]], node_of: dict[Place, str], speed_mps: float
) -> Iterator[ET.Element]:
    for name, start, end in pieces:
        lane: DirectedLane = graph.lanes[start.lane]
        yield ET.Element(
            "edge",
            {"id": name, "from": node_of[start], "to": node_of[end], "shape": _text(lane.line.part(start.s_m, end.s_m))},
            numLanes="1",
            speed=f"{speed_mps:.3f}",
            width=f"{_WIDTH_M}",
            spreadType="center",
        )


def _connection_elements(
    graph: LaneGraph, pieces: list[tuple[EdgeId, Place, Place]], node_of: dict[Place, str]
) -> Iterator[ET.Element]:
    starting = {(start.lane, node_of[start]): name for name, start, _ in pieces}
    ways = {(lane, joint.enter.lane) for lane, leaving in enumerate(graph.joints) for joint in leaving}
    for name, _, end in pieces:
        for other in range(len(graph.lanes)):
            onward = starting.get((other, node_of[end]))
            if onward is not None and (other == end.lane or (end.lane, other) in ways):
                yield ET.Element("connection", {"from": name, "to": onward, "fromLane": "0", "toLane": "0"})


def _text(points: Floats) -> str:
    return " ".join(f"{x:.4f},{y:.4f}" for x, y in points)


def _write(path: Path, elements: Iterator[ET.Element], root: str) -> None:
    tree = ET.Element(root)
    tree.extend(elements)
    ET.ElementTree(tree).write(path, encoding="utf-8", xml_declaration=True)


def _shapes(path: Path) -> dict[EdgeId, Line]:
    """SUMO's lanes by edge, as netconvert cut them at the stop lines; its own inside nodes are left out."""
    shapes = dict[EdgeId, Line]()
    for edge in ET.parse(path).getroot().iter("edge"):
        lane = edge.find("lane")
        if edge.get("function") != "internal" and lane is not None:
            corners = [[float(value) for value in point.split(",")[:2]] for point in lane.attrib["shape"].split()]
            shapes[edge.attrib["id"]] = Line(np.array(corners))
    return shapes
