import numpy as np
import pytest
from msgspec.structs import replace

from perception.synthetic.traffic import VehicleState
from perception.synthetic.vehicles import Vehicle
from perception.synthetic.views import Viewer, covered
from site_models.schema import GroundHomography
from twin.spatial.camera import GroundCamera


def _state(x_m, y_m, heading_deg=0.0):
    vehicle = Vehicle(id="one", body="hatchback", look=1, plate="", pace=1.0)
    return VehicleState(
        vehicle=vehicle,
        level="ground",
        x_m=x_m,
        y_m=y_m,
        heading_deg=heading_deg,
        speed_mps=1.0,
        stall=None,
        state="moving",
    )


def _ground_homography(camera, level):
    """The plane projection that a pinhole camera has, from four points, positive where ground is seen."""
    ground = np.array([(10.0, 3.0, 0.0), (30.0, 3.0, 0.0), (30.0, 9.0, 0.0), (10.0, 9.0, 0.0)])
    pixels = GroundCamera.of(camera, level).to_pixels(ground).points_px
    rows = []
    for (x, y, _), (u, v) in zip(ground, pixels, strict=True):
        rows += [[u, v, 1, 0, 0, 0, -x * u, -x * v, -x], [0, 0, 0, u, v, 1, -y * u, -y * v, -y]]
    matrix = np.linalg.svd(np.array(rows))[2][-1]
    width, height = camera.frame_px
    matrix *= np.sign(matrix[6] * width / 2 + matrix[7] * height + matrix[8])
    return GroundHomography(matrix=tuple(matrix.tolist()))


def test_a_box_holds_the_body_and_ends_where_it_touches_the_ground_or_nearly(lot):
    camera = lot.cameras[0]
    view = Viewer(lot, camera).views([_state(22.0, 6.0)])[0]

    def bounds(ahead_m, aside_m, heights_m):
        x, y, z = np.meshgrid([22.0 - ahead_m, 22.0 + ahead_m], [6.0 - aside_m, 6.0 + aside_m], heights_m)
        points = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
        pixels = GroundCamera.of(camera, lot.levels[0]).to_pixels(points).points_px
        return [*pixels.min(axis=0), *pixels.max(axis=0)]

    assert view.box_px[:3] == pytest.approx(bounds(2.14, 0.895, [0.13 * 1.49, 1.49])[:3])
    tyres, cuboid = bounds(0.3 * 4.28, 0.43 * 1.79, [0.0]), bounds(2.14, 0.895, [0.0])
    assert tyres[3] <= view.box_px[3] < cuboid[3] - 2.0


def test_a_ground_homography_gives_nearly_the_box_of_the_camera_it_stands_for(lot):
    camera = lot.cameras[0]
    flat = replace(camera, geometry=_ground_homography(camera, lot.levels[0]))
    exact = np.array(Viewer(lot, camera).views([_state(22.0, 6.0)])[0].box_px)
    guessed = np.array(Viewer(lot, flat).views([_state(22.0, 6.0)])[0].box_px)
    assert guessed[3] == pytest.approx(exact[3], abs=1.0)
    assert np.abs(guessed - exact).max() < 0.25 * (exact[3] - exact[1])


def test_a_vehicle_on_another_level_or_behind_the_camera_is_not_seen(lot):
    viewer = Viewer(lot, lot.cameras[0])
    assert viewer.views([replace(_state(22.0, 6.0), level="upper"), _state(80.0, -20.0)]) == [None, None]


def test_the_nearer_of_two_boxes_covers_the_farther_by_their_common_share(lot):
    view = Viewer(lot, lot.cameras[0]).views([_state(22.0, 6.0)])[0]
    near = view._replace(box_px=(0.0, 0.0, 80.0, 80.0), nearness=-5.0)
    far = view._replace(box_px=(40.0, 0.0, 120.0, 80.0), nearness=-9.0)
    assert covered([near, far]).tolist() == [0.0, 0.5]
