"""Makes the webhook at the twin, and rotates its secret; a kill at any moment leaves neither side without one."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Engine

from ops.examples.billing.stay import TYPES
from ops.examples.receiver import secrets
from twin.client.connection import Connection
from twin.errors import BadInput
from twin.events.ids import SECOND
from twin.log.clock import Clock

OVERLAP_S = 86_400

_logger = logging.getLogger(__name__)


class _Told(Struct):
    secret: str | None = None


class Registration:
    """One webhook at the twin, whose secrets are in a database of ours.

    Args:
        address: where the twin sends to.
    """

    def __init__(self, service: Connection, engine: Engine, webhook: str, address: str, clock: Clock) -> None:
        self._service = service
        self._engine = engine
        self._webhook = webhook
        self._address = address
        self._clock = clock

    def is_known(self) -> bool:
        """Whether a secret is here."""
        with self._engine.begin() as connection:
            return bool(secrets.accepted(connection, self._webhook, self._clock()))

    async def make(self) -> None:
        """See that the webhook is there, with this address and a secret that is known here; it begins with the first fact.

        Raises:
            ServiceError: the twin refused, or stayed away for longer than the connection's patience.
        """
        is_known = self.is_known()
        with self._engine.begin() as connection:
            is_unanswered = secrets.is_unanswered(connection, self._webhook)
            if not is_known:
                secrets.ask(connection, self._webhook)
        wanted = {"url": self._address, "types": TYPES, "after": "0"}
        told = await self._ask("PUT", "", wanted)
        if told is not None:  # it is new there, so what was known here signs nothing any more
            self._keep(told, 0)
        elif is_unanswered or not is_known:
            _logger.warning("the secret of webhook '%s' was told and not stored; it gets another one", self._webhook)
            await self.rotate(OVERLAP_S if is_known else 0)

    async def rotate(self, overlap_s: int = OVERLAP_S) -> None:
        """A new secret; those before are accepted for so long.

        Raises:
            ServiceError: as ``make``.
            BadInput: the twin told none.
        """
        with self._engine.begin() as connection:
            secrets.ask(connection, self._webhook)
        told = await self._ask("POST", "/secret", {"overlap_s": overlap_s})
        if told is None:
            raise BadInput(f"the twin told no new secret of webhook '{self._webhook}'; try again")
        self._keep(told, overlap_s)

    async def _ask(self, method: str, path: str, body: dict[str, Any]) -> str | None:
        answer = await self._service.answer(method, f"webhooks/{self._webhook}{path}", body=body)
        return msgspec.json.decode(answer.content, type=_Told).secret

    def _keep(self, told: str, overlap_s: int) -> None:
        with self._engine.begin() as connection:
            secrets.keep(connection, self._webhook, told, self._clock() + overlap_s * SECOND)
