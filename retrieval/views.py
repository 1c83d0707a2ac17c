"""How tracklets looked: the best view of each, for whoever shows what a conclusion rests on. Nothing is compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from starlette.datastructures import QueryParams

from retrieval.index import Sighting
from retrieval.whereabouts import Clocks
from twin.errors import BadInput
from twin.events.codec import rfc3339
from twin.events.ids import Micros, TrackletId

MOST_TRACKLETS = 100
MOST_VIEWS = 5_000
"""Views that are looked through at most; what is beyond them has none here."""


class View(Struct, frozen=True, kw_only=True):
    """The best view of a tracklet; ``at`` by the site's clock, ``crop`` None where no picture was kept."""

    tracklet: str
    camera: str
    at: str
    kind: str
    colour: str | None
    crop: str | None


class Views(Struct, frozen=True, kw_only=True):
    """One view of each tracklet that has any, by time."""

    views: tuple[View, ...]


def asked_tracklets(query: QueryParams) -> tuple[TrackletId, ...]:
    """The tracklets of a request, each once; raises BadInput for none or too many."""
    named = tuple(dict.fromkeys(TrackletId(one) for one in query.getlist("tracklet") if one))
    if not 0 < len(named) <= MOST_TRACKLETS:
        raise BadInput(f"{len(named)} tracklets are named; give ?tracklet= from once to {MOST_TRACKLETS} times")
    return named


def best_views(sightings: Iterable[Sighting], clocks: Clocks, until_at: Micros | None) -> Views:
    """The best view of each tracklet until a time; of equally good ones the first."""
    best: dict[TrackletId, Sighting] = {}
    for one in sightings:
        if until_at is not None and clocks.corrected(one.camera, one.at) > until_at:
            continue
        known = best.get(one.tracklet)
        if known is None or _worth(one) > _worth(known):
            best[one.tracklet] = one
    return Views(views=tuple(_view(one, clocks) for one in _by_time(list(best.values()), clocks)))


def _worth(sighting: Sighting) -> tuple[bool, float]:
    """One that can be shown is worth more than any that cannot."""
    return sighting.crop is not None, sighting.quality


def _by_time(sightings: Sequence[Sighting], clocks: Clocks) -> list[Sighting]:
    return sorted(sightings, key=lambda one: (clocks.corrected(one.camera, one.at), one.tracklet))


def _view(sighting: Sighting, clocks: Clocks) -> View:
    return View(
        tracklet=sighting.tracklet,
        camera=sighting.camera,
        at=rfc3339(clocks.corrected(sighting.camera, sighting.at)),
        kind=sighting.kind,
        colour=sighting.colour,
        crop=sighting.crop,
    )
