"""Facts of a car park whose vehicles all drive: up and down its lanes, each at its own pace."""

from __future__ import annotations

import math
from typing import NamedTuple

from site_models.schema import (
    Camera,
    CameraId,
    Datum,
    GroundHomography,
    Lane,
    LaneId,
    Level,
    LevelId,
    Point,
    Portal,
    PortalId,
    Ring,
    Site,
    SiteId,
    Stall,
    StallId,
    Zone,
    ZoneId,
    ZoneKind,
)
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import CameraStateChanged, Fact, StallChanged, VehicleConfirmed, VehicleMoved
from twin.events.ids import DeviceId, Micros, VehicleId
from twin.events.observations import FrameObserved

_N_AISLES, _N_STALLS, _STALL_M = 6, 58, (2.6, 5.0)
_PITCH_M = 16.0
_LEVEL = LevelId("ground")
_WIDTH_M = _N_STALLS * _STALL_M[0]
_KINDS = ("car", "car", "car", "van", "truck", "motorcycle")


class Place(NamedTuple):
    """Where a vehicle is, and which way it goes."""

    level: LevelId
    point_m: Point
    velocity_mps: Point


def site() -> Site:
    """Six aisles with a lane each way between two rows of stalls, 696 in all; 12 cameras. It is as wide as a screen is."""
    aisles = range(_N_AISLES)
    rows = [(f"row-{n}{side}", _PITCH_M * n + dy) for n in aisles for side, dy in (("a", 0.0), ("b", 11.0))]
    return Site(
        name=SiteId("crowded"),
        datum=Datum(latitude=48.0, longitude=11.0),
        levels=(Level(id=_LEVEL),),
        zones=(
            *(_zone(f"aisle-{n}", "lane", _PITCH_M * n + 5.0, _PITCH_M * n + 11.0) for n in aisles),
            *(_zone(name, "parking", y, y + _STALL_M[1]) for name, y in rows),
        ),
        stalls=tuple(_stall(name, y, n) for name, y in rows for n in range(_N_STALLS)),
        lanes=tuple(_lane(n, side) for n in aisles for side in (0, 1)),
        portals=(
            Portal(id=PortalId("entry"), level=_LEVEL, role="boundary", direction="in", line_m=((0.0, 11.0), (0.0, 5.0))),
        ),
        cameras=tuple(_camera(n, half) for n in aisles for half in (0, 1)),
    )


def _box(x1: float, y1: float, x2: float, y2: float) -> Ring:
    return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def _zone(name: str, kind: ZoneKind, y1: float, y2: float) -> Zone:
    return Zone(id=ZoneId(name), level=_LEVEL, kind=kind, ring_m=_box(0.0, y1, _WIDTH_M, y2))


def _stall(row: str, y: float, n: int) -> Stall:
    ring_m = _box(n * _STALL_M[0], y, (n + 1) * _STALL_M[0], y + _STALL_M[1])
    return Stall(id=StallId(f"{row}-{n:02}"), level=_LEVEL, zone=ZoneId(row), ring_m=ring_m, heading_deg=90.0)


def _lane(n: int, side: int) -> Lane:
    y = _PITCH_M * n + (6.5 if side else 9.5)
    line_m = ((1.0, y), (_WIDTH_M - 1.0, y))
    return Lane(id=LaneId(f"lane-{n}-{side}"), level=_LEVEL, line_m=line_m if side else line_m[::-1], width_m=3.0, one_way=True)


def _camera(n: int, half: int) -> Camera:
    """Sees exactly its half of an aisle."""
    matrix = (_WIDTH_M / 2 / 100, 0.0, half * _WIDTH_M / 2, 0.0, _PITCH_M / 100, _PITCH_M * n, 0.0, 0.0, 1.0)
    geometry = GroundHomography(matrix=matrix)
    return Camera(id=CameraId(f"cam-{n}-{half}"), level=_LEVEL, frame_px=(100, 100), geometry=geometry, range_m=500.0)


