"""What a site's twin knows against, and for, a vehicle's having been where the probe was seen: a few classes of each. Pure.

Each kind of evidence puts a vehicle into one class; what a class is worth, in nats, is learned (``retrieval.weights``). One of
which nothing is known is in the class that says so, never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isinf, log
from typing import Literal, Protocol

from msgspec import Struct

from twin.events.ids import SECOND, CameraId, CropId, Micros, TrackletId
from twin.events.observations import VehicleKind

Presence = Literal["in_view", "beside_view", "elsewhere", "lost_near", "lost_far", "not_come", "gone", "unknown"]
Reach = Literal["standing", "driving", "racing", "impossible", "no_way", "unknown"]
Own = Literal["itself", "same_moment", "seconds", "minute", "apart"]
Kind = Literal["same", "other", "unknown"]

BESIDE_M = 8.0
"""Up to this far from a view, a vehicle may be taken to be in it: by the error of its place and of a clock that is off."""
SLACK_S = 2.0
"""How far two cameras' clocks may differ, and what "at the same time" means."""
WALK_MPS, DRIVE_MPS, RACE_MPS = 1.0, 6.0, 14.0
"""Speeds up to which a drive is leisurely, usual, and possible in a car park."""


class Shot(Struct, frozen=True, kw_only=True):
    """One sighting of a vehicle; ``look`` is None where it was not compared with the probe."""

    tracklet: TrackletId
    camera: CameraId
    at: Micros
    look: float | None = None
    crop: CropId | None = None
    kind: VehicleKind | None = None
    colour: str | None = None
    plate: str | None = None


class Place(Struct, frozen=True, kw_only=True):
    """Where the twin had a vehicle at the anchor's time.

    Attributes:
        to_view_m: from the place to what the anchor's camera sees; 0 inside, infinity on another level.
        where: the place in words: a stall, else a zone.
        is_seen: somebody saw it there; otherwise that is where it was last, ``seen_at``.
    """

    to_view_m: float
    where: str
    is_seen: bool
    is_parked: bool
    seen_at: Micros


class Anchor(Struct, frozen=True, kw_only=True):
    """Where and when the probe was seen, as far as it is known."""

    camera: CameraId | None = None
    at: Micros | None = None


class Distance(Protocol):
    """Metres of the shortest drive from what one camera sees to what another sees; infinity where there is none."""

    def __call__(self, start: CameraId, end: CameraId, /) -> float:
        """From start to end."""
        ...


class Drive(Struct, frozen=True, kw_only=True):
    """The hardest of the drives that the anchor would ask of a vehicle."""

    reach: Reach
    camera: CameraId | None = None
    metres: float = 0.0
    seconds: float = 0.0


def presence(place: Place | None, shots: Sequence[Shot], at: Micros) -> Presence:
    """Where a vehicle was at a time, by the twin's state then; without one, by when it was seen first and last."""
    if place is None:
        if not shots:
            return "unknown"
        if at < min(shot.at for shot in shots) - round(SLACK_S * SECOND):
            return "not_come"
        return "gone" if at > max(shot.at for shot in shots) + round(SLACK_S * SECOND) else "unknown"
    if place.is_seen:
        if place.to_view_m <= 0.0:
            return "in_view"
        return "beside_view" if place.to_view_m <= BESIDE_M else "elsewhere"
    lost_s = max(0.0, (at - place.seen_at) / SECOND)
    return "lost_near" if place.to_view_m <= BESIDE_M + DRIVE_MPS * lost_s else "lost_far"


def drive(shots: Sequence[Shot], camera: CameraId, at: Micros, distance_m: Distance) -> Drive:
    """Whether one drive joins the anchor with the vehicle's sightings around it: the hardest of those that it takes."""
    drives = [_drive(shot, camera, at, distance_m) for shot in _around(shots, at)]
    return max(drives, key=lambda one: (_HARD.index(one.reach), one.metres, one.camera or ""), default=Drive(reach="unknown"))


def own_shots(shots: Sequence[Shot], camera: CameraId, at: Micros, itself_from: float) -> tuple[Own, float]:
    """How near in time the camera itself saw the vehicle, and seconds to it: as somebody whom the probe is not, for it sees a
    vehicle once at a time; unless that view is so alike that it is the probe's own.

    Args:
        itself_from: cosine from which two views of one moment are of one tracklet.
    """
    own = [(abs(shot.at - at) / SECOND, shot) for shot in shots if shot.camera == camera]
    gap_s = min((gap for gap, _ in own), default=float("inf"))
    if any(gap <= SLACK_S and shot.look is not None and shot.look >= itself_from for gap, shot in own):
        return "itself", gap_s
    if gap_s <= SLACK_S:
        return "same_moment", gap_s
    if gap_s <= 15.0:
        return "seconds", gap_s
    return ("minute", gap_s) if gap_s <= 60.0 else ("apart", gap_s)


def nearest(shots: Sequence[Shot], camera: CameraId, distance_m: Distance) -> Drive:
    """Of a probe whose time is not known: the shortest way from its camera to one that saw the vehicle."""
    ways = [(distance_m(camera, name), name) for name in sorted({shot.camera for shot in shots})]
    metres, seen_by = min(ways, default=(inf, None))
    if seen_by is None:
        return Drive(reach="unknown")
    reach: Reach = "no_way" if isinf(metres) else "standing" if metres <= 0.0 else "driving"
    return Drive(reach=reach, camera=seen_by, metres=metres)


def kinds(probe: VehicleKind | None, shots: Sequence[Shot]) -> Kind:
    """Whether most of a vehicle's sightings are of the probe's kind."""
    told = [shot.kind for shot in shots if shot.kind is not None]
    if probe is None or not told:
        return "unknown"
    return "same" if 2 * told.count(probe) >= len(told) else "other"


def colour_nats(probe: str | None, shots: Sequence[Shot]) -> float:
    """Nats for one vehicle by the colours that were told of it: readers err in about a third of views."""
    told = [shot.colour for shot in shots if shot.colour is not None]
    if probe is None or not told:
        return 0.0
    n_same = told.count(probe)
    return max(-_MOST_COLOUR, min(_MOST_COLOUR, log((n_same + 0.5) / (len(told) - n_same + 0.5))))


_MOST_COLOUR = 2.0
_HARD: tuple[Reach, ...] = ("unknown", "standing", "driving", "racing", "impossible", "no_way")


def _around(shots: Sequence[Shot], at: Micros) -> list[Shot]:
    """The last sightings up to a time and the first after it: these bound where the vehicle was then."""
    slack = round(SLACK_S * SECOND)
    before = [shot for shot in shots if shot.at <= at]
    after = [shot for shot in shots if shot.at > at]
    last_at = max((shot.at for shot in before), default=0)
    first_at = min((shot.at for shot in after), default=0)
    return [shot for shot in before if shot.at >= last_at - slack] + [shot for shot in after if shot.at <= first_at + slack]


def _drive(shot: Shot, camera: CameraId, at: Micros, distance_m: Distance) -> Drive:
    start, end = (shot.camera, camera) if shot.at <= at else (camera, shot.camera)
    metres, seconds = distance_m(start, end), abs(shot.at - at) / SECOND
    if isinf(metres):
        return Drive(reach="no_way", camera=shot.camera, metres=metres, seconds=seconds)
    speed_mps = metres / (seconds + SLACK_S)
    reach: Reach = "standing" if speed_mps <= WALK_MPS else "driving" if speed_mps <= DRIVE_MPS else "racing"
    if speed_mps > RACE_MPS:
        reach = "impossible"
    return Drive(reach=reach, camera=shot.camera, metres=metres, seconds=seconds)
