"""Which stalls are free for sure: those that are said to be, and that cameras which deliver look at.

A stall that was free when its camera was lost is said to be free for long: nothing speaks against it. What counts free stalls
over time must not count it, or a lost camera would empty a car park.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from site_models.schema import Site
from twin.events.ids import CameraId, StallId
from twin.graph.coverage import pieces_by_stall
from twin.graph.model import SiteGraph


class StallsWatched:
    """The stalls of a site, by which cameras look at each; a stall that none looks at is known by what else tells of it."""

    def __init__(self, site: Site) -> None:
        self._pieces = pieces_by_stall(site)
        self._unseen: dict[frozenset[CameraId], frozenset[StallId]] = {}

    def unseen(self, delivering: Iterable[CameraId]) -> frozenset[StallId]:
        """Stalls of which a piece is looked at by none of these cameras, but by others."""
        cameras = frozenset(delivering)
        if cameras not in self._unseen:
            self._unseen[cameras] = frozenset(
                stall for stall, pieces in self._pieces.items() if not all(piece & cameras for piece in pieces)
            )
        return self._unseen[cameras]

    def counted(self, graph: SiteGraph, zones: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Zones of a state with their stalls counted as ``ZoneCounts`` describes."""
        unseen = self.unseen(CameraId(name) for name, now in graph.each("camera") if now.state == "active")
        occupied, free = Counter[str](), Counter[str]()
        for stall in graph.site.stalls:
            state = graph.now("stall", stall.id).state
            occupied[stall.zone] += state == "occupied"
            free[stall.zone] += state == "free" and stall.id not in unseen
        return [
            {
                **one,
                "n_occupied": occupied[one["zone"]],
                "n_free": free[one["zone"]],
                "n_unknown": one["n_stalls"] - occupied[one["zone"]] - free[one["zone"]],
            }
            for one in zones
        ]
