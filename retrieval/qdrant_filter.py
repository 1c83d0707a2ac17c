"""The port's conditions in the words of Qdrant Edge, and the payload indexes that make them cheap."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import qdrant_edge as qdrant

from retrieval.index import EVERYWHERE, PLATE_KEY, Where, plate_key
from twin.events.ids import TrackletId

_KEYWORD, _INTEGER = qdrant.PayloadSchemaType.Keyword, qdrant.PayloadSchemaType.Integer
INDEXED = {"tracklet": _KEYWORD, "camera": _KEYWORD, "kind": _KEYWORD, "colour": _KEYWORD, PLATE_KEY: _KEYWORD, "at": _INTEGER}


def index_fields(shard: qdrant.EdgeShard) -> None:
    """Make what is missing of the payload indexes: all in a new shard, some in one that an older release made."""
    missing = set(INDEXED) - set(shard.info().payload_schema)
    for field in sorted(missing):
        shard.update(qdrant.UpdateOperation.create_field_index(field, INDEXED[field]))
    if missing:
        shard.flush()


def among(where: Where) -> qdrant.Filter:
    """The sightings that count."""
    must: list[Any] = [
        qdrant.FieldCondition(field, match=qdrant.MatchAny([str(one) for one in wanted]))
        for field, wanted in (
            ("kind", where.kinds),
            ("camera", where.cameras),
            ("colour", where.colours),
            ("tracklet", where.tracklets or ()),
        )
        if wanted
    ]
    must_not: list[Any] = []
    if where.from_at is not None or where.until_at is not None:
        must.append(qdrant.FieldCondition("at", range=qdrant.RangeFloat(gte=_exact(where.from_at), lte=_exact(where.until_at))))
    if where.plate is not None:
        if fragment := plate_key(where.plate):
            must.append(qdrant.FieldCondition(PLATE_KEY, match=qdrant.MatchSubstring(fragment)))
        else:
            must_not.append(qdrant.IsEmptyCondition("plate"))
    if where.except_tracklet is not None:
        must_not.append(qdrant.FieldCondition("tracklet", match=qdrant.MatchValue(where.except_tracklet)))
    return qdrant.Filter(must=must, must_not=must_not)


def of(tracklets: Collection[TrackletId], where: Where = EVERYWHERE) -> qdrant.Filter:
    """Those of them that are of these tracklets."""
    outer = among(where)
    these = qdrant.FieldCondition("tracklet", match=qdrant.MatchAny([str(one) for one in tracklets]))
    return qdrant.Filter(must=[*(outer.must or []), these], must_not=outer.must_not)


def _exact(at: int | None) -> float | None:
    """Microseconds stay below 2**53, the integers of a double, until the year 2255."""
    return None if at is None else float(at)
