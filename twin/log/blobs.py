"""The crop store: pictures by content hash, encrypted with their tracklet's key, within a quota per site.

A file is ``<root>/<site>/<first two digits>/<crop id>``: the length of the key id, the key id, the ciphertext. The
disk is the only record; the index in memory is read from it at start.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from twin.errors import BadInput, CodecError, Conflict, Gone, NotFound, QuotaExceeded, TooLarge
from twin.events.ids import CropId, SiteId, TrackletId
from twin.log.content import check_name
from twin.log.keys import KeyRing

_CROP_ID = re.compile(r"[0-9a-f]{64}")
_SITE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HEADER_BYTES = 2  # length of the key id, big-endian


class BlobStore:
    """Crops of all sites under one folder.

    Bytes that two tracklets share are kept once, under the key of the first: erasing that tracklet erases them, and
    the next ``put`` keeps them under the other's.
    """

    def __init__(self, root: Path, keys: KeyRing, *, quota_bytes: int, limit_bytes: int = 4_000_000) -> None:
        self._root = root
        self._keys = keys
        self._quota_bytes = quota_bytes
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()  # guards the files and the index
        self._sizes = {SiteId(folder.name): _scan(folder) for folder in sorted(_folders(root))}
        self._used_bytes = {site: sum(sizes.values()) for site, sizes in self._sizes.items()}

    async def put(self, site: SiteId, crop_id: CropId, tracklet: TrackletId, jpeg: bytes) -> None:
        """Keep a crop durably; the oldest crops of the site make room. Doing it twice is no error.

        Raises:
            BadInput: the id is not the SHA-256 of the bytes, or a name is not usable.
            TooLarge: more bytes than a crop may have.
            QuotaExceeded: it would not fit in an empty store.
            Gone: the tracklet's key was destroyed.
        """
        path = self._path(site, crop_id)
        check_name("tracklet", tracklet)
        if len(jpeg) > self._limit_bytes:
            raise TooLarge(f"the crop has {len(jpeg)} bytes, at most {self._limit_bytes} are taken; scale it down")
        digest = hashlib.sha256(jpeg).hexdigest()
        if digest != crop_id:
            raise Conflict(f"the crop's id is {crop_id} but its bytes hash to {digest}; the id is SHA-256 in hex")
        if await self._is_kept(site, crop_id):
            return
        ciphertext = await self._keys.encrypt(site, tracklet, jpeg, _associated(crop_id))
        key_id = tracklet.encode()
        body = len(key_id).to_bytes(_HEADER_BYTES) + key_id + ciphertext
        await asyncio.to_thread(self._store, site, crop_id, path, body)

    async def get(self, site: SiteId, crop_id: CropId) -> bytes:
        """The crop's bytes.

        Raises:
            NotFound: never kept, or evicted since.
            Gone: erased with its tracklet's key.
            CodecError: the file is damaged.
        """
        self._path(site, crop_id)
        if crop_id not in self._sizes.get(site, {}):
            raise _not_kept(site, crop_id)
        jpeg = await self._opened(site, crop_id)
        if jpeg is None:
            raise Gone(f"crop {crop_id} of site '{site}' was erased")
        return jpeg

    def used_bytes(self, site: SiteId) -> int:
        """Bytes on disk of a site's crops."""
        with self._lock:
            return self._used_bytes.get(site, 0)

    async def _is_kept(self, site: SiteId, crop_id: CropId) -> bool:
        try:
            return await self._opened(site, crop_id) is not None
        except (NotFound, CodecError):  # a damaged file is replaced
            return False

    async def _opened(self, site: SiteId, crop_id: CropId) -> bytes | None:
        try:
            body = await asyncio.to_thread(self._path(site, crop_id).read_bytes)
        except FileNotFoundError:
            raise _not_kept(site, crop_id) from None
        n_key = int.from_bytes(body[:_HEADER_BYTES])
        key_id, ciphertext = body[_HEADER_BYTES : _HEADER_BYTES + n_key], body[_HEADER_BYTES + n_key :]
        try:
            name = key_id.decode()
        except UnicodeDecodeError:
            raise CodecError(f"the file of crop {crop_id} of site '{site}' is damaged; upload the crop again") from None
        return await self._keys.decrypt(site, name, ciphertext, _associated(crop_id))

    def _store(self, site: SiteId, crop_id: CropId, path: Path, body: bytes) -> None:
        if len(body) > self._quota_bytes:
            raise QuotaExceeded(f"the crop takes {len(body)} bytes, the quota of a site is {self._quota_bytes}")
        with self._lock:
            sizes = self._sizes.setdefault(site, OrderedDict())
            self._used_bytes.setdefault(site, 0)
            if crop_id in sizes:
                self._evict(site, crop_id)
            while self._used_bytes[site] + len(body) > self._quota_bytes:
                self._evict(site, next(iter(sizes)))
            _write_durably(path, body)
            sizes[crop_id] = len(body)
            self._used_bytes[site] += len(body)

    def _evict(self, site: SiteId, crop_id: CropId) -> None:
        self._path(site, crop_id).unlink(missing_ok=True)
        self._used_bytes[site] -= self._sizes[site].pop(crop_id)

    def _path(self, site: SiteId, crop_id: CropId) -> Path:
        if not _SITE.fullmatch(site):
            raise BadInput(f"site {site[:40]!r} is not a site's name")
        if not _CROP_ID.fullmatch(crop_id):
            raise BadInput(f"crop id {crop_id[:80]!r} must be 64 hexadecimal digits in lower case")
        return self._root / site / crop_id[:2] / crop_id


def _not_kept(site: SiteId, crop_id: CropId) -> NotFound:
    return NotFound(f"crop {crop_id} of site '{site}' is not kept; it never was, or it made room for newer ones")


def _associated(crop_id: CropId) -> tuple[bytes, ...]:
    return (b"crop", crop_id.encode())


def _folders(root: Path) -> list[Path]:
    root.mkdir(parents=True, exist_ok=True)
    return [folder for folder in root.iterdir() if folder.is_dir() and _SITE.fullmatch(folder.name)]


def _scan(folder: Path) -> OrderedDict[CropId, int]:
    """Sizes of a site's crops, oldest first; what an interrupted write left is removed."""
    found: list[tuple[int, str, int]] = []
    for path in folder.glob("??/*"):
        if _CROP_ID.fullmatch(path.name):
            status = path.stat()
            found.append((status.st_mtime_ns, path.name, status.st_size))
        elif path.suffix == ".tmp":
            path.unlink()
    return OrderedDict((CropId(name), size) for _, name, size in sorted(found))


def _write_durably(path: Path, body: bytes) -> None:
    """Write beside, fsync, rename, fsync the folder: a crash leaves the old file or the new one, whole."""
    beside = path.with_suffix(".tmp")
    try:
        _make_folder(path.parent)
        with beside.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as failed:
        with suppress(OSError):
            beside.unlink()
        raise QuotaExceeded(f"the crop cannot be written to '{path.parent}': {failed.strerror}; make room there") from failed
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)
        _sync_folder(folder.parent.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders; its file systems journal the rename
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
