"""Reads of what was known once, from a service that runs on another map now."""

from msgspec.structs import replace

from twin.projections.timeline import EarlierMap, Timeline

READS = (
    "state",
    "vehicles",
    "vehicles/v1",
    "occupancy",
    "zones/row_a/visitors",
    "stalls/s1",
    "cameras/left",
    "cameras/left/calibration",
    "occupancy/series",
    "occupancy/turnover",
)
STRETCH = "&from=2026-01-01T11:59:00Z&until=2026-01-01T12:10:00Z"


async def told(running, known_at):
    asked = {}
    for path in READS:
        stretch = STRETCH if "visitors" in path or "occupancy/" in path else ""
        answer = await running.http.get(f"/v1/sites/lot/{path}?known_at={known_at}{stretch}")
        assert answer.status_code == 200, answer.text
        asked[path] = answer.content
    return asked


async def test_every_read_at_a_known_position_has_the_bytes_that_it_had(serve, lot, story):
    events = story.events(story.confirmed(), story.parked(), story.stall(), story.camera())
    moved = tuple(replace(one, sigma_m=one.sigma_m + 1.0) if one.id == "left" else one for one in lot.cameras)
    other = replace(lot, stalls=lot.stalls[4:], zones=tuple(one for one in lot.zones if one.id != "row_a"), cameras=moved)
    async with serve(events) as running:
        before = await told(running, 4)
        services = running.app.state.services
        services.sites["lot"] = other
        services.timelines["lot"] = Timeline(services.log, other, earlier=(EarlierMap(until=4, site=lot),))
        assert await told(running, 4) == before
        assert [one["stall"] for one in (await running.http.get("/v1/sites/lot/state")).json()["stalls"]] == [
            one.id for one in other.stalls
        ]
        assert (await running.http.get("/v1/sites/lot/stalls/s1")).status_code == 404
