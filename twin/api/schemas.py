"""The shapes of answers that no projection owns; those about a site are in ``twin.projections.answers``."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from site_models.schema import Camera, Site
from twin.projections.answers import CloudEvent as CloudEvent
from twin.projections.answers import Facts as Facts
from twin.projections.answers import Ledger as Ledger
from twin.projections.answers import Receipts as Receipts
from twin.projections.answers import ReceiptView as ReceiptView
from twin.projections.answers import Sessions as Sessions
from twin.projections.answers import Vehicles as Vehicles
from twin.projections.answers import VehicleTold as VehicleTold


class Sites(Struct, frozen=True, kw_only=True):
    """Names of the sites served."""

    sites: list[str]


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


class CropStored(Struct, frozen=True, kw_only=True):
    """A picture is kept under this id."""

    crop: str


class Health(Struct, frozen=True, kw_only=True):
    """``ok``, or ``failing`` with what is wrong; by the name of the check."""

    status: Literal["ok", "failing"]
    checks: dict[str, str]
