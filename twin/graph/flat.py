"""A graph without edges: what its nodes are now, for those who ask only that; it is filled some ten times as fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twin.graph.model import Node, SiteGraph
from twin.graph.nodes import CameraNow, PortalNow, StallNow, Tally

BLANK: dict[str, Any] = {"stall": StallNow(), "camera": CameraNow(), "portal": PortalNow()}
"""What nodes of these kinds are before the first fact; of other kinds there are none then."""


class FlatGraph(SiteGraph):
    """What a ``SiteGraph`` says of its nodes; ``twin.graph.query.state`` of the two is the same. It keeps no tracklets.

    Args:
        model: any graph of the site, whose changing part does not matter.
    """

    def __init__(self, model: SiteGraph) -> None:
        self.site = model.site
        self.pieces_by_zone = model.pieces_by_zone
        self.nodes: dict[str, dict[str, Any]] = {kind: {} for kind in ("vehicle", "session")}
        for kind in ("stall", "camera", "portal"):
            fresh = BLANK[kind]
            self.nodes[kind] = dict.fromkeys(sorted(model.ids.get(kind, {})), fresh)
        self.tally = Tally()
        self.position = 0
        self.at = 0

    def copy(self) -> FlatGraph:
        """One like it, that changes apart."""
        other = FlatGraph.__new__(FlatGraph)
        other.site, other.pieces_by_zone = self.site, self.pieces_by_zone
        other.nodes = {kind: dict(nodes) for kind, nodes in self.nodes.items()}
        other.tally, other.position, other.at = self.tally, self.position, self.at
        return other

    def put(self, kind: str, name: str, now: object) -> None:
        """See ``SiteGraph``."""
        if kind != "tracklet":
            self.nodes[kind][name] = now

    def drop(self, kind: str, name: str) -> None:
        """See ``SiteGraph``."""
        self.nodes.get(kind, {}).pop(name, None)

    def now(self, kind: str, name: str) -> Any:
        """See ``SiteGraph``."""
        return self.nodes.get(kind, {}).get(name)

    def each(self, kind: str) -> Iterator[tuple[str, Any]]:
        """See ``SiteGraph``."""
        return iter(sorted(self.nodes.get(kind, {}).items(), key=_name))

    def n_of(self, kind: str) -> int:
        """See ``SiteGraph``."""
        return len(self.nodes.get(kind, {}))

    def link(self, source: Node, target: Node, relation: str, **attributes: Any) -> None:
        """It has no edges."""

    def unlink(self, source: Node, target: Node) -> None:
        """It has no edges."""

    def drop_vehicle(self, name: str) -> None:
        """See ``SiteGraph``."""
        self.nodes["vehicle"].pop(name, None)

    def link_stays(self, vehicle: str) -> None:
        """It has no edges."""


def _name(item: tuple[str, Any]) -> str:
    return item[0]
