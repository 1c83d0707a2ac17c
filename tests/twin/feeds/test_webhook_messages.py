"""What requests say and what answers mean."""

from __future__ import annotations

import pytest

from twin.errors import Conflict
from twin.feeds.receivers import Answer
from twin.feeds.webhook_messages import (
    LONGEST_RETRY_AFTER_S,
    MOST_ATTEMPTS,
    MOST_SECRETS,
    PAUSES_S,
    Message,
    Verdict,
    headers_of,
    rotated,
    signing,
    verdict_of,
)
from twin.log.webhooks import Secret

S = 1_000_000
NOON = 1_767_268_800 * S  # 2026-01-01T12:00:00Z


def test_the_vector_of_standard_webhooks_is_signed_as_published():
    message = Message("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
    headers = headers_of(message, 1_614_265_330 * S + 999_999, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_attempts_are_those_of_the_promise():
    assert PAUSES_S == (5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
    assert MOST_ATTEMPTS == 10


@pytest.mark.parametrize(
    ("status", "retry_after", "kind", "hold_s"),
    [
        (200, None, "delivered", 0),
        (204, "60", "delivered", 0),
        (304, None, "failed", 0),
        (404, "60", "failed", 0),
        (410, "60", "gone", 0),
        (429, "60", "failed", 60),
        (429, None, "failed", 0),
        (503, " 60 ", "failed", 60),
        (503, "Thu, 01 Jan 2026 12:00:30 GMT", "failed", 30),
        (503, "Thu, 01 Jan 2026 11:00:00 GMT", "failed", 0),
        (503, "Fri, 01 Jan 2100 11:00:00 GMT", "failed", LONGEST_RETRY_AFTER_S),
        (503, "-5", "failed", 0),
        (503, "soon", "failed", 0),
        (503, "9" * 400, "failed", LONGEST_RETRY_AFTER_S),
        (503, "1.5", "failed", 0),
    ],
)
def test_an_answer_means_what_its_status_says(status, retry_after, kind, hold_s):
    verdict = verdict_of(Answer(status=status, retry_after=retry_after), NOON)
    assert (verdict.kind, verdict.hold_us) == (kind, hold_s * S)


def test_no_answer_is_a_failure_with_its_reason():
    assert verdict_of(Answer(status=None, error="reset"), NOON) == Verdict("failed", "reset")


def secret(name, until=None):
    return Secret(key_id=name, ciphertext=b"", until=until)


def test_secrets_before_a_new_one_sign_for_as_long_as_is_said_and_no_longer_than_before():
    kept = rotated([secret("b"), secret("a", until=50), secret("old", until=9)], secret("c"), now=10, until=70)
    assert [(one.key_id, one.until) for one in kept] == [("c", None), ("b", 70), ("a", 50)]
    assert [one.key_id for one in signing(kept, 50)] == ["c", "b"]
    assert [one.key_id for one in signing(kept, 70)] == ["c"]
    assert [one.key_id for one in rotated(kept, secret("d"), now=60, until=60)] == ["d"]


def test_there_is_an_end_to_how_many_sign():
    many = (secret("z"), *(secret(f"s{n}", until=100 + n) for n in range(MOST_SECRETS - 1)))
    with pytest.raises(Conflict, match="4 secrets sign already"):
        rotated(many, secret("new"), now=0, until=200)
    assert len(rotated(many, secret("new"), now=100, until=200)) == MOST_SECRETS


def test_all_that_sign_end_at_once_however_many_they_are():
    # A secret that leaked is revoked now, not when the first of four has run out.
    many = (secret("z"), *(secret(f"s{n}", until=100 + n) for n in range(MOST_SECRETS - 1)))
    assert rotated(many, secret("new"), now=10, until=10) == (secret("new"),)


def test_what_an_endpoint_made_of_an_error_can_be_kept_in_every_database():
    verdict = verdict_of(Answer(status=None, error="bad \x00 line\n" + "x" * 1_000), NOON)
    assert verdict.reason.startswith("bad   line x")
    assert len(verdict.reason) == 500
