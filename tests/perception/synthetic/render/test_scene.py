"""The renderer against the camera model that the twin itself uses, on the packaged site."""

import math
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

import site_models
from perception.synthetic.render.cast import Cast
from perception.synthetic.render.clips import Plan, film
from perception.synthetic.render.exposure import Camera as Sensor
from perception.synthetic.render.exposure import expose
from perception.synthetic.render.frames import join_listings, write_frames
from perception.synthetic.render.lens import lens_of
from perception.synthetic.render.light import light
from perception.synthetic.render.scene import Scene, SceneCamera, Standing, pictures
from perception.synthetic.render.stage import Stage
from perception.synthetic.traffic import TruthFrame, VehicleState
from perception.synthetic.vehicles import Vehicle
from site_models.load import load_site
from site_models.schema import GroundHomography
from twin.errors import BadInput
from twin.events.ids import SECOND
from twin.spatial.camera import GroundCamera

EDGE_PX = 3.0


@pytest.fixture(scope="module")
def site():
    return load_site(Path(site_models.__file__).parent / "sites" / "demo_lot")


def _standing(name, x, y, heading, shape="suv", speed=0.0):
    return Standing(name, shape, name, "AB-1234", "ground", x, y, heading, speed)


@pytest.fixture(scope="module")
def shot(site):
    """Two cars in the first aisle, one right behind the other as the eastern camera sees them."""
    camera = next(one for one in site.cameras if one.id == "aisle-1-east")
    with Stage(1) as stage:
        scene = Scene(stage, site, light(np.random.default_rng(1), "day"), 1, Cast(stage, 1))
        view = SceneCamera(stage, site, camera)
        scene.arrange([_standing("front", 20.0, 11.0, 0.0), _standing("behind", 14.5, 11.0, 0.0)])
        (both,) = pictures(stage, scene, [view])
        scene.arrange([_standing("behind", 14.5, 11.0, 0.0)])
        (alone,) = pictures(stage, scene, [view])
        scene.set_light(light(np.random.default_rng(1), "night"))
        scene.arrange([_standing("behind", 14.5, 11.0, 0.0)])
        (night,) = pictures(stage, scene, [view])
    return camera, both, alone, night


def test_boxes_lie_where_the_twins_camera_model_puts_the_vehicle(site, shot):
    camera, both, _, _ = shot
    model = GroundCamera.of(camera, site.levels[0])
    length, width, height = 4.51, 1.84, 1.68
    corners = np.array(
        [(20 + a * length / 2, 11 + b * width / 2, c * height) for a in (-1, 1) for b in (-1, 1) for c in (0, 1)]
    )
    points = model.to_pixels(corners).points_px
    x1, y1, x2, y2 = both.vehicles["front"].box_px
    assert points[:, 0].min() - EDGE_PX <= x1 < x2 <= points[:, 0].max() + EDGE_PX + 8  # mirrors
    assert points[:, 1].min() - EDGE_PX <= y1 < y2 <= points[:, 1].max() + EDGE_PX
    assert (x2 - x1) > 0.75 * np.ptp(points[:, 0])
    assert (y2 - y1) > 0.75 * np.ptp(points[:, 1])


def test_what_stands_in_front_hides_what_stands_behind(shot):
    _, both, alone, _ = shot
    assert both.vehicles["front"].visible > 0.85
    assert alone.vehicles["behind"].visible > 0.85
    assert both.vehicles["behind"].visible < alone.vehicles["behind"].visible - 0.1


def test_night_is_darker_than_day(shot):
    _, _, alone, night = shot
    assert night.bgr.mean() < 0.6 * alone.bgr.mean()


def test_the_undistorted_picture_covers_every_pixel_of_the_lens(site):
    for camera in site.cameras:
        lens = lens_of(camera)
        width, height = lens.canvas_px
        assert lens.map_x.shape == (camera.frame_px[1], camera.frame_px[0])
        assert lens.map_x.min() >= 0
        assert lens.map_y.min() >= 0
        assert lens.map_x.max() <= width - 1
        assert lens.map_y.max() <= height - 1


def test_a_ground_homography_cannot_be_filmed_and_says_so(site):
    from msgspec.structs import replace

    flat = replace(site.cameras[0], geometry=GroundHomography(matrix=(1, 0, 0, 0, 1, 0, 0, 0, 1)))
    with pytest.raises(BadInput, match="ground homography"):
        lens_of(flat)


