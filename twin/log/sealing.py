"""The border where personal data is sealed: a log that keeps only ciphertext."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from twin.errors import Gone
from twin.events.envelope import ObservationEvent
from twin.events.observations import OperatorDecided, Personal, Sealed, TrackletEmbedded
from twin.log.keys import KeyRing
from twin.log.passing import PassingLog
from twin.log.port import Log, Receipt

Sealable = TrackletEmbedded | OperatorDecided
"""Payloads with personal fields."""


def key_of(payload: Sealable) -> str:
    """What its personal fields are sealed under: destroying that key erases them."""
    return payload.tracklet if isinstance(payload, TrackletEmbedded) else f"session:{payload.session}"


class SealingLog(PassingLog):
    """Seals ``personal`` on append, with the key of the tracklet or of the session that it is about; delegates the rest.

    After a key is destroyed, its later events are stored with an empty ciphertext: what the sensor saw is
    kept, whom it saw is not. A resend of one that was stored before is then other content, and is refused for good.
    """

    def __init__(self, log: Log, keys: KeyRing) -> None:
        super().__init__(log)
        self._keys = keys

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        """See ``twin.log.port.Log``; every key is durable before its event."""
        sealed = list(events)
        places = [place for place, event in enumerate(events) if isinstance(event.payload, Sealable)]
        for place, event in zip(places, await asyncio.gather(*(self._sealed(events[place]) for place in places)), strict=True):
            sealed[place] = event
        return await super().append(sealed)

    async def _sealed(self, event: ObservationEvent) -> ObservationEvent:
        payload = event.payload
        if not isinstance(payload, Sealable) or payload.personal is None:
            return event
        key_id = key_of(payload)
        try:
            sealed = await self._keys.seal(event.site, key_id, payload.personal, event.id.encode())
        except Gone:
            sealed = Sealed(key_id=key_id, ciphertext=b"")
        return replace(event, payload=replace(payload, personal=None, sealed=sealed))


def keys_of(events: Iterable[ObservationEvent]) -> list[str]:
    """The keys that ``personal_of`` will ask for."""
    payloads = (event.payload for event in events)
    sealed = [payload.sealed for payload in payloads if isinstance(payload, Sealable) and payload.personal is None]
    return [one.key_id for one in sealed if one is not None and one.ciphertext]


async def personal_of(keys: KeyRing, event: ObservationEvent) -> Personal | None:
    """The personal fields of an observation, opened; None when it has none, or they were erased."""
    payload = event.payload
    if not isinstance(payload, Sealable):
        return None
    if payload.personal is not None or payload.sealed is None:
        return payload.personal
    return await keys.open(event.site, payload.sealed, event.id.encode())
