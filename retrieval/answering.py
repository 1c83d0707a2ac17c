"""What search answers in JSON. Times are RFC 3339, probabilities and shares 0..1, boxes pixels of the picture that was sent."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from retrieval.context import Anchor, Shot
from retrieval.finder import Subject
from retrieval.rerank import Ranked, Stray, look_share
from retrieval.search import Answer
from retrieval.told import Hit, NearView, PictureView, SearchAnswer, SightingView, Unassigned
from twin.events.codec import rfc3339
from twin.events.ids import SiteId

MOST_SIGHTINGS = 5


def answered(
    site: SiteId, found: Answer, *, known_at: int, pictures: Iterable[Subject] = (), following: str | None = None
) -> SearchAnswer:
    """An answer as it is sent.

    Args:
        following: path and query of the next page.
    """
    return SearchAnswer(
        site=site,
        known_at=str(known_at),
        weights=found.weights,
        near=_near(found.near),
        pictures=tuple(_picture(one) for one in pictures),
        n_found=found.n_found,
        hits=tuple(_hit(site, one) for one in found.ranked),
        unassigned=tuple(_unassigned(site, one) for one in found.strays),
        next=following,
    )


def _hit(site: SiteId, ranked: Ranked) -> Hit:
    best = ranked.shots[0]
    links = {"vehicle": f"/v1/sites/{site}/vehicles/{ranked.vehicle}", "moment": _moment(site, best, ranked.vehicle)}
    return Hit(
        vehicle=ranked.vehicle,
        probability=round(ranked.probability, 4),
        score=round(ranked.score, 3),
        look=round(look_share(ranked.look), 4),
        reasons=ranked.reasons,
        sightings=tuple(_sighting(site, shot, ranked.vehicle) for shot in ranked.shots[:MOST_SIGHTINGS]),
        n_sightings=len(ranked.shots),
        links=links,
    )


def _unassigned(site: SiteId, stray: Stray) -> Unassigned:
    return Unassigned(
        probability=round(stray.probability, 4),
        look=round(look_share(stray.look), 4),
        tracklets=stray.tracklets,
        sightings=tuple(_sighting(site, shot, None) for shot in stray.shots[:MOST_SIGHTINGS]),
    )


def _sighting(site: SiteId, shot: Shot, vehicle: str | None) -> SightingView:
    links = {
        "moment": _moment(site, shot, vehicle),
        "more": f"/v1/sites/{site}/search?" + urlencode({"tracklet": shot.tracklet}),
    }
    if shot.crop is not None:
        links["crop"] = f"/v1/sites/{site}/crops/{shot.crop}"
    return SightingView(
        tracklet=shot.tracklet,
        camera=shot.camera,
        at=rfc3339(shot.at),
        likeness=None if shot.look is None else round(shot.look, 4),
        crop=shot.crop,
        links=links,
    )


def _moment(site: SiteId, shot: Shot, vehicle: str | None) -> str:
    """The map at the moment of a sighting."""
    named = {} if vehicle is None else {"vehicle": vehicle}
    return "/?" + urlencode({"site": site, "at": rfc3339(shot.at)} | named, safe=":")


def _near(near: Anchor) -> NearView | None:
    if near == Anchor():
        return None
    return NearView(camera=near.camera, at=None if near.at is None else rfc3339(near.at))


def _picture(subject: Subject) -> PictureView:
    found = subject.vehicle
    box = None if found is None else tuple(round(edge, 1) for edge in found.box_px)
    return PictureView(size_px=subject.picture_px, box_px=box, kind=None if found is None else found.kind)  # type: ignore[arg-type]
