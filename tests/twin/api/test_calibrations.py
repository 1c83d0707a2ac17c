"""Marks in, calibrations out; saved ones are observations, once."""

import numpy as np
import pytest
from msgspec.structs import replace

from site_models.load import PACKAGED, load_site
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import CameraCalibrated
from twin.spatial.camera import GroundCamera

URL = "/v1/sites/lot/cameras/left/calibration"
# Camera "left" of the lot sees x 0..22 and y 0..11 in 100 x 100 px: 0.22 m and 0.11 m a pixel.
PAIRS = [
    {"pixel_px": [x, y], "ground_m": [0.22 * x, 0.11 * y]}
    for x, y in ((5, 5), (95, 5), (95, 95), (5, 95), (50, 40), (30, 70), (70, 20), (60, 80))
]
MARKS = {"pairs": PAIRS, "model": "homography"}
SAVED = {**MARKS, "id": "c-1", "author": "ann", "reason": "nudged by a ladder", "at": "2026-01-01T12:00:00Z"}


async def test_trying_tells_how_well_each_pair_fits_and_keeps_nothing(serve):
    async with serve() as running:
        told = (await running.http.post(f"{URL}/try", json=MARKS)).json()
        assert told["calibration"]["rms_px"] < 0.01
        assert len(told["calibration"]["pairs"]) == 8
        assert told["calibration"]["geometry"]["geometry"] == "homography"
        assert (await running.log.heads("lot")).observations == 0


async def test_trying_draws_the_plan_as_the_camera_sees_it(serve):
    async with serve() as running:
        told = (await running.http.post(f"{URL}/try", json=MARKS)).json()
        (stall,) = [one for one in told["plan_px"] if one["id"] == "s0"]
        # Stall s0 is x 0..5, y 6..11: pixels 0..22.7 and 54.5..100.
        xs, ys = zip(*stall["points_px"], strict=True)
        assert max(xs) == pytest.approx(5 / 0.22, abs=0.2)
        assert min(ys) == pytest.approx(6 / 0.11, abs=0.2)


async def test_too_few_pairs_are_an_answer_in_words(serve):
    async with serve() as running:
        answer = await running.http.post(f"{URL}/try", json={"pairs": PAIRS[:2]})
        told = answer.json()
        assert (answer.status_code, told["calibration"], told["plan_px"]) == (200, None, [])
        assert told["remarks"][0]["code"] == "too_few"


async def test_a_calibration_is_stored_once_with_who_made_it_and_why(serve):
    async with serve() as running:
        first, again = [(await running.http.post(URL, json=SAVED)).json() for _ in range(2)]
        assert (first["outcome"], again["outcome"]) == ("stored", "duplicate")
        (stored,) = await running.log.observations("lot", limit=10)
        payload = stored.event.payload
        assert isinstance(payload, CameraCalibrated)
        assert (payload.camera, payload.author, payload.reason) == ("left", "ann", "nudged by a ladder")
        assert stored.event.occurred_at == 1_767_268_800_000_000
        ground = GroundCamera(payload.geometry, (100, 100), range_m=500.0).to_ground(np.array([[50.0, 50.0]]), np.ones((1, 2)))
        assert ground.points_m[0] == pytest.approx((11.0, 5.5), abs=0.01)


async def test_other_marks_under_the_same_id_are_refused(serve):
    async with serve() as running:
        await running.http.post(URL, json=SAVED)
        answer = await running.http.post(URL, json={**SAVED, "reason": "another"})
        assert answer.status_code == 409
        assert (await running.log.heads("lot")).observations == 1


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"pairs": PAIRS[:3]}, 409, "needs at least 4"),
        ({"pairs": PAIRS * 13}, 422, "pairs"),
        ({"lens": "keep"}, 409, "no lens to keep"),
        ({"level": "roof"}, 404, "no level 'roof'"),
        ({"reason": ""}, 422, "reason"),
        ({"at": "noon"}, 422, "RFC 3339"),
        ({"pairs": [{"pixel_px": [1, 2], "ground_m": [1e9, 0]}]}, 422, "ground_m[0]"),
        ({"lines_px": [[[1, 2], [3, 4]]]}, 422, "lines_px[0]"),
        ({"colour": "red"}, 422, "colour"),
    ],
)
async def test_what_cannot_be_calibrated_from_is_refused(serve, change, status, said):
    async with serve() as running:
        answer = await running.http.post(URL, json={**SAVED, **change})
        assert answer.status_code == status
        assert said in answer.json()["detail"]
        assert (await running.log.heads("lot")).observations == 0


