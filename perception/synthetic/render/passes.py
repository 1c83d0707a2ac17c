"""Vehicles that pass several cameras: what an embedder learns from and is measured on.

A group of vehicles, some of them look-alikes, moves about one random car park while several cameras watch: one scene. The
same group appears in several scenes under different light. Held-out vehicles, which are measured on, drive: a tracklet is one
vehicle in one camera of one scene. What they drive past is exposed twice: by cameras of one make, as a site usually has, and by
cameras of any makes, which is a scene of its own. Training vehicles stand elsewhere in every picture, before cameras of another
character each time, as pictures of one drive differ by little. Most of their groups have few bodies, so that each meets others
of its model.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import count, groupby, repeat
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.cast import Cast
from perception.synthetic.render.exposure import Camera as Character
from perception.synthetic.render.exposure import any_camera, expose, of_one_make
from perception.synthetic.render.light import HOURS, Light, any_light, light, other_light
from perception.synthetic.render.lots import Lot, looking, random_lot
from perception.synthetic.render.scene import Scene, SceneCamera, Standing, pictures
from perception.synthetic.render.shapes import HELD_OUT, SHAPES, TRAINED
from perception.synthetic.render.stage import Stage
from perception.synthetic.render.truth import Seen
from perception.synthetic.seeds import generator
from site_models.schema import Camera, CameraId, LevelId, Pinhole

GROUP, CAMERAS, MOMENTS, SIDE_PX = 25, 4, 6, 128
"""Vehicles of a group, cameras of a scene, pictures of a tracklet, and the crops' side."""

_FRAME_PX = (960, 540)
_GROUND = LevelId("ground")
_LOOKALIKES = 5  # of a group, in pairs and one of three: 20 %
_SPACING_M = 7.0
_GAP_M, _STEP_M = 2.4, (1.4, 2.8)  # between two that drive, and how far they get from a picture to the next
_AISLES, _AISLE_M = 6, 6.0
_MARGIN = 0.05  # as the product crops
_LEAST_PX, _LEAST_VISIBLE = 20.0, 0.3
_GROUPS_A_STAGE = 4
_ALIKE, _BODIES = 0.75, (1, 4)  # share of training groups with few bodies, and how many (high exclusive)
_OF_ONE_MAKE = 0.7  # share of training scenes

Makes = Literal["any", "one"]
"""Of a scene's cameras."""

Exposure = dict[Makes, list[Character]]
"""The characters of a scene's cameras at one moment, and of which makes they are."""


class CropLabel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One crop; ``row`` is its place in the group's array of pictures."""

    row: int
    vehicle: str
    look: str
    kind: str
    body: str
    tracklet: str
    camera: str
    scene: str
    light: str
    visible: float
    box_px: tuple[float, float, float, float]
    makes: Makes = "any"


