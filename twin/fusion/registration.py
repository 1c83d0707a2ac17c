"""Cameras registered with each other: which stays count for a camera's bias, and what they say of it.

A vehicle counts once a stay and camera, when that camera and another one know well where it stands. What is asked of a camera
is how far its own mean is off the place that the others tell, each put right by what is known of its own bias and as unsure as
that is; a stall's centre line tells a little too. One camera alone learns nothing, from stalls neither: its map may be off.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from twin.events.ids import SECOND, CameraId, Micros
from twin.events.observations import VehicleKind
from twin.events.of_observing import CameraBiasEstimated
from twin.fusion.arithmetic import mm
from twin.fusion.camera_bias import NO_ERRORS, CameraBias, Estimate, counted, estimate, share_known, spread
from twin.fusion.draft import Draft
from twin.fusion.motion import Cov2
from twin.fusion.place import CLEAR, Look, alone, squared_distance, together
from twin.fusion.put_right import anew, calibrated_at, shifted
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrackId
from twin.spatial.camera import GroundCamera
from twin.spatial.pose_error import Errors, effects, moved_by

WELL_KNOWN = 8  # looks
_SETTLED: Micros = 10 * SECOND  # of standing: errors of boxes last for some tenths of a second
_ASIDE_SIGMA_M = 0.35  # of where a driver leaves a vehicle, off its stall's centre line
_FAR_ASIDE_M = 1.0  # farther off the line it stands otherwise, or not in this stall
_PARKS_BETWEEN_LINES: frozenset[VehicleKind] = frozenset({"car", "van"})
_LEAST_STAYS = 4  # before anything is put right by them
_SURE_D2, _STILL_SURE_D2 = 13.8, 4.61  # chi-squared, 2 degrees of freedom, 99.9 % and 90 %: a camera is right until then
_TOLD_M = 0.05
_COS, _SIN = 0.94, 0.34  # of 20 degrees to either side, where a rolled camera is off though the middle is not

_Line = tuple[float, float, float, float]


class _Source(Struct, frozen=True):
    """What a camera that knows a vehicle well says of its place."""

    name: CameraId
    camera: GroundCamera
    bias: CameraBias
    known: Estimate
    measured_m: tuple[float, float]  # as it was before it was put right
    noise_m2: Cov2


def is_due(track: Track, camera: CameraId, at: Micros) -> bool:
    """Whether a camera that just looked at a vehicle now knows well where it stands, and has not counted it yet."""
    if track.status != "parked" or camera in track.counted_by or track.away or track.still is None or len(track.looks) < 2:
        return False
    return at - track.still.at >= _SETTLED and _is_well_known(track.looks.get(camera)) and len(_knowing(track)) > 1


def register(draft: Draft, due: Iterable[TrackId], camera: CameraId, at: Micros) -> None:
    """After a camera's frame: count the stays that are due, and say where that changes what its places are put right by."""
    for name in due:
        track = draft.state.tracks.get(name)
        if track is None or not is_due(track, camera, at):
            continue
        biases, by = learned(draft.state, track, camera, at, draft.scene)
        mine = draft.mine(name)
        mine.counted_by = (*mine.counted_by, *by)
        draft.state = replace(draft.state, biases=biases)
        for one in by:
            _tell(draft, one, at)


def _tell(draft: Draft, name: CameraId, at: Micros) -> None:
    """Say what a camera's places are put right by from now on, if that has changed; what it looked at is put right too."""
    found = draft.scene.camera(name, at, draft.state.calibrations.get(name, ()))
    assert found is not None
    camera, before = found[0], draft.state.biases[name]
    said = told(before, name, camera)
    if said is None:
        return
    bias, fact = said
    draft.state = replace(draft.state, biases={**draft.state.biases, name: bias})
    for number in [number for number, track in draft.state.tracks.items() if _is_of_now(track, name, bias)]:
        track = draft.mine(number)
        track.looks = anew(track.looks, name, camera, before.told, bias.told)
        draft.columns.write(track)
    links = draft.state.tracklets.get(name, {})
    for tracklet, link in links.items():
        links[tracklet] = replace(link, point_m=shifted(link.point_m, camera, before.told, bias.told))
    draft.emission.emit(at, fact)


