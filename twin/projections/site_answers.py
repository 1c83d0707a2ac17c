"""The shapes of answers about a site's map and its single places: stalls, cameras, zones, plates. Nothing heavy is imported."""

from __future__ import annotations

from msgspec import Struct

from site_models.schema import Camera, CameraGeometry, Site
from twin.events.facts import StallState
from twin.events.state import SeenState
from twin.projections.answers import CloudEvent
from twin.projections.sessions import SessionView


class StallTold(Struct, frozen=True, kw_only=True):
    """One stall at a moment, as ``StallView``, and its past until then: the last ``limit`` facts of it."""

    stall: str
    state: StallState
    vehicle: str | None
    since_at: str | None
    certainty: float | None
    history: list[CloudEvent]


class CameraTold(Struct, frozen=True, kw_only=True):
    """One camera at a moment, as ``CameraView``, and its past until then: the last ``limit`` facts of it."""

    camera: str
    state: SeenState
    since_at: str | None
    history: list[CloudEvent]


class VisitView(Struct, frozen=True, kw_only=True):
    """One stretch of time that a vehicle was in a zone.

    Attributes:
        entered_at: None where it was in it already when the time that was asked for began.
        left_at: None where it was still in it when that time ended.
    """

    vehicle: str
    entered_at: str | None
    left_at: str | None


class Visitors(Struct, frozen=True, kw_only=True):
    """Who was in a zone, as known at ``position``, in the order in which they came."""

    site: str
    zone: str
    position: str
    visits: list[VisitView]


class PlateView(Struct, frozen=True, kw_only=True):
    """The plate of a stay, who set it and when; ``decision`` is the observation that says so."""

    session: str
    plate: str
    author: str
    at: str
    decision: str


class PlateFound(Struct, frozen=True, kw_only=True):
    """Stays that are open, or not paid yet, with a plate that a person set."""

    site: str
    position: str
    sessions: list[SessionView]


class CameraModel(Camera, frozen=True, kw_only=True):
    """A camera with what it sees.

    Attributes:
        footprint_m: ring of the ground that it sees and that is trusted.
        position_m: its centre; None where only a homography is known.
    """

    footprint_m: list[tuple[float, float]]
    position_m: tuple[float, float, float] | None


class SiteModel(Site, frozen=True, kw_only=True):
    """A site as its model says.

    Attributes:
        extent_m: min x, min y, max x, max y of all that is drawn.
        cameras_by_stall: for each piece of a stall, the cameras that look at it; none where no camera sees the stall.
            A stall that is said to be free while none of a piece's cameras is active may have been taken since.
    """

    cameras: tuple[CameraModel, ...]  # type: ignore[assignment]
    cameras_by_stall: dict[str, list[list[str]]]
    extent_m: tuple[float, float, float, float]


class CalibrationInForce(Struct, frozen=True, kw_only=True):
    """What turns this camera's pixels into ground, and back.

    Attributes:
        level, elevation_m: whose ground, and how high that lies above the site's datum.
        since_at: from when on it holds; null: it is the site model's, of which nothing was calibrated.
    """

    camera: str
    level: str
    elevation_m: float
    frame_px: tuple[int, int]
    geometry: CameraGeometry
    sigma_m: float
    range_m: float
    since_at: str | None = None
    author: str | None = None
    reason: str | None = None
