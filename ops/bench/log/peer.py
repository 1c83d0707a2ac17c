"""The ``eventsourcing`` package on SQLite, as its documentation has it: an aggregate a camera, events triggered and saved.

It writes the same frames as JSON, with the same journal and synchronous mode (WAL, FULL). Its application gives notification
ids in order, as ours gives positions; it keeps neither device keys nor a chain.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from .stopwatch import Stopwatch
from .workload import N_CAMERAS, batches


def is_there() -> bool:
    """Whether it is installed."""
    try:
        import eventsourcing as _  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        return False
    return True


def append(path: Path, n_rows: int, size: int) -> Stopwatch:
    """Trigger and save batches of frames; those of all cameras are saved in one transaction."""
    from .peer_application import Camera, opened

    application = opened(path)
    cameras = {f"cam-{number}": Camera(name=f"cam-{number}") for number in range(N_CAMERAS)}
    application.save(*cameras.values())
    watch = Stopwatch()
    try:
        for batch in batches(n_rows, size):
            plain = [(one.key.device, one.key.sequence, one.occurred_at, _plain(one.payload)) for one in batch]
            with watch.running():
                for camera, sequence, occurred_at, payload in plain:
                    cameras[camera].observe(sequence=sequence, occurred_at=occurred_at, payload=payload)
                application.save(*cameras.values())
    finally:
        application.close()
    return watch


def _plain(payload: Any) -> Any:
    """Dictionaries, lists and numbers only, which its transcoder knows."""
    return msgspec.json.decode(msgspec.json.encode(payload))
