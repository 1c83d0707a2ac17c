"""The way between a SUMO lane and a stall, nose-in or backed in.

SUMO lets a vehicle vanish from the lane and stand in its lot. Here it follows a straight piece of the lane and an arc
onto the stall's axis instead, in the time that SUMO's manoeuvre blocks the lane. All that the body sweeps over the lane
lies between the front at which SUMO stops it and a tail behind that front; SUMO's vehicle is as long as that, so its
car following keeps everybody else out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from perception.synthetic.footprints import Floats
from perception.synthetic.lines import Line, rounded
from perception.synthetic.parking import Bay, Parking
from perception.synthetic.routes import Place
from perception.synthetic.sumo.network import EdgeId, Network
from perception.synthetic.vehicles import BODIES, Body
from site_models.schema import Site, StallId

Style = Literal["nose", "back"]
STYLES: tuple[Style, ...] = ("nose", "back")
ASIDES = (-0.7, 0.0, 0.7)
"""Drivers do not stop exactly in the middle: shares of the free width left of it."""

_RADII_M = (5.0, 5.8, 4.4, 6.8, 3.8, 3.4)
_STRAIGHT_M = 0.5  # along the lane, before the arc
_SETTLED_M = 3.0  # into an edge, until a vehicle that came round a corner is straight
_REACH_M = 9.0  # from the stall's mouth to the lane, at most
_TURNS = math.radians(25), math.radians(115)
_BENT_M = 0.2  # a lane that strays farther from its tangent is not straight
_SWEEP_M = 0.25


class Access(NamedTuple):
    """Where a lane meets a stall's axis; ``turn`` is from the lane's direction to the stall's heading, radians."""

    place: Place
    point_m: Floats
    along: Floats
    turn: float


class Way(NamedTuple):
    """A body's way into a stall; it is driven back when leaving.

    Attributes:
        guide: of the guide point, from the lane to where it stops.
        headings: (N,) of the vehicle at the guide's points, radians, unwrapped.
        lead_m: how far before SUMO's stop the front is when the way begins.
    """

    guide: Line
    headings: Floats
    lead_m: float

    def pose(self, progress_m: float) -> tuple[Floats, float]:
        """(2,) guide point and heading, radians, this far along the way."""
        along_m = min(max(progress_m, 0.0), self.guide.length_m)
        return self.guide.at(along_m), float(np.interp(along_m, self.guide.along_m, self.headings))


class Stop(NamedTuple):
    """Where SUMO stops vehicles for a stall and a style.

    Attributes:
        number: counts a site's stops.
        stop_m: SUMO's front along the edge.
        ways: by body and aside.
    """

    number: int
    stall: StallId
    style: Style
    place: Place
    edge: EdgeId
    stop_m: float
    ways: Mapping[tuple[str, float], Way]


class _Draft(NamedTuple):
    """A way in coordinates along the lane: of the front where it begins, and of the ends of what it sweeps."""

    guide: Floats
    front_m: float
    from_m: float
    until_m: float


class Manoeuvres:
    """Every way into every stall of a site.

    Attributes:
        bays: the stalls' usable rooms.
        stops: by stall and style, in the site's order.
        tail_m: by body and style, the length of SUMO's vehicle.
    """

    def __init__(self, site: Site, network: Network) -> None:
        self._network = network
        self._parking = Parking(site, network.graph)
        self.bays = self._parking.bays
        self.stops: dict[tuple[StallId, Style], Stop] = {}
        self.tail_m: dict[tuple[str, Style], float] = {}
        for stall in site.stalls:
            for style in STYLES:
                self._add(self.bays[stall.id], style)

    @property
    def stalls(self) -> tuple[StallId, ...]:
        """Stalls that some body can use."""
        return tuple(dict.fromkeys(stall for stall, _ in self.stops))

    def _add(self, bay: Bay, style: Style) -> None:
        for access in _accesses(bay, self._network):
            edge, access_m = self._network.edge_at(access.place)
            drafts = self._drafts(bay, access, style, edge, access_m)
            if drafts:
                stop_m = access_m + max(max(one.front_m, one.until_m) for one in drafts.values())
                ways = {key: _way(access, draft, style, stop_m - access_m, key[0]) for key, draft in drafts.items()}
                self.stops[bay.id, style] = Stop(len(self.stops), bay.id, style, access.place, edge, stop_m, ways)
                for (body, _), draft in drafts.items():
                    needed_m = stop_m - access_m - draft.from_m
                    self.tail_m[body, style] = max(self.tail_m.get((body, style), 0.0), needed_m)
                return

    def _drafts(self, bay: Bay, access: Access, style: Style, edge: EdgeId, access_m: float) -> dict[tuple[str, float], _Draft]:
        shape = self._network.edges[edge].shape
        drafts = dict[tuple[str, float], _Draft]()
        for name, body in BODIES.items():
            for aside in ASIDES:
                draft = self._draft(bay, access, style, body, aside)
                if draft is None:
                    continue
                first_m = access_m + (draft.from_m if style == "back" else draft.front_m - _front_m(body))
                last_m = access_m + max(draft.front_m, draft.until_m)
                fits = last_m <= shape.length_m - 0.2 and first_m >= (0.0 if style == "back" else _SETTLED_M)
                if fits and _is_straight(shape, first_m, last_m):
                    drafts[name, aside] = draft
        return drafts

    def _draft(self, bay: Bay, access: Access, style: Style, body: Body, aside: float) -> _Draft | None:
        sign = 1.0 if style == "nose" else -1.0
        turn = abs(access.turn) if style == "nose" else math.pi - abs(access.turn)
        if not bay.fits(body) or not _TURNS[0] <= turn <= _TURNS[1]:
            return None
        heading = np.array([math.cos(bay.heading), math.sin(bay.heading)])
        shift = np.array([-heading[1], heading[0]]) * aside * (bay.half_width_m - body.width_m / 2)
        stop = np.array(bay.centre_m) + shift - sign * heading * body.guide_to_centre_m
        meets = access.point_m + shift - access.along * float(shift @ _across(access.along)) / math.tan(access.turn)
        for radius_m in _RADII_M:
            leaves = meets - sign * access.along * (radius_m * math.tan(turn / 2) + _STRAIGHT_M)
            inwards = rounded(np.stack([leaves, meets, stop]), radius_m)
            if self._parking.is_clear(inwards if style == "nose" else inwards[::-1], bay.level, body, own=bay.id):
                return _drafted(inwards, access, body, int(sign))
        return None


