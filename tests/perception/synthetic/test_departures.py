from itertools import pairwise

import pytest
from msgspec.structs import replace

from perception.synthetic.demand import Demand
from perception.synthetic.drive import TICK, Drive
from perception.synthetic.seeds import generator
from perception.synthetic.traffic import Traffic
from perception.synthetic.trips import Trips
from perception.synthetic.vehicles import Vehicle
from twin.events.ids import SECOND

CAR = Vehicle(id="broken-down", body="hatchback", look=1, plate="", pace=1.0)
BLOCKED_S = 600
QUIET = Demand(arrivals_per_h=1e-3, stay_median_s=20.0, rush=0.0, initial_share=0.2, change_share=0.0)


@pytest.fixture(scope="module")
def blocked(lot, start_at):
    """Four vehicles that mean to leave soon, while something stands in the way out; and when each tries, to the second."""
    traffic = Traffic(lot, 3, start_at, QUIET)
    traffic.advance(start_at + 1)
    before = {state.vehicle.id for state in traffic.at(start_at).vehicles}
    path = Trips(lot, 5.0).through(CAR, generator(1, "way")).path
    step = next(index for index, x in enumerate(path.x) if x > 42)
    n_ticks = BLOCKED_S * SECOND // TICK
    traffic._road.take(Drive(path, start_at, [step] * n_ticks, [0] * n_ticks))
    tries = {vehicle: [] for vehicle in before}
    n_tries = {}
    for second in range(1, BLOCKED_S):
        traffic.advance(start_at + second * SECOND)
        for event in traffic._events:
            if event.kind == "leaves" and n_tries.get(event.vehicle, 0) != event.n_tries:
                n_tries[event.vehicle] = event.n_tries
                tries[event.vehicle].append(second)
    return traffic, before, tries


def test_a_departure_that_cannot_happen_is_tried_again_less_and_less_often(blocked):
    _, _, tries = blocked
    for at in tries.values():
        gaps = [after - before for before, after in pairwise(at[:8])]
        assert all(after >= before - 1 for before, after in pairwise(gaps))  # to the second
        assert 8 <= len(at) <= 20
        assert max(after - before for before, after in pairwise(at)) >= 300  # later


def test_nobody_who_cannot_leave_is_lost_and_everybody_leaves_in_the_end(blocked, start_at):
    traffic, before, _ = blocked
    now = start_at + (BLOCKED_S - 1) * SECOND
    assert {state.vehicle.id for state in traffic.at(now - 1).vehicles} == before
    for minute in range(1, 12):
        traffic.advance(now + minute * 60 * SECOND)
    ended = traffic.take_visits()
    assert {visit.vehicle.id for visit in ended} == before
    assert all(visit.exit_at > start_at + BLOCKED_S * SECOND for visit in ended)


def test_some_drivers_move_to_another_stall_after_minutes(lot, start_at):
    demand = replace(QUIET, stay_median_s=1200.0, stay_sigma=0.2, change_share=1.0, initial_share=0.4)
    traffic = Traffic(lot, 5, start_at, demand)
    stalls = {}
    for frame in traffic.frames(start_at + 330 * SECOND):
        for state in frame.vehicles:
            if state.stall is not None and state.stall not in stalls.setdefault(state.vehicle.id, []):
                stalls[state.vehicle.id].append(state.stall)
    moved = [one for one in stalls.values() if len(one) == 2]
    assert len(moved) >= 3  # the aisle is one-way: those at its end cannot come back
    assert max(len(one) for one in stalls.values()) == 2
    assert traffic.take_visits() == []  # moving is not leaving
    assert all(visit.entry_at is None and visit.exit_at is None for visit in traffic.open_visits())


def test_some_halt_beside_a_stall_and_leave_again(lot, start_at):
    demand = replace(QUIET, arrivals_per_h=120.0, double_park_share=1.0, double_park_s=(20.0, 30.0), initial_share=0.0)
    traffic = Traffic(lot, 5, start_at, replace(demand, pass_through_share=0.0))
    standing = {}
    for frame in traffic.frames(start_at + 300 * SECOND):
        for state in frame.vehicles:
            assert state.state == "moving"
            if state.speed_mps == 0 and 6.0 < state.x_m < 40.0:
                standing.setdefault(state.vehicle.id, []).append(frame.at)
    ended = {visit.vehicle.id for visit in traffic.take_visits()}
    assert len(ended) >= 4
    for vehicle in ended:
        assert len(standing[vehicle]) / 10 >= 19
