"""A site with its traffic on stage: give it a moment of the ground truth, get every camera's picture and truth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.appearance import Appearance
from perception.synthetic.render.cars import plate_heights_m
from perception.synthetic.render.cast import Cast, Member
from perception.synthetic.render.exposure import Smear
from perception.synthetic.render.lens import Lens, lens_of
from perception.synthetic.render.light import Light
from perception.synthetic.render.people import person_mesh
from perception.synthetic.render.scenery import Scenery, scenery
from perception.synthetic.render.shapes import SHAPES
from perception.synthetic.render.stage import Actor, Beam, Finish, Stage, View
from perception.synthetic.render.truth import Seen, seen
from perception.synthetic.seeds import generator
from site_models.schema import Camera, LevelId, Pinhole, Site
from twin.spatial.camera import GroundCamera

_MOVES_MPS = 0.15
_SHUTTER_S = 1 / 50
_STRIDE_M = 0.7


class Standing(NamedTuple):
    """A vehicle somewhere on the site, now.

    Attributes:
        shape: of ``shapes.SHAPES``.
        look: what look-alikes share.
        speed_mps: along its heading.
        is_braking: its brake lights are on.
    """

    vehicle: str
    shape: str
    look: str
    plate: str
    level: LevelId
    x_m: float
    y_m: float
    heading_deg: float
    speed_mps: float = 0.0
    is_braking: bool = False


class Walking(NamedTuple):
    """A person somewhere on the site, now; ``walked_m`` sets the gait."""

    person: int
    level: LevelId
    x_m: float
    y_m: float
    heading_deg: float
    walked_m: float = 0.0


class Picture(NamedTuple):
    """One camera's rendered frame, before its sensor (see ``exposure``).

    Attributes:
        bgr: (H, W, 3).
        vehicles: by vehicle; those of which a pixel is seen.
        smears: what moves while the shutter is open.
    """

    bgr: NDArray[np.uint8]
    vehicles: dict[str, Seen]
    smears: tuple[Smear, ...]


class Scene:
    """A site on a stage, with the same look every time for the same seed; the vehicles are of a cast that scenes may share."""

    def __init__(self, stage: Stage, site: Site, light: Light, seed: int, cast: Cast) -> None:
        self.site, self.light = site, light
        self._stage, self._seed, self._cast = stage, seed, cast
        self._elevation = {level.id: level.elevation_m for level in site.levels}
        self._scenery: Scenery = scenery(site, generator(seed, "scenery", site.name))
        still = self._scenery
        self._fixed = [
            stage.add(still.ground, "ground", casts_shadow=False),
            stage.add(still.markings, "ground", casts_shadow=False, decal=2),
            stage.add(still.solid, "solid"),
            stage.add(still.sky, "sky", casts_shadow=False),
        ]
        self._people: dict[tuple[int, int], Actor] = {}
        self._present: dict[int, Member] = {}
        self._poses: dict[int, tuple[float, float, float, float]] = {}
        self._speeds: dict[str, Standing] = {}
        self.set_light(light)

    def set_light(self, light: Light) -> None:
        """Another time of the day."""
        self.light = light
        self._stage.set_light(light, self._scenery.lamps_m, self._scenery.extent_m)

    def arrange(self, vehicles: Iterable[Standing], people: Iterable[Walking] = ()) -> None:
        """Put exactly these on stage."""
        self._cast.leave()
        self._poses.clear()
        self._present.clear()
        self._speeds = {one.vehicle: one for one in vehicles}
        beams = list[Beam]()
        for one in self._speeds.values():
            member = self._cast.member(one.vehicle, one.shape, one.look, one.plate, has_rider=_has_rider(one))
            z = self._elevation[one.level]
            member.actor.show(True)
            member.actor.place(one.x_m, one.y_m, z, one.heading_deg)
            member.actor.finish(self._finish(member.appearance, one))
            self._present[member.number] = member
            self._poses[member.number] = (one.x_m, one.y_m, z, math.radians(one.heading_deg))
            if self.light.has_headlights and abs(one.speed_mps) > _MOVES_MPS:
                beams.append(_beam(one, z))
        self._stage.set_beams(beams)
        self._walk(people)

    def close(self) -> None:
        """Take the site and its people off the stage, and send the vehicles away."""
        self._cast.leave()
        for actor in [*self._fixed, *self._people.values()]:
            actor.remove()

    def _finish(self, look: Appearance, one: Standing) -> Finish:
        is_moving = abs(one.speed_mps) > _MOVES_MPS
        headlights = (1.0 if self.light.hour in ("dusk", "night") else 0.3) if is_moving and self.light.has_headlights else 0.0
        return Finish(
            paint=look.paint,
            gloss=look.gloss,
            dirt=look.dirt,
            headlights=headlights,
            brake_lights=1.0 if one.is_braking else 0.0,
            plate_heights_m=plate_heights_m(SHAPES[look.shape], look.details),
        )

    def _walk(self, people: Iterable[Walking]) -> None:
        for actor in self._people.values():
            actor.show(False)
        for one in people:
            phase = round(4 * math.sin(one.walked_m / _STRIDE_M * math.pi))
            key = (one.person, phase)
            if key not in self._people:
                self._people[key] = self._stage.add(person_mesh(self._seed, one.person, phase / 4), "vehicle")
            self._people[key].show(True)
            self._people[key].place(one.x_m, one.y_m, self._elevation[one.level], one.heading_deg)

    def truth(self, identities: NDArray[np.uint16], camera: GroundCamera) -> dict[str, Seen]:
        """Each vehicle that has a pixel."""
        outlines = {number: one.outline for number, one in self._present.items()}
        found = seen(identities, camera, outlines, self._poses)
        return {self._present[number].vehicle: one for number, one in found.items()}

    def smears(self, identities: NDArray[np.uint16], camera: GroundCamera, sightings: dict[str, Seen]) -> tuple[Smear, ...]:
        """What moves so fast that the shutter shows it."""
        result = list[Smear]()
        numbers = {one.vehicle: number for number, one in self._present.items()}
        for name, sighting in sightings.items():
            one = self._speeds[name]
            if abs(one.speed_mps) <= _MOVES_MPS:
                continue
            x, y, z, heading = self._poses[numbers[name]]
            ahead = _SHUTTER_S * one.speed_mps
            there = (x + ahead * math.cos(heading), y + ahead * math.sin(heading), z + 0.7)
            points = camera.to_pixels(np.array([(x, y, z + 0.7), there])).points_px
            step = points[1] - points[0]
            x1, y1, x2, y2 = (int(edge) for edge in sighting.box_px)
            mask = identities[y1:y2, x1:x2] == numbers[name]
            result.append(Smear(mask, (x1, y1), (float(step[0]), float(step[1]))))
        return tuple(result)


class SceneCamera:
    """One of the site's cameras, looking at a scene.

    Raises:
        BadInput: the camera is a ground homography.
    """

    def __init__(self, stage: Stage, site: Site, camera: Camera, scale: float = 1.0) -> None:
        self.camera = camera
        self._lens: Lens = lens_of(camera, scale)
        self._view: View = stage.view(self._lens.canvas_px)
        self._ground = GroundCamera.of(camera, next(level for level in site.levels if level.id == camera.level))
        assert isinstance(camera.geometry, Pinhole)  # lens_of refuses the rest
        self._view.look(camera.geometry, self._lens.canvas)
        self._elevation_m = next(level for level in site.levels if level.id == camera.level).elevation_m
        self.was_moving = True  # in the last picture

    def sees(self, points_m: NDArray[np.float64]) -> bool:
        """Whether one of these (N, 2) points of its level's ground may be in its picture."""
        if not len(points_m):
            return False
        at = np.column_stack([points_m, np.full(len(points_m), self._elevation_m)])
        image = self._ground.to_pixels(at)
        width, height = self.camera.frame_px
        x, y = image.points_px.T
        return bool((image.is_in_front & (x > 0) & (x < width) & (y > 0) & (y < height)).any())

    def switch(self, is_on: bool) -> None:
        """Whether the stage draws it."""
        self._view.switch(is_on)

    def close(self) -> None:
        """Give its buffer back."""
        self._view.close()

    def picture(self, scene: Scene) -> Picture:
        """What it saw at the stage's last ``draw``."""
        shot = self._lens.through(self._view.shot())
        vehicles = scene.truth(shot.identities, self._ground)
        return Picture(shot.bgr, vehicles, scene.smears(shot.identities, self._ground, vehicles))


def _has_rider(one: Standing) -> bool:
    return SHAPES[one.shape].build == "motorcycle" and abs(one.speed_mps) > _MOVES_MPS


def _beam(one: Standing, z: float) -> Beam:
    heading, shape = math.radians(one.heading_deg), SHAPES[one.shape]
    cos, sin = math.cos(heading), math.sin(heading)
    reach = shape.length_m / 2 + 0.2
    down = -0.09
    norm = math.sqrt(1 + down * down)
    return Beam((one.x_m + reach * cos, one.y_m + reach * sin, z + 0.65), (cos / norm, sin / norm, down / norm))


def pictures(stage: Stage, scene: Scene, cameras: Sequence[SceneCamera]) -> list[Picture]:
    """Draw once; every camera's picture."""
    stage.draw()
    return [camera.picture(scene) for camera in cameras]
