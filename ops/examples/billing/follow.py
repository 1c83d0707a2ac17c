"""Follows the twin: every fact has its effect on the book once, in one transaction with the inbox."""

from __future__ import annotations

import logging
from functools import partial

import httpx2
from sqlalchemy import Engine

from ops.examples.billing.book import Book
from ops.examples.billing.schema import inbox
from ops.examples.billing.stay import TYPES
from ops.examples.database import until_there
from ops.examples.service import headers, site_address
from twin.client import Client, Event
from twin.events.facts import SessionAmended

_TIMEOUT_S = 80.0  # longer than the service may wait before it answers

_logger = logging.getLogger(__name__)


class PlateAway(Exception):
    """The twin knows a plate and cannot be asked for it now."""


async def follow(url: str, site: str, engine: Engine, book: Book, *, subscription: str, consumer: str) -> None:
    """Enter facts into the book, for ever; a service that is away is tried again.

    Args:
        consumer: names this process among those that share the subscription, the same after each restart.
    """
    async with (
        httpx2.AsyncClient(timeout=_TIMEOUT_S, headers=headers()) as http,
        Client(url, site=site, http=http) as client,
    ):
        events = client.subscribe(subscription, types=TYPES, after=0, consumer=consumer)
        async for event in events:
            try:
                plate = await _plate_of(http, site_address(url, site), event)
            except PlateAway as away:
                await events.refuse(str(away))
                continue
            await until_there(partial(_enter, engine, book, event, plate))


def _enter(engine: Engine, book: Book, event: Event, plate: str | None) -> None:
    with engine.begin() as connection:
        if inbox.is_first(connection, event):
            book.enter(connection, event, plate)


async def _plate_of(http: httpx2.AsyncClient, address: str, event: Event) -> str | None:
    """The plate that a person set for this stay; None where nobody did, or where it was erased since."""
    fact = None if event.fact is None else event.fact.payload
    if not isinstance(fact, SessionAmended) or fact.plate is None:
        return None
    try:
        answer = await http.get(f"{address}/sessions/{fact.session}/plate", params={"known_at": str(event.position)})
    except httpx2.TransportError as away:
        raise PlateAway(f"{type(away).__name__}: {away}") from None
    if answer.is_success:
        return answer.json()["plate"]
    if answer.status_code in (404, 410):
        _logger.warning("the plate of stay %s is not known any more: it is billed to nobody's account", fact.session)
        return None
    raise PlateAway(f"the plate of stay {fact.session}: {answer.status_code}")
