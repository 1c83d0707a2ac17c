"""Observations that wait for their tick to close, and what is known of the time of the cameras that they come from.

Plain values only: they are saved and loaded bit for bit.
"""

from __future__ import annotations

from msgspec import Struct, field

from twin.events.ids import CameraId, EventId, Micros, StallId, TrackletId
from twin.events.observations import FrameObserved
from twin.fusion.plates import Read


class PendingFrame(Struct, frozen=True, gc=False, array_like=True):
    """A frame that waits for its tick to close; ``at`` is its corrected time."""

    at: Micros
    camera: CameraId
    boot_epoch: int
    sequence: int
    observation: EventId
    frame: FrameObserved


class PendingLook(Struct, frozen=True, gc=False, array_like=True):
    """How a tracklet looked, and what plate was read, as it waits for its tick to close: personal fields, opened."""

    at: Micros
    camera: CameraId
    boot_epoch: int
    sequence: int
    tracklet: TrackletId
    embedding: bytes
    embedder: str = ""  # states of before have none
    quality: float = 1.0
    plate: Read | None = None


class PendingScore(Struct, frozen=True, gc=False, array_like=True):
    """How surely a classifier says that a stall is taken, as it waits for its tick to close."""

    at: Micros
    camera: CameraId
    boot_epoch: int
    sequence: int
    stall: StallId
    score: float


Pending = PendingFrame | PendingLook | PendingScore


class Tick(Struct, frozen=True, gc=False, array_like=True):
    """What was seen within a tick, each in (time, camera, sequence) order."""

    frames: tuple[PendingFrame, ...] = ()
    looks: tuple[PendingLook, ...] = ()
    scores: tuple[PendingScore, ...] = ()


class Shift(Struct, frozen=True, gc=False, array_like=True):
    """A camera's lag that may be its clock's: since which frame and when, the first and the least, and of how many frames.

    ``bound_us`` is by how much it is at least larger than before.
    """

    since: tuple[int, int]
    from_at: Micros
    first_us: int
    least_us: int
    n_frames: int
    bound_us: int


class CameraWatch(Struct, frozen=True, gc=False, array_like=True):
    """What is known of a camera's time: its newest frame, the least lag behind the clock in two windows, and the usual lag.

    ``delay_us`` is how late its frames usually come, after its clock was put right by ``offset_us``. ``newest`` is the boot
    epoch and sequence of its newest frame, which said the time ``said_at`` when the logged clock was ``heard_at``; ``set_at``
    is that of the first one since its clock was set, and ``before_us`` the offset of those before. ``settled_us`` is the least
    lag of the first whole window since then, whose middle was at ``settled_at``. ``told_us`` is the offset that was told
    last, ``n_set`` how often the clock was set.
    """

    newest_at: Micros
    is_active: bool
    lag_us: int | None = None
    window_lag_us: int | None = None
    window_from_at: Micros = 0
    usual_lag_us: int = 0
    delay_us: int = 0
    offset_us: int = 0
    newest: tuple[int, int] = (-1, -1)
    said_at: Micros | None = None
    heard_at: Micros = 0
    set_at: tuple[int, int] = (-1, -1)
    before_us: int = 0
    shift: Shift | None = None
    settled_us: int | None = None
    settled_at: Micros = 0
    gains_ppm: float | None = None
    told_us: int = 0
    n_set: int = 0


class OrderingState(Struct, frozen=True, gc=False):
    """Ticks by number, and how far they are closed."""

    pending: dict[int, Tick] = field(default_factory=dict[int, Tick])
    cameras: dict[CameraId, CameraWatch] = field(default_factory=dict[CameraId, CameraWatch])
    closed_at: Micros | None = None
    clock_at: Micros | None = None  # newest logged clock
    is_wall_clock: bool = False  # it tells when observations arrived