def learned(
    state: FusionState, track: Track, camera: CameraId, at: Micros, scene: Scene
) -> tuple[dict[CameraId, CameraBias], tuple[CameraId, ...]]:
    """What biases are after a stay that is due, and which cameras have counted it: this one, and who waited for another."""
    biases, by = dict(state.biases), list[CameraId]()
    telling = [found for name in _knowing(track) if (found := _telling(state, track, name, at, scene)) is not None]
    if len(telling) < 2 or all(name != camera for name, _, _ in telling):
        return biases, ()
    sources = [_source(state, track, *one) for one in telling]
    line = _centre_line(track, scene)
    for one in sources:
        if one.name == camera or (one.name not in track.counted_by and len(sources) == 2):
            x, y, noise = _others(one, sources, line)
            residual = one.measured_m[0] - x, one.measured_m[1] - y
            (a, b, c), (xx, xy, yy) = noise, one.noise_m2
            biases[one.name] = counted(one.bias, one.camera, one.measured_m, residual, (a + xx, b + xy, c + yy))
            by.append(one.name)
    return biases, tuple(by)


def told(bias: CameraBias, name: CameraId, camera: GroundCamera) -> tuple[CameraBias, CameraBiasEstimated] | None:
    """With the errors that are sure now, and what to say of them; None where they have not changed by much."""
    if bias.n < _LEAST_STAYS:
        return None
    known, before, places = estimate(bias, camera), bias.told or NO_ERRORS, _references(bias, camera)
    least_d2 = _STILL_SURE_D2 if any(before) else _SURE_D2
    is_sure = any(_d2_of(camera, known, *place) > least_d2 for place in places)
    errors = known.errors if is_sure else NO_ERRORS
    if all(_differ_m(camera, errors, before, *place) <= _TOLD_M for place in places):
        return None
    after = replace(bias, told=errors, known=share_known(bias, camera) if is_sure else 0.0)
    (away_x, away_y), distance = _sight(camera, bias.x, bias.y)
    east, north = moved_by(camera, errors, bias.x, bias.y)
    xx, _, yy = spread(known, effects(camera, bias.x, bias.y))
    return after, CameraBiasEstimated(
        camera=name,
        n_stays=bias.n,
        distance_m=mm(distance),
        along_m=mm(east * away_x + north * away_y),
        across_m=mm(north * away_x - east * away_y),
        sigma_m=mm(math.sqrt((xx + yy) / 2.0)),
    )


def _is_of_now(track: Track, name: CameraId, bias: CameraBias) -> bool:
    """Whether a camera's looks at a vehicle are of the geometry that its bias is of."""
    if name not in track.looks:
        return False
    return bias.since is None or (track.still is not None and track.still.at >= bias.since)


def _is_well_known(look: Look | None) -> bool:
    return look is not None and look.n >= WELL_KNOWN and look.rank == CLEAR


def _knowing(track: Track) -> list[CameraId]:
    return sorted(name for name, look in track.looks.items() if _is_well_known(look))


def _telling(
    state: FusionState, track: Track, name: CameraId, at: Micros, scene: Scene
) -> tuple[CameraId, GroundCamera, Micros | None] | None:
    """A camera that knows a vehicle, if its looks tell of the geometry that it has, and since when it has that."""
    calibrations = state.calibrations.get(name, ())
    found, since = scene.camera(name, at, calibrations), calibrated_at(calibrations, at)
    if found is None or found[1] != track.level or track.still is None:
        return None
    if since is not None and track.still.at < since:  # its looks are in part of the geometry of before
        return None
    return name, found[0], since


