"""Frames of four cameras with six boxes each: a busy site. Made batch by batch, so that both sides get them fresh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import CameraId, DeviceId, SiteId, TrackletId
from twin.events.observations import DetectedBox, FrameObserved
from twin.log.content import contents_of
from twin.log.sql.rows import stored_observations

SITE = SiteId("lot")
N_CAMERAS = 4
_NUMBERS = {name: number for number, name in enumerate(sorted({SITE, "frame.observed.v1"}), 1)}
_BOOTS = {(f"cam-{camera}", 1): number for number, camera in enumerate(range(N_CAMERAS), 1)}
_MORNING = 1_767_268_800_000_000


def batches(n_rows: int, size: int, after: int = 0) -> Iterator[list[ObservationEvent]]:
    """Events ``after``, ``after`` + 1, … in batches."""
    for start in range(after, after + n_rows, size):
        yield [event(number) for number in range(start, min(start + size, after + n_rows))]


def rows(n_rows: int, size: int, after: int = 0) -> Iterator[list[tuple[Any, ...]]]:
    """The same as rows of the table ``observations``, at positions counted from ``after`` + 1."""
    for batch in batches(n_rows, size, after):
        yield stored(batch, after)
        after += len(batch)


def stored(batch: Sequence[ObservationEvent], after: int) -> list[tuple[Any, ...]]:
    """A batch as rows: packed, hashed and numbered."""
    made = [
        (after + place, one.occurred_at, one, content)
        for place, (one, content) in enumerate(zip(batch, contents_of(batch), strict=True), 1)
    ]
    return stored_observations(made, _NUMBERS, _BOOTS)


def event(number: int) -> ObservationEvent:
    """The frame of this number, from 0."""
    camera, sequence = number % N_CAMERAS, number // N_CAMERAS + 1
    boxes = tuple(
        DetectedBox(
            tracklet=TrackletId(f"cam-{camera}:1:{place}"),
            kind="car",
            score=0.875,
            box_px=(100.5 * place, 210.25, 100.5 * place + 81.0, 270.75),
            box_sigma_px=(1.5, 1.25),
        )
        for place in range(6)
    )
    return ObservationEvent(
        site=SITE,
        key=DeviceKey(device=DeviceId(f"cam-{camera}"), boot_epoch=1, sequence=sequence),
        occurred_at=_MORNING + sequence * 100_000,
        payload=FrameObserved(
            camera=CameraId(f"cam-{camera}"), frame_px=(1280, 720), detector="yolox_nano:1", clock="ntp", boxes=boxes
        ),
    )


def payload_bytes() -> int:
    """Of one event, packed."""
    return len(contents_of([event(0)])[0].payload)
