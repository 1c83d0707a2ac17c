"""A square of stalls with four cameras at its corners, whose poses are taken to be others, and vehicles that stand in it."""

import math
import random

import numpy as np
from msgspec.structs import replace
from tracks import car

from site_models.camera_entries import look_at
from site_models.schema import Camera, Datum, Level, Pinhole, Site, Stall, Zone
from twin.events.ids import SECOND
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission, unanswered
from twin.fusion.parameters import DEFAULTS
from twin.fusion.place import CLEAR, Look, fused
from twin.fusion.registration import WELL_KNOWN, register
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, TrailPoint
from twin.spatial.camera import GroundCamera
from twin.spatial.pose_error import moved_by

AT = 1_767_225_600 * SECOND
CORNERS = {"a": (-18.0, -12.0, 6.0), "b": (18.0, -12.0, 6.0), "c": (-18.0, 14.0, 6.0), "d": (18.0, 14.0, 6.0)}
EDGE_M = 20.0
RING = ((-EDGE_M, -EDGE_M), (EDGE_M, -EDGE_M), (EDGE_M, EDGE_M), (-EDGE_M, EDGE_M))
SIGMA_M = 0.3  # of a camera's mean of looks
LOOK_M2 = (0.4, 0.0, 0.4)


def camera(name, off_deg=(0.0, 0.0, 0.0)):
    """A corner's camera, turned about its own axes: to the right, downwards and ahead."""
    rotation = np.array(look_at(CORNERS[name], (0.0, 1.0, 0.0))).reshape(3, 3)
    for axis, degrees in enumerate(off_deg):
        one, other = (n for n in range(3) if n != axis)
        turn, angle = np.eye(3), math.radians(degrees)
        turn[one, one] = turn[other, other] = math.cos(angle)
        turn[one, other], turn[other, one] = -math.sin(angle), math.sin(angle)
        rotation = turn @ rotation
    lens = Pinhole(k=(640.0, 640.0, 640.0, 360.0), position_m=CORNERS[name], rotation=tuple(rotation.ravel().tolist()))
    return Camera(id=name, level="ground", frame_px=(1280, 720), geometry=lens, range_m=60.0)


def stalls():
    """Four rows of eight."""
    corners = [(-10.0 + 2.5 * column, y) for y in (-12.0, -5.0, 2.0, 9.0) for column in range(8)]
    return tuple(
        Stall(
            id=f"S{n}",
            level="ground",
            zone="row",
            ring_m=((x, y), (x + 2.5, y), (x + 2.5, y + 5.0), (x, y + 5.0)),
            heading_deg=90.0,
        )
        for n, (x, y) in enumerate(corners)
    )


class Square:
    """The square with cameras that are off by angles in degrees, and what they have learned of each other.

    Attributes:
        off_deg: by how much each camera's pose is taken to be another.
        said: facts, in order.
        beside: tracks that stand there all the time, by their numbers.
    """

    def __init__(self, off_deg, cameras="abcd", knows_stalls=False, parameters=DEFAULTS):
        level = Level(id="ground")
        believed = {name: camera(name, off_deg.get(name, (0.0, 0.0, 0.0))) for name in cameras}
        self.true = {name: GroundCamera.of(camera(name), level) for name in cameras}
        self.view = {name: GroundCamera.of(one, level) for name, one in believed.items()}
        self.site = Site(
            name="square",
            datum=Datum(latitude=0.0, longitude=0.0),
            levels=(level,),
            zones=(Zone(id="row", level="ground", kind="parking", ring_m=RING),),
            stalls=stalls(),
            lanes=(),
            portals=(),
            cameras=tuple(believed.values()),
        )
        self.scene = Scene(self.site, parameters)
        self.knows_stalls, self.state, self.said, self.beside, self.n = knows_stalls, FusionState(), [], {}, 0

    def placed(self, name, x, y):
        """Where a camera takes a place to be, put right by what it has learned."""
        seen = self.true[name].to_pixels(np.array([[x, y, 0.0]])).points_px
        x, y = self.view[name].to_ground(seen, np.ones((1, 2))).points_m[0].tolist()
        bias = self.state.biases.get(name)
        east, north = moved_by(self.view[name], bias.told, x, y) if bias is not None and bias.told else (0.0, 0.0)
        return x - east, y - north

    def off_m(self, name):
        """How far a camera is off in the mean over all stalls."""
        return np.mean([math.dist(self.placed(name, *at), at) for at in self.scene.centre_m.values()])

    def park(self, looks, stall=None):
        """A vehicle comes, has stood for long where cameras have looked often, and is counted; the one before it is gone."""
        self.n += 1
        x, y, _ = fused(looks)
        still = TrailPoint(AT - 20 * SECOND, x, y)
        track = car(self.n, AT, x, y, status="parked", looks=looks, still=still, stall=stall if self.knows_stalls else None)
        self.state = replace(self.state, tracks={**self.beside, track.id: track})
        for name in sorted(looks):
            emission = Emission("square", "2", self.n, unanswered)
            draft = Draft(self.state, self.scene, emission)
            register(draft, [track.id], name, AT)
            self.state = draft.finished()
            self.beside = {number: self.state.tracks[number] for number in self.beside}
            self.said += [fact.payload for fact in emission.facts]
        return self.state.tracks[track.id]

    def stays(self, stays):
        """Vehicles one after another, each as ``drawn`` gives it."""
        for stall, (x, y), by in stays:
            looks = {}
            for name, (east, north) in by.items():
                at_x, at_y = self.placed(name, x, y)
                looks[name] = look(at_x + east, at_y + north)
            self.park(looks, stall)
        return self


def look(x, y, n=WELL_KNOWN, rank=CLEAR):
    """A camera's mean of looks."""
    return Look(n, AT, x, y, LOOK_M2, rank, (0.0, 0.0, 9.0, 9.0))


def drawn(seed, n, cameras="abcd", n_seeing=3, strange=0.0):
    """Stays: the stall, the place in it, and by what each camera that sees it is off; a share is off by 2.5 m."""
    draw, known = random.Random(seed), stalls()
    found = []
    for _ in range(n):
        stall = draw.choice(known)
        (left, low), (right, high) = stall.ring_m[0], stall.ring_m[2]
        place = ((left + right) / 2 + draw.gauss(0.0, 0.2), (low + high) / 2 + draw.gauss(0.0, 0.4))
        by = {}
        for name in sorted(draw.sample(cameras, n_seeing)):
            by[name] = (draw.gauss(0.0, SIGMA_M), draw.gauss(0.0, SIGMA_M))
            if draw.random() < strange:
                by[name] = (draw.choice((-2.5, 2.5)), 0.0)
        found.append((stall.id, place, by))
    return found
