"""A contact sheet: a site's cameras by day, at a low sun, at dusk, at night and in rain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.cast import Cast
from perception.synthetic.render.clips import Truth, sensor, standing, walking
from perception.synthetic.render.exposure import expose
from perception.synthetic.render.light import Hour, Light, light
from perception.synthetic.render.scene import Scene, SceneCamera, pictures
from perception.synthetic.render.stage import Stage
from perception.synthetic.seeds import generator
from site_models.schema import Camera, Site
from twin.events.ids import Micros

_ROWS: tuple[tuple[str, Hour, float], ...] = (
    ("day", "day", 0.0),
    ("low sun", "low", 0.0),
    ("dusk", "dusk", 0.0),
    ("night", "night", 0.0),
    ("rain", "cloud", 0.8),
)
_TILE_PX = (480, 270)


def contact_sheet(site: Site, truth: Truth, at: Micros, seed: int, cameras: tuple[Camera, ...]) -> NDArray[np.uint8]:
    """(H, W, 3) BGR: a row for each light, a column for each camera."""
    import cv2

    rows = list[Any]()
    with Stage(seed) as stage:
        scene = Scene(stage, site, _light(seed, "day", 0.0), seed, Cast(stage, seed))
        views = [SceneCamera(stage, site, camera) for camera in cameras]
        frame = truth.at(at)
        for name, hour, rain in _ROWS:
            scene.set_light(_light(seed, hour, rain))
            scene.arrange([standing(one, None) for one in frame.vehicles], walking(frame, 0))
            noise = generator(seed, "sheet", name)
            tiles = list[Any]()
            for camera, shot in zip(cameras, pictures(stage, scene, views), strict=True):
                own = sensor(camera)._replace(caption=f"{camera.id}, {name}")
                tiles.append(
                    np.asarray(
                        cv2.resize(
                            expose(shot.bgr, own, scene.light, noise, shot.smears), _TILE_PX, interpolation=cv2.INTER_AREA
                        )
                    )
                )
            rows.append(np.hstack(tiles))
    return np.vstack(rows)


def _light(seed: int, hour: Hour, rain: float) -> Light:
    return light(generator(seed, "light", hour), hour, rain=rain)
