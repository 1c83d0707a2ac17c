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
from twin.projections.standing_answers import ParkedView, StandingView

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


class WebhookView(StandingView, frozen=True, kw_only=True):
    """A webhook and how far it is; what is done is delivered or discarded.

    Attributes:
        state: "active"; "paused" by a person; "disabled" since its endpoint answered 410.
        held_until: its endpoint asked for no request before.
        old_secrets_until: when each secret before the newest ends to sign.
        parked: the oldest; in a list of webhooks fewer of them.
    """

    url: str
    state: str
    reason: str
    held_until: str | None
    old_secrets_until: list[str]
    parked: list[ParkedView]


class WebhookMade(WebhookView, frozen=True, kw_only=True):
    """A webhook as it stands; ``secret`` is told when it was made, and never again."""

    secret: str | None


class WebhookList(Struct, frozen=True, kw_only=True):
    """A site's webhooks."""

    webhooks: list[WebhookView]


class SecretView(Struct, frozen=True, kw_only=True):
    """The new secret, which is told only here."""

    secret: str


class AttemptView(Struct, frozen=True, kw_only=True):
    """One request to the endpoint.

    Attributes:
        position: of the fact; null for a test.
        event_id: the header ``webhook-id``.
        type, subject: of the fact; null for a test, and where retention took it.
        outcome: "delivered", "failed", "parked" or "disabled".
        status: of the answer; null where none came.
        next_at: when it is sent again; null: never, or when the webhook is resumed.
    """

    position: str | None
    event_id: str
    type: str | None
    subject: str | None
    n_attempts: int
    at: str
    outcome: str
    status: int | None
    error: str
    duration_s: float
    next_at: str | None


class AttemptList(Struct, frozen=True, kw_only=True):
    """The last requests, the newest first."""

    deliveries: list[AttemptView]


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
