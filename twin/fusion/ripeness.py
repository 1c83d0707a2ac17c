"""When a tentative track is surely a vehicle: sooner where detections are sure, and where vehicles stand or drive."""

from __future__ import annotations

from twin.events.ids import SECOND
from twin.fusion.scene import Scene
from twin.fusion.standing import away_m
from twin.fusion.state import Track, TrailPoint


def is_ripe(track: Track, scene: Scene) -> bool:
    """Whether enough detections agree."""
    age, parameters = track.seen_at - track.born_at, scene.parameters
    if track.sure_hits < parameters.sure_hits:
        return False
    if track.score < parameters.certain_mean and not _is_where_vehicles_are(track, scene):
        return False
    if track.score < parameters.sure_mean:
        return track.hits >= parameters.unsure_hits and age >= parameters.unsure_us
    if not track.gallery and age < parameters.looks_us:
        return False
    if track.is_inner_birth:
        return track.hits >= parameters.inner_birth_hits and age >= parameters.inner_birth_us
    return track.hits >= parameters.birth_hits and age >= parameters.birth_us


def _is_where_vehicles_are(track: Track, scene: Scene) -> bool:
    """Whether a track stands in a stall or has driven: a sign or a bin that looks like a vehicle does neither."""
    return scene.map.stall_at(track.level, track.motion.x, track.motion.y) is not None or _has_driven(track, scene)


def _has_driven(track: Track, scene: Scene) -> bool:
    """Whether a track came far; somebody on foot is somewhat like a motorcycle, which is faster."""
    motion, parameters = track.motion, scene.parameters
    if track.kind != "motorcycle":
        return away_m(TrailPoint(track.born_at, *track.first_m), motion.x, motion.y) > parameters.driven_m
    ways = ((away_m(point, motion.x, motion.y), (motion.at - point.at) / SECOND) for point in track.trail)
    return any(way > max(parameters.driven_m, parameters.walking_mps * after_s) for way, after_s in ways)
