"""A site's map, and its single places: what a stall, a camera or a zone saw, and whose a plate is."""

from __future__ import annotations

from datetime import datetime
from typing import Unpack

from twin.client.connection import Connection
from twin.client.reads import Known, Moment, named, query_of
from twin.projections.site_answers import (
    CalibrationInForce,
    CameraTold,
    PlateFound,
    PlateView,
    SiteModel,
    StallTold,
    Visitors,
)


class Places:
    """Reads of a site's parts; each raises ServiceError where the service refuses."""

    _connection: Connection

    async def site_model(self) -> SiteModel:
        """The map that the service runs with, cameras with their footprints; metres in the site frame."""
        return await self._connection.read(SiteModel, "")

    async def stall(self, stall: str, *, limit: int | None = None, **moment: Unpack[Moment]) -> StallTold:
        """One stall at a moment, and the last ``limit`` facts of its past."""
        return await self._connection.read(StallTold, f"stalls/{named(stall)}", query_of(moment, limit=limit))

    async def camera(self, camera: str, *, limit: int | None = None, **moment: Unpack[Moment]) -> CameraTold:
        """One camera at a moment, and the last ``limit`` facts of its past."""
        return await self._connection.read(CameraTold, f"cameras/{named(camera)}", query_of(moment, limit=limit))

    async def calibration(self, camera: str, **moment: Unpack[Moment]) -> CalibrationInForce:
        """What a camera's pixels are placed by at a moment."""
        return await self._connection.read(CalibrationInForce, f"cameras/{named(camera)}/calibration", query_of(moment))

    async def visitors(self, zone: str, *, from_: str | datetime, until: str | datetime, **known: Unpack[Known]) -> Visitors:
        """Who was in a zone in a stretch of valid time."""
        query = query_of(known, from_=from_, until=until)
        return await self._connection.read(Visitors, f"zones/{named(zone)}/visitors", query)

    async def plate(self, session: str, **moment: Unpack[Moment]) -> PlateView:
        """The plate that a person set for a stay; takes scope ``operate``."""
        return await self._connection.read(PlateView, f"sessions/{named(session)}/plate", query_of(moment))

    async def stays_with_plate(self, plate: str, **moment: Unpack[Moment]) -> PlateFound:
        """Stays that are open, or not paid yet, with a plate that a person set; takes scope ``operate``."""
        return await self._connection.read(PlateFound, "plates", query_of(moment, plate=plate))
