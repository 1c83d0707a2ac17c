"""Records become positions: dense, in offset order, each device key once."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from twin.errors import TwinError
from twin.events.envelope import DeviceKey, RecordedObservation
from twin.events.ids import SiteId
from twin.log.chain import Link, following
from twin.log.columns import observation_row
from twin.log.content import content_of
from twin.log.devices import Devices
from twin.log.kafka.records import Record, decoded
from twin.log.port import Outcome
from twin.log.sql.streams import StreamPlace, StreamRefusal

_logger = logging.getLogger(__name__)


class StreamCounters(Struct, kw_only=True):
    """What became of records, beside those that got a position."""

    duplicates: int = 0
    refused: int = 0
    unreadable: int = 0


class _Refused(Struct, frozen=True):
    offset: int
    refusal: StreamRefusal


class _Taken(Struct, frozen=True):
    """A position that was given and is not committed yet."""

    position: int
    next_offset: int
    recorded_at: int
    link: Link
    key: DeviceKey
    content_hash: bytes


class SiteStream:
    """One site's records from a place on. The same records from the same place give the same positions."""

    def __init__(self, site: SiteId, place: StreamPlace) -> None:
        self.site = site
        self._committed = place
        self._committed_devices = Devices(place.devices)
        self._place = place  # of the last record taken; its devices are kept beside
        self._devices = Devices(place.devices)
        self._taken: deque[_Taken] = deque()
        self._refused: deque[_Refused] = deque()
        self.counters = StreamCounters()

    @property
    def position(self) -> int:
        """The last that was given."""
        return self._place.position

    @property
    def next_offset(self) -> int:
        """Of the first record that was not taken yet."""
        return self._place.next_offset

    def take(self, records: Sequence[Record]) -> list[RecordedObservation]:
        """Give positions to records of this site, in offset order; those before ``next_offset`` were taken already."""
        given = (self._take(record) for record in records if record.offset >= self._place.next_offset)
        return [recorded for recorded in given if recorded is not None]

    def _take(self, record: Record) -> RecordedObservation | None:
        before = self._place
        self._place = replace(before, next_offset=record.offset + 1)
        try:
            event = decoded(record)
            content = content_of(event)
        except TwinError as wrong:
            self.counters.unreadable += 1
            _logger.error("%s partition %d: %s; it is passed over", before.topic, before.partition, wrong)
            return None
        outcome, position = self._devices.judge(event.key, content.hash)
        if outcome is not Outcome.STORED:
            self._not_stored(outcome, record.offset, StreamRefusal(event.key, position, content.hash))
            return None
        position, recorded_at = before.position + 1, max(before.recorded_at, record.at)
        row = observation_row(event, content, position, recorded_at)
        link = following(before.link, "observations", row, before.recorded_at)
        self._place = replace(self._place, position=position, recorded_at=recorded_at, link=link)
        self._devices.stored(event.key, position, content.hash)
        self._taken.append(_Taken(position, record.offset + 1, recorded_at, link, event.key, content.hash))
        return RecordedObservation(position=position, recorded_at=recorded_at, event=event)

    def _not_stored(self, outcome: Outcome, offset: int, refusal: StreamRefusal) -> None:
        if outcome is Outcome.REFUSED:
            self.counters.refused += 1
            self._refused.append(_Refused(offset, refusal))
        else:
            self.counters.duplicates += 1

    def committed(self, cursor: int) -> StreamPlace:
        """The place at a position that was given; positions before it are forgotten, so ask again only for later ones."""
        while self._taken and self._taken[0].position <= cursor:
            one = self._taken.popleft()
            self._committed_devices.stored(one.key, one.position, one.content_hash)
            self._committed = replace(
                self._committed, position=one.position, next_offset=one.next_offset, recorded_at=one.recorded_at, link=one.link
            )
        return replace(self._committed, devices=self._committed_devices.pack())

    def refusals(self, place: StreamPlace) -> list[StreamRefusal]:
        """Device keys that came again with other content before this place, and are not stored as such."""
        return [one.refusal for one in self._refused if one.offset < place.next_offset]

    def stored(self, place: StreamPlace) -> None:
        """The place and the refusals before it are stored."""
        while self._refused and self._refused[0].offset < place.next_offset:
            self._refused.popleft()
