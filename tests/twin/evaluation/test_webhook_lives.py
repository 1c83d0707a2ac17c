"""The proof of webhooks' signatures finds a service that rotates a secret wrongly."""

import pytest

from twin.evaluation.proofs import part
from twin.feeds.webhook_secrets import WebhookSecrets
from twin.feeds.webhooks import Webhooks

SEEDS = (60, 120)


@pytest.fixture
def lives():
    return part("webhook_lives")


def test_an_old_secret_that_ends_at_once_is_found(lives, monkeypatch):
    rotate = Webhooks.rotate
    monkeypatch.setattr(Webhooks, "rotate", lambda self, name, *, overlap_s: rotate(self, name, overlap_s=0))
    told = [lives.refuted(seed) for seed in SEEDS]
    assert any("that its receiver had at first, though both are to sign" in (one or "") for one in told), told


def test_a_new_secret_that_does_not_sign_is_found(lives, monkeypatch):
    texts = WebhookSecrets.texts

    async def oldest(self, webhook, now):
        return (await texts(self, webhook, now))[-1:]

    monkeypatch.setattr(WebhookSecrets, "texts", oldest)
    told = [lives.refuted(seed) for seed in SEEDS]
    assert any("that its receiver was given since" in (one or "") for one in told), told
