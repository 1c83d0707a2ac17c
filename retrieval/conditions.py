"""What a ``Where`` asks, as few kinds of conditions that each store has words for. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from retrieval.index import EVERYWHERE, PLATE_KEY, Where, plate_key
from twin.events.ids import Micros, TrackletId

KEYWORDS = ("tracklet", "camera", "kind", "colour", PLATE_KEY)
"""Fields that text is compared in; "at" is the one of numbers. Stores keep a payload index of each."""


class OneOf(NamedTuple):
    """The field has one of these texts."""

    field: str
    texts: list[str]


class Between(NamedTuple):
    """The field is in a span with both its ends; None is no end."""

    field: str
    first: Micros | None
    last: Micros | None


class Has(NamedTuple):
    """The field has this text in it."""

    field: str
    text: str


class Absent(NamedTuple):
    """There is no such field."""

    field: str


Condition = OneOf | Between | Has | Absent


class Asked(NamedTuple):
    """All of ``must``, and none of ``must_not``."""

    must: list[Condition]
    must_not: list[Condition]


def asked(where: Where = EVERYWHERE, tracklets: Collection[TrackletId] | None = None) -> Asked:
    """What has to hold of a sighting that counts, and that is of these tracklets where some are given."""
    must: list[Condition] = []
    for field, wanted in (
        ("kind", where.kinds or None),
        ("camera", where.cameras or None),
        ("colour", where.colours or None),
        ("tracklet", where.tracklets),
        ("tracklet", tracklets),
    ):
        if wanted is not None:
            must.append(OneOf(field, [str(one) for one in wanted]))
    if where.from_at is not None or where.until_at is not None:
        must.append(Between("at", where.from_at, where.until_at))
    must_not: list[Condition] = []
    if where.except_tracklet is not None:
        must_not.append(OneOf("tracklet", [where.except_tracklet]))
    if where.plate is not None:
        if fragment := plate_key(where.plate):
            must.append(Has(PLATE_KEY, fragment))
        else:
            must_not.append(Absent("plate"))
    return Asked(must, must_not)
