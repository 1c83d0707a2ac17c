"""``python -m tests.system.virtual_clock FILE MODULE …``: a program whose wall clock is the number in a file.

Processes that are started so share a clock which the test moves: a day takes as long as its work does, and no frame is late
because the machine is busy. Nothing else of the program is touched.
"""

from __future__ import annotations

import mmap
import runpy
import struct
import sys
import time
from pathlib import Path

NANOSECONDS = 1_000


class VirtualClock:
    """The clock's file, for the test that moves it; microseconds since 1970 UTC."""

    def __init__(self, path: Path, at: int) -> None:
        self.path = path
        path.write_bytes(struct.pack("<q", at * NANOSECONDS))
        with path.open("r+b") as file:
            self._held = mmap.mmap(file.fileno(), 8)
        self.at = at

    def move(self, at: int) -> None:
        """It is that time now, everywhere; never an earlier one."""
        self.at = max(self.at, at)
        self._held[:8] = struct.pack("<q", self.at * NANOSECONDS)

    def close(self) -> None:
        self._held.close()


def main() -> None:
    path, module, *words = sys.argv[1:]
    with Path(path).open("rb") as file:
        held = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    time.time_ns = lambda: struct.unpack("<q", held[:8])[0]
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