def write_crops(
    out: Path, groups: range, seed: int, n_scenes: int = 3, *, is_held_out: bool = False
) -> Iterator[tuple[int, int]]:
    """Render the groups that the folder does not hold yet; gives (group, crops) as each is written.

    A group's ``group-NNNN.npy`` is (N, 128, 128, 3) uint8 BGR and ``group-NNNN.jsonl`` its labels. Held-out groups share
    cars parks, cameras and light, so that every one of their vehicles can be searched among all of them.
    """
    out.mkdir(parents=True, exist_ok=True)
    todo = [group for group in groups if not (out / f"group-{group:04d}.jsonl").exists()]
    for block, members in groupby(todo, lambda group: group // _GROUPS_A_STAGE):
        with Stage(seed + block) as stage:
            for group in members:
                crops, labels = _group(stage, group, seed, n_scenes, is_held_out=is_held_out)
                np.save(out / f"group-{group:04d}.npy", crops)
                partial = out / f"group-{group:04d}.partial"
                partial.write_bytes(b"".join(msgspec.json.encode(label) + b"\n" for label in labels))
                os.replace(partial, out / f"group-{group:04d}.jsonl")
                yield group, len(labels)


def read_crops(folder: Path) -> tuple[NDArray[np.uint8], list[CropLabel]]:
    """Every crop of a folder: (N, 128, 128, 3) pictures and as many labels, with ``row`` counted over all of them."""
    pictures_, labels = list[NDArray[np.uint8]](), list[CropLabel]()
    for listing in sorted(folder.glob("group-*.jsonl")):
        # mapped, so that joining them does not hold every picture twice
        pictures_.append(np.load(listing.with_suffix(".npy"), mmap_mode="r"))
        found = [msgspec.json.decode(line, type=CropLabel) for line in listing.read_bytes().splitlines()]
        labels += [msgspec.structs.replace(label, row=len(labels) + k) for k, label in enumerate(found)]
    empty = np.zeros((0, SIDE_PX, SIDE_PX, 3), np.uint8)
    return (np.concatenate(pictures_) if pictures_ else empty), labels


def group_of_vehicles(seed: int, group: int, *, is_held_out: bool) -> list[Standing]:
    """The group's vehicles, not placed yet; look-alikes share ``look`` and ``shape``."""
    rng = generator(seed, "group", group, str(is_held_out))
    names = [name for name in TRAINED if name != "bus"]
    if not is_held_out and rng.random() < _ALIKE:
        names = [names[int(k)] for k in rng.permutation(len(names))[: int(rng.integers(*_BODIES))]]
    looks = [*range(GROUP - 3), 0, 1, 1]  # pairs with vehicle 0, and three alike around vehicle 1
    shapes = [
        HELD_OUT[int(rng.integers(len(HELD_OUT)))]
        if is_held_out and rng.random() < 0.4
        else names[int(rng.integers(len(names)))]
        for _ in range(GROUP)
    ]
    return [
        Standing(
            vehicle=f"g{group}-{k}",
            shape=shapes[look],
            look=f"g{group}-{look}",
            plate=f"{'ABCDEFGHJK'[k % 10]}{group:02d}-{int(rng.integers(1000, 10000))}",
            level=_GROUND,
            x_m=0.0,
            y_m=0.0,
            heading_deg=0.0,
        )
        for k, look in enumerate(looks)
    ]


def _group(
    stage: Stage, group: int, seed: int, n_scenes: int, *, is_held_out: bool
) -> tuple[NDArray[np.uint8], list[CropLabel]]:
    crops, labels = list[NDArray[np.uint8]](), list[CropLabel]()
    cast = Cast(stage, seed * 7919 + group, spread=1.0)
    vehicles = {one.vehicle: one for one in group_of_vehicles(seed, group, is_held_out=is_held_out)}
    for number in range(n_scenes):
        place = f"shared-{number}" if is_held_out else f"{group}-{number}"
        rng = generator(seed, "passes", place)
        lot = random_lot(rng, number)
        lit = _light(rng, number, is_held_out=is_held_out)
        cameras = [_camera(lot, rng, k) for k in range(CAMERAS)]
        moves = generator(seed, "moves", place, group)
        noise = generator(seed, "noise", place, group)
        exposures = _held_out_exposures(rng) if is_held_out else _training_exposures(noise)
        places = (_drives if is_held_out else _anew)(list(vehicles.values()), lot, moves)
        scene = Scene(stage, lot.site, lit, seed, cast)
        views = [SceneCamera(stage, lot.site, camera) for camera in cameras]
        try:
            for moment, (placed, exposure) in enumerate(zip(places, exposures, strict=False)):
                scene.arrange(placed)
                for k, shot in enumerate(pictures(stage, scene, views)):
                    for makes, characters in exposure.items():
                        frame = expose(shot.bgr, characters[k], lit, noise, shot.smears)
                        # a view of training is a tracklet by itself: the next moment has the vehicle elsewhere
                        tracklet = f"s{place}-{makes}/{cameras[k].id}" if is_held_out else f"s{place}/{cameras[k].id}/{moment}"
                        for name, sighting in sorted(shot.vehicles.items()):
                            if _is_usable(sighting):
                                crops.append(_cut(frame, sighting.box_px))
                                labels.append(_label(len(labels), vehicles[name], sighting, tracklet, lit, makes))
        finally:
            scene.close()
            for view in views:
                view.close()
    return np.stack(crops), labels


def _held_out_exposures(rng: np.random.Generator) -> Iterator[Exposure]:
    """Each camera keeps its character over a scene."""
    of_any, of_one = [any_camera(rng) for _ in range(CAMERAS)], of_one_make(rng, CAMERAS)
    return repeat({"one": of_one, "any": of_any})


def _training_exposures(rng: np.random.Generator) -> Iterator[Exposure]:
    """Other cameras at every moment; of most scenes, those of a moment are of one make."""
    if rng.random() < _OF_ONE_MAKE:
        return ({"one": of_one_make(rng, CAMERAS)} for _ in count())
    return ({"any": [any_camera(rng) for _ in range(CAMERAS)]} for _ in count())


def _light(rng: np.random.Generator, number: int, *, is_held_out: bool) -> Light:
    """Held out: by day, by night, then any; else any."""
    if is_held_out and number == 0:
        return light(rng, "day")
    if is_held_out and number == 1:
        return light(rng, "night")
    return (
        other_light(rng)
        if is_held_out
        else (light(rng, HOURS[int(rng.integers(len(HOURS)))]) if rng.random() < 0.5 else any_light(rng))
    )


def _camera(lot: Lot, rng: np.random.Generator, number: int) -> Camera:
    spots = np.array(lot.spots)[:, :2]
    low, high = spots.min(axis=0), spots.max(axis=0)
    turn = 2 * math.pi * (number + rng.uniform(-0.3, 0.3)) / CAMERAS
    reach = np.minimum((high - low) / 2 + 2.0, 17.0)
    at = (low + high) / 2 + reach * (math.cos(turn), math.sin(turn))
    up, target = float(rng.uniform(3.0, 7.5)), (low + high) / 2 + rng.normal(0, 2.5, 2)
    focal = _FRAME_PX[0] / 2 / math.tan(math.radians(rng.uniform(55, 85)) / 2)
    return Camera(
        id=CameraId(f"c{number}"),
        level=_GROUND,
        frame_px=_FRAME_PX,
        geometry=Pinhole(
            k=(focal, focal, _FRAME_PX[0] / 2, _FRAME_PX[1] / 2),
            position_m=(float(at[0]), float(at[1]), up),
            rotation=looking(np.array([*at, up]), np.array([*target, 0.5]), float(rng.normal(0, 1.5))),
        ),
    )


def _anew(vehicles: list[Standing], lot: Lot, rng: np.random.Generator) -> Iterator[list[Standing]]:
    """At each moment every vehicle on a cell of its own around the lot's middle, headed anywhere."""
    middle = np.array(lot.spots)[:, :2].mean(axis=0)
    side = math.ceil(math.sqrt(len(vehicles)))
    for _ in range(MOMENTS):
        cells = rng.permutation(side * side)[: len(vehicles)]
        yield [
            one._replace(
                x_m=float(middle[0] + (cell % side - (side - 1) / 2) * _SPACING_M + rng.uniform(-0.8, 0.8)),
                y_m=float(middle[1] + (cell // side - (side - 1) / 2) * _SPACING_M + rng.uniform(-0.8, 0.8)),
                heading_deg=float(rng.uniform(-180, 180)),
                speed_mps=float(rng.choice([0.0, 2.0])),
            )
            for one, cell in zip(vehicles, cells, strict=True)
        ]


def _drives(vehicles: list[Standing], lot: Lot, rng: np.random.Generator) -> Iterator[list[Standing]]:
    """One behind another along aisles up and down the lot, about 12 m in all: what one camera sees of a vehicle that passes."""
    middle, turn_deg = np.array(lot.spots)[:, :2].mean(axis=0), float(rng.uniform(-180, 180))
    order = [vehicles[int(k)] for k in rng.permutation(len(vehicles))]
    lengths = np.array([SHAPES[one.shape].length_m for one in order])
    behind_m = np.cumsum(lengths + _GAP_M) - lengths / 2
    steps_m = rng.uniform(*_STEP_M, MOMENTS)
    way = _aisles(behind_m[-1] + lengths[-1] + steps_m.sum())
    aside_m = rng.normal(0, 0.25, len(order))
    unit = np.exp(1j * math.radians(turn_deg))
    for moment in range(MOMENTS):
        placed = list[Standing]()
        for one, behind, aside in zip(order, behind_m, aside_m, strict=True):
            at, heading = _along(way, steps_m[: moment + 1].sum() + behind_m[-1] - behind)
            at = (at + 1j * aside * heading) * unit
            placed.append(
                one._replace(
                    x_m=float(middle[0] + at.real),
                    y_m=float(middle[1] + at.imag),
                    heading_deg=float(np.degrees(np.angle(heading * unit)) + rng.normal(0, 1.5)),
                    speed_mps=2.5,
                    is_braking=bool(rng.random() < 0.2),
                )
            )
        yield placed


def _aisles(length_m: float) -> NDArray[np.complex128]:
    """Points every 0.25 m of a line up and down parallel aisles that is this long, around the origin; x + iy."""
    straight_m = (length_m - (_AISLES - 1) * math.pi * _AISLE_M / 2) / _AISLES
    straight = np.arange(-straight_m / 2, straight_m / 2, 0.25)
    angles = np.arange(-math.pi / 2, math.pi / 2, 0.5 / _AISLE_M)
    points = list[NDArray[Any]]()
    for number in range(_AISLES):
        y, way = (number - (_AISLES - 1) / 2) * _AISLE_M, 1 if number % 2 == 0 else -1
        points.append(way * straight + 1j * y)
        arc = straight_m / 2 + _AISLE_M / 2 * np.cos(angles) + 1j * _AISLE_M / 2 * (1 + np.sin(angles))
        points.append((way * arc.real + 1j * arc.imag) + 1j * y)
    return np.asarray(np.concatenate(points[:-1]), np.complex128)


def _along(way: NDArray[np.complex128], along_m: float) -> tuple[complex, complex]:
    """The place so far along, and the direction there."""
    number = min(max(round(along_m / 0.25), 2), len(way) - 3)
    ahead = way[number + 2] - way[number - 2]
    return complex(way[number]), complex(ahead / abs(ahead))


def _is_usable(sighting: Seen) -> bool:
    x1, y1, x2, y2 = sighting.box_px
    return sighting.visible >= _LEAST_VISIBLE and y2 - y1 >= _LEAST_PX and x2 - x1 >= _LEAST_PX


def _cut(frame: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    import cv2

    x1, y1, x2, y2 = box
    aside, above = _MARGIN * (x2 - x1), _MARGIN * (y2 - y1)
    height, width = frame.shape[:2]
    part = frame[
        max(int(y1 - above), 0) : min(round(y2 + above), height), max(int(x1 - aside), 0) : min(round(x2 + aside), width)
    ]
    return np.asarray(cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _label(row: int, one: Standing, sighting: Seen, tracklet: str, lit: Light, makes: Makes) -> CropLabel:
    scene, camera, *_ = tracklet.split("/")
    return CropLabel(
        row=row,
        vehicle=one.vehicle,
        look=one.look,
        kind=SHAPES[one.shape].kind,
        body=one.shape,
        tracklet=f"{tracklet}/{one.vehicle}",
        camera=camera,
        scene=scene,
        light=lit.hour,
        visible=round(sighting.visible, 3),
        box_px=sighting.box_px,
        makes=makes,
    )
