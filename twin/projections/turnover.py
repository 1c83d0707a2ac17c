"""How a site was used in a stretch of time: turnover and stall time by zone, and how long vehicles stayed.

Source: Institute of Transportation Engineers, "Manual of Transportation Engineering Studies" (2010), chapter on parking, on
turnover, accumulation and duration; it counts whoever stood there at the beginning too, which a short stretch would inflate.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from site_models.schema import Site
from twin.errors import Contradiction, TooLarge
from twin.events.codec import micros, rfc3339
from twin.events.envelope import RecordedFact
from twin.events.facts import CameraStateChanged, IdentitiesMerged, StallChanged
from twin.events.ids import SECOND, CameraId, Micros, SiteId, StallId, ZoneId
from twin.graph.model import SiteGraph
from twin.log.cuts import Cuts
from twin.log.port import Log
from twin.projections.lengths import lengths_view
from twin.projections.moment import Moment, check_moment
from twin.projections.net import net_facts
from twin.projections.occupancy_answers import StaysView, TurnoverView, ZoneTurnover
from twin.projections.parkings import Ended, Parkings, StallTime
from twin.projections.sessions import SessionView, names_within, sessions
from twin.projections.stalls_watched import StallsWatched
from twin.projections.timeline import Timeline

LOOK_BACK: Micros = 7 * 86_400 * SECOND
"""Who stands there when the time begins is looked for so long before, for since when."""
MOST_FACTS = 500_000
FACTS_AT_ONCE = 1_000
_HOUR_S = 3_600
_TYPES = tuple(str(kind.__struct_config__.tag) for kind in (StallChanged, CameraStateChanged, IdentitiesMerged))


async def turnover(
    log: Log,
    timeline: Timeline,
    *,
    from_at: Micros,
    until_at: Micros,
    known_at: int,
    zone: str | None = None,
    watched: Site | None = None,
) -> TurnoverView:
    """What ``TurnoverView`` says.

    Args:
        watched: the site with its cameras as they are calibrated; None: as the model has them.

    Raises:
        Contradiction: the time is empty.
        Cut: retention took movement of that time.
        TooLarge: more facts than can be gone through.
    """
    check_stretch(from_at, until_at)
    site = timeline.site
    looks = await asyncio.to_thread(StallsWatched, site if watched is None else watched)
    parkings = await _folded(log, timeline, looks, from_at, until_at, known_at)
    stays = await stays_within(log, site.name, from_at=from_at, until_at=until_at, known_at=known_at)
    return TurnoverView(
        site=site.name,
        position=str(known_at),
        from_at=rfc3339(from_at),
        until_at=rfc3339(until_at),
        stays=await asyncio.to_thread(_stays, stays, from_at, until_at),
        zones=_zones(site, parkings, until_at, zone),
    )


def check_stretch(from_at: Micros, until_at: Micros) -> None:
    """Raise Contradiction where a time is empty."""
    if from_at >= until_at:
        raise Contradiction(f"from={rfc3339(from_at)} is not before until={rfc3339(until_at)}; give a time that is not empty")


async def stays_within(log: Log, site: SiteId, *, from_at: Micros, until_at: Micros, known_at: int) -> list[SessionView]:
    """Stays that touch a time, as known at a position; void ones are none. Raises TooLarge."""
    names = await names_within(log, site, known_at, from_at)
    found = await sessions(log, site, Moment(at=None, known_at=known_at), names=names)
    return await asyncio.to_thread(_within, found, from_at, until_at)


def _within(stays: Sequence[SessionView], from_at: Micros, until_at: Micros) -> list[SessionView]:
    return [
        one
        for one in stays
        if one.status != "void"
        and (one.entry_at is None or micros(one.entry_at) <= until_at)
        and (one.exit_at is None or micros(one.exit_at) >= from_at)
    ]


async def _folded(
    log: Log, timeline: Timeline, watched: StallsWatched, from_at: Micros, until_at: Micros, known_at: int
) -> Parkings:
    site = timeline.site
    begins = _begins(await check_moment(log, site.name, Moment(at=from_at, known_at=known_at)), from_at)
    graph = await timeline.graph(Moment(at=begins, known_at=known_at))
    fold, n_facts = _Fold(graph, watched, from_at), 0
    async for facts in net_facts(log, site.name, Moment(at=until_at, known_at=known_at), after_at=begins, types=_TYPES):
        n_facts += len(facts)
        if n_facts > MOST_FACTS:
            raise TooLarge(f"over {MOST_FACTS} facts of site '{site.name}' are in that time; ask for a shorter one")
        for n, fact in enumerate(facts, 1):
            fold.take(fact)
            if n % FACTS_AT_ONCE == 0:
                await asyncio.sleep(0)
    return fold.parkings


def _begins(cuts: Cuts, from_at: Micros) -> Micros:
    """From when on facts are read: so far back as the site's state is still known."""
    begins = from_at - LOOK_BACK
    return begins if cuts.thinning is None else max(begins, cuts.thinning.from_at)


