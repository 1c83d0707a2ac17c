"""Training and test pictures: one random car park a frame, with every vehicle's box and visible share.

A folder holds ``images/*.jpg`` and ``frames.jsonl``, put together from a ``frames-FIRST.jsonl`` of each process that rendered
into it. Every vehicle with a visible pixel has an entry; who trains or measures decides what to leave out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.cast import Cast
from perception.synthetic.render.exposure import any_camera, expose
from perception.synthetic.render.lots import MODELS_SHARED_BY, random_camera, sample
from perception.synthetic.render.scene import Scene, SceneCamera, pictures
from perception.synthetic.render.shapes import SHAPES
from perception.synthetic.render.stage import Stage
from perception.synthetic.render.truth import Box
from perception.synthetic.seeds import generator

_STAGE_LIFE = MODELS_SHARED_BY  # frames until the engine is opened anew, so that its memory stays bounded
_QUALITY = 93


class VehicleLabel(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle of a frame; see ``truth.Seen``."""

    vehicle: str
    kind: str
    body: str
    box_px: Box
    full_box_px: Box
    visible: float
    is_truncated: bool


class FrameLabel(msgspec.Struct, frozen=True, kw_only=True):
    """One frame: its picture's path in the folder, and what is in it."""

    image: str
    seed: int
    number: int
    light: str
    rain: bool
    wet: float
    frame_px: tuple[int, int]
    vehicles: tuple[VehicleLabel, ...]


def write_frames(
    out: Path, numbers: range, seed: int, frame_px: tuple[int, int], *, is_held_out: bool = False
) -> Iterator[FrameLabel]:
    """Render the frames of these numbers that the folder does not hold yet; gives each as it is written.

    A frame depends on the seed and its number alone, so several processes may fill a folder, each with its own numbers;
    each writes its own ``frames-FIRST.jsonl``.
    """
    import cv2

    (out / "images").mkdir(parents=True, exist_ok=True)
    listing = out / f"frames-{numbers.start:06d}.jsonl"
    done = {label.number for label in _labels(listing)} if listing.exists() else set[int]()
    todo = [number for number in numbers if number not in done]
    with listing.open("ab") as lines:
        for block, members in groupby(todo, lambda number: number // _STAGE_LIFE):
            with Stage(seed + block) as stage:
                cast = Cast(stage, seed, spread=1.0)
                for number in members:
                    label, picture = _frame(stage, cast, number, seed, frame_px, is_held_out=is_held_out)
                    (out / label.image).write_bytes(
                        cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
                    )
                    lines.write(msgspec.json.encode(label) + b"\n")
                    lines.flush()
                    os.fsync(lines.fileno())
                    yield label


def join_listings(folder: Path) -> list[FrameLabel]:
    """Write ``frames.jsonl``: every frame that the folder's processes rendered, by number; returns them."""
    labels = {label.number: label for part in sorted(folder.glob("frames-*.jsonl")) for label in _labels(part)}
    frames = [labels[number] for number in sorted(labels)]
    partial = folder / "frames.partial"
    partial.write_bytes(b"".join(msgspec.json.encode(frame) + b"\n" for frame in frames))
    os.replace(partial, folder / "frames.jsonl")
    return frames


def _labels(path: Path) -> Iterator[FrameLabel]:
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):  # else the process died while it wrote
                yield msgspec.json.decode(line, type=FrameLabel)


def _frame(
    stage: Stage, cast: Cast, number: int, seed: int, frame_px: tuple[int, int], *, is_held_out: bool
) -> tuple[FrameLabel, NDArray[np.uint8]]:
    what = sample(seed, number, is_held_out=is_held_out)
    rng = generator(seed, "camera", number, str(is_held_out))
    camera = random_camera(what.lot, rng, frame_px)
    scene = Scene(stage, what.lot.site, what.light, seed * 1_000_003 + number, cast)
    view = SceneCamera(stage, what.lot.site, camera)
    try:
        scene.arrange(what.vehicles, what.people)
        (shot,) = pictures(stage, scene, [view])
    finally:
        scene.close()
        view.close()
    picture = expose(shot.bgr, any_camera(rng), what.light, rng, shot.smears)
    shapes = {one.vehicle: one.shape for one in what.vehicles}
    vehicles = tuple(
        VehicleLabel(
            vehicle=name,
            kind=SHAPES[shapes[name]].kind,
            body=shapes[name],
            box_px=one.box_px,
            full_box_px=one.full_box_px,
            visible=round(one.visible, 3),
            is_truncated=one.is_truncated,
        )
        for name, one in sorted(shot.vehicles.items())
    )
    label = FrameLabel(
        image=f"images/{number:06d}.jpg",
        seed=seed,
        number=number,
        light=what.light.hour,
        rain=what.light.rain > 0,
        wet=what.light.wetness,
        frame_px=frame_px,
        vehicles=vehicles,
    )
    return label, picture
