"""The latest picture of each camera, in memory, and what is seen in it."""

import asyncio
import tempfile

import msgspec
import numpy as np
import pytest

from site_models.schema import GroundHomography
from twin.access.opened import open_to_all
from twin.api.picture_form import BOXES_BYTES
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import CameraCalibrated

URL = "/v1/sites/lot/cameras/left/picture"
AT = {"at": "2026-01-01T12:00:00Z"}
# One line of 100 x 100 px: its frame, its scan, some coded bytes, its end.
JPEG = bytes.fromhex("ffd8 ffc0000b08 0064 0064 01011100 ffda00080101003f00 010203 ffd9")


BOX = {"tracklet": "left:1:7", "kind": "car", "score": 0.9, "box_px": [10.0, 20.0, 30.0, 40.0]}


def form(*boxes, frame_px=(100, 100), jpeg=JPEG):
    """The parts of a picture with boxes, as an edge sends them."""
    seen = msgspec.json.encode({"frame_px": frame_px, "boxes": list(boxes)})
    return {"picture": ("p.jpg", jpeg, "image/jpeg"), "boxes": (None, seen, "application/json")}


async def told(running, **query):
    answer = await running.http.get("/v1/sites/lot/pictures", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def left(running):
    (one,) = (await told(running, camera="left"))["pictures"]
    return one


async def test_the_latest_picture_takes_the_place_of_the_one_before(serve):
    async with serve() as running:
        for body in (JPEG, JPEG + b"two"):
            assert (await running.http.put(URL, content=body, params=AT)).status_code == 204
        answer = await running.http.get(URL)
        assert (answer.content, answer.headers["content-type"]) == (JPEG + b"two", "image/jpeg")
        assert (answer.headers["cache-control"], answer.headers["x-taken-at"]) == ("no-store", AT["at"])
        assert (await running.log.heads("lot")).observations == 0


async def test_before_any_was_sent_there_is_none(serve):
    async with serve() as running:
        assert (await running.http.get(URL)).status_code == 204


@pytest.mark.parametrize(
    ("url", "body", "at", "status"),
    [
        (URL, b"GIF89a", AT, 422),
        (URL, JPEG[:4], AT, 422),
        (URL, JPEG[:-2], AT, 422),
        (URL, JPEG, {}, 422),
        (URL, JPEG, {"at": "noon"}, 422),
        (URL, JPEG + b"0" * 2_000_000, AT, 413),
        (URL.replace("left", "none"), JPEG, AT, 404),
    ],
)
async def test_what_is_no_picture_of_a_camera_here_is_refused(serve, url, body, at, status):
    async with serve() as running:
        assert (await running.http.put(url, content=body, params=at)).status_code == status
        assert (await running.http.get(URL)).status_code == 204


async def test_boxes_come_with_their_picture_and_go_with_it(serve):
    async with serve() as running:
        assert (await running.http.put(URL, files=form(BOX), params=AT)).status_code == 204
        assert (await running.http.get(URL)).content == JPEG
        one = await left(running)
        assert (one["taken_at"], one["frame_px"], one["level"]) == (AT["at"], [100, 100], "ground")
        (box,) = one["boxes"]
        assert {name: box[name] for name in BOX} == BOX
        later = {"at": "2026-01-01T12:00:01Z"}
        assert (await running.http.put(URL, content=JPEG, params=later)).status_code == 204
        assert (await left(running))["boxes"] is None
        assert (await running.log.heads("lot")).observations == 0


async def test_a_contact_point_is_the_middle_of_the_lower_edge_and_its_ground_is_told(serve):
    beyond = {**BOX, "tracklet": "left:1:8", "truncated": ["bottom"], "box_px": [0.0, 50.0, 20.0, 100.0]}
    async with serve() as running:
        await running.http.put(URL, files=form(BOX, beyond), params=AT)
        seen, cut = (await left(running))["boxes"]
        # 100 pixels are 22 m of ground across and 11 m along: (20, 40) px is (4.4, 4.4) m
        assert (seen["contact_px"], seen["contact_m"]) == ([20.0, 40.0], [4.4, 4.4])
        assert (cut["contact_px"], cut["contact_m"]) == (None, None)


async def test_a_box_has_the_name_of_the_vehicle_that_the_twin_has_for_its_tracklet(serve, story):
    events = story.events(story.confirmed(), story.assigned("v1", "left:1:7"), story.confirmed("v2"))
    async with serve(events) as running:
        await running.http.put(URL, files=form(BOX, {**BOX, "tracklet": "left:1:8"}), params=AT)
        assert [one["vehicle"] for one in (await left(running))["boxes"]] == ["v1", None]
        assert (await told(running))["position"] == "3"
        await story.add(running.log, [story.event(4, story.assigned("v2", "left:1:8"))])
        await until(running, lambda boxes: boxes[1]["vehicle"] == "v2")


async def until(running, is_so):
    """Wait for what facts make of the boxes."""
    async with asyncio.timeout(10):
        while not is_so((await left(running))["boxes"]):  # noqa: ASYNC110 - the feed has no event for a test
            await asyncio.sleep(0.01)


async def test_all_cameras_are_told_and_those_without_a_picture_say_so(serve):
    async with serve() as running:
        await running.http.put(URL, files=form(BOX), params=AT)
        answer = await told(running)
        assert [(one["camera"], one["taken_at"], one["received_at"] is None) for one in answer["pictures"]] == [
            ("left", AT["at"], False),
            ("right", None, True),
        ]
        assert answer["pictures"][0]["received_at"] <= answer["now"]
        assert (await running.http.get("/v1/sites/lot/pictures", params={"camera": "none"})).status_code == 404


async def test_a_picture_that_was_overtaken_is_refused_until_the_newer_one_is_old(serve):
    now = [1_767_268_800_000_000]
    async with serve(access=open_to_all(lambda: now[0])) as running:
        await running.http.put(URL, files=form(BOX), params=AT)
        old = {"at": "2026-01-01T11:59:59.9Z"}
        now[0] += 2_000_000
        refused = await running.http.put(URL, files=form(), params=old)
        assert refused.status_code == 409
        assert "came 2.0 s before this one" in refused.json()["detail"]
        assert len((await left(running))["boxes"]) == 1
        assert (await running.http.put(URL, files=form(BOX), params=AT)).status_code == 204  # a resend
        now[0] += 11_000_000  # the camera's clock was put back
        assert (await running.http.put(URL, files=form(), params=old)).status_code == 204
        assert (await left(running))["taken_at"] == old["at"]


async def test_a_picture_of_the_future_is_refused_but_not_one_of_a_clock_that_is_a_little_fast(serve):
    access = open_to_all(lambda: 1_767_268_800_000_000)  # 12:00:00
    async with serve(access=access) as running:
        assert (await running.http.put(URL, files=form(), params={"at": "2026-01-01T12:01:00Z"})).status_code == 204
        refused = await running.http.put(URL, files=form(BOX), params={"at": "2026-01-01T12:01:00.5Z"})
        assert refused.status_code == 409
        assert "60.5 s after the service's clock, which is 2026-01-01T12:00:00.000000Z" in refused.json()["detail"]
        never = await running.http.put(URL, content=JPEG, params={"at": "2999-01-01T00:00:00Z"})
        assert (never.status_code, (await left(running))["taken_at"]) == (409, "2026-01-01T12:01:00Z")


@pytest.mark.parametrize(
    ("parts", "status", "words"),
    [
        (form({**BOX, "score": 1.5}), 422, "score"),
        (form({**BOX, "box_px": [30, 20, 10, 40]}), 409, "has no area"),
        (form({**BOX, "kind": "boat"}), 422, "kind"),
        (form({**BOX, "name": "ann"}), 422, "name"),
        (form({**BOX, "tracklet": "a\u0007"}), 422, "tracklet"),
        (form(*[BOX] * 301), 422, "boxes"),
        (form(BOX, frame_px=(200, 100)), 409, "frame of 200x100"),
        (form(BOX, jpeg=b"GIF89a"), 409, "not a JPEG"),
        (form(BOX, jpeg=JPEG[:-2]), 409, "cut off"),
        ({"picture": form()["picture"]}, 422, "'boxes', each once"),
        (form() | {"picture": (None, JPEG, "image/jpeg")}, 422, "with a filename"),
        (form() | {"more": (None, b"1")}, 422, "each once"),
        (form() | {"boxes": (None, b"[" * 100_000)}, 422, "cannot be read"),
        (form() | {"boxes": (None, b" " * (BOXES_BYTES + 1))}, 422, "maximum size"),
        (form(jpeg=JPEG + b"0" * 3_000_000), 413, "limit"),
    ],
)
async def test_a_form_that_does_not_fit_is_refused_as_a_whole(serve, parts, status, words):
    async with serve() as running:
        await running.http.put(URL, files=form(BOX), params=AT)
        answer = await running.http.put(URL, files=parts, params={"at": "2026-01-01T12:00:05Z"})
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.json()["detail"]
        one = await left(running)
        assert (one["taken_at"], len(one["boxes"])) == (AT["at"], 1)


async def test_no_part_of_a_picture_is_ever_on_disk(serve, monkeypatch, tmp_path):
    async with serve() as running:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not-there"))
        large = JPEG + b"0" * 1_900_000
        assert (await running.http.put(URL, files=form(BOX, jpeg=large), params=AT)).status_code == 204
        assert (await running.http.get(URL)).content == large


async def test_a_form_that_is_none_is_refused(serve):
    async with serve() as running:
        for media in ("multipart/form-data", "multipart/form-data; boundary=x"):
            answer = await running.http.put(URL, content=b"nothing", params=AT, headers={"content-type": media})
            assert answer.status_code == 422


async def test_the_plan_is_where_the_camera_sees_it(serve):
    async with serve() as running:
        plan = (await running.http.get("/v1/sites/lot/cameras/left/plan")).json()
    assert (plan["calibrated_at"], plan["level"], plan["frame_px"]) == (None, "ground", [100, 100])
    (stall,) = (one for one in plan["lines"] if (one["kind"], one["id"]) == ("stall", "s1"))
    corners = np.array([(5, 6), (10, 6), (10, 11), (5, 11)]) / np.array([22, 11]) * 100
    drawn = np.array(stall["points_px"])
    assert all(np.abs(drawn - corner).max(axis=1).min() < 0.06 for corner in corners)


async def test_a_calibration_of_the_log_moves_plan_and_contacts_from_its_time_on(serve, story):
    shifted = CameraCalibrated(
        camera="left", level="ground", frame_px=(100, 100), sigma_m=0.1, range_m=500.0, author="ann", reason="a ladder",
        geometry=GroundHomography(matrix=(0.22, 0.0, 1.0, 0.0, 0.11, 0.0, 0.0, 0.0, 1.0)),
    )  # fmt: skip
    key = DeviceKey(device="desk", boot_epoch=1, sequence=1)
    async with serve() as running:
        await running.log.append([ObservationEvent(site="lot", key=key, occurred_at=story.noon, payload=shifted)])
        for at, begins_m, since in (("2026-01-01T11:59:50Z", 4.4, None), ("2026-01-01T12:00:05Z", 5.4, story.noon)):
            await running.http.put(URL, files=form(BOX), params={"at": at})
            one = await left(running)
            plan = (await running.http.get("/v1/sites/lot/cameras/left/plan")).json()
            assert one["boxes"][0]["contact_m"] == [begins_m, 4.4]
            assert one["calibrated_at"] == plan["calibrated_at"]
            assert (plan["author"], plan["calibrated_at"] is None) == ((None, True) if since is None else ("ann", False))
            (stall,) = (line for line in plan["lines"] if line["id"] == "s1")
            assert min(x for x, _ in stall["points_px"]) == pytest.approx((5 - (begins_m - 4.4)) / 0.22, abs=0.1)


def calibrated(story, sequence, **other):
    made = CameraCalibrated(
        camera="left", level="ground", frame_px=(100, 100), sigma_m=0.1, range_m=500.0, author="ann", reason="a ladder",
        geometry=GroundHomography(matrix=(0.22, 0.0, 1.0, 0.0, 0.11, 0.0, 0.0, 0.0, 1.0)),
    )  # fmt: skip
    key = DeviceKey(device="desk", boot_epoch=1, sequence=sequence)
    return ObservationEvent(site="lot", key=key, occurred_at=story.noon, payload=msgspec.structs.replace(made, **other))


@pytest.mark.parametrize("other", [{"author": "bob"}, {"reason": "a storm"}, {"frame_px": (80, 80)}])
async def test_a_plan_says_what_was_calibrated_last_also_of_one_time_and_geometry(serve, story, other):
    (what, said), plan = *other.items(), "/v1/sites/lot/cameras/left/plan"
    async with serve() as running:
        await running.log.append([calibrated(story, 1)])
        before = (await running.http.get(plan)).json()
        await running.log.append([calibrated(story, 2, **other)])
        after = (await running.http.get(plan)).json()
        assert (before["calibrated_at"], before["author"]) == (after["calibrated_at"], "ann")
        assert after[what] == (list(said) if what == "frame_px" else said)


async def test_a_box_has_no_place_by_a_calibration_of_frames_of_another_size(serve, story):
    async with serve() as running:
        await running.log.append([calibrated(story, 1, frame_px=(200, 200))])
        await running.http.put(URL, files=form(BOX), params=AT)
        (box,) = (await left(running))["boxes"]
        assert (box["contact_px"], box["contact_m"]) == ([20.0, 40.0], None)


async def test_who_may_not_read_is_told_nothing_and_who_may_not_ingest_puts_nothing(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        reads, sends = ({"authorization": f"Bearer {doors.key(one)}"} for one in ("read", "ingest"))
        assert (await running.http.put(URL, files=form(BOX), params=AT, headers=reads)).status_code == 403
        assert (await running.http.put(URL, files=form(BOX), params=AT, headers=sends)).status_code == 204
        for path in ("/v1/sites/lot/pictures", "/v1/sites/lot/cameras/left/plan", URL):
            assert (await running.http.get(path)).status_code == 401
            assert (await running.http.get(path, headers=sends)).status_code == 403
            assert (await running.http.get(path, headers=reads)).status_code == 200


async def test_who_watches_a_camera_is_recorded_once_a_minute(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        key, admin = doors.key("read", "ingest", name="desk"), doors.key("admin")
        shown = {"authorization": f"Bearer {key}"}
        for _ in range(5):
            await running.http.put(URL, files=form(BOX), params=AT, headers=shown)
            assert (await running.http.get(URL, headers=shown)).status_code == 200
            doors.later(1)
        asked = {"authorization": f"Bearer {admin}"}
        entries = (await running.http.get("/v1/sites/lot/audit", headers=asked)).json()["entries"]
        assert [(one["action"], one["subject"]) for one in entries] == [("picture", "cameras/left/picture")]
        doors.later(60)
        await running.http.get(URL, headers=shown)
        entries = (await running.http.get("/v1/sites/lot/audit", headers=asked)).json()["entries"]
        assert len(entries) == 2
