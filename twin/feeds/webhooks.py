"""One site's webhooks: endpoints, their secrets and their subscriptions. ``twin.feeds.webhook_sender`` sends to them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from twin.errors import BadInput, Conflict, NotFound
from twin.events.ids import SECOND, Micros, SiteId
from twin.feeds import webhook_messages
from twin.feeds.receiver_address import target_of
from twin.feeds.receivers import Receivers
from twin.feeds.subscriptions import Standing, Subscriptions
from twin.feeds.webhook_messages import MOST_ATTEMPTS, PAUSES_S, Message, message_of_test, verdict_of
from twin.feeds.webhook_secrets import WebhookSecrets
from twin.log.clock import Clock, system_clock
from twin.log.subscriptions import Filter
from twin.log.webhooks import Attempt, Secret, Webhook, WebhookStore, subscription_of

T = TypeVar("T")

MOST_WEBHOOKS = 50
LONGEST_OVERLAP_S = 7 * 86_400
_TESTS_AT_ONCE = 4
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,53}")


class WebhookStanding(Struct, frozen=True, kw_only=True):
    """A webhook, and how far what it delivers is."""

    webhook: Webhook
    standing: Standing


class Put(Struct, frozen=True, kw_only=True):
    """What was made or changed; ``secret`` is told only where it was made, and never again."""

    standing: WebhookStanding
    secret: str | None


class Webhooks:
    """One site's webhooks; any number of processes may have one over the same store.

    Attributes:
        changed: set when one was made, changed or deleted here.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        store: WebhookStore,
        secrets: WebhookSecrets,
        receivers: Receivers,
        site: SiteId,
        *,
        clock: Clock = system_clock,
    ) -> None:
        self._subscriptions = subscriptions
        self._store = store
        self._secrets = secrets
        self._receivers = receivers
        self._site = site
        self._clock = clock
        self._testing = asyncio.Semaphore(_TESTS_AT_ONCE)
        self.changed = asyncio.Event()

    async def put(self, name: str, url: str, wanted: Filter, *, after: int | None = None, owner: str = "") -> Put:
        """Make a webhook of what follows position ``after`` (None: of what is still to come), or change one's URL and filter.

        ``owner`` is the name of the key that makes it.

        Raises:
            BadInput: a name, URL, type or zone that cannot be.
            Forbidden: the endpoint is not public, and not allowed.
            Conflict: the site has as many as it may.
            Cut: ``after`` is before what retention keeps of what is wanted.
        """
        _check_name(name)
        await self._receivers.check(target_of(url))
        secret = None
        if await self._store.load(self._site, name) is None:
            secret = await self._make(name, url, wanted, after, owner)
        else:
            await self._subscribe(name, wanted, None)
            await self._change(name, lambda there: (replace(there, url=url), None))
        self.changed.set()
        return Put(standing=await self.standing(name), secret=secret)

    async def names(self) -> list[str]:
        """All of them, sorted."""
        return [one.name for one in await self._store.all(self._site)]

    async def all(self) -> list[Webhook]:
        """All of them, by name."""
        return await self._store.all(self._site)

    async def load(self, name: str) -> Webhook | None:
        """One; None where there is none."""
        return await self._store.load(self._site, name)

    async def standing(self, name: str) -> WebhookStanding:
        """How far one is; raises NotFound."""
        webhook = self._there(name, await self.load(name))
        return WebhookStanding(webhook=webhook, standing=await self._subscriptions.standing(subscription_of(name)))

    async def standings(self) -> list[WebhookStanding]:
        """How far each is, but for those that are deleted meanwhile."""
        found = list[WebhookStanding]()
        for name in await self.names():
            with suppress(NotFound):
                found.append(await self.standing(name))
        return found

    async def lag_s(self, standing: WebhookStanding) -> float | None:
        """For how long the oldest fact waits that it has still to deliver, seconds; see ``Subscriptions.lag_s``."""
        return await self._subscriptions.lag_s(standing.standing)

    async def delete(self, name: str) -> None:
        """Forget one, its secrets and what it had not delivered; raises NotFound."""
        gone = await self._change(name, lambda there: (None, there))
        with suppress(NotFound):
            await self._subscriptions.delete(subscription_of(name))
        await self._secrets.destroy(gone.secrets)
        self.changed.set()

    async def pause(self, name: str) -> WebhookStanding:
        """Send nothing until it is resumed; what fits waits. Raises NotFound."""

        def pause(there: Webhook) -> tuple[Webhook, None]:
            return (there if there.state == "disabled" else replace(there, state="paused")), None

        await self._change(name, pause)
        return await self.standing(name)

    async def resume(self, name: str) -> WebhookStanding:
        """Send again, and at once what waits after a failure; raises NotFound."""
        await self._subscriptions.hasten(subscription_of(self._there(name, await self.load(name)).name))
        await self._change(name, lambda there: (replace(there, state="active", reason="", held_until=0), None))
        self.changed.set()
        return await self.standing(name)

    async def disable(self, name: str, reason: str) -> None:
        """The endpoint wants no more; raises NotFound."""
        await self._change(name, lambda there: (replace(there, state="disabled", reason=reason), None))

    async def hold(self, name: str, until: Micros) -> None:
        """The endpoint asks for no request before; raises NotFound."""
        await self._change(name, lambda there: (replace(there, held_until=max(until, there.held_until)), None))

    async def rotate(self, name: str, *, overlap_s: float) -> str:
        """A new secret, which is told only here; those before sign as well for ``overlap_s``.

        Raises:
            NotFound: no such webhook.
            Conflict: too many secrets sign already.
        """
        made, text = await self._secrets.make(name)
        now = self._clock()
        until = now + round(overlap_s * SECOND)

        def rotate(there: Webhook) -> tuple[Webhook, list[Secret]]:
            after = webhook_messages.rotated(there.secrets, made, now=now, until=until)
            kept = {one.key_id for one in after}
            return replace(there, secrets=after), [one for one in there.secrets if one.key_id not in kept]

        try:
            over = await self._change(name, rotate)
        except (NotFound, Conflict):
            await self._secrets.destroy((made,))
            raise
        await self._secrets.destroy(over)
        return text

    async def replay(self, name: str, *, after: int, until: int | None = None) -> None:
        """Deliver facts (``after``, ``until``] again, under the ids they had; raises as ``Subscriptions.replay``."""
        self._there(name, await self.load(name))
        await self._subscriptions.replay(subscription_of(name), after=after, until=until)

    async def retry(self, name: str, position: int) -> None:
        """Deliver a parked fact again; raises NotFound."""
        self._there(name, await self.load(name))
        await self._subscriptions.retry(subscription_of(name), position)

    async def discard(self, name: str, position: int) -> None:
        """Give a parked fact up; what waits behind it is delivered. Raises NotFound."""
        self._there(name, await self.load(name))
        await self._subscriptions.discard(subscription_of(name), position)

    async def attempts(self, name: str, *, limit: int) -> list[Attempt]:
        """Its last requests, the newest first; raises NotFound."""
        self._there(name, await self.load(name))
        return await self._store.attempts(self._site, name, limit=limit)

    async def note(self, name: str, attempts: list[Attempt]) -> None:
        """Keep what became of requests."""
        await self._store.note(self._site, name, attempts)

    async def test(self, name: str) -> Attempt:
        """Send a signed ``webhook.test`` now, whatever the webhook's state; raises NotFound."""
        webhook = self._there(name, await self.load(name))
        at = self._clock()
        message = message_of_test(self._site, name, at)
        receiver = self._receivers.open(webhook.url, n_at_once=1)
        try:
            async with self._testing:
                answer = await receiver.post(message.body, await self.signed(webhook, message))
        finally:
            await receiver.aclose()
        verdict = verdict_of(answer, self._clock())
        attempt = Attempt(
            position=0,
            event_id=message.id,
            n_attempts=1,
            at=at,
            outcome="delivered" if verdict.kind == "delivered" else "failed",
            status=answer.status,
            error=verdict.reason,
            duration_us=answer.duration_us,
        )
        await self.note(name, [attempt])
        return attempt

    async def signed(self, webhook: Webhook, message: Message) -> dict[str, str]:
        """The headers of a request that is sent now; raises Gone where no secret is left to sign with."""
        now = self._clock()
        return webhook_messages.headers_of(message, now, await self._secrets.texts(webhook, now))

    async def _make(self, name: str, url: str, wanted: Filter, after: int | None, owner: str) -> str | None:
        if len(await self.names()) >= MOST_WEBHOOKS:
            raise Conflict(f"site '{self._site}' has {MOST_WEBHOOKS} webhooks, the most; delete one first")
        with suppress(NotFound):  # what is left of one whose deletion or making was broken off
            await self._subscriptions.delete(subscription_of(name))
        await self._subscribe(name, wanted, after, owner)
        made, text = await self._secrets.make(name)
        new = Webhook(site=self._site, name=name, url=url, created_at=self._clock(), secrets=(made,))

        def make(there: Webhook | None) -> tuple[Webhook, bool]:
            return (new, True) if there is None else (there, False)

        if await self._store.change(self._site, name, make):
            return text
        await self._secrets.destroy((made,))  # somebody else made it meanwhile
        return None

    async def _subscribe(self, name: str, wanted: Filter, after: int | None, owner: str = "") -> None:
        await self._subscriptions.put(
            subscription_of(name), wanted, after=after, most_attempts=MOST_ATTEMPTS, pauses_s=PAUSES_S, owner=owner
        )

    async def _change(self, name: str, change: Callable[[Webhook], tuple[Webhook | None, T]]) -> T:
        return await self._store.change(self._site, name, lambda there: change(self._there(name, there)))

    def _there(self, name: str, there: Webhook | None) -> Webhook:
        if there is None:
            raise NotFound(f"site '{self._site}' has no webhook '{name[:80]}'; PUT it first")
        return there


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadInput(f"webhook '{name[:80]}' is no name; use up to 54 of a-z 0-9 _ - and begin with a letter or digit")