def _source(state: FusionState, track: Track, name: CameraId, camera: GroundCamera, since: Micros | None) -> _Source:
    bias = state.biases.get(name)
    if bias is None or bias.since != since:
        bias = CameraBias(since)
    x, y, noise = alone(track.looks[name])
    east, north = moved_by(camera, bias.told, x, y) if bias.told else (0.0, 0.0)
    return _Source(name, camera, bias, estimate(bias, camera), (x + east, y + north), noise)


def _put_right(source: _Source) -> tuple[float, float, Cov2]:
    """Where a camera says that a vehicle is, by what is known of its errors, and as unsure as these leave it."""
    x, y = source.measured_m
    east, north = moved_by(source.camera, source.known.errors, x, y)
    own, (xx, xy, yy) = spread(source.known, effects(source.camera, x, y)), source.noise_m2
    return x - east, y - north, (xx + own[0], xy + own[1], yy + own[2])


def _others(one: _Source, sources: Sequence[_Source], line: _Line | None) -> tuple[float, float, Cov2]:
    """Where the others say that a vehicle is: there is at least one."""
    place = together(_put_right(other) for other in sources if other.name != one.name)
    assert place is not None
    x, y, (xx, xy, yy) = place
    if line is None:
        return x, y, (xx, xy, yy)
    left_x, left_y, middle_x, middle_y = line
    off = left_x * (x - middle_x) + left_y * (y - middle_y)
    if abs(off) > _FAR_ASIDE_M:
        return x, y, (xx, xy, yy)
    by_x, by_y = xx * left_x + xy * left_y, xy * left_x + yy * left_y
    total = left_x * by_x + left_y * by_y + _ASIDE_SIGMA_M * _ASIDE_SIGMA_M
    gain_x, gain_y = by_x / total, by_y / total
    return x - gain_x * off, y - gain_y * off, (xx - gain_x * by_x, xy - gain_x * by_y, yy - gain_y * by_y)


def _centre_line(track: Track, scene: Scene) -> _Line | None:
    """The unit vector across the stall that a vehicle stands in, and the stall's middle."""
    if track.stall is None or track.kind not in _PARKS_BETWEEN_LINES:
        return None
    middle = scene.centre_m[track.stall]
    along = scene.map.stall_heading_at(track.level, *middle)
    return None if along is None else (-along[1], along[0], *middle)


def _references(bias: CameraBias, camera: GroundCamera) -> tuple[tuple[float, float], ...]:
    """The mean of where its vehicles stood, and as far away to either side."""
    x, y = camera.origin_m
    dx, dy = bias.x - x, bias.y - y
    return (
        (bias.x, bias.y),
        (x + _COS * dx - _SIN * dy, y + _SIN * dx + _COS * dy),
        (x + _COS * dx + _SIN * dy, y - _SIN * dx + _COS * dy),
    )


def _d2_of(camera: GroundCamera, known: Estimate, x: float, y: float) -> float:
    """How far from nothing a camera's errors move a place, by how uncertain they leave it."""
    return squared_distance(*moved_by(camera, known.errors, x, y), spread(known, effects(camera, x, y)))


def _differ_m(camera: GroundCamera, one: Errors, other: Errors, x: float, y: float) -> float:
    (east, north), (to_east, to_north) = moved_by(camera, one, x, y), moved_by(camera, other, x, y)
    return math.sqrt((east - to_east) * (east - to_east) + (north - to_north) * (north - to_north))


def _sight(camera: GroundCamera, x: float, y: float) -> tuple[tuple[float, float], float]:
    """The unit vector from a camera to a place, and how far that is."""
    dx, dy = x - camera.origin_m[0], y - camera.origin_m[1]
    distance = math.sqrt(dx * dx + dy * dy)
    return ((dx / distance, dy / distance) if distance > 0.0 else (0.0, 1.0)), distance
