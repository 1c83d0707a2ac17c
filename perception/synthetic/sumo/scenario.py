"""SUMO's input files: vehicle types, parking areas and who drives where."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from pathlib import Path

from perception.synthetic.parking import Bay
from perception.synthetic.sumo.manoeuvres import Manoeuvres, Stop, Style
from perception.synthetic.sumo.network import Network
from perception.synthetic.sumo.plans import Plan, beyond, outside
from perception.synthetic.vehicles import BODIES
from site_models.schema import Site

ENTERING_S: dict[Style, float] = {"nose": 5.0, "back": 9.5}
LEAVING_S: dict[Style, float] = {"nose": 8.5, "back": 7.0}
"""How long a manoeuvre blocks the lane, by how the vehicle is parked."""

_FOLDED = 0.25  # SUMO bends a vehicle round a corner; a stiff one's tail stands this share of its length farther back
_GAP_M = 2.0  # between standing vehicles
_STOP_M = 0.2  # the stretch in which SUMO accepts a stop
_LEAST_STAY_S = 20.0


def write_areas(path: Path, site: Site, manoeuvres: Manoeuvres) -> None:
    """Types, and for each stall and style a parking area with one lot at the stall's true place and heading."""
    root = ET.Element("additional")
    root.extend(_types(manoeuvres))
    stalls = {stall.id: stall for stall in site.stalls}
    for stop in manoeuvres.stops.values():
        area = ET.SubElement(
            root,
            "parkingArea",
            id=area_id(stop),
            lane=f"{stop.edge}_0",
            startPos=f"{stop.stop_m - _STOP_M / 2:.3f}",  # the lot lies behind it, so SUMO stops just inside
            endPos=f"{stop.stop_m + _STOP_M / 2:.3f}",
            roadsideCapacity="0",
        )
        x, y = lot_point(manoeuvres.bays[stop.stall])
        turned_deg = stalls[stop.stall].heading_deg + (
            90.0 if stop.style == "nose" else -90.0
        )  # SUMO's zero points its vehicle down -y
        ET.SubElement(area, "space", x=f"{x:.2f}", y=f"{y:.2f}", angle=f"{turned_deg % 360:.3f}")
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def write_trips(path: Path, network: Network, plans: Iterable[Plan]) -> None:
    """A trip for each plan; they have to come by departure. Written as they come, so that a long period is no memory."""
    with path.open("w", encoding="utf-8") as file:
        file.write("<routes>\n")
        for plan in plans:
            file.write(ET.tostring(_trip(network, plan), encoding="unicode") + "\n")
        file.write("</routes>\n")


def area_id(stop: Stop) -> str:
    """A parking area's name in SUMO: stall names may hold characters that SUMO does not take."""
    return f"p{stop.number}"


def lot_point(bay: Bay) -> tuple[float, float]:
    """Where SUMO shows a parked vehicle; rounded as its output is."""
    return round(bay.centre_m[0], 2), round(bay.centre_m[1], 2)


def _types(manoeuvres: Manoeuvres) -> Iterator[ET.Element]:
    for name, body in BODIES.items():
        yield _type(f"{name}-through", body.length_m * (1.0 + _FOLDED), body.width_m)
    for (name, style), tail_m in manoeuvres.tail_m.items():
        element = _type(f"{name}-{style}", tail_m, BODIES[name].width_m)
        element.set("maneuverAngleTimes", f"181 {ENTERING_S[style]} {LEAVING_S[style]}")
        yield element


def _type(name: str, length_m: float, width_m: float) -> ET.Element:
    return ET.Element(
        "vType",
        id=name,
        length=f"{length_m:.3f}",
        width=f"{width_m:.2f}",
        minGap=f"{_GAP_M}",
        accel="1.5",
        decel="3.0",
        emergencyDecel="6.0",
        tau="1.2",
        sigma="0.4",
    )


def _trip(network: Network, plan: Plan) -> ET.Element:
    exit_edge, arrival_m = network.edge_at(beyond(plan.exit))
    trip = ET.Element("trip", id=plan.vehicle.id, type=plan.type, depart=f"{plan.depart_s:.1f}", to=exit_edge)
    trip.set("speedFactor", f"{plan.vehicle.pace:.3f}")
    trip.set("arrivalPos", f"{min(arrival_m, network.edges[exit_edge].shape.length_m):.2f}")
    if plan.entry is not None:
        edge, depart_m = network.edge_at(outside(plan.entry))
        trip.set("from", edge)
        trip.set("departPos", f"{max(depart_m + plan.vehicle.shape.length_m / 2, 0.1):.2f}")
        trip.set("departSpeed", "max")
        if plan.stop is not None:
            ET.SubElement(
                trip,
                "stop",
                parkingArea=area_id(plan.stop),
                parking="true",
                until=f"{plan.leave_s:.1f}",
                duration=f"{_LEAST_STAY_S}",
            )
    else:
        assert plan.stop is not None
        trip.set("from", plan.stop.edge)
        trip.set("departPos", f"{plan.stop.stop_m - _STOP_M / 2:.2f}")
        trip.set("departSpeed", "0")
        ET.SubElement(
            trip,
            "stop",
            lane=f"{plan.stop.edge}_0",
            startPos=f"{plan.stop.stop_m - _STOP_M:.3f}",
            endPos=f"{plan.stop.stop_m:.3f}",
            duration=f"{LEAVING_S[plan.stop.style]}",
        )
    return trip