async def test_a_camera_that_the_site_does_not_have_is_not_found(serve):
    async with serve() as running:
        answer = await running.http.post("/v1/sites/lot/cameras/none/calibration/try", json=MARKS)
        assert answer.status_code == 404
        assert "there are left, right" in answer.json()["detail"]


async def test_a_lens_that_is_kept_is_that_of_the_site_model(serve):
    demo = load_site(PACKAGED / "demo_lot")
    found = next(one for one in demo.cameras if one.id == "aisle-2")
    camera = GroundCamera.of(found, demo.levels[0])
    pixels = np.array([[100.0, 500.0], [800.0, 480.0], [300.0, 250.0], [700.0, 220.0], [480.0, 350.0]])
    ground = camera.to_ground(pixels, np.ones_like(pixels)).points_m
    pairs = [{"pixel_px": list(px), "ground_m": list(m)} for px, m in zip(pixels.tolist(), ground.tolist(), strict=True)]
    async with serve(sites={"demo_lot": demo}) as running:
        url = "/v1/sites/demo_lot/cameras/aisle-2/calibration/try"
        told = (await running.http.post(url, json={"pairs": pairs, "lens": "keep"})).json()
        assert told["calibration"]["geometry"]["k"] == list(found.geometry.k)
        assert told["calibration"]["geometry"]["position_m"] == pytest.approx(found.geometry.position_m, abs=0.01)
        kinds = {one["kind"] for one in told["plan_px"]}
        assert {"stall", "lane", "zone"} <= kinds
        inside = [-0.5 <= x <= 960.5 and -0.5 <= y <= 540.5 for one in told["plan_px"] for x, y in one["points_px"]]
        assert all(inside)


async def test_a_lens_that_is_kept_is_that_of_the_calibration_in_force(serve):
    demo = load_site(PACKAGED / "demo_lot")
    found = next(one for one in demo.cameras if one.id == "aisle-2")
    fx, fy, cx, cy = found.geometry.k
    zoomed = replace(found.geometry, k=(fx * 1.5, fy * 1.5, cx, cy))
    camera = GroundCamera(zoomed, found.frame_px, range_m=found.range_m)
    pixels = np.array([[100.0, 500.0], [800.0, 480.0], [300.0, 350.0], [700.0, 320.0], [480.0, 400.0]])
    ground = camera.to_ground(pixels, np.ones_like(pixels)).points_m
    pairs = [{"pixel_px": list(px), "ground_m": list(m)} for px, m in zip(pixels.tolist(), ground.tolist(), strict=True)]
    made = CameraCalibrated(
        camera="aisle-2", level=found.level, frame_px=found.frame_px, geometry=zoomed, sigma_m=0.1, range_m=found.range_m
    )
    key = DeviceKey(device="desk", boot_epoch=1, sequence=1)
    event = ObservationEvent(site="demo_lot", key=key, occurred_at=1_767_268_800_000_000, payload=made)
    given = {"pairs": pairs, "lens": "keep", "id": "c-1", "author": "ann", "reason": "nudged"}
    async with serve(sites={"demo_lot": demo}) as running:
        await running.log.append([event])
        url = "/v1/sites/demo_lot/cameras/aisle-2/calibration"
        tried = (await running.http.post(f"{url}/try", json={"pairs": pairs, "lens": "keep"})).json()
        assert tried["calibration"]["geometry"]["k"] == list(zoomed.k)
        assert tried["calibration"]["geometry"]["position_m"] == pytest.approx(found.geometry.position_m, abs=0.01)
        saved = [(await running.http.post(url, json={**given, "at": "2026-01-01T13:00:00Z"})).json() for _ in range(2)]
        assert [one["outcome"] for one in saved] == ["stored", "duplicate"]
        assert saved[0]["calibration"]["geometry"]["k"] == list(zoomed.k)
        other = {**given, "id": "c-2", "model": "homography", "lens": "find", "at": "2026-01-01T14:00:00Z"}
        assert (await running.http.post(url, json=other)).is_success
        refused = await running.http.post(f"{url}/try", json={"pairs": pairs, "lens": "keep"})
        assert (refused.status_code, "the calibration in force has only" in refused.json()["detail"]) == (409, True)
