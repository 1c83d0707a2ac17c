from itertools import pairwise

import pytest

from perception.synthetic.demand import Demand
from perception.synthetic.seeds import generator
from perception.synthetic.traffic import Traffic
from perception.synthetic.trips import Trips
from perception.synthetic.vehicles import Fleet
from site_models.load import load_site, resolve
from twin.events.ids import SECOND

LINE_Y = -5.0  # of the entry and of the exit; the entry is driven north, the exit south
BUSY = Demand(arrivals_per_h=240.0, stay_median_s=100.0, rush=0.0, double_park_share=0.0)


class Passage:
    """One vehicle at one gate: when its middle crosses the line, and how long its nose stood right before it."""

    def __init__(self, vehicle, crossed_at, stood_s):
        self.vehicle, self.crossed_at, self.stood_s = vehicle, crossed_at, stood_s


def _passages(frames, gate_x, is_inwards):
    """Every crossing of a gate, in order."""
    stood, before, found = {}, {}, []
    for frame in frames:
        for state in frame.vehicles:
            name, ahead_m = state.vehicle.id, (LINE_Y - state.y_m) if is_inwards else (state.y_m - LINE_Y)
            if abs(state.x_m - gate_x) > 3:
                continue
            nose_m = ahead_m - state.vehicle.shape.length_m / 2
            if state.speed_mps == 0 and 0.5 < nose_m < 1.3:
                stood[name] = stood.get(name, 0.0) + 0.1
            if before.get(name, -1.0) > 0 >= ahead_m:
                found.append(Passage(name, frame.at, stood.get(name, 0.0)))
            before[name] = ahead_m
    return found


@pytest.fixture(scope="module")
def demo_lot():
    return load_site(resolve("demo_lot"))


@pytest.fixture(scope="module")
def play(demo_lot, start_at):
    def played(**changes):
        demand = Demand(**{name: getattr(BUSY, name) for name in BUSY.__struct_fields__} | changes)
        return list(Traffic(demo_lot, 1, start_at, demand).frames(start_at + 240 * SECOND))

    return played


@pytest.fixture(scope="module")
def patient(play):
    return play(tailgating_share=0.0, platoon_share=1.0)


@pytest.mark.parametrize(("gate_x", "is_inwards"), [(0.0, True), (28.0, False)], ids=["entry", "exit"])
def test_everyone_stands_before_the_barrier_as_long_as_a_ticket_takes(patient, gate_x, is_inwards):
    passages = _passages(patient, gate_x, is_inwards)
    assert len(passages) >= 8
    assert all(one.stood_s >= 1.9 for one in passages)
    alone = [one for before, one in pairwise(passages) if one.crossed_at - before.crossed_at > 15 * SECOND]
    assert all(one.stood_s <= 5.7 for one in alone)  # a ticket, and half a second to set off


def test_those_behind_queue_one_behind_another(patient):
    queues = []
    for frame in patient:
        waiting = [one for one in frame.vehicles if abs(one.x_m) < 3 and one.y_m < LINE_Y and abs(one.speed_mps) < 0.1]
        queues.append(sorted(waiting, key=lambda one: -one.y_m))
    longest = max(queues, key=len)
    assert len(longest) >= 2
    for ahead, behind in pairwise(longest):
        assert ahead.y_m - behind.y_m > (ahead.vehicle.shape.length_m + behind.vehicle.shape.length_m) / 2


def test_whoever_does_not_stop_drives_close_behind_another(play):
    passages = _passages(play(tailgating_share=1.0, platoon_share=1.0), 0.0, is_inwards=True)
    tailgating = [(before, one) for before, one in pairwise(passages) if one.stood_s == 0.0]
    assert passages[0].stood_s > 1.9
    assert len(tailgating) >= 3
    assert all(one.crossed_at - before.crossed_at < 8 * SECOND for before, one in tailgating)


def test_only_a_boundary_at_a_zone_of_gates_has_a_barrier(demo_lot, lot):
    def barriers(site):
        trips, rng = Trips(site, 5.0), generator(1, "trips")
        fleet = Fleet(rng, 0.0, on_road=False)
        found = (trips.into(stall, fleet.draw(), rng) for stall in trips.stalls[:9])
        return [trip.barriers for trip in found if trip is not None][:3]

    assert [[one.gate.portal for one in found] for found in barriers(demo_lot)] == [["entry"]] * 3
    assert barriers(lot) == [()] * 3
