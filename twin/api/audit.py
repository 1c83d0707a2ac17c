"""Who searched, decided, read a plate or opened a picture, for whoever answers for the site."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from twin.access.audit import Action, NumberedEntry
from twin.api.endpoint import Endpoint, count
from twin.api.exchange import count_of, json, services_of, site_of
from twin.events.codec import rfc3339

PAGE = 1_000
PAGE_MOST = 10_000


class AuditEntryView(Struct, frozen=True, kw_only=True):
    """One entry.

    Attributes:
        key, name: of the key; ``open`` where access was open.
        subject: the path below the site's and the names of conditions, or the kind of a decision; never a plate or a picture.
        n_results: of a search: how many vehicles it told.
    """

    number: str
    at: str
    key: str
    name: str
    action: Action
    subject: str
    address: str
    n_results: int | None


class AuditPage(Struct, frozen=True, kw_only=True):
    """Entries in order; ``next`` is ``after`` of the next page, absent at the end."""

    entries: list[AuditEntryView]
    next: str | UnsetType = UNSET


async def read_audit(request: Request) -> Response:
    """A page of the record."""
    site, audit = site_of(request), services_of(request).access.audit
    after = count_of(request, "after", default=0)
    limit = count_of(request, "limit", default=PAGE, least=1, most=PAGE_MOST)
    found = [] if audit is None else await audit.page(site.name, after=after, limit=limit + 1)
    page = found[:limit]
    following = str(page[-1].number) if len(found) > limit else UNSET
    return json(msgspec.to_builtins(AuditPage(entries=[_told(one) for one in page], next=following)))


def _told(one: NumberedEntry) -> AuditEntryView:
    return AuditEntryView(
        number=str(one.number),
        at=rfc3339(one.at),
        key=one.key,
        name=one.name,
        action=one.action,
        subject=one.subject,
        address=one.address,
        n_results=one.n_results,
    )


ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/audit",
        handler=read_audit,
        scope="admin",
        about="Who searched, decided, read a plate or opened a picture, the oldest first.",
        answer=AuditPage,
        parameters=(
            count("after", "Entries after this number; from the oldest if absent."),
            count("limit", f"At most so many; {PAGE} if absent.", least=1, most=PAGE_MOST),
        ),
        refusals=(404, 422, 503),
    ),
)