def _drafted(inwards: Floats, access: Access, body: Body, gear: int) -> _Draft:
    line = Line(inwards)
    samples = np.linspace(0.0, line.length_m, max(2, math.ceil(line.length_m / _SWEEP_M)))
    guide = np.stack([np.interp(samples, line.along_m, column) for column in line.points_m.T], axis=1)
    steps = np.gradient(guide, axis=0) * gear
    units = steps / np.hypot(*steps.T)[:, None]
    cos, sin = units @ access.along, units @ _across(access.along)
    middle_m = (guide - access.point_m) @ access.along + body.guide_to_centre_m * cos
    reach_m = np.abs(cos) * body.length_m / 2 + np.abs(sin) * body.width_m / 2
    front_m = float((inwards[0] - access.point_m) @ access.along) + _front_m(body)
    return _Draft(inwards, front_m, float((middle_m - reach_m).min()), float((middle_m + reach_m).max()))


def _way(access: Access, draft: _Draft, style: Style, stop_m: float, body: str) -> Way:
    """The draft; where a vehicle backs in, with the lane from SUMO's stop to its arc before it."""
    if style == "nose":
        line = Line(draft.guide)
        return Way(line, _headings(line, access, 1), stop_m - draft.front_m)
    first = access.point_m + access.along * (stop_m - _front_m(BODIES[body]))
    line = Line(np.concatenate([first[None], draft.guide]))
    return Way(line, _headings(line, access, -1), 0.0)


def _headings(line: Line, access: Access, gear: int) -> Floats:
    """Between the pieces' directions; at the ends exactly the lane's and the stall's."""
    steps = np.diff(line.points_m, axis=0) * gear
    between = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    lane = math.atan2(access.along[1], access.along[0])
    ends = lane, lane + access.turn + (math.pi if gear < 0 else 0.0)
    first, last = (near + math.remainder(end - near, math.tau) for end, near in zip(ends, between[[0, -1]], strict=True))
    return np.concatenate([[first], (between[:-1] + between[1:]) / 2, [last]])


def _front_m(body: Body) -> float:
    """From the guide point to the front."""
    return body.guide_to_centre_m + body.length_m / 2


def _across(along: Floats) -> Floats:
    return np.array([-along[1], along[0]])


def _is_straight(shape: Line, from_m: float, until_m: float) -> bool:
    inside = np.linspace(max(from_m, 0.0), until_m, 9)
    points = np.array([shape.at(float(s_m)) for s_m in inside])
    middle = shape.direction(float(inside[4]))
    return bool((np.abs((points - points[4]) @ _across(middle)) < _BENT_M).all())


def _accesses(bay: Bay, network: Network) -> list[Access]:
    """Lanes that the stall's axis meets before its mouth, nearest first."""
    heading = np.array([math.cos(bay.heading), math.sin(bay.heading)])
    mouth = np.array(bay.centre_m) - heading * bay.half_length_m
    found = list[tuple[float, Access]]()
    for index, lane in enumerate(network.graph.lanes):
        crossing = lane.line.crossing(mouth, mouth - heading * _REACH_M) if lane.level == bay.level else None
        if crossing is not None:
            along, point = lane.line.direction(crossing[0]), lane.line.at(crossing[0])
            turn = math.atan2(float(along[0] * heading[1] - along[1] * heading[0]), float(along @ heading))
            if abs(math.sin(turn)) > math.sin(_TURNS[0]):
                access = Access(Place(index, crossing[0]), point, along, turn)
                found.append((float(np.hypot(*(point - mouth))), access))
    return [access for _, access in sorted(found, key=lambda one: one[0])]
