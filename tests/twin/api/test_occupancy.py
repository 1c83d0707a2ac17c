"""How a site was used, over HTTP: the same as CSV, at any knowledge."""

import csv
import io

import pytest

from site_models.schema import GroundHomography
from twin.api.csv_file import csv_text
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import CameraCalibrated
from twin.projections import series as series_module

URL = "/v1/sites/lot/occupancy"


def at(second):
    return f"2026-01-01T12:{second // 60:02d}:{second % 60:02d}Z"


def a_while(story):
    """s1 is free, taken from 10 to 70 s, and free again; one stay of a minute; known later: it was taken from 30 s on."""
    wrong = story.event(6, story.stall("s1"), at=10)
    return [
        story.event(1, story.camera("left"), at=0),
        story.event(2, story.camera("right"), at=0),
        story.event(3, story.opened("p1", "v1", at=5), at=5),
        story.event(4, story.confirmed("v1"), at=5),
        story.event(5, story.stall("s1", "free", None), at=5),
        wrong,
        story.event(7, story.stall("s1", "free", None), at=70),
        story.event(8, story.closed("p1", "v1", 5.0, 75.0), at=75),
        story.event(9, story.stall("s1"), at=30, supersedes=[wrong.id]),
    ]


async def get(running, path, status=200, **query):
    given = {"from": at(0), "until": at(100), **{name.rstrip("_"): value for name, value in query.items()}}
    answer = await running.http.get(f"{URL}/{path}", params=given)
    assert answer.status_code == status, answer.text
    return answer


async def test_turnover_is_told_as_it_was_known(serve, story):
    async with serve(a_while(story)) as running:
        for known_at, length, occupied_s in ((8, 60.0, 60.0), (9, 40.0, 40.0)):
            told = (await get(running, "turnover", known_at=known_at)).json()
            assert (told["position"], told["from_at"]) == (str(known_at), "2026-01-01T12:00:00.000000Z")
            row_a, row_b = told["zones"]
            assert (row_a["zone"], row_a["n_arrivals"], row_a["occupied_s"]) == ("row_a", 1, occupied_s)
            assert (row_a["parkings"]["n"], row_a["parkings"]["median_s"]) == (1, length)
            assert (row_b["zone"], row_b["known_s"], row_b["turnover_per_stall_h"]) == ("row_b", 0.0, None)
            assert (told["stays"]["n_entries"], told["stays"]["n_exits"]) == (1, 1)
            assert told["stays"]["lengths"]["p95_s"] == 70.0


async def test_files_say_what_the_answers_say(serve, story):
    async with serve(a_while(story)) as running:

        async def rows(path, **query):
            answer = await get(running, path, **query)
            assert answer.headers["content-type"] == "text/csv; charset=utf-8"
            assert answer.headers["content-disposition"].startswith('attachment; filename="lot-')
            return list(csv.DictReader(io.StringIO(answer.text)))

        points = (await get(running, "series", step_s=20)).json()["points"]
        told = [
            {"at": one["at"], **{name: str(value) for name, value in zone.items()}} for one in points for zone in one["zones"]
        ]
        assert await rows("series.csv", step_s=20) == told
        turnover = (await get(running, "turnover")).json()
        found = await rows("turnover.csv")
        assert [float(one["free_s"]) for one in found] == [one["free_s"] for one in turnover["zones"]]
        assert [one["median_s"] for one in found] == ["40.0", ""]
        bins = await rows("lengths.csv", zone="row_a")
        assert [(one["zone"], one["from_s"]) for one in bins if one["n"] == "1"] == [
            ("(stays on the site)", "60"),
            ("row_a", "0"),
        ]
        (stay,) = await rows("stays.csv")
        assert (stay["session"], stay["duration_s"], stay["amount_minor"]) == ("p1", "70.0", "")
        assert await rows("stays.csv", from_=at(80)) == []


def looking(story, camera, x, width):
    """A camera that was calibrated at 85 s: from then on it sees so much of the ground."""
    made = CameraCalibrated(
        camera=camera, level="ground", frame_px=(100, 100), sigma_m=0.1, range_m=500.0,
        geometry=GroundHomography(matrix=(width / 100, 0.0, x, 0.0, 0.11, 0.0, 0.0, 0.0, 1.0)),
    )  # fmt: skip
    key = DeviceKey(device=f"desk-{camera}", boot_epoch=1, sequence=1)
    return ObservationEvent(site="lot", key=key, occurred_at=story.noon + 85_000_000, payload=made)


async def test_who_looks_at_a_stall_is_told_by_the_calibrations_that_hold_at_the_end(serve, story):
    async with serve([*a_while(story), story.event(10, story.camera("right", "idle"), at=80)]) as running:

        async def told(until):
            (point,) = (await get(running, "series", from_=at(82), until=at(until), step_s=60, zone="row_a")).json()["points"]
            turnover = (await get(running, "turnover", from_=at(82), until=at(until), zone="row_a")).json()["zones"][0]
            assert turnover["free_s"] == point["zones"][0]["n_free"] * (until - 82)
            return point["zones"][0]["n_free"]

        assert [await told(until) for until in (84, 86)] == [1, 1]
        await running.log.append([looking(story, "left", 100, 22), looking(story, "right", 0, 40)])
        assert [await told(until) for until in (84, 86)] == [1, 0]  # "right" looks at row_a now, and it is lost


async def test_what_cannot_be_is_refused(serve, story):
    async with serve(a_while(story)) as running:
        assert "is not before until" in (await get(running, "stays.csv", 409, from_=at(101))).json()["detail"]
        for path in ("turnover", "turnover.csv", "lengths.csv"):
            assert "is not before until" in (await get(running, path, 409, from_=at(100))).json()["detail"]
            assert "has no zone" in (await get(running, path, 404, zone="roof")).json()["detail"]
        assert "86401 steps" in (await get(running, "series.csv", 409, until="2026-01-02T12:00:00Z", step_s=1)).json()["detail"]
        assert (await get(running, "stays.csv", 422, zone="row_a")).json()["detail"].startswith("'zone' is no parameter")


async def test_more_counts_than_one_answer_may_have_are_refused(serve, story, monkeypatch):
    monkeypatch.setattr(series_module, "MOST_COUNTS", 20)
    async with serve(a_while(story)) as running:
        for path in ("series", "series.csv"):
            detail = (await get(running, path, 413, step_s=10)).json()["detail"]
            assert detail.startswith("11 steps of 4 zones are more than 20 counts")
            assert (await get(running, path, step_s=10, zone="row_a")).is_success


@pytest.mark.parametrize(
    ("value", "written"),
    [("=1+1", "'=1+1"), ("-2", "'-2"), (-2, "-2"), ('x,"y"', '"x,""y"""'), (None, ""), ("two\nlines", '"two\nlines"')],
)
def test_a_cell_that_a_spreadsheet_would_run_is_text(value, written):
    assert csv_text(("a", "b"), [(value, 1)]) == f"a,b\r\n{written},1\r\n"
