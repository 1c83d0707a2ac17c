"""Facts of a car park where vehicles move, and what one delta of them looks like."""

from __future__ import annotations

import os
from typing import NamedTuple

from site_models.load import load_site, resolve
from site_models.schema import Site
from twin.errors import BadInput
from twin.events.codec import to_cloudevent
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import Fact, VehicleConfirmed, VehicleMoved
from twin.events.ids import CameraId, DeviceId, LevelId, Micros, VehicleId
from twin.events.observations import FrameObserved

START_AT: Micros = 1_767_571_200_000_000
N_VEHICLES = 40
_COVARIANCE = (0.0412, 0.0031, 0.0387)


class Sizes(NamedTuple):
    """How much is measured; see ``ops/docs/benchmarks.md``."""

    clients: int
    hz: float
    seconds: float
    stalled: int
    moving: int


def sizes() -> Sizes:
    """From the environment; raises BadInput."""
    return Sizes(
        clients=int(_number("CLIENTS", "2000")),
        hz=_number("HZ", "10"),
        seconds=_number("SECONDS", "10"),
        stalled=int(_number("STALLED", "500")),
        moving=min(N_VEHICLES, int(_number("MOVING", "1"))),
    )


def site() -> Site:
    """Where it happens."""
    return load_site(resolve("demo_lot"))


def confirmed(of: Site) -> list[FactEvent]:
    """Everybody comes in."""
    return [_fact(of, n + 1, 1, _confirmed(of, n)) for n in range(N_VEHICLES)]


def moved(of: Site, tick: int, hz: float, moving: int) -> list[FactEvent]:
    """Some go on a little."""
    at = START_AT + round(tick * 1_000_000 / hz)
    return [
        _fact(of, N_VEHICLES + tick, at, _moved(of, (tick * moving + n) % N_VEHICLES, tick), ordinal=n) for n in range(moving)
    ]


def frame(of: Site, device: str, sequence: int) -> ObservationEvent:
    """What a camera would append."""
    return ObservationEvent(
        site=of.name,
        key=DeviceKey(device=DeviceId(device), boot_epoch=1, sequence=sequence),
        occurred_at=START_AT + sequence * 100_000,
        payload=FrameObserved(
            camera=CameraId(of.cameras[0].id), frame_px=of.cameras[0].frame_px, detector="yolox_nano:1", clock="ntp"
        ),
    )


def frame_body(of: Site, device: str, sequence: int) -> bytes:
    """The same as a request's body."""
    import msgspec

    return msgspec.json.encode([to_cloudevent(frame(of, device, sequence))])


def _confirmed(of: Site, n: int) -> Fact:
    zone = of.zones[n % len(of.zones)]
    return VehicleConfirmed(
        vehicle=VehicleId(f"v-{n:04}-7f3a"),
        kind="car",
        level=LevelId(of.levels[0].id),
        position_m=(float(n), 3.0),
        covariance_m2=_COVARIANCE,
        zone=zone.id,
    )


def _moved(of: Site, n: int, tick: int) -> Fact:
    return VehicleMoved(
        vehicle=VehicleId(f"v-{n:04}-7f3a"),
        level=LevelId(of.levels[0].id),
        position_m=(round(n + tick * 0.137 % 50, 3), 3.125),
        covariance_m2=_COVARIANCE,
        velocity_mps=(1.372, -0.031),
        zone=of.zones[n % len(of.zones)].id,
    )


def _fact(of: Site, cause: int, at: Micros, payload: Fact, ordinal: int = 0) -> FactEvent:
    return FactEvent(
        site=of.name, fold_version="bench", cause=cause, ordinal=ordinal, occurred_at=max(at, START_AT), payload=payload
    )


def _number(name: str, default: str) -> float:
    given = os.environ.get(f"BENCH_LIVE_{name}", default)
    try:
        number = float(given)
    except ValueError:
        number = 0.0
    if not 0 < number < 100_000:
        raise BadInput(f"BENCH_LIVE_{name} has '{given}'; give a number above 0")
    return number
