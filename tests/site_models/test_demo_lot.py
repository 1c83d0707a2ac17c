"""The demo lot shows everything a site can pose: gates in clear view, an overlap, and a stretch that no camera sees."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from perception.synthetic.traffic import Traffic, VehicleState
from perception.synthetic.vehicles import Vehicle
from perception.synthetic.views import Viewer
from site_models.load import load_site, resolve
from site_models.schema import Stall
from twin.rules.tariff import MINUTE, TariffBook
from twin.spatial.camera import GroundCamera

SITE = load_site(resolve("demo_lot"))
LEVEL = SITE.levels[0]
VIEWERS = {camera.id: Viewer(SITE, camera) for camera in SITE.cameras}
CAR = Vehicle(id="one", body="hatchback", look=1, plate="", pace=1.0)
_LOST = 0.7  # share hidden at which nothing is detected any more


def cameras_that_see(x: float, y: float, heading_deg: float) -> set[str]:
    """Cameras whose detector could find a car that stands here."""
    state = VehicleState(
        vehicle=CAR, level=LEVEL.id, x_m=x, y_m=y, heading_deg=heading_deg, speed_mps=0.0, stall=None, state="parked"
    )
    views = {name: viewer.views([state])[0] for name, viewer in VIEWERS.items()}
    return {name for name, view in views.items() if view is not None and view.behind_walls < _LOST}


def middle(stall: Stall) -> tuple[float, float]:
    x, y = zip(*stall.ring_m, strict=True)
    return sum(x) / len(x), sum(y) / len(y)


def test_it_has_what_a_demonstration_needs():
    assert len(SITE.levels) == 1
    assert 28 <= len(SITE.stalls) <= 32
    assert len(SITE.cameras) >= 4
    assert {zone.kind for zone in SITE.zones} == {"parking", "lane", "gate", "road"}
    assert {one.kind for one in SITE.obstacles} == {"wall", "pillar"}
    assert all(camera.frame_px == (960, 540) and camera.clock == "simulated" for camera in SITE.cameras)


def test_a_stay_of_a_demonstration_of_minutes_costs_something():
    pricing = TariffBook.of(SITE.tariffs).named("public@1")
    assert pricing is not None
    prices = [pricing.amount_minor(0, minutes * MINUTE) for minutes in (1, 15, 16, 24 * 60, 25 * 60)]
    assert (pricing.currency, prices) == ("EUR", [50, 50, 100, 1200, 1200 + 4 * 50])


@pytest.mark.parametrize("stall", SITE.stalls, ids=lambda stall: stall.id)
def test_a_car_on_a_stall_is_seen(stall):
    assert cameras_that_see(*middle(stall), stall.heading_deg)


def test_two_cameras_see_the_same_aisle_from_both_ends():
    both = {
        pair
        for x in range(6, 24, 3)
        for pair in combinations(sorted(cameras_that_see(x, 11.0, 0.0) & {"aisle-1-east", "aisle-1-west"}), 2)
    }
    assert both == {("aisle-1-east", "aisle-1-west")}


def test_between_the_blind_portals_a_car_is_lost_for_several_metres_and_found_again():
    seen = [bool(cameras_that_see(0.0, y, 90.0)) for y in range(11, 39)]
    assert [before for before, after in pairwise(seen) if before != after] == [True, False]
    assert seen.count(False) >= 6
    south, north = sorted(portal.line_m[0][1] for portal in SITE.portals if portal.role == "blind")
    unseen = [y for y, is_seen in zip(range(11, 39), seen, strict=True) if not is_seen]
    assert south < min(unseen) < max(unseen) < north


def test_driving_north_enters_the_blind_stretch_at_its_south_portal_and_leaves_it_at_the_north_one():
    blind = {portal.id: portal.line_m for portal in SITE.portals if portal.role == "blind"}
    (ax, _), (bx, _) = blind["passage-south"]
    (cx, _), (dx, _) = blind["passage-north"]
    assert ax < bx  # left of it is north: driving north is "in"
    assert cx > dx  # left of it is south: driving north is "out"


@pytest.mark.parametrize(("name", "direction", "lane"), [("entry", "in", "lane-entry"), ("exit", "out", "lane-exit")])
def test_a_gates_lane_crosses_its_portal_in_its_direction_in_clear_view(name, direction, lane):
    portal = next(one for one in SITE.portals if one.id == name)
    line = next(one.line_m for one in SITE.lanes if one.id == lane)
    (ax, ay), (bx, by) = portal.line_m
    (px, py), (qx, qy) = line[0], line[-1]
    turn = (bx - ax) * (qy - py) - (by - ay) * (qx - px)
    assert portal.role == "boundary"
    assert portal.direction == direction == ("in" if turn > 0 else "out")
    for along in (-6, -3, 0, 3, 6):
        assert cameras_that_see((ax + bx) / 2, ay + along, 90.0)


def test_every_camera_shows_ground_only_near_itself():
    for camera in SITE.cameras:
        ground = GroundCamera.of(camera, LEVEL)
        assert len(ground.footprint_m()) > 0
        assert 4.5 <= camera.geometry.position_m[2] <= 7.0


def test_traffic_can_reach_every_stall_and_leave():
    assert len(Traffic(SITE, 1, 0).usable_stalls) == len(SITE.stalls)
