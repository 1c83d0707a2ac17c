"""What the index found near a probe, and where that is among the views that are remembered. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from msgspec import Struct

from retrieval.index import Sighting
from retrieval.tracklet_views import TrackletViews
from twin.events.ids import TrackletId, VehicleId

Place = tuple[TrackletViews, int]
"""A tracklet's views, and one of them."""


class Hit(Struct, kw_only=True, eq=False):
    """A point that was found near the probe.

    Attributes:
        vehicle: that its tracklet is assigned to.
        views, row: its tracklet's views and its place in them; None where they are not known.
    """

    point: UUID
    cosine: float
    sighting: Sighting
    vehicle: VehicleId | None = None
    views: TrackletViews | None = None
    row: int = 0


def placed(hits: Iterable[Hit], views: Mapping[TrackletId, TrackletViews], place_of: Callable[[UUID], Place | None]) -> None:
    """Note where hits are: among views that were just read, else among those that are remembered."""
    for hit in hits:
        seen = views.get(hit.sighting.tracklet) if views else None
        if seen is not None and hit.point in seen.ids:
            hit.views, hit.row = seen, seen.ids.index(hit.point)
        elif hit.views is None and (place := place_of(hit.point)) is not None:
            hit.views, hit.row = place


def key_of(sighting: Sighting) -> tuple[TrackletId, int, str]:
    """Names a sighting among all of a site."""
    return sighting.tracklet, sighting.at, sighting.crop or ""
