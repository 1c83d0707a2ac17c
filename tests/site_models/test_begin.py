"""A site to begin from is sound, says that it guesses, and overwrites nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from site_models.begin import GUESSED_SIGMA_M, begin_in
from site_models.load import check_site, load_site
from twin.errors import BadInput, SiteFault
from twin.spatial.camera import GroundCamera


@settings(max_examples=20, deadline=None)
@given(
    latitude=st.floats(-85, 85),
    longitude=st.floats(-179.9, 179.9),
    sizes=st.lists(st.tuples(st.integers(64, 8000), st.integers(64, 8000)), min_size=1, max_size=8),
    bearing=st.floats(-360, 360),
    size_m=st.floats(5, 2000),
)
def test_whatever_is_asked_for_the_site_is_sound_and_has_the_cameras(
    tmp_path_factory, latitude, longitude, sizes, bearing, size_m
):
    folder = tmp_path_factory.mktemp("sites") / "my_site"
    cameras = [f"c{n}={width}x{height}" for n, (width, height) in enumerate(sizes)]
    made = begin_in(folder, f"{latitude!r},{longitude!r}", cameras, bearing_deg=bearing, size_m=size_m)
    read, faults = check_site(folder)
    assert faults == ()
    assert read == made
    assert {camera.id: camera.frame_px for camera in made.cameras} == {f"c{n}": size for n, size in enumerate(sizes)}
    assert {camera.sigma_m for camera in made.cameras} == {GUESSED_SIGMA_M}


def test_a_camera_of_it_sees_the_ground_ahead(tmp_path):
    made = begin_in(tmp_path / "yard", "52.09,5.12", ["gate=1280x720"], bearing_deg=0, size_m=60)
    (camera,) = made.cameras
    found = GroundCamera(camera.geometry, camera.frame_px).to_ground(np.array([[640.0, 360.0]]), np.ones((1, 2)))
    assert found.points_m[0] == pytest.approx((30.0, 12.0), abs=0.01)


def test_it_is_named_after_its_folder(tmp_path):
    begin_in(tmp_path / "yard", "52.09,5.12", ["gate=960x540"], bearing_deg=0, size_m=60)
    assert load_site(tmp_path / "yard").name == "yard"


def test_what_is_in_the_folder_stays(tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        begin_in(tmp_path, "52.09,5.12", ["gate=960x540"], bearing_deg=0, size_m=60)
    assert [one.name for one in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize(
    ("name", "at", "cameras", "said"),
    [
        ("yard", "52.09", ["gate=960x540"], "LATITUDE,LONGITUDE"),
        ("yard", "52.09,east", ["gate=960x540"], "LATITUDE,LONGITUDE"),
        ("yard", "91,5.12", ["gate=960x540"], "not on the map"),
        ("yard", "nan,5.12", ["gate=960x540"], "not on the map"),
        ("yard", "52.09,5.12", ["gate"], "NAME=WIDTHxHEIGHT"),
        ("yard", "52.09,5.12", ["gate=960x"], "NAME=WIDTHxHEIGHT"),
        ("yard", "52.09,5.12", ["=960x540"], "NAME=WIDTHxHEIGHT"),
        ("yard", "52.09,5.12", ["gate=960x540", "gate=64x64"], "used twice"),
        ("my yard", "52.09,5.12", ["gate=960x540"], "name"),
        ("yard", "52.09,5.12", ["ga/te=960x540"], "cameras.toml"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(tmp_path, name, at, cameras, said):
    with pytest.raises((BadInput, SiteFault), match=said):
        begin_in(tmp_path / name, at, cameras, bearing_deg=0, size_m=60)
    assert not (tmp_path / name).exists()
