"""What a camera's pixels are placed by is its last calibration at a time, else the site model."""

import msgspec
import pytest
from msgspec.structs import replace

from site_models.schema import CameraGeometry
from twin.errors import TooLarge
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


async def known(running, story, cursor, n_facts):
    """The fold has taken the log up to here, and concluded so many facts more."""
    heads = await running.log.heads("lot")
    token = await running.log.acquire("lot", "test")
    facts = [replace(story.event(cursor, story.confirmed()), ordinal=number) for number in range(n_facts)]
    await running.log.commit(FoldCommit(token=token, after=heads.cursor, cursor=cursor, facts=facts))


async def test_it_is_told_as_it_was_known_and_that_does_not_change(serve, story):
    async with serve() as running:
        await running.log.append([story.observation(1)])
        await known(running, story, 1, 1)
        await running.http.post(URL, json=SAVED)
        await known(running, story, 2, 1)
        await running.http.post(URL, json={**SAVED, "id": "c-2", "author": "bob"})

        async def author(**query):
            answer = await running.http.get(URL, params=query)
            assert answer.is_success, answer.text
            return answer.json()["author"]

        assert [await author(known_at=position) for position in ("0", "1", "2")] == [None, None, "ann"]
        assert await author() == "bob"  # of two of one time the later told
        assert await author(known_at="2", at="2026-01-01T11:00:00Z") is None
        stored = await running.log.observations("lot", limit=10)
        assert [await author(known_at=rfc3339(one.recorded_at)) for one in stored] == [None, "ann", "bob"]
        assert await author(known_at="2020-01-01T00:00:00Z") is None


async def test_as_known_it_begins_at_the_nearest_kept_state_and_reads_no_more_than_is_left(serve, lot, story, monkeypatch):
    async with serve() as running:
        await running.http.post(URL, json=SAVED)
        await running.log.append([story.observation(number) for number in range(2, 6)])
        monkeypatch.setattr("twin.projections.camera_calibrations._MOST_READ", 3)
        await known(running, story, 5, 1)
        fold = Fold(lot)
        (stored,) = await running.log.observations("lot", limit=1)
        state, _ = fold.step(fold.initial(), stored, None)
        read = CameraCalibrations(running.log, lot)
        read._known, read._read_to = {"left": ((SAVED_AT, stored.event.payload),)}, 5
        with pytest.raises(TooLarge, match="5 observations lie between"):
            await read.in_force_as_known("left", None, 5)
        kept = Snapshot(site="lot", kind=SNAPSHOT_KIND, version=version_of(fold), position=2, at=0, body=fold.pack(state))
        await running.log.save_snapshot(kept)
        assert (await read.in_force_as_known("left", None, 5))[1].author == "ann"


async def test_it_waits_for_what_its_reader_wrote(serve, story):
    async with serve() as running:
        await running.http.post(URL, json=SAVED)
        late = await running.http.get(URL, params={"wait_for": "1", "wait_s": "0.05"})
        assert (late.status_code, late.json()["type"]) == (409, "urn:twin:problem:not-yet")
        await known(running, story, 1, 0)
        assert (await running.http.get(URL, params={"wait_for": "1"})).json()["author"] == "ann"


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"at": "noon"}, 422, "RFC 3339"),
        ({"known_at": "noon"}, 422, "RFC 3339"),
        ({"known_at": "9"}, 404, "beyond the fact log's head 0"),
        ({"when": "now"}, 422, "no parameter"),
        ({}, 404, "no camera 'roof'"),
    ],
)
async def test_what_cannot_be_asked_is_refused(serve, query, status, said):
    url = URL if query else URL.replace("left", "roof")
    async with serve() as running:
        answer = await running.http.get(url, params=query)
        assert answer.status_code == status
        assert said in answer.json()["detail"]
