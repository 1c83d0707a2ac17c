"""What has to hold on whole sites, with everything that drivers do at once and more often than usual."""

import math
from itertools import pairwise

import pytest
from msgspec.structs import replace

from perception.synthetic.demand import Demand
from perception.synthetic.traffic import Traffic
from perception.synthetic.truth_checks import truth_faults
from site_models.generate import generate
from site_models.load import load_site, resolve
from twin.events.ids import SECOND

LIVELY = Demand(
    stay_median_s=60.0,
    rush=0.0,
    occupancy=0.5,
    platoon_share=0.3,
    tailgating_share=0.4,
    back_in_share=0.5,
    change_share=0.3,
    double_park_share=0.08,
    double_park_s=(10.0, 30.0),
)
MOST_M = 0.75  # in 100 ms: 5.5 m/s, and a nose that swings out
PERIOD = 100 * SECOND


@pytest.fixture(scope="module")
def sites():
    return {
        "demo_lot": load_site(resolve("demo_lot")),
        "two levels": generate(n_cameras=2, n_stalls=24, n_levels=2, overlap=0.2, seed=7),
    }


@pytest.fixture(scope="module", params=[(name, seed) for name in ("demo_lot", "two levels") for seed in (1, 2, 3)], ids=str)
def played(request, sites, start_at):
    name, seed = request.param
    traffic = Traffic(sites[name], seed, start_at, LIVELY)
    frames = list(traffic.frames(start_at + PERIOD))
    return sites[name], seed, frames, traffic.take_visits(), traffic.open_visits()


def test_nobody_touches_jumps_or_vanishes(played):
    _, _, frames, ended, going_on = played
    known = [visit for visit in going_on if (visit.entry_at or 0) <= frames[-1].at]  # the last 100 ms have no frame
    assert truth_faults(frames, ended, known) == []
    for before, after in pairwise(frames):
        earlier = {state.vehicle.id: state for state in before.vehicles}
        for state in after.vehicles:
            old = earlier.get(state.vehicle.id, state)
            assert math.hypot(state.x_m - old.x_m, state.y_m - old.y_m) <= MOST_M


def test_every_stay_is_bounded_by_an_entry_and_an_exit_or_by_the_period(played, start_at):
    _, _, frames, ended, going_on = played
    there = [{state.vehicle.id for state in frame.vehicles} for frame in (frames[0], frames[-1])]
    assert len(ended) >= 2
    for visit in (*ended, *going_on):
        assert visit.entry_at is not None or visit.vehicle.id in there[0]
        assert visit.exit_at is not None or visit.vehicle.id in there[1]
        assert (visit.entry_at or start_at) < (visit.exit_at or start_at + PERIOD)
    visited = {visit.vehicle.id for visit in (*ended, *going_on)}
    outside = {state.vehicle.id for frame in frames for state in frame.vehicles} - visited
    assert outside <= there[1]  # those who have not crossed the boundary yet


def test_every_kind_of_behaviour_happens(sites, start_at):
    site = sites["demo_lot"]
    stalls = {stall.id: stall for stall in site.stalls}
    backed, used, halted = set(), {}, set()
    demand = replace(LIVELY, stay_median_s=150.0, change_share=1.0, double_park_share=0.2)
    for frame in Traffic(site, 4, start_at, demand).frames(start_at + 2 * PERIOD):
        for state in frame.vehicles:
            if state.stall is not None:
                used.setdefault(state.vehicle.id, set()).add(state.stall)
                if abs(math.remainder(state.heading_deg - stalls[state.stall].heading_deg, 360.0)) > 90:
                    backed.add(state.vehicle.id)
            elif state.speed_mps == 0 and 4 < state.x_m < 24 and state.y_m > 8:
                halted.add(state.vehicle.id)
    assert len(backed) >= 5
    assert any(len(stalls) == 2 for stalls in used.values())
    assert halted


@pytest.mark.parametrize("name", ["demo_lot", "two levels"])
def test_the_same_seed_gives_the_same_traffic_however_it_is_advanced(sites, name, start_at):
    until_at = start_at + 30 * SECOND
    at_once = list(Traffic(sites[name], 9, start_at, LIVELY).frames(until_at))
    in_steps = list(Traffic(sites[name], 9, start_at, LIVELY).frames(until_at, chunk=700_000))
    assert at_once == in_steps
    assert at_once != list(Traffic(sites[name], 10, start_at, LIVELY).frames(until_at))
