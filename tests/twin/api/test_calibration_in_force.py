"""What a camera's pixels are placed by is its last calibration at a time, else the site model."""

import msgspec
import pytest

from site_models.schema import CameraGeometry
from twin.events.codec import rfc3339, time_of
from twin.fold_state import SNAPSHOT_KIND, version_of
from twin.log.port import FoldCommit, Snapshot
from twin.projections.camera_calibrations import CameraCalibrations
from twin.rules.fold import Fold

URL = "/v1/sites/lot/cameras/left/calibration"
PAIRS = [{"pixel_px": [x, y], "ground_m": [0.22 * x, 0.11 * y]} for x, y in ((5, 5), (95, 5), (95, 95), (5, 95), (50, 40))]
SAVED = {"pairs": PAIRS, "model": "homography", "id": "c-1", "author": "ann", "reason": "nudged", "at": "2026-01-01T12:00:00Z"}

SAVED_AT, HOUR_US = time_of("at", SAVED["at"]), 3_600_000_000


async def test_without_a_calibration_it_is_the_site_models(serve, lot):
    async with serve() as running:
        told = (await running.http.get(URL)).json()
    (camera,) = [one for one in lot.cameras if one.id == "left"]
    assert msgspec.convert(told["geometry"], CameraGeometry) == camera.geometry
    assert (told["since_at"], told["level"], told["range_m"]) == (None, camera.level, camera.range_m)


async def test_a_calibration_holds_from_its_time_on_until_the_next(serve):
    later = {**SAVED, "id": "c-2", "at": "2026-01-01T13:00:00Z", "author": "bob"}
    async with serve() as running:
        for one in (later, SAVED):  # told in any order
            assert (await running.http.post(URL, json=one)).is_success
        last = (await running.http.get(URL)).json()
        assert (last["author"], last["since_at"]) == ("bob", "2026-01-01T13:00:00.000000Z")
        assert last["geometry"]["geometry"] == "homography"
        between = (await running.http.get(URL, params={"at": "2026-01-01T12:59:59Z"})).json()
        assert (between["author"], between["reason"]) == ("ann", "nudged")
        before = (await running.http.get(URL, params={"at": "2026-01-01T11:00:00Z"})).json()
        assert before["since_at"] is None


async def test_a_read_goes_on_where_the_last_one_ended(serve):
    async with serve() as running:
        assert (await running.http.get(URL)).json()["since_at"] is None
        await running.http.post(URL, json=SAVED)
        assert (await running.http.get(URL)).json()["author"] == "ann"


async def test_what_the_fold_has_kept_is_not_read_again(serve, lot):
    async with serve() as running:
        await running.http.post(URL, json=SAVED)
        (stored,) = await running.log.observations("lot", limit=10)
        fold = Fold(lot)
        state, _ = fold.step(fold.initial(), stored, None)
        token = await running.log.acquire("lot", "a test")
        await running.log.commit(FoldCommit(token=token, after=0, cursor=1))
        kept = Snapshot(site="lot", kind=SNAPSHOT_KIND, version=version_of(fold), position=1, at=0, body=fold.pack(state))
        await running.log.save_snapshot(kept)
        read = []

        class Watched:
            def __getattr__(self, name):
                if name == "observations":
                    read.append(name)
                return getattr(running.log, name)

        since, made = await CameraCalibrations(Watched(), lot).in_force("left")
        assert (rfc3339(since), made.author, read) == ("2026-01-01T12:00:00.000000Z", "ann", [])


async def test_what_retention_has_cut_is_known_by_the_anchor(serve, lot):
    async with serve() as running:
        assert (await running.http.get(URL)).json()["since_at"] is None
        await running.http.post(URL, json=SAVED)
        read = CameraCalibrations(running.log, lot)
        await read.in_force("left")
        await running.http.post(URL, json={**SAVED, "id": "c-2", "at": "2026-01-01T13:00:00Z", "author": "bob"})
        await running.http.post(URL, json={**SAVED, "id": "c-3", "at": "2026-01-01T14:00:00Z", "author": "eve"})
        fold = Fold(lot)
        state = fold.initial()
        for one in (await running.log.observations("lot", limit=10))[:2]:
            state, _ = fold.step(state, one, None)
        token = await running.log.acquire("lot", "a test")
        await running.log.commit(FoldCommit(token=token, after=0, cursor=3))
        await running.log.cut_observations("lot", until=2, version=version_of(fold), state=fold.pack(state))
        names = [(await read.in_force("left", since))[1].author for since in (SAVED_AT, SAVED_AT + HOUR_US, None)]
        assert names == ["ann", "bob", "eve"]


async def test_nothing_new_costs_a_look_at_the_logs_head_alone(serve, lot):
    async with serve() as running:
        await running.http.post(URL, json=SAVED)
        asked = []

        class Watched:
            def __getattr__(self, name):
                asked.append(name)
                return getattr(running.log, name)

        read = CameraCalibrations(Watched(), lot)
        assert [made.author for _, made in (await read.all())["left"]] == ["ann"]
        asked.clear()
        assert list(await read.all()) == ["left"]
        assert asked == ["heads"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [({"at": "noon"}, 422, "RFC 3339"), ({"when": "now"}, 422, "no parameter"), ({}, 404, "no camera 'roof'")],
)
async def test_what_cannot_be_asked_is_refused(serve, query, status, said):
    url = URL if query else URL.replace("left", "roof")
    async with serve() as running:
        answer = await running.http.get(url, params=query)
        assert answer.status_code == status
        assert said in answer.json()["detail"]
