"""The port's conditions and errors in the words of a Qdrant server's client."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from qdrant_client import models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from retrieval.conditions import Between, Condition, Has, OneOf, asked
from retrieval.index import EVERYWHERE, Where
from twin.errors import BadInput, Overloaded
from twin.events.ids import SiteId, TrackletId

_TRY_AGAIN = (408, 429)


def filter_of(site: SiteId, where: Where = EVERYWHERE, tracklets: Collection[TrackletId] | None = None) -> models.Filter:
    """The site's sightings that count, only of these tracklets where some are given."""
    must, must_not = asked(where, tracklets)
    of_site = OneOf("site", [str(site)])
    return models.Filter(must=[_worded(one) for one in (of_site, *must)], must_not=[_worded(one) for one in must_not])


def _worded(condition: Condition) -> Any:
    match condition:
        case OneOf(field, texts):
            return models.FieldCondition(key=field, match=models.MatchAny(any=texts))
        case Between(field, first, last):
            return models.FieldCondition(key=field, range=models.Range(gte=first, lte=last))
        case Has(field, text):
            return models.FieldCondition(key=field, match=models.MatchSubstring(substring=text))
        case _:
            return models.IsEmptyCondition(is_empty=models.PayloadField(key=condition.field))


@contextmanager
def our_errors() -> Iterator[None]:
    """What the client raises, as what went wrong.

    Raises:
        Overloaded: the server cannot be reached, or is busy or broken; the same may succeed later.
        BadInput: it refuses what was asked: another key, or a collection that is not ours.
    """
    try:
        yield
    except ResponseHandlingException as wrong:
        raise Overloaded(f"the Qdrant server cannot be reached: {wrong}; look at TWIN_QDRANT_URL and at the server") from wrong
    except ResourceExhaustedResponse as busy:
        raise Overloaded(f"the Qdrant server is busy: {busy.message}; try again in {busy.retry_after_s} s") from busy
    except UnexpectedResponse as wrong:
        said = f"{wrong.status_code}: {wrong.content.decode(errors='replace')[:300]}"
        if wrong.status_code is None or wrong.status_code >= 500 or wrong.status_code in _TRY_AGAIN:
            raise Overloaded(f"the Qdrant server answers {said}; try again") from wrong
        raise BadInput(
            f"the Qdrant server refuses with {said}; look at TWIN_QDRANT_API_KEY, and whether its collections were made by this"
            " service"
        ) from wrong