class _Fold:
    """Parkings, and which cameras deliver."""

    def __init__(self, graph: SiteGraph, watched: StallsWatched, from_at: Micros) -> None:
        stalls: dict[StallId, Any] = {StallId(name): (now.state, now.vehicle) for name, now in graph.each("stall")}
        self.parkings = Parkings(stalls, from_at)
        self._watched = watched
        self._cameras = {camera.id for camera in graph.site.cameras}
        self._delivering = {CameraId(name) for name, now in graph.each("camera") if now.state == "active"}
        self.parkings.watch(self._watched.unseen(self._delivering), from_at)

    def take(self, fact: RecordedFact) -> None:
        """Go on by a fact."""
        at = fact.event.occurred_at
        match payload := fact.event.payload:
            case StallChanged():
                self.parkings.say(payload.stall, payload.state, payload.vehicle, at)
            case IdentitiesMerged():
                self.parkings.merge(payload.merged, payload.vehicle)
            case CameraStateChanged() if payload.camera in self._cameras:
                change = self._delivering.add if payload.state == "active" else self._delivering.discard
                change(payload.camera)
                self.parkings.watch(self._watched.unseen(self._delivering), at)
            case _:
                pass


def _zones(site: Site, parkings: Parkings, until_at: Micros, zone: str | None) -> list[ZoneTurnover]:
    zone_of = {stall.id: stall.zone for stall in site.stalls}
    time_by_stall = parkings.times(until_at)
    arrivals = Counter(zone_of[stall] for stall in parkings.arrivals)
    ended, stalls = defaultdict[ZoneId, list[Ended]](list), defaultdict[ZoneId, list[StallTime]](list)
    for one in parkings.ended:
        ended[zone_of[one.stall]].append(one)
    for stall, time in time_by_stall.items():
        stalls[zone_of[stall]].append(time)
    wanted = [one.id for one in site.zones if (zone is None and one.id in stalls) or one.id == zone]
    return [_zone(one, stalls[one], arrivals[one], ended[one]) for one in wanted]


def _zone(zone: ZoneId, stalls: list[StallTime], n_arrivals: int, ended: list[Ended]) -> ZoneTurnover:
    total = {name: sum(getattr(one, name) for one in stalls) for name in ("occupied", "free", "unknown", "known")}
    known_s = total["known"] / SECOND
    lengths = [one.length / SECOND for one in ended if one.length is not None]
    return ZoneTurnover(
        zone=zone,
        n_stalls=len(stalls),
        **_seconds(total),
        occupied_share=1.0 - total["free"] / total["known"] if known_s else None,
        n_arrivals=n_arrivals,
        turnover_per_stall_h=n_arrivals * _HOUR_S / known_s if known_s else None,
        parkings=lengths_view(lengths),
        n_unmeasured=len(ended) - len(lengths),
    )


def _seconds(total: Mapping[str, Micros]) -> dict[str, float]:
    return {f"{name}_s": time / SECOND for name, time in total.items()}


def _stays(stays: list[SessionView], from_at: Micros, until_at: Micros) -> StaysView:
    def is_within(at: str | None) -> bool:
        return at is not None and from_at <= micros(at) <= until_at

    ended = [one for one in stays if is_within(one.exit_at)]
    return StaysView(
        n_entries=sum(is_within(one.entry_at) for one in stays),
        n_exits=len(ended),
        lengths=lengths_view(one.duration_s for one in ended if one.status == "closed" and one.duration_s is not None),
    )
