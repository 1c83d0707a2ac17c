"""An event as columns: what a table holds of it, and what the hash chain covers."""

from __future__ import annotations

from typing import Any

from twin.events.envelope import FactEvent, ObservationEvent
from twin.events.ids import Micros
from twin.log.content import Content


def observation_row(event: ObservationEvent, content: Content, position: int, recorded_at: Micros) -> dict[str, Any]:
    """The columns of an observation."""
    return {
        "site": event.site,
        "position": position,
        "recorded_at": recorded_at,
        "occurred_at": event.occurred_at,
        "type": content.type,
        "subject": content.subject,
        "device": event.key.device,
        "boot_epoch": event.key.boot_epoch,
        "sequence": event.key.sequence,
        "content_hash": content.hash,
        "payload": content.payload,
    }


def fact_row(event: FactEvent, content: Content, position: int, recorded_at: Micros) -> dict[str, Any]:
    """The columns of a fact."""
    return {
        "site": event.site,
        "position": position,
        "recorded_at": recorded_at,
        "occurred_at": event.occurred_at,
        "type": content.type,
        "subject": content.subject,
        "id": event.id,
        "fold_version": event.fold_version,
        "cause": event.cause,
        "ordinal": event.ordinal,
        "supersedes": ",".join(event.supersedes),
        "payload": content.payload,
    }
