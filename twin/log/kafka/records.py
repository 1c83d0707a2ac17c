"""An observation as a record of a topic: the site is its key, so that a site is in one partition, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from aiokafka.partitioner import DefaultPartitioner

from twin.errors import CodecError
from twin.events.codec import unpack_observation
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import DeviceId, Micros, SiteId
from twin.log.content import content_of

FORMAT = 1


class Record(NamedTuple):
    """One record of a partition as it was read.

    Attributes:
        at: when the producer or the broker recorded it, microseconds since the epoch.
    """

    offset: int
    at: Micros
    site: SiteId
    value: bytes


class _Value(msgspec.Struct, frozen=True, array_like=True):
    format: int
    type: str
    occurred_at: int
    device: str
    boot_epoch: int
    sequence: int
    payload: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Value).decode
_partitioner = DefaultPartitioner()


def encoded(event: ObservationEvent) -> bytes:
    """A record's value; raises BadInput as ``content_of`` does."""
    content = content_of(event)
    key = event.key
    return _encode(_Value(FORMAT, content.type, event.occurred_at, key.device, key.boot_epoch, key.sequence, content.payload))


def decoded(record: Record) -> ObservationEvent:
    """The observation in a record.

    Raises:
        CodecError: it is none, or of a later format.
    """
    try:
        value = _decode(record.value)
    except (msgspec.DecodeError, msgspec.ValidationError) as wrong:
        raise CodecError(f"the record at offset {record.offset} is no observation: {wrong}") from None
    if value.format != FORMAT:
        raise CodecError(f"the record at offset {record.offset} has format {value.format}; this release reads {FORMAT}")
    key = DeviceKey(device=DeviceId(value.device), boot_epoch=value.boot_epoch, sequence=value.sequence)
    payload = unpack_observation(value.type, value.payload)
    return ObservationEvent(site=record.site, key=key, occurred_at=value.occurred_at, payload=payload)


def partition_of(site: SiteId, partitions: Sequence[int]) -> int:
    """Where a site's records are: Kafka's usual hash of the key over the topic's partitions."""
    ordered = sorted(partitions)
    return _partitioner(site.encode(), ordered, ordered)
