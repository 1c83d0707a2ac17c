"""Car parks that exist nowhere: random sites, cameras and vehicles, so that a model cannot learn one place by heart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from perception.synthetic.render.light import Light, any_light, other_light
from perception.synthetic.render.scene import Standing, Walking
from perception.synthetic.render.shapes import HELD_OUT, SHAPES, TRAINED
from perception.synthetic.seeds import generator
from site_models.schema import (
    Camera,
    CameraId,
    Datum,
    Landmark,
    LandmarkId,
    Lane,
    LaneId,
    Level,
    LevelId,
    Obstacle,
    Pinhole,
    Point,
    Portal,
    PortalId,
    Site,
    SiteId,
    Stall,
    StallId,
    Zone,
    ZoneId,
)

MODELS_SHARED_BY = 150
"""So many frames in a row share their vehicles' models, which takes most of a frame's time to build."""

_GROUND = LevelId("ground")
_MODELS = 64  # of each shape; more than a frame ever holds


class Mix(NamedTuple):
    """How often which bodies come; shares are relative, 1 for a body that is not named.

    Attributes:
        yards: share of lots that are lorry and coach parks, the only ones where such vehicles stand in stalls.
        stalls, yard, lanes: shares in the stalls of car parks and of yards, and on lanes.
    """

    yards: float
    stalls: Mapping[str, float]
    yard: Mapping[str, float]
    lanes: Mapping[str, float]


_AS_USUAL = {"truck": 1.4, "bus": 1.4, "motorcycle": 1.0, "van": 0.8, "panel_van": 0.8, "pickup": 0.6}
_IN_YARDS = {"truck": 8.0, "bus": 8.0, "panel_van": 2.0}
USUAL = Mix(0.12, _AS_USUAL, _IN_YARDS, _AS_USUAL)
"""Of held-out frames and of crops."""
BALANCED = Mix(
    0.25,
    {"motorcycle": 2.5, "van": 1.2, "panel_van": 1.4, "pickup": 2.5},
    {**_IN_YARDS, "motorcycle": 2.0, "pickup": 2.5},
    {"truck": 2.5, "bus": 3.0, "motorcycle": 2.5, "panel_van": 1.4, "pickup": 2.5},
)
"""Of training frames: a detector that sees five cars to a truck calls what it doubts a car."""


class Lot(NamedTuple):
    """One random car park.

    Attributes:
        spots: where vehicles may stand: x, y, heading (degrees).
        lanes: where they may drive: start, end.
        is_yard: whether the stalls are long enough for lorries and coaches.
    """

    site: Site
    spots: tuple[tuple[float, float, float], ...]
    lanes: tuple[tuple[Point, Point], ...]
    is_yard: bool


class Sample(NamedTuple):
    """One random frame's content."""

    lot: Lot
    light: Light
    vehicles: tuple[Standing, ...]
    people: tuple[Walking, ...]


