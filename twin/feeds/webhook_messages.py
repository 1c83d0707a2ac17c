"""What a webhook's request says, and what its answer means: Standard Webhooks, pure.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

from msgspec.structs import replace
from standardwebhooks import Webhook as Signer

from twin.errors import Conflict
from twin.events.codec import canonical_json, rfc3339, to_json
from twin.events.envelope import RecordedFact
from twin.events.ids import SECOND, EventId, Micros, SiteId
from twin.feeds.receivers import Answer
from twin.log.webhooks import Secret

SECRET_BYTES = 32
MOST_SECRETS = 4
PAUSES_S = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""After the first failure, the second, …; the first attempt is at once."""
MOST_ATTEMPTS = len(PAUSES_S) + 1
LONGEST_RETRY_AFTER_S = 3_600
TEST_TYPE = "webhook.test"
MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"
_ASKS_FOR_TIME = (429, 503)
_LONGEST_REASON = 500


class Message(NamedTuple):
    """What is sent; the id and the body stay the same over retries."""

    id: EventId
    body: bytes


class Verdict(NamedTuple):
    """What an answer means for the fact and for its webhook."""

    kind: Literal["delivered", "failed", "gone"]
    reason: str = ""
    hold_us: Micros = 0


def message_of(fact: RecordedFact) -> Message:
    """A fact as a CloudEvent; the message's id is the event's."""
    return Message(fact.event.id, to_json(fact))


def message_of_test(site: SiteId, webhook: str, at: Micros) -> Message:
    """What a test delivery sends; no fact."""
    attributes = {
        "specversion": "1.0",
        "id": f"test-{webhook}-{at}",
        "type": TEST_TYPE,
        "source": f"/sites/{site}/webhooks/{webhook}",
        "time": rfc3339(at),
        "datacontenttype": "application/json",
        "site": site,
        "data": {"webhook": webhook},
    }
    return Message(EventId(attributes["id"]), canonical_json(attributes))


def headers_of(message: Message, at: Micros, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of a request at a time; each secret that holds signs it."""
    moment = datetime.fromtimestamp(at // SECOND, UTC)
    body = message.body.decode()
    return {
        "content-type": MEDIA_TYPE,
        "user-agent": "spatial-twin-webhooks",
        "webhook-id": message.id,
        "webhook-timestamp": str(at // SECOND),
        "webhook-signature": " ".join(Signer(one).sign(message.id, moment, body) for one in secrets),
    }


def secret_text(random: bytes) -> str:
    """A signing secret as both sides write it."""
    return f"whsec_{b64encode(random).decode()}"


def verdict_of(answer: Answer, now: Micros) -> Verdict:
    """Only 2xx is success, 410 ends the webhook, 429 and 503 may ask for time."""
    if answer.status is None:
        return Verdict("failed", _printable(answer.error))
    if 200 <= answer.status < 300:
        return Verdict("delivered")
    if answer.status == 410:
        return Verdict("gone", "the endpoint answered 410: it wants no more of this")
    if 300 <= answer.status < 400:
        return Verdict("failed", f"the endpoint answered {answer.status}; redirects are not followed: give the address itself")
    hold_us = _retry_after_us(answer.retry_after, now) if answer.status in _ASKS_FOR_TIME else 0
    return Verdict("failed", f"the endpoint answered {answer.status}", hold_us)


def _printable(text: str) -> str:
    """What a receiver may have had its hand in, as every database takes it."""
    return "".join(one if one.isprintable() else " " for one in text[:_LONGEST_REASON])


def _retry_after_us(text: str | None, now: Micros) -> Micros:
    """Seconds or a date, as microseconds from now within an hour; 0 for anything else."""
    if text is None:
        return 0
    text = text.strip()
    if text.isascii() and text.isdigit():
        wanted = int(text[:9]) * SECOND
    else:
        try:
            wanted = round(parsedate_to_datetime(text).timestamp()) * SECOND - now
        except (ValueError, OverflowError):
            return 0
    return min(max(wanted, 0), LONGEST_RETRY_AFTER_S * SECOND)


def signing(secrets: Sequence[Secret], now: Micros) -> list[Secret]:
    """Those that sign at a time."""
    return [one for one in secrets if one.until is None or one.until > now]


def rotated(secrets: Sequence[Secret], new: Secret, *, now: Micros, until: Micros) -> tuple[Secret, ...]:
    """A new secret before those that still sign, of which none does so for longer than ``until``.

    With ``until`` at ``now`` those before end at once, however many sign: a secret that leaked can be revoked at any time.

    Raises:
        Conflict: so many would sign beside the new one.
    """
    cut = [replace(one, until=until if one.until is None else min(one.until, until)) for one in signing(secrets, now)]
    kept = [one for one in cut if one.until is not None and one.until > now]
    if len(kept) >= MOST_SECRETS:
        ends = min(one.until for one in kept if one.until is not None)
        raise Conflict(
            f"{len(kept)} secrets sign already, the most; rotate again after {rfc3339(ends)}, or with 'overlap_s' 0, which ends"
            " them all at once"
        )
    return (new, *kept)
