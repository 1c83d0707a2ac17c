"""The shapes of answers about webhooks. They import nothing that is heavy."""

from __future__ import annotations

from msgspec import Struct

from twin.projections.standing_answers import ParkedView, StandingView


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