def confirmed(of: Site, n_vehicles: int, at: Micros) -> list[FactEvent]:
    """Everybody is there, cameras deliver, and a third of the stalls is free."""
    there = [_fact(of, n + 1, 0, at, _confirmed(n, place(of, n, 0.0))) for n in range(n_vehicles)]
    states: list[Fact] = [CameraStateChanged(camera=one.id, state="active") for one in of.cameras]
    states += [StallChanged(stall=one.id, state="occupied" if n % 3 else "free") for n, one in enumerate(of.stalls)]
    return [*there, *(_fact(of, n_vehicles, n, at, one) for n, one in enumerate(states, 1))]


def moved(of: Site, n_vehicles: int, cause: int, at: Micros, since_s: float) -> list[FactEvent]:
    """Everybody goes on."""
    return [_fact(of, cause, n, at, _moved(n, place(of, n, since_s))) for n in range(n_vehicles)]


def place(of: Site, n: int, since_s: float) -> Place:
    """Where vehicle n is: up and down a lane, never jumping."""
    lane = of.lanes[n % len(of.lanes)]
    length = _length(lane)
    speed = 2.0 + n * 0.37 % 4.0
    along = (n * 7.31 + speed * since_s) % (2 * length)
    is_back = along > length
    return _on(lane, 2 * length - along if is_back else along, -speed if is_back else speed)


def frame(of: Site, sequence: int, at: Micros) -> ObservationEvent:
    """What a camera would append."""
    camera = of.cameras[0]
    seen = FrameObserved(camera=camera.id, frame_px=camera.frame_px, detector="made:1", clock="ntp")
    key = DeviceKey(device=DeviceId("made"), boot_epoch=1, sequence=sequence)
    return ObservationEvent(site=of.name, key=key, occurred_at=at, payload=seen)


def _on(lane: Lane, along_m: float, speed: float) -> Place:
    left = along_m
    for (ax, ay), (bx, by) in zip(lane.line_m, lane.line_m[1:], strict=False):
        length = math.dist((ax, ay), (bx, by))
        if left <= length:
            share = left / length
            ux, uy = (bx - ax) / length, (by - ay) / length
            velocity = (round(ux * speed, 3), round(uy * speed, 3))
            return Place(lane.level, (round(ax + (bx - ax) * share, 3), round(ay + (by - ay) * share, 3)), velocity)
        left -= length
    return Place(lane.level, lane.line_m[-1], (0.0, 0.0))


def _length(lane: Lane) -> float:
    return sum(math.dist(a, b) for a, b in zip(lane.line_m, lane.line_m[1:], strict=False))


def _covariance(n: int) -> tuple[float, float, float]:
    """From well known, hidden below the vehicle, to 2 m around it."""
    return (round(0.04 + n % 10 * 0.06, 6), round(0.01 * (n % 3 - 1), 6), round(0.05 + n % 7 * 0.05, 6))


def _confirmed(n: int, at: Place) -> Fact:
    return VehicleConfirmed(
        vehicle=_name(n),
        kind=_KINDS[n // 12 % len(_KINDS)],
        level=at.level,
        position_m=at.point_m,
        covariance_m2=_covariance(n),
    )


def _moved(n: int, at: Place) -> Fact:
    return VehicleMoved(
        vehicle=_name(n),
        level=at.level,
        position_m=at.point_m,
        covariance_m2=_covariance(n),
        velocity_mps=at.velocity_mps,
    )


def _name(n: int) -> VehicleId:
    return VehicleId(f"v-{n:04}-7f3a")


def _fact(of: Site, cause: int, ordinal: int, at: Micros, payload: Fact) -> FactEvent:
    return FactEvent(site=of.name, fold_version="bench", cause=cause, ordinal=ordinal, occurred_at=at, payload=payload)
