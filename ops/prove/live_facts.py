"""Facts of a busy site in no good order: late, long late, and superseded, so that a live feed has to read its present anew."""

from __future__ import annotations

import random
from typing import Any

from twin.events.envelope import FactEvent
from twin.events.facts import (
    CameraStateChanged,
    Fact,
    PortalCrossed,
    SessionClosed,
    SessionOpened,
    StallChanged,
    VehicleConfirmed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.ids import SessionId, VehicleId

from .site_day import PROOF_SITE, START_AT

_TICK_US = 100_000
_LATE_US = (*(0,) * 40, *(250_000,) * 5, 3_000_000, 40_000_000)
_SUPERSEDED, _FAR_BACK = 0.02, 20
_N_VEHICLES = 8
_LEVEL, _COVARIANCE = PROOF_SITE.levels[0].id, (0.04, 0.0, 0.04)


class Facts:
    """Makes them, one after another, each of a tick."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._made: list[FactEvent] = []

    def next(self, cause: int) -> FactEvent:
        """The fact of an observation."""
        draw = self._draw
        is_correction = self._made and draw.random() < _SUPERSEDED
        superseded = (draw.choice(self._made[-_FAR_BACK:]).id,) if is_correction else ()
        fact = FactEvent(
            site=PROOF_SITE.name,
            fold_version="proof",
            cause=cause,
            ordinal=0,
            occurred_at=START_AT + cause * _TICK_US - draw.choice(_LATE_US),
            payload=self._payload(),
            supersedes=superseded,
        )
        self._made.append(fact)
        return fact

    def _payload(self) -> Fact:
        draw = self._draw
        vehicle = VehicleId(f"v{draw.randrange(_N_VEHICLES)}")
        session, portal = SessionId(f"p{vehicle}"), draw.choice(PROOF_SITE.portals).id
        position_m = (round(draw.uniform(0.0, 40.0), 3), 3.0)
        zone = draw.choice((None, *(zone.id for zone in PROOF_SITE.zones)))
        at: dict[str, Any] = {"vehicle": vehicle, "level": _LEVEL, "position_m": position_m}
        stall = draw.choice(PROOF_SITE.stalls)
        made: tuple[Fact, ...] = (
            VehicleConfirmed(**at, kind="car", covariance_m2=_COVARIANCE, zone=zone),
            VehicleParked(**at, covariance_m2=_COVARIANCE, zone=stall.zone, stall=stall.id),
            VehicleHidden(**at, zone=zone),
            VehicleLeft(vehicle=vehicle, portal=portal),
            StallChanged(stall=stall.id, state=draw.choice(("free", "occupied", "unknown")), vehicle=vehicle),
            CameraStateChanged(camera=draw.choice(PROOF_SITE.cameras).id, state=draw.choice(("active", "idle"))),
            PortalCrossed(vehicle=vehicle, portal=portal, direction="in", position_m=position_m, speed_mps=2.0),
            SessionOpened(session=session, vehicle=vehicle, portal=portal, entry_at=START_AT, confidence=0.9),
            SessionClosed(
                session=session, vehicle=vehicle, portal=portal, confidence=0.9, entry_at=START_AT, exit_at=START_AT + 9
            ),
        )
        moved = VehicleMoved(**at, covariance_m2=_COVARIANCE, velocity_mps=(2.0, 0.0), zone=zone)
        return draw.choice((*made, *(moved,) * len(made)))
