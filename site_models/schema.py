"""What a site is. The site frame is metres, x east and y north turned by the datum's bearing, z up.

Coordinates are rounded to 0.1 mm when a site is loaded, so that every machine folds the same numbers.
"""

from __future__ import annotations

from typing import Literal, NewType

from msgspec import Struct

SiteId = NewType("SiteId", str)
LevelId = NewType("LevelId", str)
ZoneId = NewType("ZoneId", str)
StallId = NewType("StallId", str)
LaneId = NewType("LaneId", str)
PortalId = NewType("PortalId", str)
LandmarkId = NewType("LandmarkId", str)
CameraId = NewType("CameraId", str)
TariffId = NewType("TariffId", str)

Point = tuple[float, float]
Ring = tuple[Point, ...]  # counter-clockwise, first point not repeated
ZoneKind = Literal["parking", "lane", "gate", "road"]
PortalRole = Literal["boundary", "level", "blind", "count"]
PortalDirection = Literal["in", "out", "both"]
LandmarkKind = Literal["sign", "arrow", "lamp", "post", "marking", "other"]
ClockSource = Literal["ptp", "ntp", "stream", "file", "simulated", "unsynced"]
GateAnswer = Literal["open", "ask", "refuse"]
Unreachable = Literal["open", "closed"]


class Datum(Struct, frozen=True, kw_only=True):
    """The site frame's origin on WGS 84, and the compass bearing of its y axis."""

    latitude: float
    longitude: float
    bearing_deg: float = 0.0


class Level(Struct, frozen=True, kw_only=True):
    """One floor: a horizontal plane."""

    id: LevelId
    elevation_m: float = 0.0
    ring_m: Ring = ()  # its outline, where the map has one


class Zone(Struct, frozen=True, kw_only=True):
    """An area whose vehicles are counted. Zones of one level do not overlap."""

    id: ZoneId
    level: LevelId
    kind: ZoneKind
    ring_m: Ring


class Stall(Struct, frozen=True, kw_only=True):
    """Room for one parked vehicle, inside a zone."""

    id: StallId
    level: LevelId
    zone: ZoneId
    ring_m: Ring
    heading_deg: float  # counter-clockwise from x, of a vehicle parked nose-in


class Lane(Struct, frozen=True, kw_only=True):
    """A driving line, directed from its first to its last point."""

    id: LaneId
    level: LevelId
    line_m: tuple[Point, ...]
    width_m: float
    one_way: bool
    follows: tuple[LaneId, ...] = ()  # lanes that one may drive into from this lane's end


class Portal(Struct, frozen=True, kw_only=True):
    """A directed line that is crossed to enter or leave.

    Crossing from the right of the line (start to end) to its left is "in".
    Roles: ``boundary`` of the site (opens and closes sessions), ``level`` (a ramp to ``to_level``),
    ``blind`` (into an area that no camera sees; "in" enters it), ``count`` (only counted).

    Attributes:
        if_unreachable: of a boundary: what its gate does with whoever asks while the twin cannot be reached. None: it stays
            closed to who wants in, and opens to who wants out.
    """

    id: PortalId
    level: LevelId
    role: PortalRole
    direction: PortalDirection
    line_m: tuple[Point, Point]
    to_level: LevelId | None = None
    if_unreachable: Unreachable | None = None


class Landmark(Struct, frozen=True, kw_only=True):
    """A fixed thing at a known place: what people and localization orient by."""

    id: LandmarkId
    level: LevelId
    kind: LandmarkKind
    point_m: Point
    height_m: float = 0.0
    label: str = ""


class Obstacle(Struct, frozen=True, kw_only=True):
    """A wall (an open line with thickness) or a pillar (a ring); it hides what is behind it."""

    id: str
    level: LevelId
    kind: Literal["wall", "pillar"]
    outline_m: tuple[Point, ...]
    height_m: float
    thickness_m: float = 0.2


class Pinhole(Struct, frozen=True, kw_only=True, tag_field="geometry", tag="pinhole"):
    """A lens and a pose.

    Attributes:
        k: fx, fy, cx, cy in pixels.
        distortion: k1, k2, p1, p2, k3 in OpenCV's order.
        position_m: camera centre, site frame, z above the site datum.
        rotation: row-major 3x3, site frame to camera frame (x right, y down, z forward).
    """

    k: tuple[float, float, float, float]
    position_m: tuple[float, float, float]
    rotation: tuple[float, float, float, float, float, float, float, float, float]
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)


class GroundHomography(Struct, frozen=True, kw_only=True, tag_field="geometry", tag="homography"):
    """Pixels to ground by a plane projection; row-major 3x3, pixel to site-frame metres."""

    matrix: tuple[float, float, float, float, float, float, float, float, float]


CameraGeometry = Pinhole | GroundHomography


class Camera(Struct, frozen=True, kw_only=True):
    """A fixed camera, as configured; calibration events replace its geometry from their time on."""

    id: CameraId
    level: LevelId
    frame_px: tuple[int, int]  # width, height
    geometry: CameraGeometry
    sigma_m: float = 0.1  # standard deviation of the calibration's ground error
    range_m: float = 60.0  # farthest ground distance that is trusted
    fps: float = 10.0
    clock: ClockSource = "unsynced"
    region_px: tuple[Point, ...] = ()  # detections whose bottom centre lies outside are not used; empty: all are


class Tariff(Struct, frozen=True, kw_only=True):
    """What a stay costs: so much for each started step, by days of 24 hours counted from its entry.

    Amounts are integers in the currency's minor unit, such as cents.

    Attributes:
        from_us: stays that begin at or after this time have it, until a later one's; microseconds since 1970 UTC.
        currency: three letters of ISO 4217.
        grace_minutes: a stay that is no longer costs nothing; a longer one costs from its first minute.
        day_cap_minor: most that 24 hours cost; None: no such bound.
        max_minor: most that a stay costs; None: no such bound.
        exit_minutes: who has paid all that was due may leave within this time at no further cost.
    """

    id: TariffId
    version: int
    currency: str
    step_minutes: int
    price_minor: int
    from_us: int = 0
    grace_minutes: int = 0
    day_cap_minor: int | None = None
    max_minor: int | None = None
    exit_minutes: int = 15


class GateTerms(Struct, frozen=True, kw_only=True):
    """What the site's gates answer where what is known does not decide it.

    Attributes:
        capacity: vehicles that may be inside at once; None: it is never full.
        unknown_in, unknown_out: the answer to whoever cannot be told: nobody is seen, or more than one may be meant, or the
            cameras there are silent. Outwards never "refuse": nobody is locked in for what the twin does not know.
        valid_s: how long an answer holds, and how old a question may be.
    """

    capacity: int | None = None
    unknown_in: GateAnswer = "open"
    unknown_out: GateAnswer = "ask"
    valid_s: int = 15


class Site(Struct, frozen=True, kw_only=True):
    """A whole site; every collection is sorted by id, tariffs by the time from which they hold."""

    name: SiteId
    datum: Datum
    levels: tuple[Level, ...]
    zones: tuple[Zone, ...] = ()
    stalls: tuple[Stall, ...] = ()
    lanes: tuple[Lane, ...] = ()
    portals: tuple[Portal, ...] = ()
    landmarks: tuple[Landmark, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    cameras: tuple[Camera, ...] = ()
    tariffs: tuple[Tariff, ...] = ()
    gates: GateTerms = GateTerms()
