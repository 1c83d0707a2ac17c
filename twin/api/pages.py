"""Lists in pages that hold still while the log grows: a cursor pins what was known when the first page was given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request

from twin.api.endpoint import Parameter, count
from twin.api.exchange import count_of, moment_of, services_of, site_of
from twin.errors import BadInput, Contradiction
from twin.projections.moment import Moment, known_position

DEFAULT = 10_000
MOST = 1_000_000
BEGIN = "0"

_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")

PAGE = (
    Parameter(
        name="after",
        about="The `next` of the page before; `0` begins with the first. Absent: the last `limit` of all, without a `next`.",
        schema={"type": "string", "pattern": "^(0|[0-9]{1,18}-[0-9]{1,9})$"},
    ),
    count("limit", f"At most so many; {DEFAULT} if absent.", most=MOST),
)
"""Parameters of a list in pages."""


class Page(Struct, frozen=True, kw_only=True):
    """Which part of a list is asked for: the first ``limit`` after ``skip``, or the last ones (None)."""

    moment: Moment
    skip: int | None
    limit: int

    def cut(self, name: str, found: Sequence[Any]) -> dict[str, Any]:
        """The answer: the part under ``name``, the position that it is known at, and ``next`` where there is more."""
        told: dict[str, Any] = {"position": str(self.moment.known_at)}
        if self.skip is None:
            return told | {name: found[max(0, len(found) - self.limit) :]}
        end = self.skip + self.limit
        more = {"next": f"{self.moment.known_at}-{end}"} if end < len(found) else {}
        return told | {name: found[self.skip : end]} | more


async def page_of(request: Request) -> Page:
    """The page that a request asks for.

    Raises:
        BadInput: a cursor or number that cannot be read.
        Contradiction: a ``known_at`` beside a cursor of another one.
        NotFound: the cursor is of a position that the fact log has not reached.
    """
    moment, limit = await moment_of(request), count_of(request, "limit", default=DEFAULT, most=MOST)
    after = request.query_params.get("after")
    if after is None:
        return Page(moment=moment, skip=None, limit=limit)
    if after == BEGIN:
        return Page(moment=moment, skip=0, limit=limit)
    found = _CURSOR.fullmatch(after)
    if found is None:
        raise BadInput(f"after='{after[:60]}' is no cursor; give the 'next' of the page before, or 0 for the first page")
    position = await known_position(services_of(request).log, site_of(request).name, int(found[1]))
    if "known_at" in request.query_params and moment.known_at != position:
        raise Contradiction(f"after='{after}' is of what was known at {position}, not at {moment.known_at}; leave known_at out")
    return Page(moment=replace(moment, known_at=position), skip=int(found[2]), limit=limit)
