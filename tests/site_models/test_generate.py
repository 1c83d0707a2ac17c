"""Generated car parks are sound whatever is asked for, and a site written is the same site when read."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from site_models.dump import dump_site
from site_models.generate import generate
from site_models.load import check_site, load_site, resolve
from twin.errors import BadInput
from twin.spatial.camera import GroundCamera

ASKED = st.integers(1, 4).flatmap(
    lambda n_levels: st.fixed_dictionaries(
        {
            "n_cameras": st.integers(1, 30),
            "n_stalls": st.integers(n_levels, 90),
            "n_levels": st.just(n_levels),
            "overlap": st.floats(0, 1),
            "seed": st.integers(0, 2**31),
        }
    )
)
SMALL = {"n_cameras": 1, "n_stalls": 1, "n_levels": 1, "overlap": 0.0, "seed": 0}


def read_back(site):
    with tempfile.TemporaryDirectory() as folder:
        dump_site(site, Path(folder))
        return check_site(Path(folder))


@settings(max_examples=25, deadline=None)
@given(asked=ASKED)
@example(asked=SMALL)
def test_what_is_generated_has_the_numbers_asked_for_no_fault_and_is_read_back_the_same(asked):
    site = generate(**asked)
    assert (len(site.cameras), len(site.stalls), len(site.levels)) == tuple(
        asked[name] for name in ("n_cameras", "n_stalls", "n_levels")
    )
    again, faults = read_back(site)
    assert faults == ()
    assert again == site
    assert generate(**asked) == site


@settings(max_examples=25, deadline=None)
@given(asked=ASKED)
@example(asked=SMALL)
def test_a_generated_entry_and_exit_are_in_view_six_metres_before_and_after(asked):
    site = generate(**asked)
    levels = {level.id: level for level in site.levels}
    for portal in (one for one in site.portals if one.role == "boundary"):
        x, y = np.mean(portal.line_m, axis=0)
        points = np.array([(x, y + along, 0.0) for along in (-6.0, -3.0, 0.0, 3.0, 6.0)])
        shown = np.zeros(len(points), dtype=bool)
        for camera in (one for one in site.cameras if one.level == portal.level):
            image = GroundCamera.of(camera, levels[camera.level]).to_pixels(points)
            inside = (image.points_px > 0) & (image.points_px < camera.frame_px)
            away = np.hypot(*(points[:, :2] - camera.geometry.position_m[:2]).T)
            shown |= image.is_in_front & inside.all(axis=1) & (away < camera.range_m)
        assert shown.all()


def test_levels_are_joined_by_ramps_up_and_down():
    site = generate(n_cameras=4, n_stalls=30, n_levels=3, overlap=0.3, seed=5)
    ramps = Counter((one.level, one.to_level) for one in site.portals if one.role == "level")
    a, b, c = (level.id for level in site.levels)
    assert ramps == {(a, b): 1, (b, a): 1, (b, c): 1, (c, b): 1}


def test_more_overlap_sets_cameras_closer():
    def spread(overlap: float) -> float:
        site = generate(n_cameras=6, n_stalls=56, n_levels=1, overlap=overlap, seed=5)
        along = [one.geometry.position_m[0] for one in site.cameras if one.id.startswith("view")]
        return max(along) - min(along)

    assert spread(0.5) < spread(0.0)


@pytest.mark.parametrize("wrong", [{"n_cameras": 0}, {"n_stalls": 0}, {"n_levels": 0}, {"overlap": 1.5}, {"n_levels": 2}])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(BadInput, match="give at least one camera and level"):
        generate(**{**SMALL, **wrong})


@pytest.mark.parametrize("name", ["demo_lot", "motorway"])
def test_a_packaged_site_is_sound_and_written_and_read_the_same(name):
    site = load_site(resolve(name))
    assert site.name == name
    assert read_back(site) == (site, ())
