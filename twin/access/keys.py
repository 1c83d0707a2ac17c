"""API keys: how one is written and checked, and what it allows. Pure; chance is an argument.

``twin_<id>_<secret>``: the id names the key in lists and records, the secret has 256 bits of chance and is stored as a hash.
A fast hash is enough: a slow one makes guessing expensive where people choose what can be guessed, and 2^256 secrets cannot
be tried at any speed, while every request would pay for it.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from typing import Literal, NamedTuple, NewType, get_args

from msgspec import Struct

from twin.events.ids import Micros

Scope = Literal["ingest", "read", "search", "operate", "admin"]
"""What a key may do at a site: give observations, read, search by picture, decide as a person does, or all and its settings."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
EVERY_SITE = "*"

KeyId = NewType("KeyId", str)
Chance = Callable[[int], bytes]
"""So many bytes that nobody can foresee."""

_ID_BYTES = 6
_SECRET_BYTES = 32
_KEY = re.compile(r"twin_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class KeyRecord(Struct, frozen=True, kw_only=True):
    """A key as it is stored.

    Attributes:
        sites: names, or ``*`` alone.
        digest: SHA-256 of the secret.
        used_at: about when it was used last, to an hour; None: never.
    """

    id: KeyId
    name: str
    sites: tuple[str, ...]
    scopes: tuple[Scope, ...]
    digest: bytes
    made_at: Micros
    expires_at: Micros | None = None
    revoked_at: Micros | None = None
    used_at: Micros | None = None

    def is_valid(self, at: Micros) -> bool:
        """Whether it opens anything at this time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class Grant(Struct, frozen=True, kw_only=True):
    """What somebody who was let in may do; ``key`` and ``name`` say who it is."""

    key: KeyId
    name: str
    sites: tuple[str, ...]
    scopes: tuple[Scope, ...]

    def covers(self, site: str) -> bool:
        """Whether it is about this site at all."""
        return EVERY_SITE in self.sites or site in self.sites

    def allows(self, scope: Scope, site: str | None) -> bool:
        """Whether this may be done at a site.

        Args:
            site: None for what is of no site: to read it takes any key that reads somewhere, and the answer tells of those
                sites alone; anything else takes a key for every site.
        """
        if scope not in self.scopes and "admin" not in self.scopes:
            return False
        return (scope == "read" or EVERY_SITE in self.sites) if site is None else self.covers(site)


ANYBODY = Grant(key=KeyId("open"), name="open", sites=(EVERY_SITE,), scopes=SCOPES)
"""Whoever asks where access is open."""
NOBODY = Grant(key=KeyId(""), name="", sites=(), scopes=())
"""Whoever asks where access is by keys, and shows none."""


class NewKey(NamedTuple):
    """A key that was just made; ``text`` is shown once and kept nowhere."""

    id: KeyId
    text: str
    digest: bytes


def new_key(chance: Chance) -> NewKey:
    """A key that nobody has had before."""
    key, secret = chance(_ID_BYTES).hex(), urlsafe_b64encode(chance(_SECRET_BYTES)).rstrip(b"=").decode()
    return NewKey(KeyId(key), f"twin_{key}_{secret}", digest_of(secret))


def digest_of(secret: str) -> bytes:
    """What is stored of a secret."""
    return sha256(secret.encode()).digest()


def parse_key(text: str) -> tuple[KeyId, str] | None:
    """The id and the secret of what has a key's form; None where it has not."""
    parts = _KEY.fullmatch(text)
    return None if parts is None else (KeyId(parts[1]), parts[2])


def is_secret_of(record: KeyRecord | None, secret: str) -> bool:
    """Whether the secret is the key's, in the same time whether it is or not, and whether there is such a key or not."""
    is_right = compare_digest(digest_of(secret), record.digest if record is not None else bytes(32))
    return is_right and record is not None


def grant_of(record: KeyRecord) -> Grant:
    """What a key gives to whoever shows it."""
    return Grant(key=record.id, name=record.name, sites=record.sites, scopes=record.scopes)
