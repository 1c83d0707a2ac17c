"""A track begins where a box is that is none of the known ones."""

from __future__ import annotations

from twin.events.ids import SECOND, LevelId, Micros
from twin.fusion.frame import Measured, Seen
from twin.fusion.motion import born
from twin.fusion.scene import Scene
from twin.fusion.state import Track, TrackId

_WARM_UP: Micros = 5 * SECOND  # a camera that watches for less does not know yet what was there before
_EDGE_SHARE = 0.06  # of the frame: boxes that near its edge may just have come in
_FAR_SHARE = 0.6  # of the range: where detection begins


def is_placed(measured: Measured, seen: Seen, scene: Scene) -> bool:
    """Whether a box has a place of which a track may begin: on the site, and not told by an edge that the frame cuts."""
    if _is_cut(measured):
        return _is_placed_aside(measured, seen.level, scene)
    return scene.map.is_mapped(seen.level, *measured.point_m)


def newborn(name: TrackId, measured: Measured, seen: Seen, watched_since: Micros, scene: Scene) -> Track:
    """The track that begins with a box.

    Args:
        watched_since: when the frame's camera was first heard of.
    """
    (x, y), box, parameters = measured.point_m, measured.box, scene.parameters
    return Track(
        id=name,
        level=seen.level,
        status="tentative",
        motion=born(seen.at, x, y, measured.covariance_m2, parameters.birth_speed_sigma_mps),
        kind=box.kind,
        kind_scores={box.kind: box.score},
        heading=(0.0, 0.0),
        born_at=seen.at,
        first_m=(x, y),
        is_inner_birth=_is_cut(measured) or _is_inner(measured, seen, watched_since, scene),
        hits=1,
        score=box.score,
        sure_hits=int(box.score >= parameters.sure_score),
        seen_at=seen.at,
        seen_by=seen.pending.camera,
        evidence=(seen.pending.observation,),
    )


def _is_cut(measured: Measured) -> bool:
    return any(edge != "top" for edge in measured.box.truncated)


def _is_placed_aside(measured: Measured, level: LevelId, scene: Scene) -> bool:
    """Whether a box that the frame cuts has a place all the same: cut at one side only, and in a stall, which tells how
    its vehicle stands."""
    edges = set(measured.box.truncated) - {"top"}
    return edges in ({"left"}, {"right"}) and scene.map.stall_at(level, *measured.point_m) is not None


def _is_inner(measured: Measured, seen: Seen, watched_since: Micros, scene: Scene) -> bool:
    """Whether nothing can have come in here: watched for a while, inside the frame, near, and at no portal."""
    x, y = measured.point_m
    (width, height), (x1, y1, x2, y2) = seen.pending.frame.frame_px, measured.box.box_px
    is_warm = seen.at - watched_since > _WARM_UP
    is_inside = x1 > _EDGE_SHARE * width and x2 < (1 - _EDGE_SHARE) * width and y2 < (1 - _EDGE_SHARE) * height
    dx, dy = x - seen.camera.origin_m[0], y - seen.camera.origin_m[1]
    far = _FAR_SHARE * seen.camera.range_m
    is_near = dx * dx + dy * dy < far * far and y1 > _EDGE_SHARE * height
    return is_warm and is_inside and is_near and not scene.is_edge(seen.level, x, y)