def sample(seed: int, number: int, *, is_held_out: bool = False) -> Sample:
    """The number's lot, light and vehicles; held-out ones use bodies and light that no training sample has."""
    rng = generator(seed, "held out" if is_held_out else "train", number)
    mix = USUAL if is_held_out else BALANCED
    lot = random_lot(rng, number, mix.yards)
    light = other_light(rng) if is_held_out else any_light(rng)
    vehicles = _vehicles(lot, rng, number // MODELS_SHARED_BY, mix, is_held_out=is_held_out)
    people = tuple(
        Walking(int(rng.integers(0, 1 << 30)), _GROUND, *_on(lot, rng), float(rng.uniform(-180, 180)), float(rng.uniform(0, 3)))
        for _ in range(int(rng.integers(0, 7)))
    )
    return Sample(lot, light, vehicles, people)


def random_lot(rng: np.random.Generator, number: int, yards: float = USUAL.yards) -> Lot:
    """Rows of stalls along aisles, a road, lamps, signs, now and then walls and pillars."""
    is_yard = bool(rng.random() < yards)
    wide, deep, aisle = rng.uniform(2.35, 2.8), rng.uniform(4.8, 5.5), rng.uniform(5.6, 7.4)
    n, rows, slant = int(rng.integers(6, 14)), int(rng.integers(1, 4)), float(rng.choice([0.0, 0.0, 0.0, 25.0, -25.0]))
    if is_yard:
        wide, deep, aisle, n, rows = wide + 1.3, 2.5 * deep, 2 * aisle, n // 2 + 1, 1
    stalls, zones, spots, lanes = list[Stall](), list[Zone](), list[tuple[float, float, float]](), list[Lane]()
    pitch = 2 * deep + aisle
    for row in range(rows):
        bottom = row * pitch
        middle = bottom + deep + aisle / 2
        lanes.append(_lane(f"aisle-{row}", ((-4.0, middle), (n * wide + 4.0, middle)), aisle))
        for side, y, heading in (("a", bottom, -90.0), ("b", bottom + deep + aisle, 90.0)):
            zone = ZoneId(f"row-{row}{side}")
            zones.append(Zone(id=zone, level=_GROUND, kind="parking", ring_m=_ring(0.0, y, n * wide, y + deep)))
            for k in range(n):
                x = k * wide
                lean = math.tan(math.radians(slant)) * deep * (1 if side == "b" else -1)
                ring = ((x, y), (x + wide, y), (x + wide + lean, y + deep), (x + lean, y + deep))
                turned = heading - (slant if side == "b" else -slant)
                stalls.append(Stall(id=StallId(f"{row}{side}{k}"), level=_GROUND, zone=zone, ring_m=ring, heading_deg=turned))
                spots.append((x + wide / 2 + lean / 2, y + deep / 2, turned))
    height, length = rows * pitch, n * wide
    road_y = -6.0 - rng.uniform(0, 8)
    lanes.append(_lane("road", ((-60.0, road_y), (length + 60.0, road_y)), 6.5))
    zones.append(
        Zone(id=ZoneId("road"), level=_GROUND, kind="road", ring_m=_ring(-60.0, road_y - 3.3, length + 60.0, road_y + 3.3))
    )
    site = Site(
        name=SiteId(f"lot-{number}"),
        datum=Datum(latitude=52.0, longitude=5.0),
        levels=(Level(id=_GROUND),),
        zones=tuple(zones),
        stalls=tuple(stalls),
        lanes=tuple(lanes),
        portals=_gate(rng, road_y, length),
        landmarks=_landmarks(rng, lanes, length, height),
        obstacles=_obstacles(rng, length, height, pitch, rows),
    )
    return Lot(site, tuple(spots), tuple((lane.line_m[0], lane.line_m[-1]) for lane in lanes), is_yard)


def random_camera(lot: Lot, rng: np.random.Generator, frame_px: tuple[int, int]) -> Camera:
    """A camera that sees many stalls: the best of a few random ones."""
    spots = np.array(lot.spots)[:, :2]
    low, high = spots.min(axis=0), spots.max(axis=0)
    tries = [_camera(lot, rng, frame_px, low, high) for _ in range(10)]
    return max(tries, key=lambda one: one[1])[0]


def _camera(
    lot: Lot, rng: np.random.Generator, frame_px: tuple[int, int], low: np.ndarray, high: np.ndarray
) -> tuple[Camera, int]:
    spots, middle = np.array(lot.spots)[:, :2], (low + high) / 2
    up = float(rng.uniform(2.8, 9.0))
    at = rng.uniform(low - 6.0, high + 6.0)
    turn = math.atan2(*(middle - at)[::-1]) + rng.normal(0, 0.8)
    away = float(rng.uniform(1.5, 4.5)) * up
    target = np.array([at[0] + math.cos(turn) * away, at[1] + math.sin(turn) * away, rng.uniform(0, 1)])
    field = math.radians(rng.uniform(45, 92))
    focal = frame_px[0] / 2 / math.tan(field / 2)
    rotation = looking(np.array([*at, up]), target, float(rng.normal(0, 1.5)))
    camera = Camera(
        id=CameraId("camera"),
        level=_GROUND,
        frame_px=frame_px,
        geometry=Pinhole(
            k=(focal, focal, frame_px[0] / 2, frame_px[1] / 2),
            position_m=(float(at[0]), float(at[1]), up),
            rotation=rotation,
            distortion=(float(rng.uniform(-0.10, 0.0)), float(rng.uniform(0.0, 0.012)), 0.0, 0.0, 0.0),
        ),
    )
    rays = np.column_stack([spots - at, np.full(len(spots), 0.7 - up)]) @ np.array(rotation).reshape(3, 3).T
    x, y = (rays[:, axis] / np.maximum(rays[:, 2], 1e-3) * focal for axis in (0, 1))
    far = np.hypot(*(spots - at).T)
    is_seen = (rays[:, 2] > 1.0) & (np.abs(x) < frame_px[0] / 2) & (np.abs(y) < frame_px[1] / 2) & (far > 3.5) & (far < 45)
    return camera, int(is_seen.sum())


def looking(
    eye_m: np.ndarray, target_m: np.ndarray, roll_deg: float = 0.0
) -> tuple[float, float, float, float, float, float, float, float, float]:
    """Row-major rotation, site frame to camera frame, of a camera at ``eye_m`` that looks at ``target_m``."""
    ahead = (target_m - eye_m) / np.linalg.norm(target_m - eye_m)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    cos, sin = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    rows = np.concatenate([cos * right + sin * down, cos * down - sin * right, ahead])
    a, b, c, d, e, f, g, h, i = (float(value) for value in rows)
    return a, b, c, d, e, f, g, h, i


def _vehicles(lot: Lot, rng: np.random.Generator, era: int, mix: Mix, *, is_held_out: bool) -> tuple[Standing, ...]:
    share, standing = rng.uniform(0.25, 0.9), list[Standing]()
    shares = mix.yard if lot.is_yard else mix.stalls
    for x, y, heading in lot.spots:
        if rng.random() < share:
            shape = _shape(rng, is_held_out=is_held_out, is_short=not lot.is_yard, shares=shares)
            turned = heading + (180.0 if rng.random() < 0.35 else 0.0) + rng.normal(0, 1.8)
            standing.append(
                _one(
                    _model(shape, era, standing, rng), rng, shape, x + rng.normal(0, 0.1), y + rng.normal(0, 0.15), turned, 0.0
                )
            )
    for start, end in lot.lanes:
        at, length = float(rng.uniform(1.0, 12.0)), math.dist(start, end)
        heading = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
        while at < length:
            if rng.random() < 0.35:
                shape, aside = (
                    _shape(rng, is_held_out=is_held_out, is_short=False, shares=mix.lanes),
                    rng.choice([-1.5, 1.5]) + rng.normal(0, 0.4),
                )
                x = start[0] + (end[0] - start[0]) * at / length - math.sin(math.radians(heading)) * aside
                y = start[1] + (end[1] - start[1]) * at / length + math.cos(math.radians(heading)) * aside
                turned = heading + (180.0 if aside > 0 else 0.0) + rng.normal(0, 6)
                speed = 0.0 if rng.random() < 0.3 else float(rng.uniform(0.5, 9))
                standing.append(_one(_model(shape, era, standing, rng), rng, shape, x, y, turned, speed))
                at += SHAPES[shape].length_m
            at += float(rng.uniform(3.0, 22.0))
    return tuple(standing)


def _model(shape: str, era: int, standing: list[Standing], rng: np.random.Generator) -> str:
    """One of the era's vehicles of this shape that is not in the frame yet."""
    taken = {one.vehicle for one in standing}
    names = [f"{era}-{shape}-{k}" for k in range(_MODELS)]
    return next(names[k] for k in rng.permutation(_MODELS) if names[k] not in taken)


def _one(name: str, rng: np.random.Generator, shape: str, x: float, y: float, heading: float, speed: float) -> Standing:
    return Standing(
        vehicle=name,
        shape=shape,
        look=name,
        plate=name.upper()[-8:],
        level=_GROUND,
        x_m=float(x),
        y_m=float(y),
        heading_deg=float(heading),
        speed_mps=speed,
        is_braking=bool(rng.random() < 0.25),
    )


def _shape(rng: np.random.Generator, *, is_held_out: bool, is_short: bool, shares: Mapping[str, float]) -> str:
    """A body drawn by its share; ``is_short`` leaves out what fits no stall of a car park."""
    if is_held_out and rng.random() < 0.4:
        return HELD_OUT[int(rng.integers(len(HELD_OUT)))]
    names = [name for name in TRAINED if not is_short or name not in ("truck", "bus")]
    weights = np.array([shares.get(name, 1.0) for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _lane(name: str, line: tuple[Point, Point], width: float) -> Lane:
    return Lane(id=LaneId(name), level=_GROUND, line_m=line, width_m=float(width), one_way=False)


def _ring(x0: float, y0: float, x1: float, y1: float) -> tuple[Point, ...]:
    return ((float(x0), float(y0)), (float(x1), float(y0)), (float(x1), float(y1)), (float(x0), float(y1)))


def _gate(rng: np.random.Generator, road_y: float, length: float) -> tuple[Portal, ...]:
    if rng.random() < 0.5:
        return ()
    x = float(rng.uniform(0, length))
    line = ((x - 2.5, road_y + 4.0), (x + 2.5, road_y + 4.0))
    return (Portal(id=PortalId("gate"), level=_GROUND, role="boundary", direction="both", line_m=line),)


def _landmarks(rng: np.random.Generator, lanes: list[Lane], length: float, height: float) -> tuple[Landmark, ...]:
    made = list[Landmark]()

    def add(kind: str, x: float, y: float, up: float, label: str = "") -> None:
        made.append(
            Landmark(id=LandmarkId(f"{kind}-{len(made)}"), level=_GROUND, kind=kind, point_m=(x, y), height_m=up, label=label)  # type: ignore[arg-type]
        )

    for _ in range(int(rng.integers(2, 6))):
        add("lamp", float(rng.uniform(-2, length + 2)), float(rng.choice([-1.0, height + 1.0])), float(rng.uniform(4.5, 8)))
    for lane in lanes:
        if rng.random() < 0.5:
            (x0, y0), (x1, _) = lane.line_m[0], lane.line_m[-1]
            add("arrow", float(rng.uniform(x0 + 2, x1 - 2)), y0, 0.0)
    for _ in range(int(rng.integers(0, 4))):
        label = "Exit" if rng.random() < 0.5 else "Entrance"
        add(
            "sign", float(rng.uniform(-3, length + 3)), float(rng.choice([-1.5, height + 1.5])), float(rng.uniform(2, 4)), label
        )
    for _ in range(int(rng.integers(0, 6))):
        add("post", float(rng.uniform(-3, length + 3)), float(rng.choice([-1.2, height + 1.2])), float(rng.uniform(0.7, 1.2)))
    return tuple(made)


def _obstacles(rng: np.random.Generator, length: float, height: float, pitch: float, rows: int) -> tuple[Obstacle, ...]:
    made = list[Obstacle]()
    if rng.random() < 0.4:
        y, thick, up = height + 1.5, 0.25, float(rng.uniform(0.9, 7.0))
        line = ((-2.0, y), (length + 2.0, y))
        made.append(Obstacle(id="wall", level=_GROUND, kind="wall", outline_m=line, height_m=up, thickness_m=thick))
    if rng.random() < 0.35 and rows > 1:
        for k, x in enumerate(np.arange(2.0, length, float(rng.uniform(5.0, 9.0)))):
            ring = _ring(x - 0.2, pitch - 0.2, x + 0.2, pitch + 0.2)
            made.append(
                Obstacle(id=f"pillar-{k}", level=_GROUND, kind="pillar", outline_m=ring, height_m=float(rng.uniform(2.4, 4)))
            )
    return tuple(made)


def _on(lot: Lot, rng: np.random.Generator) -> tuple[float, float]:
    start, end = lot.lanes[int(rng.integers(len(lot.lanes)))]
    share = float(rng.uniform())
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share + float(rng.normal(0, 1.5))
