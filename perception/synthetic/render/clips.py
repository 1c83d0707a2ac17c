"""Synchronized clips of a site's cameras, with the truth of every frame.

A folder holds ``clips.toml``, one H.264 file a camera, ``truth.parquet`` and ``visits.parquet`` as every run has them, and
``boxes.parquet``: what each frame of each camera shows of each vehicle. Frame i of every camera was exposed at
start + i / fps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.cast import Cast
from perception.synthetic.render.exposure import Camera as Sensor
from perception.synthetic.render.exposure import expose
from perception.synthetic.render.light import Light
from perception.synthetic.render.scene import Picture, Scene, SceneCamera, Standing, Walking
from perception.synthetic.render.stage import Stage
from perception.synthetic.seeds import generator
from perception.synthetic.traffic import TruthFrame, VehicleState
from site_models.schema import Camera, Site
from twin.events.ids import SECOND, Micros

_CRF, _PRESET, _KEYFRAME_S = 29, "slow", 3
_BRAKING_MPS = 0.25  # slower than so long before
_BEFORE: Micros = SECOND // 4
_SHADOW_M = 7.0  # how far from a vehicle the picture changes when it moves


class Truth(Protocol):
    """Ground truth that can be read at any time from 0 on."""

    def at(self, at: Micros) -> TruthFrame:
        """The truth at a time."""
        ...


class FrameBox(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle in one frame of one camera."""

    camera: str
    frame: int
    vehicle: str
    x1: float
    y1: float
    x2: float
    y2: float
    visible: float
    is_truncated: bool


class Plan(NamedTuple):
    """What to film.

    Attributes:
        fps, seconds: of every clip.
        start_at: time of the truth at frame 0.
        seed: of looks, scenery and sensor noise.
    """

    fps: int
    seconds: int
    light: Light
    seed: int
    start_at: Micros = 0

    @property
    def n_frames(self) -> int:
        """Of every clip."""
        return self.fps * self.seconds

    def at(self, frame: int) -> Micros:
        """The truth's time of a frame."""
        return self.start_at + round(Fraction(frame * SECOND, self.fps))


def film(
    site: Site, truth: Truth, plan: Plan, cameras: Sequence[Camera], out: Path, say: Callable[[str], None] = lambda _: None
) -> list[FrameBox]:
    """Write one MP4 for each of these cameras; returns what their frames show.

    Other processes may film other cameras of the same plan: no camera's picture depends on which others are filmed.
    """
    out.mkdir(parents=True, exist_ok=True)
    boxes = list[FrameBox]()
    with Stage(plan.seed) as stage:
        scene = Scene(stage, site, plan.light, plan.seed, Cast(stage, plan.seed))
        views = [SceneCamera(stage, site, camera) for camera in cameras]
        writers = [_Writer(out / f"{camera.id}.mp4", camera.frame_px, plan.fps) for camera in cameras]
        noises = [generator(plan.seed, "noise", camera.id) for camera in cameras]
        last: list[Picture | None] = [None] * len(cameras)
        try:
            for frame, (vehicles, people) in enumerate(_moments(truth, plan)):
                scene.arrange(vehicles, people)
                _draw(stage, scene, views, vehicles, people, last)
                for k, (camera, picture) in enumerate(zip(cameras, last, strict=True)):
                    assert picture is not None  # the first frame draws every view
                    writers[k].write(expose(picture.bgr, sensor(camera), plan.light, noises[k], picture.smears))
                    boxes += _boxes(camera, frame, picture)
                if frame % (10 * plan.fps) == 0:
                    say(f"{frame} of {plan.n_frames} frames")
        finally:
            for writer in writers:
                writer.close()
    return boxes


def sensor(camera: Camera) -> Sensor:
    """The character of a site's camera: the same every time, a little different from the others'."""
    rng = generator(0, "sensor", camera.id)
    red, green, blue = 1 + rng.normal(0, 0.02, 3)
    return Sensor(
        blur_px=float(rng.uniform(0.45, 0.65)),
        contrast=float(rng.uniform(0.95, 1.05)),
        brightness=float(rng.uniform(-4, 8)),
        saturation=float(rng.uniform(0.8, 0.95)),
        balance=(float(blue), float(green), float(red)),
        vignette=float(rng.uniform(0.15, 0.35)),
        noise=float(rng.uniform(0.8, 1.4)),
        sharpening=float(rng.uniform(0.3, 0.5)),
        caption=str(camera.id),
    )


