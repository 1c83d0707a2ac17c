"""Pictures from outside, decoded with bounds: at most two at once, each in a child that is killed when it takes too long."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.errors import ImageRejected, MissingExtra, Overloaded

Image = NDArray[np.uint8]

MOST_BYTES = 20_000_000
TIMEOUT_S = 10.0
N_WORKERS = 2
MOST_WAITING = 16
_PROGRAM = Path(__file__).with_name("decoding.py")


class ImageDecoder:
    """Decodes pictures; its children start when first needed, and again after one had to be killed."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S, n_workers: int = N_WORKERS, program: Path = _PROGRAM) -> None:
        self._timeout_s = timeout_s
        self._program = program
        self._slots = asyncio.Semaphore(n_workers)
        self._idle: list[Process] = []
        self._n_waiting = 0

    async def decode(self, encoded: bytes) -> Image:
        """(H, W, 3) BGR pixels, upright; scaled down where a side is longer than 1024.

        Raises:
            ImageRejected: empty, too many bytes or pixels, not a picture, or too slow to decode.
            Overloaded: too many pictures wait already.
            MissingExtra: Pillow is not installed.
        """
        if not encoded:
            raise ImageRejected("the picture has 0 bytes; send a JPEG, PNG, WEBP or BMP picture")
        if len(encoded) > MOST_BYTES:
            raise ImageRejected(f"the picture has {len(encoded)} bytes, more than {MOST_BYTES}; send a smaller one")
        if find_spec("PIL") is None:
            raise MissingExtra("decoding pictures needs Pillow; install the extra: pip install 'spatial-twin[search]'")
        if self._n_waiting >= MOST_WAITING:
            raise Overloaded(f"{self._n_waiting} pictures wait to be decoded; send this one again later")
        self._n_waiting += 1
        try:
            async with self._slots:
                return await self._decode(encoded)
        finally:
            self._n_waiting -= 1

    async def aclose(self) -> None:
        """End the children."""
        while self._idle:
            await _end(self._idle.pop())

    async def _decode(self, encoded: bytes) -> Image:
        child = self._idle.pop() if self._idle else await self._started()
        try:
            async with asyncio.timeout(self._timeout_s):
                image = await _ask(child, encoded)
        except TimeoutError:
            await _end(child)
            raise ImageRejected(f"decoding took longer than {self._timeout_s:g} s; send a smaller picture") from None
        except (OSError, EOFError, ValueError):
            await _end(child)
            raise ImageRejected("decoding broke off, out of memory or worse; send a smaller or another picture") from None
        except ImageRejected:
            self._idle.append(child)
            raise
        except BaseException:  # a cancelled request leaves half a conversation behind
            await _end(child)
            raise
        self._idle.append(child)
        return image

    async def _started(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(self._program), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )


async def _ask(child: Process, encoded: bytes) -> Image:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(struct.pack("<Q", len(encoded)) + encoded)
    await child.stdin.drain()
    told = json.loads(await child.stdout.readuntil())
    if "refused" in told:
        raise ImageRejected(f"the picture of {len(encoded)} bytes cannot be used: {told['refused']}; send another")
    width, height = told["width"], told["height"]
    pixels = await child.stdout.readexactly(width * height * 3)
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


async def _end(child: Process) -> None:
    """Kill a child and wait for it; ``communicate`` also closes its pipes."""
    with suppress(ProcessLookupError):
        child.kill()
    await child.communicate()
