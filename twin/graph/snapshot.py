"""The changing part of a graph as bytes: the same graph gives the same bytes, and reading them gives the same graph."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from site_models.schema import Site
from twin.errors import CodecError
from twin.events.ids import Micros
from twin.graph.model import SiteGraph
from twin.graph.nodes import CameraNow, PortalNow, SessionNow, StallNow, Tally, TrackletNow, VehicleNow

GRAPH_VERSION = "graph.1"


class _Changing(Struct, frozen=True, kw_only=True, array_like=True):
    """Every list is sorted by id; stalls, cameras and portals that no fact has touched are left out."""

    position: int
    at: Micros
    tally: Tally
    vehicles: list[tuple[str, VehicleNow]]
    stalls: list[tuple[str, StallNow]]
    cameras: list[tuple[str, CameraNow]]
    portals: list[tuple[str, PortalNow]]
    sessions: list[tuple[str, SessionNow]]
    tracklets: list[tuple[str, TrackletNow]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Changing).decode


def version_of(site: Site) -> str:
    """The version under which a site's snapshots are kept: they fit one model of the site only."""
    model = msgspec.msgpack.encode(site, order="deterministic")
    return f"{GRAPH_VERSION}-{hashlib.blake2b(model, digest_size=8).hexdigest()}"


def pack(graph: SiteGraph) -> bytes:
    """The changing part, as msgpack."""
    return _encode(
        _Changing(
            position=graph.position,
            at=graph.at,
            tally=graph.tally,
            vehicles=list(graph.each("vehicle")),
            stalls=[item for item in graph.each("stall") if item[1] != StallNow()],
            cameras=[item for item in graph.each("camera") if item[1] != CameraNow()],
            portals=[item for item in graph.each("portal") if item[1] != PortalNow()],
            sessions=list(graph.each("session")),
            tracklets=list(graph.each("tracklet")),
        )
    )


def restore(graph: SiteGraph, packed: bytes) -> None:
    """Set a graph's changing part to what ``pack`` saw, whatever it was before.

    Raises:
        CodecError: the bytes are no such snapshot; the graph is left as it was.
    """
    try:
        saved = _decode(packed)
    except (msgspec.DecodeError, msgspec.ValidationError) as wrong:
        raise CodecError(f"a graph snapshot cannot be read: {wrong}; delete it, it will be made again") from None
    graph.clear()
    graph.position, graph.at, graph.tally = saved.position, saved.at, saved.tally
    for kind, nodes in (("stall", saved.stalls), ("camera", saved.cameras), ("portal", saved.portals)):
        for name, now in nodes:
            graph.put(kind, name, now)
    for name, vehicle in saved.vehicles:
        _place(graph, name, vehicle)
    for kind, links in (("session", saved.sessions), ("tracklet", saved.tracklets)):
        for name, link in links:
            graph.put(kind, name, link)
            graph.link((kind, name), ("vehicle", link.vehicle), "of")


def _place(graph: SiteGraph, name: str, vehicle: VehicleNow) -> None:
    graph.put("vehicle", name, vehicle)
    if vehicle.zone is not None:
        graph.link(("vehicle", name), ("zone", vehicle.zone), "in")
    if vehicle.stall is not None:
        graph.link(("vehicle", name), ("stall", vehicle.stall), "in")
