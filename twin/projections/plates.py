"""Number plates that people set, opened from where the log holds them sealed. Evidence of a stay, never an identity."""

from __future__ import annotations

from collections.abc import Mapping

from site_models.schema import SiteId
from twin.errors import Gone, NotFound
from twin.events.codec import rfc3339
from twin.events.facts import SessionAmended
from twin.events.ids import EventId, SessionId
from twin.events.observations import OperatorDecided
from twin.log.keys import KeyRing
from twin.log.port import Log
from twin.log.sealing import personal_of
from twin.projections.moment import Moment
from twin.projections.net import net_facts
from twin.projections.sessions import SessionView, sessions
from twin.projections.site_answers import PlateView


def normal(plate: str) -> str:
    """A plate as it is compared: letters and digits alone, however they were set apart.

    >>> normal("b-xy 123")
    'BXY123'
    """
    return "".join(one for one in plate.upper() if one.isalnum())


async def plate_of(log: Log, keys: KeyRing, site: SiteId, session: SessionId, moment: Moment) -> PlateView:
    """The plate of a stay at a moment.

    Raises:
        NotFound: there is no such stay, or nobody set its plate.
        Gone: it was erased, or retention cut the decision.
    """
    decided = {name: plate for name, plate in (await _decided(log, site, moment)).items() if name == session}
    if session not in decided:
        raise NotFound(f"no plate of session '{session[:80]}' of site '{site}' is known then; a person sets it")
    view = await _opened(log, keys, site, session, *decided[session])
    if view is None:
        raise Gone(f"the plate of session '{session[:80]}' was erased, or its decision is older than what is kept")
    return view


async def stays_with(log: Log, keys: KeyRing, site: SiteId, plate: str, moment: Moment) -> list[SessionView]:
    """Stays that are open, or not paid yet, with that plate."""
    decided = await _decided(log, site, moment)
    found: list[SessionView] = []
    for view in await sessions(log, site, moment, names=decided):
        session = SessionId(view.session)
        is_due = view.status == "open" or (view.balance_minor or 0) > 0
        if not is_due or session not in decided:
            continue
        opened = await _opened(log, keys, site, session, *decided[session])
        if opened is not None and normal(opened.plate) == normal(plate):
            found.append(view)
    return found


async def _decided(log: Log, site: SiteId, moment: Moment) -> Mapping[SessionId, tuple[EventId, int]]:
    """Of each stay, the decision that last set its plate, and where that stands in the observation log."""
    position_by_decision: dict[EventId, int] = {}
    latest: dict[SessionId, EventId | None] = {}
    async for facts in net_facts(log, site, moment, types=("session.amended.v1",)):
        for recorded in facts:
            fact = recorded.event.payload
            assert isinstance(fact, SessionAmended)
            latest[fact.session] = None if fact.status == "void" else fact.plate
            if fact.plate is not None:
                cause = recorded.event.cause
                position_by_decision[fact.plate] = min(position_by_decision.get(fact.plate, cause), cause)
    return {name: (plate, position_by_decision[plate]) for name, plate in latest.items() if plate is not None}


async def _opened(
    log: Log, keys: KeyRing, site: SiteId, session: SessionId, decision: EventId, position: int
) -> PlateView | None:
    """The decision's plate; None where its key is gone, or the decision itself."""
    found = await log.observations(site, after=position - 1, limit=1)
    if not found or found[0].event.id != decision:
        return None
    event, payload = found[0].event, found[0].event.payload
    personal = await personal_of(keys, event)
    if not isinstance(payload, OperatorDecided) or personal is None or personal.plate is None:
        return None
    at = rfc3339(event.occurred_at)
    return PlateView(session=session, plate=personal.plate.text, author=payload.author, at=at, decision=decision)
