"""The shapes of answers that no projection owns; those about a site are in ``twin.projections.answers``."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

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


class CropStored(Struct, frozen=True, kw_only=True):
    """A picture is kept under this id."""

    crop: str


class Health(Struct, frozen=True, kw_only=True):
    """``ok``, or ``failing`` with what is wrong; by the name of the check."""

    status: Literal["ok", "failing"]
    checks: dict[str, str]
