"""What webhooks are asked for and answered with, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from twin.api.bodies import Time
from twin.api.standing_views import standing_view
from twin.api.subscription_bodies import FactType, Position, Subjects, ZoneName
from twin.events.codec import rfc3339, subject_of, type_name
from twin.events.envelope import RecordedFact
from twin.events.ids import SECOND
from twin.feeds.webhooks import LONGEST_OVERLAP_S, WebhookStanding
from twin.log.webhooks import Attempt

_URL = r"^https?://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.){0,5}[a-z]{2,20}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~/-]{0,1000})?$"


class WebhookWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook as it is put; ``after`` is a position (digits), absent: from now on.

    Attributes:
        url: of a host by its name; by its address only where ``TWIN_WEBHOOK_ALLOW`` names that.
    """

    url: Annotated[str, Meta(extra_json_schema={"pattern": _URL})]
    types: tuple[FactType, ...] = ()
    zones: tuple[ZoneName, ...] = ()
    subjects: Subjects = ()
    after: Position | None = None


class RotationWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long, in seconds, the secrets so far sign beside the new one."""

    overlap_s: Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": LONGEST_OVERLAP_S})] = 86_400.0


class WebhookReplayWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to send again: positions (digits) after ``after`` up to ``until``, or what was recorded from one time to another.

    Absent ``until`` and ``until_at``: all that was read.
    """

    after: Position | None = None
    until: Position | None = None
    from_at: Time | None = None
    until_at: Time | None = None


def webhook_view(of: WebhookStanding, lag_s: float | None, parked: list[dict[str, Any]], *, is_whole: bool) -> dict[str, Any]:
    """What ``WebhookView`` tells; ``is_whole``: the whole URL, whose path is often a secret."""
    webhook = of.webhook
    return {
        **standing_view(webhook.name, of.standing, lag_s),
        "url": webhook.url if is_whole else _host_of(webhook.url),
        "state": webhook.state,
        "reason": webhook.reason,
        "created_at": rfc3339(webhook.created_at),
        "held_until": rfc3339(webhook.held_until) if webhook.held_until else None,
        "old_secrets_until": [rfc3339(secret.until) for secret in webhook.secrets if secret.until is not None],
        "parked": parked,
    }


def attempt_view(one: Attempt, fact: RecordedFact | None = None) -> dict[str, Any]:
    """What ``AttemptView`` tells."""
    return {
        "position": str(one.position) if one.position else None,
        "event_id": one.event_id,
        "type": None if fact is None else type_name(fact.event.payload),
        "subject": None if fact is None else subject_of(fact.event.payload),
        "n_attempts": one.n_attempts,
        "at": rfc3339(one.at),
        "outcome": one.outcome,
        "status": one.status,
        "error": one.error,
        "duration_s": one.duration_us / SECOND,
        "next_at": None if one.next_at is None else rfc3339(one.next_at),
    }


def _host_of(url: str) -> str:
    place = urlsplit(url)
    return f"{place.scheme}://{place.netloc}/…"
