import math

import numpy as np
import pytest
import shapely
from msgspec.structs import replace

from perception.synthetic.demand import Demand
from perception.synthetic.footprints import corners
from perception.synthetic.seeds import generator
from perception.synthetic.traffic import Traffic
from perception.synthetic.trips import Trips
from perception.synthetic.vehicles import Vehicle
from site_models.load import load_site, resolve
from twin.events.ids import SECOND

CAR = Vehicle(id="car", body="hatchback", look=1, plate="", pace=1.0)
SITES = ["lot", "demo_lot"]


@pytest.fixture(scope="module")
def demo_lot():
    return load_site(resolve("demo_lot"))


@pytest.fixture(params=SITES)
def site(request):
    return request.getfixturevalue(request.param)


def _trips(site, *, is_backwards):
    trips, rng = Trips(site, 5.0), generator(3, "trips")
    found = {stall: trips.into(stall, CAR, rng, is_backwards=is_backwards) for stall in trips.stalls}
    return trips, rng, {stall: trip for stall, trip in found.items() if trip is not None}


def _is_reversed(heading_deg, stall):
    return abs(math.remainder(heading_deg - stall.heading_deg, 360.0)) > 45.0


def test_whoever_backs_in_stands_in_the_stall_with_the_nose_to_the_lane(site):
    _, _, arrived = _trips(site, is_backwards=True)
    stalls = {stall.id: stall for stall in site.stalls}
    backed = {stall: trip for stall, trip in arrived.items() if trip.path.gear[-1] == -1}
    assert len(backed) >= 0.8 * len(stalls)
    for stall, trip in backed.items():
        x, y, heading = trip.path.pose(trip.path.last)
        assert math.remainder(math.degrees(heading) - stalls[stall].heading_deg - 180.0, 360.0) == pytest.approx(0.0, abs=1.0)
        body = (x, y, math.cos(heading), math.sin(heading), CAR.shape.length_m / 2, CAR.shape.width_m / 2)
        assert shapely.Polygon(stalls[stall].ring_m).contains(shapely.Polygon(corners(body)))


def test_whoever_backs_in_drives_past_the_stall_first_and_leaves_ahead(site):
    trips, rng, arrived = _trips(site, is_backwards=True)
    for trip in (trip for trip in arrived.values() if trip.path.gear[-1] == -1):
        gears = np.array(trip.path.gear)
        assert np.count_nonzero(np.diff(gears)) == 1
        assert trip.path.limit[int(np.argmin(gears)) - 1] == 0  # a stop between the gears
        assert set(trips.out_of(trip, CAR, rng).path.gear) == {1}


def test_whoever_drives_in_ahead_backs_out(site):
    trips, rng, arrived = _trips(site, is_backwards=False)
    for trip in arrived.values():
        assert set(trip.path.gear) == {1}
        assert trips.out_of(trip, CAR, rng).path.gear[1] == -1


def test_no_way_turns_more_sharply_than_a_car_can(site):
    for is_backwards in (False, True):
        trips, rng, arrived = _trips(site, is_backwards=is_backwards)
        for trip in arrived.values():
            for path in (trip.path, trips.out_of(trip, CAR, rng).path):
                turned = np.abs(np.diff(path.heading)) / np.hypot(np.diff(path.x), np.diff(path.y))
                assert np.convolve(turned, np.full(8, 1 / 8), "valid").max() < 1 / 1.2  # radius of the guide point, over 1 m


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0.0, 0.0), (0.3, 0.1, 0.5), (1.0, 0.8, 1.0)])
def test_as_many_stand_backwards_as_are_asked_for(demo_lot, start_at, share, least, most):
    stalls = {stall.id: stall for stall in demo_lot.stalls}
    reversed_ = []
    for seed in range(2):
        traffic = Traffic(demo_lot, seed, start_at, replace(Demand(), back_in_share=share, initial_share=0.9))
        traffic.advance(start_at + SECOND)
        parked = [one for one in traffic.at(start_at).vehicles if one.state == "parked"]
        reversed_ += [_is_reversed(one.heading_deg, stalls[one.stall]) for one in parked]
    assert len(reversed_) > 45
    assert least <= np.mean(reversed_) <= most
