"""What shows only in days: outages and clocks, of cameras that watch an empty site slowly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from perception.synthetic.arrival_delays import missing
from perception.synthetic.capture_clock import Times, earliest_clock
from perception.synthetic.intervals import Estimate, bounds, largest, ratio, resampled
from perception.synthetic.profiles import NoiseProfile
from perception.synthetic.sensors import CameraSensor
from perception.synthetic.truth import TruthFrame
from site_models.schema import Camera, Site
from twin.events.ids import SECOND, Micros

_FPS = 0.5
_LEAST_MISSING = 4  # frames in a row; dropping that many by chance happens once in years
_CHUNK: Micros = 3600 * SECOND
_DAY: Micros = 24 * 3600 * SECOND

Floats = NDArray[np.float64]


class Watch(NamedTuple):
    """One camera's day.

    Attributes:
        outages_s: how long each silence lasted, by the frames that are missing.
        offset_s: of its clock at the start, but for the fixed part of the delay.
    """

    outages_s: Floats
    offset_s: float
    drift_ppm: float


def watch(site: Site, profile: NoiseProfile, seeds: Sequence[int], start_at: Micros) -> list[Watch]:
    """A day of each camera of the site with each seed."""
    cameras = [replace(camera, fps=_FPS) for camera in site.cameras]
    return [_watched(site, camera, profile, seed, start_at) for seed in seeds for camera in cameras]


def watched(watches: Sequence[Watch], fixed_s: float = 0.0) -> dict[str, Estimate]:
    """Outages a camera and day, their shortest, mean and longest, and the largest offset and drift of a clock.

    Args:
        fixed_s: the least time that a frame takes to arrive.
    """
    lasted_s = np.concatenate([one.outages_s for one in watches])
    shortest, longest = bounds(lasted_s, 1 / _FPS)
    counts = np.array([(len(one.outages_s), 1.0) for one in watches])
    return {
        "outages_a_day": resampled(counts, ratio, len(watches)),
        "outage_shortest_s": shortest,
        "outage_mean_s": resampled(np.stack([lasted_s, np.ones(len(lasted_s))], axis=1), ratio, len(lasted_s)),
        "outage_longest_s": longest,
        "clock_offset_s": largest(np.array([abs(one.offset_s + fixed_s) for one in watches])),
        "clock_drift_ppm": largest(np.array([abs(one.drift_ppm) for one in watches])),
    }


def _watched(site: Site, camera: Camera, profile: NoiseProfile, seed: int, start_at: Micros) -> Watch:
    sensor = CameraSensor(site, camera, profile, seed, start_at)
    sent = list[tuple[Micros, Micros]]()
    for end_at in range(start_at + _CHUNK, start_at + _DAY + 1, _CHUNK):
        empty = [TruthFrame(at=at, vehicles=()) for at in sensor.capture_times(end_at)]
        sent += [(one.event.occurred_at, one.arrival_at) for one in sensor.observe(empty)]
    occurred_at, arrival_at = np.array(sent, np.int64).T
    clock = earliest_clock(occurred_at, arrival_at)
    return Watch(_outages_s(occurred_at), clock.offset_us / SECOND, clock.drift * 1e6)


def _outages_s(occurred_at: Times) -> Floats:
    gaps = missing(occurred_at, _FPS)
    return np.asarray(gaps[gaps >= _LEAST_MISSING] / _FPS, dtype=np.float64)
