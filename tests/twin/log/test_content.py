"""Observations made ready for storing, many in one call."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from twin.errors import BadInput
from twin.events.codec import pack
from twin.log.columns import observation_row
from twin.log.content import content_of, contents_of, observation_hash


def test_many_are_made_ready_as_each_alone_is_however_long_the_ones_before(make):
    short = make.observation(1)
    boxes = tuple(replace(short.payload.boxes[0], tracklet=f"north:1:{number}") for number in range(100))
    long = replace(make.observation(2), payload=replace(short.payload, boxes=boxes))
    for events in ([long, short], [short, long, short], [short]):
        contents = contents_of(events)
        assert contents == [content_of(event) for event in events]
        assert [one.payload for one in contents] == [pack(event.payload) for event in events]
        rows = [observation_row(event, one, 1, 1) for event, one in zip(events, contents, strict=True)]
        assert [one.hash for one in contents] == [observation_hash(row) for row in rows]
    assert contents_of([]) == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda one: replace(one, site="a\nb"), "site"),
        (lambda one: replace(one, key=replace(one.key, device="")), "device"),
        (lambda one: replace(one, payload=replace(one.payload, camera="a\x00")), "subject"),
        (lambda one: replace(one, key=replace(one.key, sequence=-1)), "sequence"),
        (lambda one: replace(one, occurred_at=2**63), "occurred_at"),
    ],
)
def test_one_that_no_column_can_hold_is_refused_by_its_name_also_after_good_ones(make, wrong, named):
    good = make.observations(2)
    with pytest.raises(BadInput, match=named):
        contents_of([*good, wrong(good[0])])
