"""What a site's twin knows against, and for, a vehicle's having been where the probe was seen: a few classes of each. Pure.

Each kind of evidence puts a vehicle into one class; what a class is worth, in nats, is learned (``retrieval.weights``). One of
which nothing is known is in the class that says so, never left out.
"""

from __future__ import annotations

from math import log
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


def presence(place: Place | None, first_at: Micros, last_at: Micros, at: Micros) -> Presence:
    """Where a vehicle was at a time, by the twin's state then; without one, by when it was seen first and last.

    Args:
        first_at, last_at: of one that nobody saw, the first is after the last.
    """
    if place is None:
        slack = round(SLACK_S * SECOND)
        if first_at > last_at:
            return "unknown"
        if at < first_at - slack:
            return "not_come"
        return "gone" if at > last_at + slack else "unknown"
    if place.is_seen:
        if place.to_view_m <= 0.0:
            return "in_view"
        return "beside_view" if place.to_view_m <= BESIDE_M else "elsewhere"
    lost_s = max(0.0, (at - place.seen_at) / SECOND)
    return "lost_near" if place.to_view_m <= BESIDE_M + DRIVE_MPS * lost_s else "lost_far"


def own_of(gap_s: float, is_itself: bool) -> Own:
    """How near in time the camera itself saw the vehicle: as somebody whom the probe is not, for it sees a vehicle once at a
    time; unless that view is so alike that it is the probe's own.

    Args:
        gap_s: to its nearest view; infinity without any.
        is_itself: whether one of the same moment is so alike.
    """
    if is_itself:
        return "itself"
    if gap_s <= SLACK_S:
        return "same_moment"
    if gap_s <= 15.0:
        return "seconds"
    return "minute" if gap_s <= 60.0 else "apart"


def kind_of(n_told: int, n_same: int) -> Kind:
    """Whether most of a vehicle's sightings are of the probe's kind, of those that have one."""
    return "unknown" if n_told == 0 else "same" if 2 * n_same >= n_told else "other"


def colour_nats(n_told: int, n_same: int) -> float:
    """Nats for one vehicle by how many of its sightings have the probe's colour: readers err in about a third of views."""
    if n_told == 0:
        return 0.0
    return max(-_MOST_COLOUR, min(_MOST_COLOUR, log((n_same + 0.5) / (n_told - n_same + 0.5))))


_MOST_COLOUR = 2.0
HARD: tuple[Reach, ...] = ("unknown", "standing", "driving", "racing", "impossible", "no_way")
"""Drives from the easiest on."""
