"""Where emissions go: a file, or a spool that a sender empties into the service."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from perception.emit import Emission
from perception.sender import Sender
from perception.spool import Spool
from perception.summary import DeliverySummary
from twin.errors import BadInput
from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import DeviceId, SiteId


class Sink(Protocol):
    """Takes emissions in order and gives each its device key, 1, 2, 3, … of one device and boot epoch."""

    @property
    def boot_epoch(self) -> int: ...

    @property
    def delivery(self) -> DeliverySummary | None:
        """What became of everything that was sent, once closed; None for a sink that sends nothing."""
        ...

    def write(self, emissions: Sequence[Emission]) -> None:
        """Take them; raises TwinError when the sink cannot go on."""
        ...

    def close(self) -> None:
        """Flush and release everything, also after an error."""
        ...


class FileSink:
    """``FILE`` with one CloudEvents JSON a line (zstd by its suffix ``.zst``), crops in ``FILE.crops/<id>.jpg``.

    The boot epoch is always 1: the same video and models give the same file.

    Raises:
        BadInput: the file cannot be written.
    """

    boot_epoch = 1
    delivery: DeliverySummary | None = None

    def __init__(self, path: Path, *, site: SiteId, device: DeviceId) -> None:
        self._site = site
        self._device = device
        self._sequence = 0
        self._crops = path.with_name(f"{path.name}.crops")
        try:
            self._file: BinaryIO = path.open("wb")
        except OSError as wrong:
            raise BadInput(f"'{path}' cannot be written: {wrong.strerror}; give --out a file in an existing folder") from None
        self._out: BinaryIO = self._file
        if path.suffix == ".zst":
            self._out = zstandard.ZstdCompressor(level=6).stream_writer(self._file, closefd=False)  # pyright: ignore[reportAssignmentType]

    def write(self, emissions: Sequence[Emission]) -> None:
        try:
            for emission in emissions:
                if emission.crop is not None:
                    self._crops.mkdir(exist_ok=True)
                    (self._crops / f"{emission.crop.id}.jpg").write_bytes(emission.crop.jpeg)
                self._out.write(to_json(self._keyed(emission)) + b"\n")
        except OSError as wrong:
            raise BadInput(
                f"'{self._file.name}' cannot be written further: {wrong.strerror}; free space and run again"
            ) from None

    def close(self) -> None:
        try:
            if self._out is not self._file:
                self._out.close()
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def _keyed(self, emission: Emission) -> ObservationEvent:
        self._sequence += 1
        key = DeviceKey(device=self._device, boot_epoch=self.boot_epoch, sequence=self._sequence)
        return ObservationEvent(site=self._site, key=key, occurred_at=emission.occurred_at, payload=emission.payload)


class SpoolSink:
    """Spools emissions durably in small batches; a ``Sender`` delivers them meanwhile.

    Args:
        drain_s: how long ``close`` waits for the service to take the rest; what is left stays in the spool.
    """

    def __init__(
        self, spool: Spool, sender: Sender, *, drain_s: float = 20.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._spool = spool
        self._sender = sender
        self._drain_s = drain_s
        self._monotonic = monotonic
        self._waiting: list[Emission] = []
        self._flushed_s = monotonic()
        self.boot_epoch = spool.boot_epoch
        self.delivery: DeliverySummary | None = None
        sender.start()

    def write(self, emissions: Sequence[Emission]) -> None:
        self._waiting.extend(emissions)
        if len(self._waiting) >= 64 or self._monotonic() - self._flushed_s >= 0.05:
            self._flush()
        self._sender.check()

    def close(self) -> None:
        try:
            self._flush()
            self._sender.drain(self._drain_s)
        finally:
            self._sender.stop()
            self.delivery = DeliverySummary(
                delivered=self._sender.n_delivered,
                spooled=len(self._spool),
                rejected=self._spool.n_parked,
                expired=self._sender.n_expired,
                trouble=self._sender.last_trouble,
            )
            self._spool.close()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._flushed_s = self._monotonic()
        if waiting:
            self._spool.append(waiting)
