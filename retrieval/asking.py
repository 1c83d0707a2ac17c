"""What a query's parameters ask of search, read strictly: an unknown word is refused with those that are known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from starlette.datastructures import QueryParams

from retrieval.context import Anchor
from retrieval.index import Where
from retrieval.question import Question
from site_models.schema import Site
from twin.errors import BadInput, Contradiction
from twin.events.codec import micros
from twin.events.ids import Micros
from twin.events.observations import Colour, VehicleKind
from twin.events.wire import KNOWN_AT, LETTERS, TIME, WAIT_FOR, of_site
from twin.log.port import Log
from twin.projections.moment import FOREVER, Moment, read_moment
from twin.projections.timeline import Timeline
from twin.projections.waiting import MOST_WAIT_S, awaited, wait_for, wait_of
from twin.projections.zone_visitors import zone_visitors

MOST_HITS = 100
DEFAULT_HITS = 10
MOST_SKIPPED = 1_000
KINDS: tuple[VehicleKind, ...] = get_args(VehicleKind)
COLOURS: tuple[Colour, ...] = get_args(Colour)

_SOUGHT = re.compile(f"[{LETTERS}]")
_LONGEST_PLATE = 16

T = TypeVar("T", bound=str)


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


PARAMETERS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("limit", "How many vehicles at most.", {"type": "integer", "minimum": 1, "maximum": MOST_HITS}),
    ("skip", "How many of the best to leave out: the next page.", {"type": "integer", "minimum": 0, "maximum": MOST_SKIPPED}),
    ("at", "Only sightings up to this time.", TIME),
    ("known_at", "Vehicles as known at this fact position (digits), or at this time.", KNOWN_AT),
    (
        "wait_for",
        "Answer once the observation at this position is folded; `fact:` before it: once that fact is there.",
        WAIT_FOR,
    ),
    ("wait_s", "How long to wait for `wait_for`, seconds.", {"type": "number", "minimum": 0, "maximum": MOST_WAIT_S}),
    ("near_camera", "The camera near which the vehicle was seen: evidence, not a condition.", of_site("camera")),
    ("near_at", "When the vehicle was seen: evidence, not a condition.", TIME),
    ("from", "Only sightings from this time on.", TIME),
    ("until", "Only sightings until this time.", TIME),
    ("camera", "Only sightings by these cameras, separated by commas.", _list_of(of_site("camera"))),
    ("zone", "Only vehicles that were in this zone, between from and until if these are given.", of_site("zone")),
    ("kind", f"Only sightings of these kinds, separated by commas: {', '.join(KINDS)}.", _list_of({"enum": list(KINDS)})),
    (
        "colour",
        f"Only sightings of these colours, separated by commas: {', '.join(COLOURS)}.",
        _list_of({"enum": list(COLOURS)}),
    ),
    (
        "plate",
        "Only sightings with this in their number plate.",
        {"type": "string", "pattern": f"[{LETTERS}]", "maxLength": _LONGEST_PLATE},
    ),
)
MOMENT = ("at", "known_at", "wait_for", "wait_s")
"""What every read takes."""

_KNOWN = frozenset(name for name, _, _ in PARAMETERS)


async def asked(log: Log, timeline: Timeline, query: QueryParams, own: frozenset[str]) -> Question:
    """The question of a request.

    Args:
        own: parameters that only this kind of request has.

    Raises:
        BadInput: a parameter is not known, or has a value that it cannot have.
        NotFound: ``known_at`` is beyond the fact log's head.
        Cut, TooLarge: see ``zone_visitors``.
    """
    site = timeline.site
    _check_names(query, _KNOWN | own)
    moment = await _moment(log, site, query)
    then = timeline.as_known(moment.known_at if "known_at" in query else None)
    from_at, until_at = _time("from", query.get("from")), _time("until", query.get("until"))
    if from_at is not None and until_at is not None and until_at < from_at:
        raise Contradiction(f"until={query['until']} is before from={query['from']}; exchange them")
    near_at = _time("near_at", query.get("near_at"))
    if near_at is not None and moment.at is not None and near_at > moment.at:
        raise Contradiction(
            f"near_at={query['near_at']} is after at={query['at']}, and nothing later is to be known; exchange them"
        )
    cameras = [camera.id for camera in site.cameras]
    near = query.get("near_camera")
    plate = query.get("plate")
    if plate is not None and len(plate) > _LONGEST_PLATE:
        raise BadInput(f"plate='{plate[:20]}…' has {len(plate)} characters; no plate has more than {_LONGEST_PLATE}")
    if plate is not None and not _SOUGHT.search(plate):
        raise BadInput(f"plate='{plate[:20]}' has no letter or digit to look for")
    return Question(
        moment=moment,
        near=Anchor(
            camera=None if near is None else _one_of("near_camera", near, cameras, site),
            at=near_at,
        ),
        where=Where(
            from_at=from_at,
            until_at=until_at,
            cameras=_some_of("camera", query.get("camera"), cameras, site),
            kinds=_some_of("kind", query.get("kind"), KINDS, site),
            colours=_some_of("colour", query.get("colour"), COLOURS, site),
            plate=plate,
        ),
        vehicles=None if "zone" not in query else await _visitors(log, then, query["zone"], from_at, until_at, moment),
        limit=_whole("limit", query.get("limit"), DEFAULT_HITS, 1, MOST_HITS),
        skip=_whole("skip", query.get("skip"), 0, 0, MOST_SKIPPED),
    )


async def asked_moment(log: Log, timeline: Timeline, query: QueryParams, own: frozenset[str]) -> Moment:
    """The moment of a request that takes a read's parameters alone, beside its own, which may be given several times.

    Raises:
        BadInput, NotFound: as ``asked``.
        NotYet: what it waits for did not come in time.
    """
    _check_names(query, frozenset(MOMENT) | own, often=own)
    return await _moment(log, timeline.site, query)


def _check_names(query: QueryParams, known: frozenset[str], *, often: frozenset[str] = frozenset()) -> None:
    if twice := sorted({name for name in query if len(query.getlist(name)) > 1} - often):
        raise BadInput(f"'{twice[0][:40]}' is given {len(query.getlist(twice[0]))} times; give it once, with commas")
    if unknown := sorted(set(query) - known):
        raise BadInput(f"search knows no parameter '{unknown[0][:40]}'; it knows {', '.join(sorted(known))}")


async def _moment(log: Log, site: Site, query: QueryParams) -> Moment:
    wait_s = wait_of(query.get("wait_s"))
    if (wanted := query.get("wait_for")) is not None:
        await wait_for(log, site.name, awaited(wanted), wait_s=wait_s)
    return await read_moment(log, site.name, at=query.get("at"), known_at=query.get("known_at"))


async def _visitors(
    log: Log, timeline: Timeline, name: str, from_at: Micros | None, until_at: Micros | None, moment: Moment
) -> Any:
    site = timeline.site
    zone = _one_of("zone", name, [one.id for one in site.zones], site)
    begins = from_at
    if begins is None:
        cut = (await log.cuts(site.name)).thinning
        begins = 0 if cut is None else cut.from_at
    ends = min(one for one in (until_at, moment.at, FOREVER) if one is not None)
    return await zone_visitors(log, timeline, zone, from_at=begins, until_at=ends, known_at=moment.known_at)


def _some_of(name: str, text: str | None, known: Sequence[T], site: Site) -> tuple[T, ...]:
    return () if text is None else tuple(dict.fromkeys(_one_of(name, one.strip(), known, site) for one in text.split(",")))


def _one_of(name: str, text: str, known: Sequence[T], site: Site) -> T:
    for one in known:
        if one == text:
            return one
    raise BadInput(f"{name}='{text[:80]}' is none of site '{site.name}'; there are {', '.join(map(str, known)) or 'none'}")


def _time(name: str, text: str | None) -> Micros | None:
    try:
        return None if text is None else micros(text)
    except ValueError:
        raise BadInput(f"{name}='{text}' cannot be read; give an RFC 3339 time such as 2026-01-01T09:00:00Z") from None


def _whole(name: str, text: str | None, default: int, least: int, most: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
        raise BadInput(f"{name}='{text[:60]}' cannot be used; give a whole number from {least} to {most}")
    return int(text)
