"""The camera model of the pages is the twin's: the same pixels are the same ground, and the same ones are refused."""

import json

import msgspec
import numpy as np
import pytest
from playwright.sync_api import Page

from site_models.load import load_site, resolve
from site_models.schema import GroundHomography, Pinhole
from twin.api.plan_in_picture import plan_in_picture
from twin.spatial.camera import GroundCamera

pytestmark = pytest.mark.e2e

SITE = load_site(resolve("demo_lot"))
FRAME = (960, 540)
DEMO = SITE.cameras[0].geometry
assert isinstance(DEMO, Pinhole)


def plane_of(camera: Pinhole) -> GroundHomography:
    """The plane that a camera without bending would see."""
    fx, fy, cx, cy = camera.k
    plane = np.array(GroundCamera(camera, FRAME).numbers[22:31]).reshape(3, 3)
    lens = np.array([[1 / fx, 0, -cx / fx], [0, 1 / fy, -cy / fy], [0, 0, 1]])
    return GroundHomography(matrix=tuple((plane @ lens).ravel().tolist()))


CAMERAS = {
    **{one.id: GroundCamera.of(one, SITE.levels[0]) for one in SITE.cameras},
    "barrel": GroundCamera(
        msgspec.structs.replace(DEMO, distortion=(-0.32, 0.11, 0.004, -0.003, -0.018)), FRAME, 0.0, 0.1, 60.0
    ),
    "pincushion": GroundCamera(
        msgspec.structs.replace(DEMO, distortion=(0.21, 0.05, -0.002, 0.001, 0.02)), FRAME, 1.3, 0.1, 25.0
    ),
    "folding": GroundCamera(msgspec.structs.replace(DEMO, distortion=(-0.75, 0.0, 0.0, 0.0, 0.0)), FRAME, 0.0, 0.1, 60.0),
    "homography": GroundCamera(plane_of(DEMO), FRAME, 0.0, 0.1, 40.0),
}


def model(page: Page, camera: GroundCamera, body: str, given: list) -> list:
    told = {
        "geometry": json.loads(msgspec.json.encode(camera.geometry)),
        "frame_px": camera.frame_px,
        "elevation_m": camera.elevation_m,
        "range_m": camera.range_m,
    }
    script = f"""async ([told, given]) => {{
        const {{ CameraModel }} = await import('/static/camera_model.js');
        const camera = new CameraModel(told);
        return given.map((one) => {body});
    }}"""
    return page.evaluate(script, [told, given])


@pytest.mark.parametrize("name", CAMERAS)
def test_a_pixel_is_the_same_ground_to_a_millimetre_and_refused_where_the_twin_refuses_it(bare_page: Page, name: str):
    camera = CAMERAS[name]
    pixels = np.stack(np.meshgrid(np.linspace(-30, 990, 52), np.linspace(-30, 570, 41)), -1).reshape(-1, 2)
    truth = camera.to_ground(pixels, np.ones_like(pixels))
    found = model(bare_page, camera, "camera.toGround(one)", pixels.tolist())
    assert [("point_m" in one) for one in found] == truth.is_valid.tolist()
    assert truth.is_valid.sum() > 50
    assert {one["refusal"] for one in found if "refusal" in one} <= {"lens", "horizon", "range"}
    places = np.array([one["point_m"] for one in found if "point_m" in one])
    assert np.abs(places - truth.points_m[truth.is_valid]).max() < 0.001
    again = model(bare_page, camera, "camera.toPixel(one)", places.tolist())
    back = camera.to_pixels(np.column_stack((places, np.full(len(places), camera.elevation_m))))
    assert np.abs(np.array(again) - back.points_px).max() < 0.001


@pytest.mark.parametrize("name", CAMERAS)
def test_the_plan_in_the_picture_is_the_one_that_the_service_draws(bare_page: Page, name: str):
    camera = CAMERAS[name]
    drawn = [one for one in plan_in_picture(SITE, SITE.levels[0].id, camera) if one.kind == "stall"]
    rings = [[list(point) for point in one.ring_m] for one in SITE.stalls]
    pieces = model(bare_page, camera, "camera.pieces(one, true)", rings)
    found = [pixel for of_stall in pieces for piece in of_stall for pixel in piece]
    width, height = FRAME
    inside = np.array([one for one in found if 0 <= one[0] <= width and 0 <= one[1] <= height])
    told = np.array([pixel for line in drawn for pixel in line.points_px])
    assert len(told) > 10
    for pixel in told[:: max(1, len(told) // 100)]:
        assert np.abs(inside - pixel).max(axis=1).min() < 0.6  # those of the frame's very edge, and rounding to 0.1


def test_a_refusal_says_why(bare_page: Page):
    camera = CAMERAS["barrel"]
    above = model(bare_page, camera, "camera.toGround(one).refusal", [[480, -2000], [480, 60]])
    assert above[0] in ("horizon", "lens")
    near = GroundCamera(DEMO, FRAME, 0.0, 0.1, 3.0)
    assert "range" in model(bare_page, near, "camera.toGround(one).refusal", [[480, 300], [480, 200]])
