"""A small site, and logs of facts about it, for everything that reads facts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from site_models.schema import Camera, Datum, GroundHomography, Lane, Level, Portal, Site, Stall, Zone
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import (
    CameraStateChanged,
    Fact,
    ObservationLate,
    PortalCrossed,
    SessionClosed,
    SessionOpened,
    SessionOrphaned,
    StallChanged,
    TrackletAssigned,
    VehicleConfirmed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.observations import FrameObserved
from twin.log.memory import MemoryLog
from twin.log.port import FencingToken, FoldCommit

NOON = 1_767_268_800_000_000
COVARIANCE = (0.04, 0.0, 0.04)


def box(x1: float, y1: float, x2: float, y2: float):
    return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def seeing(name: str, x: float, y: float, width: float, height: float) -> Camera:
    """A camera of 100 x 100 px that sees exactly this box of ground."""
    matrix = (width / 100, 0.0, x, 0.0, height / 100, y, 0.0, 0.0, 1.0)
    return Camera(id=name, level="ground", frame_px=(100, 100), geometry=GroundHomography(matrix=matrix), range_m=500.0)


@pytest.fixture(scope="session")
def lot() -> Site:
    """Aisle (0..40 x 0..6, one-way east), two rows of stalls above it, an exit road behind a gap no zone covers.

    Camera "left" sees x 0..22 of aisle and rows, "right" x 18..40; nothing sees the road.
    """
    return Site(
        name="lot",
        datum=Datum(latitude=48.0, longitude=11.0),
        levels=(Level(id="ground"),),
        zones=(
            Zone(id="aisle", level="ground", kind="lane", ring_m=box(0, 0, 40, 6)),
            Zone(id="road", level="ground", kind="road", ring_m=box(60, 0, 80, 6)),
            Zone(id="row_a", level="ground", kind="parking", ring_m=box(0, 6, 20, 11)),
            Zone(id="row_b", level="ground", kind="parking", ring_m=box(20, 6, 40, 11)),
        ),
        stalls=tuple(
            Stall(
                id=f"s{n}",
                level="ground",
                zone="row_a" if n < 4 else "row_b",
                ring_m=box(5 * n, 6, 5 * n + 5, 11),
                heading_deg=90,
            )
            for n in range(8)
        ),
        lanes=(Lane(id="east", level="ground", line_m=((1.0, 3.0), (79.0, 3.0)), width_m=3.0, one_way=True),),
        portals=(
            Portal(id="entry", level="ground", role="boundary", direction="in", line_m=((0.0, 6.0), (0.0, 0.0))),
            Portal(id="exit", level="ground", role="boundary", direction="out", line_m=((80.0, 0.0), (80.0, 6.0))),
        ),
        cameras=(seeing("left", 0, 0, 22, 11), seeing("right", 18, 0, 22, 11)),
    )


class Story:
    """Makes facts of the lot and logs of them."""

    noon = NOON

    def event(self, number: int, payload: Fact, *, at: int | None = None, supersedes: Sequence[str] = ()) -> FactEvent:
        """The fact caused by observation ``number``; ``at`` is seconds after noon."""
        return FactEvent(
            site="lot",
            fold_version="1",
            cause=number,
            ordinal=0,
            occurred_at=NOON + round((number * 0.1 if at is None else at) * 1_000_000),
            payload=payload,
            supersedes=tuple(supersedes),
        )

    def events(self, *payloads: Fact) -> list[FactEvent]:
        """Facts one second apart."""
        return [self.event(number, payload, at=number) for number, payload in enumerate(payloads, 1)]

    def confirmed(self, vehicle="v1", x=2.0, zone="aisle"):
        return VehicleConfirmed(
            vehicle=vehicle, kind="car", level="ground", position_m=(x, 3.0), covariance_m2=COVARIANCE, zone=zone
        )

    def moved(self, vehicle="v1", x=4.0, zone="aisle"):
        return VehicleMoved(
            vehicle=vehicle,
            level="ground",
            position_m=(x, 3.0),
            covariance_m2=COVARIANCE,
            velocity_mps=(2.5, 0.0),
            zone=zone,
        )

    def parked(self, vehicle="v1", stall="s1", zone="row_a"):
        return VehicleParked(
            vehicle=vehicle, level="ground", position_m=(7.5, 8.5), covariance_m2=COVARIANCE, zone=zone, stall=stall
        )

    def hidden(self, vehicle="v1", x=50.0, zone=None):
        return VehicleHidden(vehicle=vehicle, level="ground", position_m=(x, 3.0), zone=zone)

    def left(self, vehicle="v1"):
        return VehicleLeft(vehicle=vehicle, portal="exit")

    def assigned(self, vehicle="v1", tracklet="left/1", camera="left"):
        return TrackletAssigned(tracklet=tracklet, camera=camera, vehicle=vehicle)

    def crossed(self, vehicle="v1", portal="entry", direction="in"):
        return PortalCrossed(vehicle=vehicle, portal=portal, direction=direction, position_m=(0.0, 3.0), speed_mps=2.5)

    def stall(self, stall="s1", state="occupied", vehicle="v1"):
        return StallChanged(stall=stall, state=state, vehicle=vehicle)

    def camera(self, camera="left", state="active"):
        return CameraStateChanged(camera=camera, state=state)

    def opened(self, session="p1", vehicle="v1", at=1.0):
        entry_at = NOON + round(at * 1_000_000)
        return SessionOpened(session=session, vehicle=vehicle, portal="entry", entry_at=entry_at, confidence=0.9)

    def closed(self, session="p1", vehicle="v1", entry=1.0, exit=61.5):
        times = {"entry_at": NOON + round(entry * 1_000_000), "exit_at": NOON + round(exit * 1_000_000)}
        return SessionClosed(session=session, vehicle=vehicle, portal="exit", confidence=0.8, **times)

    def orphaned(self, session="p9", vehicle="v9", exit=5.0):
        return SessionOrphaned(session=session, vehicle=vehicle, portal="exit", exit_at=NOON + round(exit * 1_000_000))

    def late(self, camera="left"):
        return ObservationLate(camera=camera, observation="o1", late_by_us=5)

    def any(self, rows: Sequence[tuple[int, int, int, int]]) -> list[FactEvent]:
        """Any facts at all: a row is what, about which, how late, and how far back is what it supersedes (0: nothing)."""
        events: list[FactEvent] = []
        for number, (what, which, late, back) in enumerate(rows, 1):
            supersedes = [events[-back].id] if 0 < back <= len(events) else []
            at = number * 0.1 - (0.0, 0.0, 0.0, 0.25, 3.0, 40.0)[late % 6]
            events.append(self.event(number, self._payload(what, which, number), at=at, supersedes=supersedes))
        return events

    def _payload(self, what: int, which: int, number: int) -> Fact:
        vehicle, x = f"v{which % 5}", float(number % 80)
        makers = (
            lambda: self.moved(vehicle, x, ("aisle", "road", None)[which % 3]),
            lambda: self.confirmed(vehicle, x),
            lambda: self.moved(vehicle, x + 0.5, "row_b"),
            lambda: self.parked(vehicle, f"s{which % 8}", "row_a" if which % 8 < 4 else "row_b"),
            lambda: self.hidden(vehicle, x),
            lambda: self.left(vehicle),
            lambda: self.assigned(vehicle, f"t{which}"),
            lambda: self.crossed(vehicle, *(("entry", "in"), ("exit", "out"), ("nowhere", "in"))[which % 3]),
            lambda: self.stall(f"s{which % 10}", ("free", "occupied", "unknown")[number % 3], vehicle),
            lambda: self.camera(("left", "right", "none")[which % 3], ("active", "idle")[number % 2]),
            lambda: self.opened(f"p{which}", vehicle, number * 0.1),
            lambda: self.closed(f"p{which}", vehicle, 0.0, number * 0.1),
            lambda: self.orphaned(f"p{which}", vehicle),
            self.late,
        )
        return makers[what % len(makers)]()

    def observation(self, number: int, device: str = "cam-1") -> ObservationEvent:
        """A frame without vehicles."""
        return ObservationEvent(
            site="lot",
            key=DeviceKey(device=device, boot_epoch=1, sequence=number),
            occurred_at=NOON + number * 100_000,
            payload=FrameObserved(camera="left", frame_px=(100, 100), detector="d1", clock="ntp"),
        )

    async def log(self, events: Sequence[FactEvent] = ()) -> MemoryLog:
        """A log that holds these facts."""
        log = MemoryLog()
        await self.add(log, events)
        return log

    async def add(self, log: MemoryLog, events: Sequence[FactEvent]) -> None:
        """Commit more facts, with as many observations as they need."""
        if not events:
            return
        heads = await log.heads("lot")
        cursor = max(heads.observations, *(event.cause for event in events))
        numbers = range(heads.observations + 1, cursor + 1)
        if numbers:
            await log.append([self.observation(number) for number in numbers])
        token: FencingToken = await log.acquire("lot", "test")
        await log.commit(FoldCommit(token=token, after=heads.cursor, cursor=cursor, facts=tuple(events)))


@pytest.fixture(scope="session")
def story() -> Story:
    return Story()
