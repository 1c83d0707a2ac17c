"""A street of three cameras, cars of plain colours that were seen on it, and the service's routes over a log of them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette

from perception.embed import ColourEmbedder
from retrieval.opened import SearchModels, SearchParts, open_search
from site_models.schema import Camera, Datum, GroundHomography, Lane, Level, Site, Zone
from twin.api.problem import on_twin_error
from twin.errors import TwinError
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import TrackletAssigned
from twin.events.ids import fact_id
from twin.events.observations import ClockTicked, Personal, TrackletEmbedded
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import FencingToken, FoldCommit
from twin.log.sealing import SealingLog
from twin.projections.timeline import Timeline

NOON = 1_767_268_800_000_000
SECOND = 1_000_000
COLOURS = {"red": (200, 20, 20), "green": (20, 160, 40), "blue": (30, 40, 200), "white": (235, 235, 235)}


def box(x1: float, y1: float, x2: float, y2: float):
    return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def seeing(name: str, x: float) -> Camera:
    """A camera of 100 x 100 px that sees 10 x 10 m of the street from ``x`` on."""
    matrix = (0.1, 0.0, x, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0)
    return Camera(id=name, level="ground", frame_px=(100, 100), geometry=GroundHomography(matrix=matrix), range_m=500.0)


@pytest.fixture(scope="session")
def street() -> Site:
    """400 m, one way from west to east in two zones; cameras west (0 m), middle (200 m), east (390 m)."""
    return Site(
        name="street",
        datum=Datum(latitude=48.0, longitude=11.0),
        levels=(Level(id="ground"),),
        zones=(
            Zone(id="first", level="ground", kind="road", ring_m=box(0, 0, 100, 10)),
            Zone(id="second", level="ground", kind="road", ring_m=box(100, 0, 300, 10)),
            Zone(id="third", level="ground", kind="road", ring_m=box(300, 0, 400, 10)),
        ),
        lanes=(Lane(id="east", level="ground", line_m=((1.0, 5.0), (399.0, 5.0)), width_m=3.0, one_way=True),),
        cameras=(seeing("east", 390), seeing("middle", 200), seeing("west", 0)),
    )


def car(colour: str, shade: int = 0) -> np.ndarray:
    """(60, 90, 3) RGB: a car of a colour on asphalt, a little different for each shade."""
    pixels = np.full((60, 90, 3), 110 + shade, np.uint8)
    pixels[14:50, 12:78] = np.clip(np.array(COLOURS[colour]) + shade, 0, 255)
    pixels[16:26, 28:62] = 40
    return pixels


@dataclass
class Street:
    """What was seen: a log of sealed observations, and facts of who it was."""

    memory: MemoryLog = field(default_factory=MemoryLog)
    keys: MemoryKeyRing = field(default_factory=MemoryKeyRing)
    sequence: int = 0
    token: FencingToken | None = None

    @property
    def log(self) -> SealingLog:
        return SealingLog(self.memory, self.keys)

    def view(self, tracklet: str, colour: str, camera: str, at_s: float, **given: Any) -> ObservationEvent:
        self.sequence += 1
        embedding = ColourEmbedder().embed(np.ascontiguousarray(car(colour, given.pop("shade", 0))[:, :, ::-1]))
        seen = {"embedder": "colour-128@1", "quality": 0.8, "kind": "car", "box_px": (0.0, 0.0, 90.0, 60.0)} | given
        payload = TrackletEmbedded(
            camera=camera, tracklet=tracklet, personal=Personal(embedding=embedding, crop=f"{self.sequence:064x}"), **seen
        )
        return self._observed(camera, at_s, payload)

    def tick(self, at_s: float) -> ObservationEvent:
        self.sequence += 1
        return self._observed("twin-worker", at_s, ClockTicked(worker="w"))

    def _observed(self, device: str, at_s: float, payload: Any) -> ObservationEvent:
        key = DeviceKey(device=device, boot_epoch=1, sequence=self.sequence)
        return ObservationEvent(site="street", key=key, occurred_at=NOON + round(at_s * SECOND), payload=payload)

    async def assign(self, tracklet: str, vehicle: str, at_s: float = 0, supersedes: Sequence[str] = ()) -> str:
        """Returns the fact's id."""
        self.token = self.token or await self.memory.acquire("street", "w")
        heads = await self.memory.heads("street")
        before = heads.cursor
        if before == heads.observations:
            await self.log.append([self.tick(at_s)])
        fact = FactEvent(
            site="street",
            fold_version="f1",
            cause=before + 1,
            ordinal=0,
            occurred_at=NOON + round(at_s * SECOND),
            payload=TrackletAssigned(tracklet=tracklet, camera="west", vehicle=vehicle),
            supersedes=tuple(supersedes),
        )
        await self.memory.commit(FoldCommit(token=self.token, after=before, cursor=before + 1, facts=(fact,)))
        return fact_id("street", "f1", before + 1, 0)


@dataclass
class Searching:
    """The running routes, and the loop that fills the index."""

    parts: SearchParts
    http: httpx2.AsyncClient

    async def caught_up(self, log: MemoryLog) -> None:
        """Follow the log until its head is in the index."""
        head = (await log.heads("street")).observations
        following = asyncio.create_task(self.parts.follow("street"))
        try:
            async with asyncio.timeout(10):
                while not following.done() and await self.cursor() < head:  # noqa: ASYNC110  the product has no such event
                    await asyncio.sleep(0.005)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def cursor(self) -> int:
        return await self.parts.followers["street"].cursor()

    async def hits(self, picture: bytes | None = None, **query: Any) -> list[dict[str, Any]]:
        answer = await self.ask(picture, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["hits"]

    async def ask(self, picture: bytes | None = None, **query: Any) -> httpx2.Response:
        path = "/v1/sites/street/search"
        if picture is None:
            return await self.http.get(path, params=query)
        return await self.http.post(path, params=query, content=picture, headers={"content-type": "image/png"})


@pytest.fixture
def seen() -> Street:
    return Street()


@pytest.fixture
def picture():
    """``picture("red")``: a PNG of a car of that colour."""

    def encoded(colour: str, shade: int = 5) -> bytes:
        file = io.BytesIO()
        Image.fromarray(car(colour, shade)).save(file, "PNG")
        return file.getvalue()

    return encoded


@pytest.fixture
def searching(street, tmp_path: Path):
    """``async with searching(log, keys) as search``; the index stays in one folder for the whole test."""

    @asynccontextmanager
    async def opened(log, keys, embedders=None, finder=None):
        models = SearchModels(embedders=[ColourEmbedder()] if embedders is None else embedders, finder=finder)
        async with open_search(tmp_path / "search", log, keys, {"street": Timeline(log, street)}, models) as parts:
            app = Starlette(routes=parts.routes, exception_handlers={TwinError: on_twin_error})
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://twin") as http:
                yield Searching(parts=parts, http=http)

    return opened
