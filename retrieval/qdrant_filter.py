"""The port's conditions in the words of Qdrant Edge, and the payload indexes that make them cheap."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import qdrant_edge as qdrant

from retrieval.conditions import KEYWORDS, Between, Condition, Has, OneOf, asked
from retrieval.index import EVERYWHERE, Where
from twin.events.ids import TrackletId

INDEXED = dict.fromkeys(KEYWORDS, qdrant.PayloadSchemaType.Keyword) | {"at": qdrant.PayloadSchemaType.Integer}


def index_fields(shard: qdrant.EdgeShard) -> None:
    """Make what is missing of the payload indexes: all in a new shard, some in one that an older release made."""
    missing = set(INDEXED) - set(shard.info().payload_schema)
    for field in sorted(missing):
        shard.update(qdrant.UpdateOperation.create_field_index(field, INDEXED[field]))
    if missing:
        shard.flush()


def filter_of(where: Where = EVERYWHERE, tracklets: Collection[TrackletId] | None = None) -> qdrant.Filter:
    """The sightings that count, only of these tracklets where some are given."""
    must, must_not = asked(where, tracklets)
    return qdrant.Filter(must=[_worded(one) for one in must], must_not=[_worded(one) for one in must_not])


def _worded(condition: Condition) -> Any:
    match condition:
        case OneOf(field, texts):
            return qdrant.FieldCondition(field, match=qdrant.MatchAny(texts))
        case Between(field, first, last):
            return qdrant.FieldCondition(field, range=qdrant.RangeFloat(gte=_exact(first), lte=_exact(last)))
        case Has(field, text):
            return qdrant.FieldCondition(field, match=qdrant.MatchSubstring(text))
        case _:
            return qdrant.IsEmptyCondition(condition.field)


def _exact(at: int | None) -> float | None:
    """Microseconds stay below 2**53, the integers of a double, until the year 2255."""
    return None if at is None else float(at)