def test_exposure_is_the_same_for_the_same_seed_and_keeps_the_frame():
    frame = np.full((90, 160, 3), 120, np.uint8)
    lit = light(np.random.default_rng(1), "cloud", rain=0.5)
    one, other = (expose(frame, Sensor(quality=60, caption="gate"), lit, np.random.default_rng(4)) for _ in range(2))
    assert one.shape == frame.shape
    assert np.array_equal(one, other)
    assert one.std() > 1.0


class _Passing:
    """A car that drives along the first aisle at 5 m/s, and another that is parked."""

    def at(self, at):
        def state(name, x, y, heading, speed, stall):
            vehicle = Vehicle(id=name, body="hatchback", look=1 if stall else 2, plate="AB-1234", pace=1.0)
            kind = "parked" if stall else "moving"
            return VehicleState(
                vehicle=vehicle,
                level="ground",
                x_m=x,
                y_m=y,
                heading_deg=heading,
                speed_mps=speed,
                stall=stall,
                state=kind,
            )

        x = 6.0 + 5.0 * at / SECOND
        return TruthFrame(
            at=at, vehicles=(state("moves", x, 11.0, 0.0, 5.0, None), state("stands", 15.25, 5.5, -90.0, 0.0, "A05"))
        )


def test_a_filmed_clip_has_every_frame_and_the_truth_follows_the_vehicle(site, tmp_path):
    cameras = [one for one in site.cameras if one.id == "aisle-1-west"]
    plan = Plan(fps=5, seconds=1, light=light(np.random.default_rng(3), "day"), seed=1)
    boxes = film(site, _Passing(), plan, cameras, tmp_path)
    with av.open(str(tmp_path / "aisle-1-west.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5
    model = GroundCamera.of(cameras[0], site.levels[0])
    for box in (one for one in boxes if one.vehicle == "moves"):
        middle = model.to_pixels(np.array([(6.0 + box.frame, 11.0, 0.7)])).points_px[0]
        assert box.x1 - EDGE_PX <= middle[0] <= box.x2 + EDGE_PX
        assert box.y1 - EDGE_PX <= middle[1] <= box.y2 + EDGE_PX
    assert {one.frame for one in boxes if one.vehicle == "stands"} == {0, 1, 2, 3, 4}


def test_rendered_frames_depend_on_seed_and_number_alone_and_are_not_rendered_twice(tmp_path):
    once, twice = tmp_path / "once", tmp_path / "twice"
    labels = list(write_frames(once, range(2), 3, (160, 96)))
    assert list(write_frames(once, range(2), 3, (160, 96))) == []
    list(write_frames(twice, range(1, 2), 3, (160, 96)))
    (again,) = join_listings(twice)
    assert again == labels[1]
    assert (once / again.image).read_bytes() == (twice / again.image).read_bytes()
    assert [one.number for one in join_listings(once)] == [0, 1]
    for label in labels:
        for vehicle in label.vehicles:
            x1, y1, x2, y2 = vehicle.box_px
            assert 0 <= x1 < x2 <= 160
            assert 0 <= y1 < y2 <= 96
            assert 0 < vehicle.visible <= 1


def test_a_folder_of_clips_has_its_manifest_and_truth(site, tmp_path):
    import tomllib

    from msgspec.structs import replace

    from perception.synthetic.render.clip_folder import write_clips

    camera = site.cameras[0]
    lens = tuple(value / 4 for value in camera.geometry.k)
    small = replace(site, cameras=(replace(camera, frame_px=(240, 136), geometry=replace(camera.geometry, k=lens)),))
    write_clips(small, tmp_path, 120, 1, 1, "cloud", 0.0, 1, lambda _: None)
    manifest = tomllib.loads((tmp_path / "clips.toml").read_text())
    assert manifest["schema"] == "twin.clips/1"
    assert manifest["n_frames"] == 120
    name = manifest["files"][small.cameras[0].id]
    with av.open(str(tmp_path / name)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 120
    boxes = pq.read_table(tmp_path / manifest["boxes"]).to_pylist()
    assert max(one["frame"] for one in boxes) == 119
    truth = pq.read_table(tmp_path / manifest["truth"]).to_pylist()
    assert {one["state"] for one in truth} == {"moving", "parked", "left"}
    assert math.isfinite(sum(one["x_m"] for one in truth))
