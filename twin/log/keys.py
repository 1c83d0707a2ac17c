"""Keys of personal data: one random key per tracklet; destroying it erases everything sealed with it.

AES-SIV (RFC 5297, 512-bit keys) is deterministic: a resend seals to the same ciphertext, so the log can tell it
from a forgery by its hash. It leaks only that two sealed values of one tracklet at one place are equal.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from twin.errors import CodecError, Gone
from twin.events.ids import SiteId
from twin.events.observations import Personal, Sealed

KEY_BYTES = 64
N_CACHED = 4096

Random = Callable[[int], bytes]

_pack = msgspec.msgpack.Encoder(order="deterministic").encode
_unpack = msgspec.msgpack.Decoder(Personal).decode


class KeyRing(ABC):
    """Seals and opens with per-tracklet keys. An adapter says where the keys are kept.

    ``associated`` binds a ciphertext to its place: it opens only with the bytes that it was sealed with.
    """

    def __init__(self, *, random: Random = os.urandom, n_cached: int = N_CACHED) -> None:
        self._random = random
        self._n_cached = n_cached
        self._cache: OrderedDict[tuple[SiteId, str], AESSIV] = OrderedDict()
        self._n_destroyed = 0

    @abstractmethod
    async def _find(self, site: SiteId, key_id: str) -> bytes | None:
        """The key, or None when it was destroyed or never made."""

    async def _find_all(self, site: SiteId, key_ids: Collection[str]) -> Mapping[str, bytes]:
        """Those of these keys that there are; an adapter that can ask for all at once does."""
        found = {key_id: await self._find(site, key_id) for key_id in key_ids}
        return {key_id: key for key_id, key in found.items() if key is not None}

    @abstractmethod
    async def _keep(self, site: SiteId, key_id: str, fresh: bytes) -> bytes | None:
        """Store a fresh key durably unless one is there; returns the one that holds, None when destroyed."""

    @abstractmethod
    async def _forget(self, site: SiteId, key_id: str) -> None:
        """Overwrite the key, and remember for ever that it was destroyed."""

    async def seal(self, site: SiteId, key_id: str, personal: Personal, associated: bytes) -> Sealed:
        """Seal personal fields; the key is durable before this returns.

        Raises:
            Gone: the key was destroyed.
        """
        plain = _pack(personal)
        return Sealed(key_id=key_id, ciphertext=await self.encrypt(site, key_id, plain, (b"personal", associated)))

    async def open(self, site: SiteId, sealed: Sealed, associated: bytes) -> Personal | None:
        """Open personal fields; None when they were erased.

        Raises:
            CodecError: the ciphertext is damaged, or was sealed for another place.
        """
        if not sealed.ciphertext:
            return None
        plain = await self.decrypt(site, sealed.key_id, sealed.ciphertext, (b"personal", associated))
        return None if plain is None else _unpack(plain)

    async def encrypt(self, site: SiteId, key_id: str, plain: bytes, associated: tuple[bytes, ...]) -> bytes:
        """Encrypt bytes under a tracklet's key, which is made where it is missing; raises as ``seal`` does."""
        cipher = await self._cipher(site, key_id)
        if cipher is None:
            n_destroyed = self._n_destroyed
            held = await self._keep(site, key_id, self._random(KEY_BYTES))
            if held is None:
                raise Gone(f"the key of '{key_id}' at site '{site}' was destroyed; its personal data cannot be kept")
            cipher = self._remember(site, key_id, held, n_destroyed)
        return cipher.encrypt(plain, list(associated))

    async def decrypt(self, site: SiteId, key_id: str, ciphertext: bytes, associated: tuple[bytes, ...]) -> bytes | None:
        """The bytes again, or None when the key is gone; raises as ``open`` does."""
        cipher = await self._cipher(site, key_id)
        if cipher is None:
            return None
        try:
            return cipher.decrypt(ciphertext, list(associated))
        except (InvalidTag, ValueError):
            raise CodecError(
                f"{len(ciphertext)} bytes sealed with the key of '{key_id}' at site '{site}' do not open; they are damaged"
            ) from None

    async def learn(self, site: SiteId, key_ids: Collection[str]) -> None:
        """Ask at once for keys that will be asked for, as many as are kept in memory: one by one each is a query."""
        unknown = [key_id for key_id in dict.fromkeys(key_ids) if (site, key_id) not in self._cache][: self._n_cached]
        if unknown:
            n_destroyed = self._n_destroyed
            for key_id, key in (await self._find_all(site, unknown)).items():
                self._remember(site, key_id, key, n_destroyed)

    async def destroy(self, site: SiteId, key_id: str) -> None:
        """Erase everything sealed with a key. Doing it twice, or before the key exists, is no error."""
        self._n_destroyed += 1
        self._cache.pop((site, key_id), None)
        await self._forget(site, key_id)
        self._n_destroyed += 1

    async def _cipher(self, site: SiteId, key_id: str) -> AESSIV | None:
        if (cached := self._cache.get((site, key_id))) is not None:
            self._cache.move_to_end((site, key_id))
            return cached
        n_destroyed = self._n_destroyed
        found = await self._find(site, key_id)
        return None if found is None else self._remember(site, key_id, found, n_destroyed)

    def _remember(self, site: SiteId, key_id: str, key: bytes, n_destroyed: int) -> AESSIV:
        """Cache a key, unless one was destroyed since it was asked for: it may be this one."""
        cipher = AESSIV(key)
        if n_destroyed == self._n_destroyed:
            self._cache[site, key_id] = cipher
        if len(self._cache) > self._n_cached:
            self._cache.popitem(last=False)
        return cipher


class MemoryKeyRing(KeyRing):
    """Keys in memory: for tests, and for offline runs whose keys end with the process."""

    def __init__(self, *, random: Random = os.urandom, n_cached: int = N_CACHED) -> None:
        super().__init__(random=random, n_cached=n_cached)
        self._keys: dict[tuple[SiteId, str], bytes | None] = {}

    async def _find(self, site: SiteId, key_id: str) -> bytes | None:
        return self._keys.get((site, key_id))

    async def _keep(self, site: SiteId, key_id: str, fresh: bytes) -> bytes | None:
        return self._keys.setdefault((site, key_id), fresh)

    async def _forget(self, site: SiteId, key_id: str) -> None:
        self._keys[site, key_id] = None
