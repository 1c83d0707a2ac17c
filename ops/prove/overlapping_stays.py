"""Facts of stays that overlap: each is opened and closed, then closed anew again and again."""

from __future__ import annotations

import random

from twin.events.envelope import FactEvent
from twin.events.facts import SessionClosed, SessionOpened
from twin.events.ids import PortalId, SessionId, VehicleId

from .workload import SITE

_SESSIONS, _STEPS = 8, 5


def overlapping_stays(draw: random.Random) -> list[FactEvent]:
    """Forty facts of eight stays, in any order of the stays."""
    payloads: list[SessionOpened | SessionClosed] = []
    steps = [number for number in range(_SESSIONS) for _ in range(_STEPS)]
    draw.shuffle(steps)
    for at, number in enumerate(steps):
        session, vehicle, portal = SessionId(f"s{number}"), VehicleId(f"v{number}"), PortalId("gate")
        if number not in steps[:at]:
            payloads.append(SessionOpened(session=session, vehicle=vehicle, portal=portal, entry_at=0, confidence=1.0))
        else:
            payloads.append(
                SessionClosed(session=session, vehicle=vehicle, portal=portal, entry_at=0, exit_at=at, confidence=1.0)
            )
    return [
        FactEvent(site=SITE, fold_version="1", cause=cause, ordinal=0, occurred_at=cause, payload=payload)
        for cause, payload in enumerate(payloads, 1)
    ]


def first_stay() -> FactEvent:
    """One fact: a stay is opened."""
    payload = SessionOpened(
        session=SessionId("s0"), vehicle=VehicleId("v0"), portal=PortalId("gate"), entry_at=0, confidence=1.0
    )
    return FactEvent(site=SITE, fold_version="1", cause=1, ordinal=0, occurred_at=1, payload=payload)
