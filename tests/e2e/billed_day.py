"""A day of a small car park, seeded, in which the twin takes one vehicle for another; run as a script it writes the day's log.

``python billed_day.py FOLDER`` writes ``site/``, ``var/`` (a log that nobody has folded yet) and ``pictures/``. They are drawn:
each vehicle's in a colour of its own, as far as its view can be told from others'.
"""

from __future__ import annotations

import asyncio
import colorsys
import hashlib
import io
import sys
from pathlib import Path

import httpx2
import numpy as np
from msgspec.structs import replace
from PIL import Image, ImageDraw

SEED = 11
SITE = "proof_site"
WRONG = {"session": "s-9aa612128c43af", "vehicle": "v-ef6cb424cb8b13", "merged": "v-a83b01786241d6"}
"""The stay of two vehicles: a hatchback drove in, and an SUV drove out under its name (``visits`` of the simulation)."""
SECONDS = 300


def write_day(folder: Path) -> None:
    """Simulate the day and append it to a log."""
    from ops.prove.site_day import BUSY, PROOF_SITE, START_AT
    from perception.synthetic.looks import Looks
    from perception.synthetic.profiles import HARSH
    from perception.synthetic.simulate import Simulation
    from site_models.dump import dump_site
    from site_models.schema import Tariff, TariffId
    from twin.evaluation.offline import with_clock
    from twin.events.ids import SECOND

    tariff = Tariff(id=TariffId("public"), version=1, currency="EUR", step_minutes=1, price_minor=50, day_cap_minor=1200)
    site = replace(PROOF_SITE, tariffs=(tariff,))
    dump_site(site, folder / "site")
    demand = replace(BUSY, arrivals_per_h=150.0, stay_median_s=60.0)
    simulation = Simulation(site, SEED, HARSH, START_AT, demand=demand, ticks=False)
    steps = list(simulation.steps(START_AT + SECONDS * SECOND))
    arrived = [event for step in steps for _, event in step.arrivals]
    there = {state.vehicle.id: state.vehicle for step in steps for frame in step.truth for state in frame.vehicles}
    looks = Looks(SEED, 0.0)
    clean = np.array([_numbers(looks.embedding(vehicle, "", "", 0)) for vehicle in there.values()])
    pictures = folder / "pictures"
    pictures.mkdir()
    events = [_filmed(event, pictures, clean) for event in with_clock(arrived, site.name)]
    asyncio.run(_append(folder / "var", events))


def keep_pictures(folder: Path, origin: str) -> None:
    """Give the day's pictures to a service."""
    for path in sorted((folder / "pictures").iterdir()):
        tracklet, body = path.stem, path.read_bytes()
        crop = hashlib.sha256(body).hexdigest()
        url = f"{origin}/v1/sites/{SITE}/crops/{crop}"
        httpx2.put(url, params={"tracklet": tracklet}, content=body, timeout=30).raise_for_status()


async def _append(data_dir: Path, events: list) -> None:
    from twin.opened_logs import opened_logs
    from twin.settings import Settings

    async with opened_logs(Settings(data_dir=data_dir)) as logs:
        for first in range(0, len(events), 500):
            await logs.log.append(events[first : first + 500])


def _filmed(event, pictures: Path, clean: np.ndarray):
    """The event, with a picture where it is a view of a tracklet: the same for each of its views.

    Args:
        clean: (V, E) how each vehicle looks without noise.
    """
    from twin.events.observations import TrackletEmbedded

    payload = event.payload
    if not isinstance(payload, TrackletEmbedded) or payload.personal is None:
        return event
    path = pictures / f"{payload.tracklet}.jpg"
    if not path.exists():
        path.write_bytes(_picture(int((clean @ _numbers(payload.personal.embedding)).argmax())))
    crop = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(event, payload=replace(payload, personal=replace(payload.personal, crop=crop)))


def _numbers(embedding: bytes) -> np.ndarray:
    return np.frombuffer(embedding, np.int8).astype(float)


def _picture(vehicle: int) -> bytes:
    hue = vehicle * 0.618 % 1.0  # far from that of the one before
    paint = tuple(round(255 * one) for one in colorsys.hsv_to_rgb(hue, 0.65, 0.85 - 0.3 * (vehicle % 3 == 2)))
    image = Image.new("RGB", (118, 84), (112, 118, 124))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((16, 34, 102, 62), 9, fill=paint)
    draw.polygon([(34, 36), (44, 20), (78, 20), (90, 36)], fill=paint)
    draw.polygon([(42, 34), (49, 24), (74, 24), (82, 34)], fill=(40, 52, 64))
    for x in (36, 84):
        draw.ellipse((x - 9, 54, x + 9, 72), fill=(24, 26, 30))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()


if __name__ == "__main__":
    write_day(Path(sys.argv[1]))
