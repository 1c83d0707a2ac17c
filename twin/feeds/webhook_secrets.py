"""What webhooks sign with: each secret sealed under a key of its own, so that a deleted one is gone from every copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twin.errors import Gone
from twin.events.ids import Micros, SiteId
from twin.feeds.webhook_messages import SECRET_BYTES, secret_text, signing
from twin.log.keys import KeyRing
from twin.log.webhooks import Secret, Webhook

_NAME_BYTES = 8


class WebhookSecrets:
    """Makes, opens and destroys one site's secrets."""

    def __init__(self, keys: KeyRing, site: SiteId, random: Callable[[int], bytes]) -> None:
        """
        Args:
            random: so many bytes that nobody can guess.
        """
        self._keys = keys
        self._site = site
        self._random = random

    async def make(self, webhook: str) -> tuple[Secret, str]:
        """A new one, sealed, and as its receiver is told it."""
        text = secret_text(self._random(SECRET_BYTES))
        key_id = f"webhook/{webhook}/{self._random(_NAME_BYTES).hex()}"
        sealed = await self._keys.encrypt(self._site, key_id, text.encode(), _place(webhook))
        return Secret(key_id=key_id, ciphertext=sealed), text

    async def texts(self, webhook: Webhook, now: Micros) -> list[str]:
        """Those that sign now, the newest first; raises Gone where there is none."""
        found = list[str]()
        for one in signing(webhook.secrets, now):
            opened = await self._keys.decrypt(self._site, one.key_id, one.ciphertext, _place(webhook.name))
            if opened is not None:
                found.append(opened.decode())
        if not found:
            raise Gone(f"the secret of webhook '{webhook.name}' was destroyed; rotate it to get a new one")
        return found

    async def destroy(self, secrets: Iterable[Secret]) -> None:
        """Make them unreadable for ever."""
        for one in secrets:
            await self._keys.destroy(self._site, one.key_id)


def _place(webhook: str) -> tuple[bytes, bytes]:
    return b"webhook", webhook.encode()
