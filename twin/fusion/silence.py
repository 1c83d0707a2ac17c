"""Which cameras deliver, told from the times of their frames alone, so that it is the same however late they came."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from twin.events.facts import CameraStateChanged
from twin.events.ids import CameraId, Micros
from twin.fusion.emission import Emission
from twin.fusion.pending import PendingFrame


class Delivery(Struct, frozen=True, gc=False, array_like=True):
    """A camera's newest frame among the closed ticks, and whether it still delivers."""

    newest_at: Micros
    is_active: bool = True


Deliveries = dict[CameraId, Delivery]


def take(deliveries: Deliveries, frames: Iterable[PendingFrame], emission: Emission) -> Deliveries:
    """Frames of a closed tick: cameras that were not active are."""
    after = dict(deliveries)
    for frame in frames:
        before = after.get(frame.camera)
        if before is None or not before.is_active:
            emission.emit(frame.at, CameraStateChanged(camera=frame.camera, state="active"))
        after[frame.camera] = Delivery(frame.at)
    return after


def expire(deliveries: Deliveries, closed_at: Micros, idle_us: Micros, emission: Emission) -> Deliveries:
    """Cameras without a frame for longer than the bound are idle from its end on."""
    silent = [name for name, one in sorted(deliveries.items()) if one.is_active and closed_at > one.newest_at + idle_us]
    if not silent:
        return deliveries
    after = dict(deliveries)
    for name in silent:
        idle_at = after[name].newest_at + idle_us
        after[name] = Delivery(after[name].newest_at, False)
        emission.emit(idle_at, CameraStateChanged(camera=name, state="idle"))
    return after
