"""The webhooks of every site that is served, and what sends them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import partial

from twin.access.keys import Chance
from twin.api.metrics import Metrics
from twin.events.ids import SiteId
from twin.feeds.receiver_address import allowed_of
from twin.feeds.receivers import Receivers
from twin.feeds.subscriptions import Subscriptions
from twin.feeds.webhook_secrets import WebhookSecrets
from twin.feeds.webhook_sender import WebhookSender
from twin.feeds.webhooks import Webhooks
from twin.log.sql.webhooks import SqlWebhooks
from twin.opened_logs import Logs
from twin.process import Background
from twin.settings import Settings

WEBHOOKS_LOOK_EVERY_S = 5.0
"""How often a process looks for webhooks that another one changed."""


def start_webhooks(
    settings: Settings,
    logs: Logs,
    subscriptions: Mapping[SiteId, Subscriptions],
    metrics: Metrics,
    background: Background,
    chance: Chance,
) -> dict[SiteId, Webhooks]:
    """Every site's webhooks, each site with what sends them."""
    receivers = Receivers(allowed_of(settings.webhook_allow))
    is_alone = settings.database_url is None  # SQLite has one process that writes: what it held before a restart is its own
    consumer = "webhooks" if is_alone else f"webhooks-{socket.gethostname()}-{chance(3).hex()}"
    found: dict[SiteId, Webhooks] = {}
    for name, of in subscriptions.items():
        of_site = WebhookSecrets(logs.keys, name, chance)
        found[name] = Webhooks(of, SqlWebhooks(logs.sql), of_site, receivers, name)
        sender = WebhookSender(
            found[name],
            of,
            receivers,
            name,
            consumer=consumer,
            look_every_s=None if is_alone else WEBHOOKS_LOOK_EVERY_S,
            told=partial(metrics.sent, name),
        )
        background.start(f"webhooks of {name}", sender.run())
    return found
