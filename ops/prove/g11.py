"""G11: webhooks carry verifiable signatures and never reach a non-public address unless configured.

First the published vector of Standard Webhooks, and changes of it, against the service's own signing, an implementation from
the specification (``receiver``), and the library's. Then each run is one way to make a webhook reach an address that is not
public (``ssrf_cases``): it is registered, sent to and tested by the service's own code, and a socket on loopback must see no
connection. Every twentieth run is a life of a sender, whose every request must be signed (``webhook_lives``). Control: a client
that looks at no address, and one that checks a name's and connects by the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any
from unittest.mock import patch

from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from twin.events.ids import SECOND, EventId
from twin.feeds.webhook_messages import Message, headers_of, secret_text

from . import webhook_lives
from .outcome import Failure, Outcome, tried
from .quiet import quiet
from .receiver import Request, is_signed
from .ssrf_cases import Case, cases
from .trapped_webhook import Guard, guarded, refuted, resolving_again, unguarded

RUNS, FULL_RUNS = 420, 4_200
_LIFE_EVERY = 20
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_ID, _AT, _BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
_OTHER_SECRET = secret_text(bytes(range(32)))


def prove(runs: int, seed: int) -> Outcome:
    """A run is one case, or the life of a sender."""
    seeds = range(seed, seed + runs)
    with quiet("twin.feeds.webhook_sender"):
        failures = [*_vectors(seed), *tried(seeds, _run)]
        control = [len(tried(of, partial(_case, guard=guard))) for of, guard in _controls(seed)]
    name = "a client that looks at no address, and one that checks a name's and connects by the name"
    return Outcome(runs, failures, name, sum(control) if all(control) else 0)


def _run(seed: int) -> str | None:
    return webhook_lives.refuted(seed) if seed % _LIFE_EVERY == 0 else _case(seed)


def _case(seed: int, guard: Guard = guarded) -> str | None:
    return refuted(lambda port: _nth(seed, port), guard)


def _nth(seed: int, port: int) -> Case:
    """All in turn, with other addresses in each round."""
    count = len(cases(0, port))
    return cases(seed // count, port)[seed % count]


def _controls(seed: int) -> list[tuple[range, Guard]]:
    """Ten seeds of addresses, and ten of names that are bound anew between check and connection."""
    found = cases(0, 1)
    n_round = seed // len(found) * len(found)
    between = next(at for at, one in enumerate(found) if one.what == "rebinding in between")
    return [(range(n_round, n_round + 10), unguarded), (range(n_round + between, n_round + between + 10), resolving_again)]


def _vectors(seed: int) -> list[Failure]:
    """What is wrong with signatures."""
    headers = headers_of(Message(EventId(_ID), _BODY), _AT * SECOND, [_SECRET])
    found = []
    if headers["webhook-signature"] != _SIGNATURE or headers["webhook-timestamp"] != str(_AT) or headers["webhook-id"] != _ID:
        found.append(f"the published vector is signed {headers}")
    rotated = headers_of(Message(EventId(_ID), _BODY), _AT * SECOND, [_OTHER_SECRET, _SECRET])
    for what, given, secret, expected in (
        ("the vector", (headers, _BODY), _SECRET, True),
        ("the vector with two secrets, by the old one", (rotated, _BODY), _SECRET, True),
        ("the vector with two secrets, by the new one", (rotated, _BODY), _OTHER_SECRET, True),
        ("the vector by another secret", (headers, _BODY), _OTHER_SECRET, False),
        ("another body", (headers, _BODY.replace(b"4", b"5", 1)), _SECRET, False),
        ("another id", ({**headers, "webhook-id": "msg_other"}, _BODY), _SECRET, False),
        ("another time", ({**headers, "webhook-timestamp": str(_AT + 1)}, _BODY), _SECRET, False),
        ("another signature", ({**headers, "webhook-signature": "v1," + "A" * 43 + "="}, _BODY), _SECRET, False),
    ):
        by_us, by_library = is_signed(Request(*given, n=1), secret), _is_verified(*given, secret)
        if (by_us, by_library) != (expected, expected):
            found.append(f"{what}: verified {by_us} here and {by_library} by the library, expected {expected}")
    return [Failure(seed, what) for what in found]


def _is_verified(headers: dict[str, str], body: bytes, secret: str) -> bool:
    with _at(_AT):
        try:
            Verifier(secret).verify(body, headers)
        except WebhookVerificationError:
            return False
    return True


@contextmanager
def _at(at: int) -> Iterator[None]:
    """The library takes no clock, and refuses what is older than five minutes."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromtimestamp(at, UTC)

    with patch("standardwebhooks.webhooks.datetime", Then):
        yield
