"""A small hand-made site with two levels and cameras, and a road without stalls."""

import numpy as np
import pytest

from site_models import schema
from site_models.schema import Camera, Datum, Lane, Level, Obstacle, Pinhole, Portal, Site, Stall, Zone


def _looking(position, target):
    forward = np.subtract(target, position) / np.linalg.norm(np.subtract(target, position))
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return tuple(float(x) for x in np.stack([right, np.cross(forward, right), forward]).ravel())


def _camera(name, position, target, level="ground"):
    return Camera(
        id=schema.CameraId(name),
        level=schema.LevelId(level),
        frame_px=(1280, 720),
        geometry=Pinhole(k=(800.0, 800.0, 640.0, 360.0), position_m=position, rotation=_looking(position, target)),
    )


def _stalls(level, zone, y_mouth, up, n, x0=6.0):
    """A row of 2.5 m x 5 m stalls on one side of an aisle."""
    y = sorted((y_mouth, y_mouth + (5.0 if up else -5.0)))
    return [
        Stall(
            id=f"{level}-{zone}{i:02d}",
            level=level,
            zone=f"{level}-{zone}",
            ring_m=((x, y[0]), (x + 2.5, y[0]), (x + 2.5, y[1]), (x, y[1])),
            heading_deg=90.0 if up else -90.0,
        )
        for i, x in enumerate(np.arange(n) * 2.5 + x0)
    ]


def _zones(level):
    return [
        Zone(id=f"{level}-a", level=level, kind="parking", ring_m=((5, 9), (40, 9), (40, 15), (5, 15))),
        Zone(id=f"{level}-b", level=level, kind="parking", ring_m=((5, -3), (40, -3), (40, 3), (5, 3))),
    ]


@pytest.fixture(scope="session")
def lot():
    """Aisle along y=6 from the entry at x=0 to the exit at x=46; stalls on both sides; a pillar; two cameras."""
    stalls = _stalls("ground", "a", 9.0, True, 10) + _stalls("ground", "b", 3.0, False, 10)
    return Site(
        name="lot",
        datum=Datum(latitude=52.0, longitude=5.0),
        levels=(Level(id="ground"),),
        zones=tuple(_zones("ground")),
        stalls=tuple(sorted(stalls, key=lambda stall: stall.id)),
        lanes=(Lane(id="aisle", level="ground", line_m=((0.5, 6.0), (45.5, 6.0)), width_m=6.0, one_way=True),),
        portals=(
            Portal(id="in", level="ground", role="boundary", direction="in", line_m=((1.0, 9.0), (1.0, 3.0))),
            Portal(id="out", level="ground", role="boundary", direction="out", line_m=((45.0, 3.0), (45.0, 9.0))),
        ),
        obstacles=(
            Obstacle(
                id="pillar",
                level="ground",
                kind="pillar",
                outline_m=((33.0, 10.0), (33.5, 10.0), (33.5, 10.5), (33.0, 10.5)),
                height_m=3.0,
            ),
        ),
        cameras=(
            _camera("east", (46.0, -6.0, 6.0), (18.0, 8.0, 0.0)),
            _camera("west", (-2.0, 16.0, 6.0), (22.0, 6.0, 0.0)),
        ),
    )


@pytest.fixture(scope="session")
def deck():
    """Two levels with a two-way aisle each, joined by a ramp with level portals; one gate in and one out."""
    lanes, stalls, zones = [], [], []
    for level in ("ground", "upper"):
        stalls += _stalls(level, "a", 9.0, True, 8) + _stalls(level, "b", 3.0, False, 8)
        zones += _zones(level)
    lanes = [
        Lane(id="aisle0", level="ground", line_m=((0.5, 6.0), (40.0, 6.0)), width_m=6.0, one_way=False, follows=("ramp",)),
        Lane(
            id="ramp",
            level="ground",
            line_m=((40.0, 6.0), (46.0, 6.0), (50.0, 10.0), (50.0, 30.0)),
            width_m=6.0,
            one_way=False,
            follows=("aisle1",),
        ),
        Lane(
            id="aisle1",
            level="upper",
            line_m=((51.5, 30.0), (51.5, 46.0), (-8.0, 46.0), (-8.0, 6.0), (38.0, 6.0)),
            width_m=6.0,
            one_way=True,
            follows=("back",),
        ),
        Lane(
            id="back",
            level="upper",
            line_m=((38.0, 6.0), (42.0, 6.0), (42.0, 40.0), (48.5, 40.0), (48.5, 30.0)),
            width_m=3.5,
            one_way=True,
            follows=("ramp",),
        ),
    ]
    return Site(
        name="deck",
        datum=Datum(latitude=52.0, longitude=5.0),
        levels=(Level(id="ground"), Level(id="upper", elevation_m=3.0)),
        zones=tuple(zones),
        stalls=tuple(sorted(stalls, key=lambda stall: stall.id)),
        lanes=tuple(sorted(lanes, key=lambda lane: lane.id)),
        portals=(
            Portal(id="gate", level="ground", role="boundary", direction="both", line_m=((1.0, 10.0), (1.0, 2.0))),
            Portal(
                id="up", level="ground", role="level", direction="both", line_m=((46.0, 29.0), (54.0, 29.0)), to_level="upper"
            ),
        ),
        cameras=(_camera("north", (22.0, 20.0, 9.0), (22.0, 6.0, 3.0), "upper"),),
    )


@pytest.fixture(scope="session")
def road():
    """Three lanes past a boundary line at each end."""
    lanes = [
        Lane(id=f"lane{i}", level="ground", line_m=((0.0, y), (160.0, y)), width_m=3.5, one_way=True)
        for i, y in enumerate((1.75, 5.25, 8.75))
    ]
    return Site(
        name="road",
        datum=Datum(latitude=52.0, longitude=5.0),
        levels=(Level(id="ground"),),
        lanes=tuple(lanes),
        portals=(
            Portal(id="far", level="ground", role="boundary", direction="out", line_m=((150.0, 0.0), (150.0, 10.5))),
            Portal(id="near", level="ground", role="boundary", direction="in", line_m=((10.0, 10.5), (10.0, 0.0))),
        ),
    )


START_AT = 1_767_254_400_000_000  # 2026-01-01T08:00:00Z


@pytest.fixture(scope="session")
def start_at():
    return START_AT
