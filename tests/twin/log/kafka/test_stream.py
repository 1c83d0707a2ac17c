"""Records become positions."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from twin.events.envelope import RecordedObservation
from twin.log.chain import origin
from twin.log.kafka.records import Record, encoded, partition_of
from twin.log.kafka.stream import SiteStream
from twin.log.sql.streams import StreamPlace


@pytest.fixture
def start(make):
    site = make.observation(1).site
    link = origin(site, "observations")
    return site, StreamPlace(position=0, topic="t", partition=0, next_offset=0, recorded_at=0, link=link, devices=b"")


def records(events, first=0):
    return [Record(offset, 1_000 + offset, event.site, encoded(event)) for offset, event in enumerate(events, first)]


def test_positions_are_dense_and_resends_have_none(make, start):
    one, two, three = make.observations(3)
    found = SiteStream(*start).take(records([one, two, two, one, three, three]))
    assert [(each.position, each.event) for each in found] == [(1, one), (2, two), (3, three)]
    assert found == [
        RecordedObservation(position=1, recorded_at=1_000, event=one),
        RecordedObservation(position=2, recorded_at=1_001, event=two),
        RecordedObservation(position=3, recorded_at=1_004, event=three),
    ]


def test_other_content_under_the_last_key_is_refused_and_told_until_it_is_stored(make, start):
    one, two = make.observations(2)
    stream = SiteStream(*start)
    assert len(stream.take(records([one, make.observation(1, score=0.9), two]))) == 2
    place = stream.committed(2)
    assert [(each.key, each.position) for each in stream.refusals(place)] == [(one.key, 1)]
    stream.stored(place)
    assert stream.refusals(place) == []


def test_what_is_no_observation_is_passed_over_and_counted(make, start, caplog):
    site, _ = start
    stream = SiteStream(*start)
    found = stream.take([Record(0, 5, site, b"nonsense"), *records(make.observations(1), first=1)])
    assert [each.position for each in found] == [1]
    assert stream.counters.unreadable == 1
    assert "offset 0 is no observation" in caplog.text


def test_recorded_times_never_go_back(make, start):
    site, _ = start
    one, two = make.observations(2)
    found = SiteStream(*start).take([Record(0, 900, site, encoded(one)), Record(1, 400, site, encoded(two))])
    assert [each.recorded_at for each in found] == [900, 900]


def test_from_any_committed_place_the_rest_gets_the_same_positions(make, start):
    # Each record up to three times, the copies anywhere after it.
    draw = random.Random(4)
    events = make.observations(40)
    sent = sorted((number + draw.choice((0, 0, 5, 30)) * again, number) for number in range(40) for again in range(3))
    stored = records([events[number] for _, number in sent])
    whole = SiteStream(*start)
    expected = whole.take(stored)
    assert [each.event for each in expected] == events
    for cursor in (1, 7, 20, 39):
        first = SiteStream(*start)
        first.take(stored[: draw.randrange(len(stored))] if cursor == 1 else stored)
        if first.position < cursor:
            continue
        place = first.committed(cursor)
        rest = SiteStream(start[0], place)
        assert rest.take(stored) == expected[cursor:]
        assert rest.committed(40) == whole.committed(40)


def test_a_place_is_that_of_its_position_though_more_was_taken(make, start):
    events = make.observations(5)
    stream = SiteStream(*start)
    stream.take(records(events))
    place = stream.committed(3)
    alone = SiteStream(*start)
    alone.take(records(events[:3]))
    assert place == alone.committed(3)
    assert place.next_offset == 3
    assert stream.position == 5


def test_a_place_moves_with_its_cursor_only(make, start):
    stream = SiteStream(*start)
    stream.take(records(make.observations(2)))
    assert stream.committed(0) == replace(start[1], devices=stream.committed(0).devices)
    assert stream.committed(0).next_offset == 0


def test_a_site_is_in_the_partition_where_every_kafka_client_puts_its_key():
    # murmur2("21") = -973932308 & 0x7fffffff = 1173551340; Kafka's own test vector in UtilsTest.
    assert partition_of("21", range(7)) == 1_173_551_340 % 7
    assert partition_of("21", [2, 1, 0]) == 1_173_551_340 % 3
