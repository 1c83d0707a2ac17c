"""Observations and crops on disk until the service has acknowledged them.

One SQLite file with one connection; every batch is one transaction on disk (``synchronous=FULL``), so a killed
process loses nothing that was appended. The spool is bounded in bytes. Over the bound it gives up crops with their
embeddings first, then frames, then frames that show a portal crossing, each oldest first, and notes every loss in the
same transaction; the notes become ``loss.declared.v1`` observations as soon as there is room again. It holds personal
data in the open: the folder is readable by its owner only.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from perception.emit import Crop, Emission
from twin.errors import BadInput, LogClosed
from twin.events.codec import from_json, to_json, type_name
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import CameraId, CropId, DeviceId, Micros, SiteId
from twin.events.observations import LossDeclared, Observation, TrackletEmbedded

_SCHEMA = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists item (
  id integer primary key autoincrement, type text not null, camera text not null, tracklet text,
  occurred_at integer not null, line blob not null, crop_id text, crop blob, n_bytes integer not null,
  is_crossing integer);
create index if not exists item_type on item (type, id);
create table if not exists loss (
  camera text not null, kind text not null, reason text not null, count integer not null,
  from_at integer not null, until_at integer not null, primary key (camera, kind, reason));
"""
_EMBEDDED = "tracklet.embedded.v1"
_LOSS = "loss.declared.v1"
_GIVEN_UP = (f"type = '{_EMBEDDED}'", f"type <> '{_LOSS}' and is_crossing is null", f"type <> '{_LOSS}'")
_ROW_BYTES = 64  # what a row costs beside its contents, roughly


@dataclass(frozen=True, slots=True)
class SpoolItem:
    """One observation as JSON that waits for its acknowledgement, and its crop."""

    id: int
    line: bytes
    camera: CameraId
    tracklet: str | None
    occurred_at: Micros
    crop: Crop | None


