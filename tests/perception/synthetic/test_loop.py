import itertools
import math
from pathlib import Path

import pytest

import site_models
from perception.synthetic.footprints import overlap
from perception.synthetic.loop import LoopDemand, LoopTraffic
from site_models.load import load_site
from twin.errors import BadInput
from twin.events.ids import SECOND

PERIOD = 180 * SECOND
FASTEST_MPS = 12.0


@pytest.fixture(scope="module")
def demo_lot():
    return load_site(Path(site_models.__file__).parent / "sites" / "demo_lot")


@pytest.fixture(scope="module")
def loop(demo_lot):
    return LoopTraffic(demo_lot, 1)


def _poses(frame):
    return {one.vehicle.id: (one.x_m, one.y_m, one.heading_deg, one.stall, one.state) for one in frame.vehicles}


def _rectangle(one):
    heading, shape = math.radians(one.heading_deg), one.vehicle.shape
    return one.x_m, one.y_m, math.cos(heading), math.sin(heading), shape.length_m / 2, shape.width_m / 2


def test_a_round_ends_as_it_began(loop):
    assert _poses(loop.at(0)) == _poses(loop.at(PERIOD - 1)) == _poses(loop.at(PERIOD)) == _poses(loop.at(7 * PERIOD))


def test_nothing_moves_near_the_seam(loop):
    for at in (0, SECOND, 2 * SECOND - 1, PERIOD - 2 * SECOND, PERIOD - 1):
        assert {one.state for one in loop.at(at).vehicles} == {"parked"}


def test_vehicles_never_touch_and_never_jump_in_two_rounds(loop):
    before = {}
    for at in range(0, 2 * PERIOD, SECOND // 2):
        frame = loop.at(at)
        rectangles = [_rectangle(one) for one in frame.vehicles]
        assert not any(overlap(a, b) for a, b in itertools.combinations(rectangles, 2)), at
        now = {one.vehicle.id: one for one in frame.vehicles}
        for vehicle in before.keys() & now.keys():
            a, b = before[vehicle], now[vehicle]
            assert math.hypot(a.x_m - b.x_m, a.y_m - b.y_m) <= FASTEST_MPS / 2, (vehicle, at)
        before = now


def test_the_round_has_what_was_asked_for(loop):
    demand = LoopDemand()
    stays = loop.visits(3)
    crossing = [one for one in stays if one.entry_at and one.exit_at and one.entry_at // PERIOD != one.exit_at // PERIOD]
    within = [one for one in stays if one.entry_at and one.exit_at and one.entry_at // PERIOD == one.exit_at // PERIOD]
    assert len(crossing) == 2 * demand.n_returning  # between three rounds lie two seams
    assert len(within) == 3 * (demand.n_visiting + demand.n_passing)


def test_stays_of_one_vehicle_follow_one_another(loop):
    by_vehicle = itertools.groupby(loop.visits(4), key=lambda one: one.vehicle.id)
    for _, group in by_vehicle:
        for before, after in itertools.pairwise(group):
            assert before.exit_at < after.entry_at


def test_a_vehicle_is_on_site_between_its_entry_and_its_exit(loop):
    for one in loop.visits(2):
        if one.entry_at is not None and one.exit_at is not None:
            inside = {state.vehicle.id for state in loop.at((one.entry_at + one.exit_at) // 2).vehicles}
            assert one.vehicle.id in inside


def test_the_same_seed_gives_the_same_round(demo_lot, loop):
    again = LoopTraffic(demo_lot, 1)
    for at in range(0, PERIOD, 7 * SECOND):
        assert loop.at(at) == again.at(at)


def test_a_demand_that_does_not_fit_is_refused_with_its_numbers(demo_lot):
    with pytest.raises(BadInput, match="30 visiting"):
        LoopTraffic(demo_lot, 1, 60, LoopDemand(n_visiting=30, parked_share=0.9))
    with pytest.raises(BadInput, match="3 s is too short"):
        LoopTraffic(demo_lot, 1, 3)
