"""A camera's calibrations as its site's fold has them: in this process, or as another one saved them."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import CameraCalibrated
from twin.known_calibrations import READ_EVERY, KnownCalibrations
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.rules.fold import Fold
from twin.service import FusionWorker


def calibrated(lot, story, number, at=0, camera="left"):
    geometry = next(one for one in lot.cameras if one.id == camera).geometry
    payload = CameraCalibrated(
        camera=camera, level="ground", frame_px=(100, 100), geometry=geometry, sigma_m=0.1, range_m=50.0, author="ann"
    )
    key = DeviceKey(device="desk", boot_epoch=1, sequence=number)
    return ObservationEvent(site="lot", key=key, occurred_at=story.noon + at, payload=payload)


class Following:
    """A worker that folds while the block runs."""

    def __init__(self, log, lot, **given):
        self.worker = FusionWorker(log, MemoryKeyRing(), Fold(lot), worker_id="w", clock_ticks=False, **given)

    async def __aenter__(self):
        self._task = asyncio.create_task(self.worker.run())
        return self.worker

    async def __aexit__(self, *failure):
        self.worker.stop()
        await self._task


async def until(is_so):
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - a worker has no event for a test
            await asyncio.sleep(0.005)


async def test_those_of_the_worker_in_this_process_are_known_as_soon_as_it_has_folded_them(lot, story):
    log = MemoryLog()
    async with Following(log, lot) as worker:
        known = KnownCalibrations(log, {"lot": Fold(lot)}, {"lot": worker}, lambda: 0)
        assert await known.of("lot", "left") == ()
        await log.append([calibrated(lot, story, 1), calibrated(lot, story, 2, at=-5)])
        await until(lambda: worker.cursor == 2)
        assert [since - story.noon for since, _ in await known.of("lot", "left")] == [-5, 0]
        assert await known.of("lot", "right") == ()


async def test_where_another_process_folds_the_state_that_it_saved_is_read_now_and_then(lot, story):
    log, now = MemoryLog(), [0]
    known = KnownCalibrations(log, {"lot": Fold(lot)}, {}, lambda: now[0])
    assert await known.of("lot", "left") == ()
    async with Following(log, lot, snapshot_every=1) as worker:
        await log.append([calibrated(lot, story, 1)])
        await until(lambda: worker.counters.snapshots >= 1)
    assert await known.of("lot", "left") == ()
    now[0] += READ_EVERY
    ((since, made),) = await known.of("lot", "left")
    assert (since, made.author) == (story.noon, "ann")


async def test_a_state_that_cannot_be_read_leaves_the_site_models_calibration(lot, story, caplog):
    log = MemoryLog()
    async with Following(log, lot, snapshot_every=1) as worker:
        await log.append([calibrated(lot, story, 1)])
        await until(lambda: worker.counters.snapshots >= 1)
    (snapshot,) = await log.load_snapshots("lot", "fusion", f"{Fold.version}:{Fold(lot).config_hash}", until_position=1)
    await log.save_snapshot(replace(snapshot, body=b"broken"))
    known = KnownCalibrations(log, {"lot": Fold(lot)}, {}, lambda: 0)
    assert await known.of("lot", "left") == ()
    assert "cannot be read" in caplog.text
