"""What goes wrong in a run, and how often: all of it decided by the seed."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from twin.errors import Overloaded


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Faults:
    """Rates of one run; ``heal`` ends them, so that the run can come to rest."""

    seed: int
    draw: random.Random = field(init=False)
    crash: float = field(init=False)  # at a call of the log
    busy: float = field(init=False)  # the log's queue is full
    wait: float = field(init=False)  # a call of the log takes its time
    request_lost: float = field(init=False)
    answer_lost: float = field(init=False)
    doubled: float = field(init=False)  # a request arrives twice
    delayed: float = field(init=False)
    cut_off: float = field(init=False)  # a device, for seconds
    disk: float = field(init=False)  # a read waits for the disk
    takeover: float = field(init=False)  # another worker starts beside the first
    clock_step: float = field(init=False)
    trim: float = field(init=False)  # retention cuts what is older than a random time
    trim_draw: random.Random = field(init=False)  # apart from the others, so that runs without cuts are what they were
    thin: float = field(init=False)  # a trim takes movement too
    thin_draw: random.Random = field(init=False)
    has_ticks: bool = field(init=False)  # without the worker's clock no frame is late, and so all are fused
    is_healed: bool = False

    def __post_init__(self) -> None:
        self.draw = draw = random.Random(f"faults {self.seed}")
        self.crash = draw.choice((0.0, 0.001, 0.004))
        self.busy = draw.choice((0.0, 0.02, 0.1))
        self.wait = draw.choice((0.0, 0.2, 0.6))
        self.request_lost = draw.choice((0.0, 0.05, 0.3))
        self.answer_lost = draw.choice((0.0, 0.05, 0.3))
        self.doubled = draw.choice((0.0, 0.1, 0.4))
        self.delayed = draw.choice((0.0, 0.1, 0.5))
        self.cut_off = draw.choice((0.0, 0.02))
        self.disk = draw.choice((0.0, 0.05, 0.3))
        self.takeover = draw.choice((0.0, 0.05, 0.2))
        self.clock_step = draw.choice((0.0, 0.0, 0.05))
        self.has_ticks = draw.random() < 0.4
        self.trim_draw = random.Random(f"trims {self.seed}")
        self.trim = self.trim_draw.choice((0.0, 0.05, 0.3))
        self.thin_draw = random.Random(f"thins {self.seed}")
        self.thin = self.thin_draw.choice((0.0, 0.5, 1.0))

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.is_healed = True

    def happens(self, rate: float) -> bool:
        """Whether a fault of this rate happens now."""
        return not self.is_healed and rate > 0.0 and self.draw.random() < rate

    def is_to_trim(self) -> bool:
        """Whether retention cuts now; it goes on when the run is healed."""
        return self.trim > 0.0 and self.trim_draw.random() < self.trim

    def is_to_thin(self) -> bool:
        """Whether a trim takes movement too."""
        return self.thin > 0.0 and self.thin_draw.random() < self.thin

    def disk_s(self) -> float:
        """How long a read takes."""
        return self.draw.uniform(0.0, 0.5) if self.happens(self.disk) else 0.0

    async def pause(self, rate: float, longest_s: float) -> None:
        """Wait, if that fault happens."""
        if self.happens(rate):
            await asyncio.sleep(self.draw.uniform(0.0, longest_s))

    async def before(self, call: str) -> None:
        """What may happen before a call of the log reaches it."""
        await self.pause(self.wait, 0.3)
        if self.happens(self.crash):
            raise Crash
        if call in _QUEUED and self.happens(self.busy):
            raise Overloaded("the log's queue is full; try again")

    async def after(self) -> None:
        """What may happen to a call's answer: the call has had its effect."""
        if self.happens(self.crash):
            raise Crash
        await self.pause(self.wait, 0.1)


_QUEUED = frozenset({"append", "commit"})