def standing(state: VehicleState, before: VehicleState | None) -> Standing:
    """A true vehicle as the scene wants it; it brakes if it was faster ``before``."""
    vehicle = state.vehicle
    is_slower = before is not None and abs(before.speed_mps) > abs(state.speed_mps) + _BRAKING_MPS
    is_waiting = state.state == "moving" and abs(state.speed_mps) < 0.05
    return Standing(
        vehicle=str(vehicle.id),
        shape=vehicle.body,
        look=str(vehicle.look),
        plate=vehicle.plate,
        level=state.level,
        x_m=state.x_m,
        y_m=state.y_m,
        heading_deg=state.heading_deg,
        speed_mps=state.speed_mps,
        is_braking=is_slower or is_waiting,
    )


def walking(frame: TruthFrame, start_at: Micros) -> list[Walking]:
    """The people of a moment; their gait follows the clock."""
    seconds = (frame.at - start_at) / SECOND
    return [Walking(int(one.look), one.level, one.x_m, one.y_m, one.heading_deg, 1.3 * seconds) for one in frame.people]


def _moments(truth: Truth, plan: Plan) -> Iterator[tuple[list[Standing], list[Walking]]]:
    for frame in range(plan.n_frames):
        at = plan.at(frame)
        now = truth.at(at)
        earlier = {one.vehicle.id: one for one in truth.at(max(at - _BEFORE, plan.start_at)).vehicles}
        yield [standing(one, earlier.get(one.vehicle.id)) for one in now.vehicles], walking(now, plan.start_at)


def _draw(
    stage: Stage,
    scene: Scene,
    views: Sequence[SceneCamera],
    vehicles: Iterable[Standing],
    people: Iterable[Walking],
    last: list[Picture | None],
) -> None:
    """New pictures of the views in which something moves; the others keep theirs, which saves most of the time."""
    movers = [(one.x_m, one.y_m) for one in vehicles if one.speed_mps or one.is_braking]
    movers += [(one.x_m, one.y_m) for one in people]
    around = [(dx, dy) for dx in (-_SHADOW_M, 0.0, _SHADOW_M) for dy in (-_SHADOW_M, 0.0, _SHADOW_M)]
    points = np.array([(x + dx, y + dy) for x, y in movers for dx, dy in around]).reshape(-1, 2)
    changes = [picture is None or view.was_moving or view.sees(points) for view, picture in zip(views, last, strict=True)]
    for view, is_new in zip(views, changes, strict=True):
        view.switch(is_new)
        view.was_moving = view.sees(points)
    stage.draw()
    for k, (view, is_new) in enumerate(zip(views, changes, strict=True)):
        if is_new:
            last[k] = view.picture(scene)


def _boxes(camera: Camera, frame: int, picture: Picture) -> list[FrameBox]:
    return [
        FrameBox(
            camera=str(camera.id),
            frame=frame,
            vehicle=name,
            x1=one.box_px[0],
            y1=one.box_px[1],
            x2=one.box_px[2],
            y2=one.box_px[3],
            visible=round(one.visible, 3),
            is_truncated=one.is_truncated,
        )
        for name, one in sorted(picture.vehicles.items())
    ]


class _Writer:
    """One H.264 file."""

    def __init__(self, path: Path, frame_px: tuple[int, int], fps: int) -> None:
        import av

        self._container: Any = av.open(str(path), "w", options={"movflags": "+faststart"})
        self._stream: Any = self._container.add_stream("libx264", rate=fps)
        self._stream.width, self._stream.height = frame_px
        self._stream.pix_fmt = "yuv420p"
        options = {"crf": str(_CRF), "preset": _PRESET, "g": str(_KEYFRAME_S * fps), "threads": "1"}
        self._stream.options = options

    def write(self, bgr: NDArray[np.uint8]) -> None:
        import av

        for packet in self._stream.encode(av.VideoFrame.from_ndarray(bgr, format="bgr24")):
            self._container.mux(packet)

    def close(self) -> None:
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()
