"""What a frame says of stalls: as much as the camera would see of a car in each."""

import pytest
from msgspec.structs import replace

from site_models.load import load_site, resolve
from site_models.schema import Obstacle
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.stall_views import Covers, StallPlace, StallView, hidden

PLACE = StallPlace(id="A", level="ground", centre_m=(0.0, 0.0), box_m=(-1.0, -2.0, 1.0, 2.0), heading=(0.0, 1.0))
VIEW = StallView(PLACE, (100.0, 100.0, 200.0, 160.0))


def share(*boxes, stall=None):
    return hidden([VIEW], Covers(list(boxes), [stall] * len(boxes)))[0]


def test_nothing_hides_a_stall_before_which_nothing_is():
    assert hidden([], Covers([], [])) == []
    assert share() == 0.0
    assert share((300.0, 100.0, 400.0, 160.0)) == 0.0


@pytest.mark.parametrize(
    ("box", "least", "most"),
    [
        ((170.0, 90.0, 400.0, 260.0), 0.2, 0.4),  # nearer, over the right third
        ((0.0, 130.0, 400.0, 260.0), 0.4, 0.6),  # nearer, over the lower half
        ((0.0, 50.0, 400.0, 260.0), 1.0, 1.0),
        ((100.0, 60.0, 200.0, 120.0), 0.0, 0.0),  # farther: seen above a stall in which nothing is
    ],
)
def test_nearer_boxes_hide_what_they_lie_over(box, least, most):
    assert least <= share(box) <= most


def test_two_boxes_hide_together_and_none_twice():
    left, right = (50.0, 90.0, 140.0, 260.0), (160.0, 90.0, 400.0, 260.0)
    assert share(left, right) == pytest.approx(share(left) + share(right))
    assert share(left, left) == share(left)


def test_a_box_that_may_be_of_a_vehicle_in_it_says_nothing_of_the_stall():
    assert share((95.0, 98.0, 195.0, 158.0)) == 1.0
    assert share((130.0, 105.0, 240.0, 165.0)) == 1.0, "a neighbour's, or one's own that is off"


def test_a_box_of_a_vehicle_that_is_parked_elsewhere_only_hides():
    farther = (130.0, 95.0, 240.0, 155.0)
    assert share(farther) == 1.0
    assert share(farther, stall="A") == 1.0
    assert share(farther, stall="B") == 0.0
    assert share((98.0, 99.0, 201.0, 159.0), stall="B") == 1.0, "whoever it was taken for, it is where a car in A would be"


def test_a_camera_is_asked_of_stalls_that_it_sees_whole_and_near_enough():
    site = load_site(resolve("demo_lot"))
    scene = Scene(site, DEFAULTS)
    for one in site.cameras:
        camera, level = scene.camera(one.id, 0, ())
        views = scene.stall_views(camera, level, one.frame_px)
        for view in views.values():
            x1, y1, x2, y2 = view.box_px
            assert 0.0 <= x1 < x2 <= one.frame_px[0]
            assert 0.0 <= y1 <= y2 - 16.0 <= one.frame_px[1] - 16.0
        short = scene.stall_views(*scene.camera(one.id, 0, ()), (one.frame_px[0] // 4, one.frame_px[1]))
        assert len(short) <= len(views)


def test_a_wall_as_high_as_the_camera_hides_stalls_and_a_kerb_does_not():
    site = load_site(resolve("demo_lot"))
    one = max(site.cameras, key=lambda each: len(_shown(site, each)))
    open_views = _shown(site, one)
    x, y, z = one.geometry.position_m
    around = tuple((x + dx, y + dy) for dx, dy in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)))
    for height, expected in ((z + 1.0, set()), (0.01, set(open_views))):
        pillar = Obstacle(id="p", level=one.level, kind="pillar", outline_m=around, height_m=height)
        assert set(_shown(replace(site, obstacles=(*site.obstacles, pillar)), one)) == expected


def _shown(site, camera):
    scene = Scene(site, DEFAULTS)
    return scene.stall_views(*scene.camera(camera.id, 0, ()), camera.frame_px)
