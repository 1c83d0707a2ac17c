import tomllib

import pytest

from site_models.camera_entries import CameraEntry, camera_of
from site_models.camera_tables import with_camera, with_geometry
from site_models.schema import GroundHomography, Pinhole
from twin.errors import BadInput

FILE = """schema = "twin.cameras/1"  # ours

[[cameras]]
id = "a"
level = "ground"
width = 960
height = 540
hfov_deg = 84.0
position_m = [0.0, 0.0, 6.0]
look_at_m = [0.0, 9.0, 0.0]  # the second lamp
fps = 10.0

# by the gate
[[cameras]]
id = "b"
level = "ground"
width = 960
height = 540
pairs = [
  [1.0, 2.0, 3.0, 4.0],  # a kerb
  [900.0, 500.0, 9.0, 1.0],
  [30.0, 500.0, 1.0, 1.0],
  [900.0, 20.0, 9.0, 4.0],
]
clock = "ntp"  # the recorder's
"""
POSE = Pinhole(k=(500.0, 500.0, 480.0, 270.0), position_m=(1.0, 2.0, 5.0), rotation=(1, 0, 0, 0, -1, 0, 0, 0, -1))
PLANE = GroundHomography(matrix=(0.01, 0.0, 0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 1.0))


def entries(text):
    return {one["id"]: one for one in tomllib.loads(text)["cameras"]}


def test_one_camera_has_a_new_geometry_and_all_else_stays_as_it_was_written():
    written = with_geometry(FILE, "b", POSE, 0.07)
    before, after = entries(FILE), entries(written)
    assert after["a"] == before["a"]
    assert after["b"]["position_m"] == [1.0, 2.0, 5.0]
    assert (after["b"]["sigma_m"], after["b"]["clock"]) == (0.07, "ntp")
    assert "pairs" not in after["b"]
    for comment in ("# ours", "# the second lamp", "# by the gate", "# the recorder's"):
        assert comment in written


@pytest.mark.parametrize("geometry", [POSE, PLANE])
@pytest.mark.parametrize("camera", ["a", "b"])
def test_what_is_written_is_read_as_the_same_camera(geometry, camera):
    import msgspec

    written = entries(with_geometry(FILE, camera, geometry, 0.1))[camera]
    assert type(camera_of(msgspec.convert(written, CameraEntry)).geometry) is type(geometry)


def test_writing_the_same_again_changes_nothing():
    once = with_geometry(FILE, "a", POSE, 0.07)
    assert with_geometry(once, "a", POSE, 0.07) == once


def test_a_camera_is_added_at_the_end():
    written = with_camera(FILE, "c", "ground", (640, 360), POSE, 0.1)
    assert written.startswith(FILE.rstrip())
    assert entries(written)["c"]["width"] == 640


def test_a_camera_that_is_not_there_is_told():
    with pytest.raises(BadInput, match=r"no table .* with the id 'z'"):
        with_geometry(FILE, "z", POSE, 0.1)