class Spool:
    """The spool of one device at one site; one process at a time.

    Args:
        max_bytes: bound of what it holds; the file on disk is slightly larger.
        is_crossing: whether an observation shows a portal being crossed; asked only where frames must be given up.
        now: wall clock. The boot epoch is the larger of the last one plus 1 and the seconds since 1970, so that it
            grows also when the spool was lost or the clock stepped back.

    Raises:
        BadInput: the folder is another site's or device's spool, is in use, or cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        site: SiteId,
        device: DeviceId,
        max_bytes: int = 1 << 30,
        is_crossing: Callable[[Observation], bool] = lambda _: False,
        now: Callable[[], Micros] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._site, self._device, self._max_bytes = site, device, max_bytes
        self._is_crossing = is_crossing
        self.folder = folder
        self.n_parked = 0
        self._changed = threading.Condition()
        self._in_flight = 0
        self._sequence = 0
        self._lock_file = locked(folder)
        try:
            self._db = _opened(folder / "spool.sqlite")
            self._adopt()
            self.boot_epoch = self._boot(now() // 1_000_000)
            self.n_bytes = int(self._one("select coalesce(sum(n_bytes), 0) from item"))
        except sqlite3.Error as wrong:
            self._lock_file.close()
            raise BadInput(f"spool '{folder}' cannot be used: {wrong}; free space, or give --spool another folder") from None
        except BadInput:
            self._db.close()
            self._lock_file.close()
            raise

    def __len__(self) -> int:
        with self._changed:
            return int(self._one("select count(*) from item"))

    def append(self, emissions: Sequence[Emission]) -> None:
        """Store a batch durably, all or nothing; what does not fit is given up and noted.

        Raises:
            LogClosed: the disk failed; nothing of the batch was stored.
        """
        with self._changed:
            try:
                with self._transaction():
                    for emission in emissions:
                        self._insert(emission.occurred_at, emission.payload, emission.crop)
                    self._fit(self._max_bytes)
            except sqlite3.OperationalError as wrong:
                self._give_up(emissions, wrong)
            self._changed.notify_all()

    def peek(self, *, max_items: int = 200, max_bytes: int = 4_000_000) -> list[SpoolItem]:
        """The oldest items, without crops over ``max_bytes`` in all; they are not given up while in flight."""
        with self._changed:
            rows = self._db.execute(
                "select id, line, camera, tracklet, occurred_at, crop_id, crop, n_bytes from item order by id limit ?",
                (max_items,),
            )
            items: list[SpoolItem] = []
            total = 0
            for row_id, line, camera, tracklet, at, crop_id, jpeg, n_bytes in rows:
                total += n_bytes
                if items and total > max_bytes:
                    break
                crop = Crop(CropId(crop_id), jpeg) if jpeg is not None else None
                items.append(SpoolItem(row_id, line, CameraId(camera), tracklet, at, crop))
            rows.close()
            self._in_flight = items[-1].id if items else 0
            return items

    def acknowledge(self, until_id: int) -> None:
        """The service has everything up to this item."""
        with self._changed:
            with self._transaction():
                self._delete("id <= ?", until_id)
            self._in_flight = 0
            self._changed.notify_all()

    def release(self) -> None:
        """Nothing is in flight: the last ``peek`` was not delivered."""
        with self._changed:
            self._in_flight = 0

    def park(self, item: SpoolItem, why: str) -> None:
        """Keep a refused item's line in ``rejected.jsonl`` and take it out of the queue."""
        with self._changed:
            with (self.folder / "rejected.jsonl").open("ab") as rejected:
                rejected.write(item.line + b"\n")
                rejected.flush()
                os.fsync(rejected.fileno())
            with self._transaction():
                self._delete("id = ?", item.id)
            self.n_parked += 1

    def lose_crop(self, item: SpoolItem, why: str) -> None:
        """Note that an item's crop could not be kept by the service; the item itself is still sent."""
        with self._changed, self._transaction():
            self._db.execute("update item set crop = null where id = ?", (item.id,))
            self._note(item.camera, "crop", why, 1, item.occurred_at, item.occurred_at)

    def declare_losses(self) -> int:
        """Turn noted losses into observations at the end of the queue; returns how many, 0 also while the disk is full."""
        with self._changed:
            noted = self._db.execute(
                "select camera, kind, reason, count, from_at, until_at from loss order by 1, 2, 3"
            ).fetchall()
            if not noted:
                return 0
            try:
                with self._transaction():
                    for camera, kind, why, count, from_at, until_at in noted:
                        declared = LossDeclared(
                            camera=CameraId(camera), kind=kind, count=count, from_at=from_at, until_at=until_at, reason=why
                        )
                        self._insert(until_at, declared, None)
                    self._db.execute("delete from loss")
            except sqlite3.OperationalError as wrong:
                if "full" not in str(wrong):
                    raise LogClosed(f"spool '{self.folder}' cannot be written: {wrong}; check the disk") from None
                return 0
            self._changed.notify_all()
            return len(noted)

    def wait(self, timeout_s: float) -> None:
        """Return when something was appended or acknowledged, at the latest after the timeout."""
        with self._changed:
            self._changed.wait(timeout_s)

    def close(self) -> None:
        """Release the files; what is in the spool stays. A second call does nothing."""
        with self._changed:
            self._db.close()
            self._lock_file.close()

    def _insert(self, at: Micros, payload: Observation, crop: Crop | None) -> None:
        self._sequence += 1
        key = DeviceKey(device=self._device, boot_epoch=self.boot_epoch, sequence=self._sequence)
        line = to_json(ObservationEvent(site=self._site, key=key, occurred_at=at, payload=payload))
        tracklet = payload.tracklet if isinstance(payload, TrackletEmbedded) else None
        n_bytes = _ROW_BYTES + len(line) + (len(crop.jpeg) if crop else 0)
        self._db.execute(
            "insert into item (type, camera, tracklet, occurred_at, line, crop_id, crop, n_bytes)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            (type_name(payload), _camera(payload), tracklet, at, line, crop and crop.id, crop and crop.jpeg, n_bytes),
        )
        self.n_bytes += n_bytes

    def _fit(self, max_bytes: int) -> None:
        """Give up items until the rest fits, in the order that the module names; never notes of loss, nor what is in flight."""
        for chosen in _GIVEN_UP:
            while self.n_bytes > max_bytes:
                rows = self._db.execute(
                    "select id, type, camera, occurred_at, crop is not null, line, is_crossing from item"
                    f" where {chosen} and id > ? order by id limit 64",
                    (self._in_flight,),
                ).fetchall()
                if not rows:
                    break
                for row in rows:
                    if self.n_bytes <= max_bytes:
                        break
                    self._lose(*row)

    def _lose(
        self, row_id: int, kind: str, camera: str, at: Micros, has_crop: int, line: bytes, is_crossing: int | None
    ) -> None:
        """Give one item up, unless it proves to show a crossing: that is noted, and it stays for now."""
        if kind != _EMBEDDED and is_crossing is None:
            event = cast(ObservationEvent, from_json(line))
            if self._is_crossing(event.payload):
                self._db.execute("update item set is_crossing = 1 where id = ?", (row_id,))
                return
        self._note(camera, kind, "spool full, at a portal" if is_crossing else "spool full", 1, at, at)
        if has_crop:
            self._note(camera, "crop", "spool full", 1, at, at)
        self._delete("id = ?", row_id)

    def _give_up(self, emissions: Sequence[Emission], wrong: sqlite3.OperationalError) -> None:
        """The disk is full: make room among what is spooled, then note this batch as lost."""
        if "full" not in str(wrong):
            raise LogClosed(f"spool '{self.folder}' cannot be written: {wrong}; check the disk") from None
        try:
            with self._transaction():
                self._fit(self.n_bytes * 3 // 4)
                for emission in emissions:
                    at, camera = emission.occurred_at, _camera(emission.payload)
                    self._note(camera, type_name(emission.payload), "disk full", 1, at, at)
                    if emission.crop is not None:
                        self._note(camera, "crop", "disk full", 1, at, at)
        except sqlite3.OperationalError as again:
            raise LogClosed(
                f"the disk of spool '{self.folder}' is full and no room could be made: {again}; {len(emissions)} observations"
                " were lost. Free space and start again"
            ) from None

    def _note(self, camera: str, kind: str, why: str, count: int, from_at: Micros, until_at: Micros) -> None:
        self._db.execute(
            "insert into loss values (?, ?, ?, ?, ?, ?) on conflict do update set count = count + excluded.count,"
            " from_at = min(from_at, excluded.from_at), until_at = max(until_at, excluded.until_at)",
            (camera, kind, why, count, from_at, until_at),
        )

    def _delete(self, where: str, row_id: int) -> None:
        gone = self._one(f"select coalesce(sum(n_bytes), 0) from item where {where}", row_id)
        self._db.execute(f"delete from item where {where}", (row_id,))
        self.n_bytes -= int(gone)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that is done inside, in the database and in the counts, or nothing."""
        before = self._sequence, self.n_bytes
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            self._sequence, self.n_bytes = before
            if self._db.in_transaction:  # SQLite itself rolls back on some errors, a full disk among them
                self._db.execute("rollback")
            raise

    def _one(self, query: str, *values: object) -> Any:
        row = self._db.execute(query, values).fetchone()
        return row[0] if row else None

    def _adopt(self) -> None:
        for name, value in (("site", self._site), ("device", self._device)):
            stored = self._one("select value from meta where name = ?", name)
            if stored is None:
                self._db.execute("insert into meta values (?, ?)", (name, value))
            elif stored != value:
                raise BadInput(f"spool '{self.folder}' is of {name} '{stored}', not '{value}'; give --spool another folder")

    def _boot(self, now_s: int) -> int:
        last = int(self._one("select value from meta where name = 'boot_epoch'") or 0)
        epoch = max(last + 1, now_s)
        self._db.execute("insert or replace into meta values ('boot_epoch', ?)", (str(epoch),))
        return epoch


def _camera(payload: Observation) -> str:
    return str(getattr(payload, "camera", ""))


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.executescript(_SCHEMA)
    if "is_crossing" not in {row[1] for row in db.execute("pragma table_info(item)")}:  # a spool of release 0.1
        db.execute("alter table item add column is_crossing integer")
    return db


def locked(folder: Path) -> IO[bytes]:
    """Take a spool's lock, until it is closed; raises BadInput where another process holds it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("ab")
    except OSError as wrong:
        raise BadInput(
            f"spool '{folder}' cannot be made: {wrong.strerror}; give --spool a folder that can be written"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise BadInput(f"spool '{folder}' is in use by another process; give --spool another folder") from None
    return lock
