"""Whether a request is from who has the secret, and sent just now: Standard Webhooks, with a clock that is given.

The library's own check takes the time from the machine, and lets what is malformed be any error; so its signing alone is used.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from standardwebhooks import Webhook as Signer

from twin.errors import Unauthorized
from twin.events.ids import SECOND, Micros

TOLERANCE_S = 300
_SIGNATURES = 20
"""Most that are looked at: a rotation has two, the service four at most."""


def check(headers: Mapping[str, str], body: bytes, secrets: Iterable[str], now: Micros) -> str:
    """The message's id, where one of its signatures is by one of the secrets, and its time is right.

    Args:
        headers: by their names in lower case.
        now: by the receiver's clock; a request that is five minutes off is refused, so that nobody can send an old one again.

    Raises:
        Unauthorized: it is not signed so, or at another time.
    """
    name, stamp, signatures = (headers.get(f"webhook-{one}", "") for one in ("id", "timestamp", "signature"))
    if not (name and signatures and stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise Unauthorized("webhook-id, webhook-timestamp or webhook-signature is missing, or is none; nothing was stored")
    off_s = now / SECOND - int(stamp)
    if abs(off_s) > TOLERANCE_S:
        raise Unauthorized(f"the request was sent {off_s:.0f} s ago by its webhook-timestamp; {TOLERANCE_S} s are allowed")
    try:
        text = body.decode()
    except UnicodeDecodeError as wrong:
        raise Unauthorized(f"the body is no text, which alone is signed: {wrong}; nothing was stored") from None
    sent_at = datetime.fromtimestamp(int(stamp), UTC)
    given = [one.encode() for one in signatures.split(" ")[:_SIGNATURES]]
    expected = [Signer(secret).sign(name, sent_at, text).encode() for secret in secrets]
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        raise Unauthorized("no signature of the request is by a secret of this webhook; nothing was stored")
    return name
