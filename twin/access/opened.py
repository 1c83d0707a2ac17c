"""Opens access control as one thing, and closes all of it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from twin.access.audit import Audit
from twin.access.authority import Authority
from twin.access.keys import Chance
from twin.access.rates import RateLimits, Rates
from twin.access.sessions import BrowserSessions
from twin.access.store import AccessStore
from twin.access.tickets import Tickets
from twin.errors import BadInput
from twin.log.clock import Clock

_SECRET_BYTES = 32

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Keyed:
    """What lets people and programs in where keys are asked for."""

    authority: Authority
    sessions: BrowserSessions
    tickets: Tickets


@dataclass(frozen=True, kw_only=True)
class Access:
    """How the service deals with whoever asks.

    Attributes:
        keyed: None: access is open, and everybody may do everything.
        audit: None: nothing is recorded.
    """

    clock: Clock
    rates: Rates
    keyed: Keyed | None = None
    audit: Audit | None = None


def open_to_all(clock: Clock) -> Access:
    """Nobody is asked, counted or recorded."""
    return Access(clock=clock, rates=Rates(RateLimits(), clock))


@asynccontextmanager
async def open_access(
    place: str | Path,
    secret_file: Path | None,
    *,
    rates: RateLimits,
    session_s: int,
    clock: Clock,
    chance: Chance,
) -> AsyncIterator[Access]:
    """Access as this process deals with it, over the store at a place.

    Args:
        secret_file: what signs cookies is kept there, and made if there is none; None: access is open.

    Raises:
        BadInput: the store or the secret cannot be used.
        Overloaded: the store does not answer.
    """
    store = await asyncio.to_thread(AccessStore.open, place)
    try:
        keyed = None
        if secret_file is not None:
            secret = await asyncio.to_thread(secret_in, secret_file, chance)
            sessions = BrowserSessions(secret, clock, lasts_s=session_s)
            if not await asyncio.to_thread(store.standing_keys):
                _logger.warning("there is no key yet to let anybody in: `twin key create --site '*' --scope admin` makes one")
            keyed = Keyed(authority=Authority(store, clock), sessions=sessions, tickets=Tickets(clock, chance))
        audit = Audit(store.append_audit, store.audit_page, store.trim_audit)
        yield Access(clock=clock, rates=Rates(rates, clock), keyed=keyed, audit=audit)
    finally:
        await asyncio.to_thread(store.close)


def secret_in(file: Path, chance: Chance) -> bytes:
    """The secret that a file holds; where there is none, a new one is put there for its owner alone. Raises BadInput."""
    try:
        part = file.with_name(f"{file.name}.{os.getpid()}")
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(chance(_SECRET_BYTES).hex().encode())
            try:
                os.link(part, file)  # whole or not at all, and the first of several processes wins
            except FileExistsError:
                pass
            finally:
                part.unlink()
        secret = bytes.fromhex(file.read_text().strip())
    except (OSError, ValueError) as wrong:
        raise BadInput(f"'{file}' cannot be used: {wrong}; delete it, and everybody logs in anew") from None
    if len(secret) < _SECRET_BYTES:
        raise BadInput(
            f"'{file}' holds {len(secret)} bytes, and {_SECRET_BYTES} are needed; delete it, and everybody logs in anew"
        )
    return secret
