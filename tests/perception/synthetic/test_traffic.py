import math
from itertools import pairwise

import numpy as np
import pytest
import shapely
from msgspec.structs import replace

from perception.synthetic.demand import DEMO, Demand
from perception.synthetic.footprints import corners, overlaps
from perception.synthetic.traffic import FRAME, Traffic
from twin.errors import BadInput
from twin.events.ids import SECOND

BUSY = Demand(stay_median_s=120.0, rush=0.0, initial_share=0.5, occupancy=0.6)
CASES = [("lot", 1), ("lot", 2), ("lot", 3), ("deck", 1), ("deck", 2), ("road", 1)]
MINUTES = {"lot": 5, "deck": 4, "road": 2}


def _rectangle(state):
    heading, shape = math.radians(state.heading_deg), state.vehicle.shape
    return (state.x_m, state.y_m, math.cos(heading), math.sin(heading), shape.length_m / 2, shape.width_m / 2)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def played(request, start_at):
    name, seed = request.param
    site = request.getfixturevalue(name)
    demand = Demand(arrivals_per_h=90.0, stay_median_s=120.0, rush=0.0) if name == "deck" else BUSY
    traffic = Traffic(site, seed, start_at, demand)
    frames = list(traffic.frames(start_at + MINUTES[name] * 60 * SECOND))
    return site, frames, traffic.take_visits(), traffic.open_visits()


def test_no_two_vehicles_touch(played):
    _, frames, _, _ = played
    for frame in frames:
        rectangles = np.array([_rectangle(state) for state in frame.vehicles]).reshape(-1, 6)
        touching = np.argwhere(np.triu(overlaps(rectangles, rectangles), 1))
        pairs = [(frame.vehicles[i], frame.vehicles[j]) for i, j in touching]
        assert [pair for pair in pairs if pair[0].level == pair[1].level] == []


def test_no_vehicle_jumps_or_turns_on_the_spot(played):
    site, frames, _, _ = played
    fastest_mps, most_accel = (5.6, 3.2) if site.stalls else (30.0, 3.2)
    for before, after in pairwise(frames):
        earlier = {state.vehicle.id: state for state in before.vehicles}
        for state in after.vehicles:
            if (old := earlier.get(state.vehicle.id)) is None:
                continue
            step_m = math.hypot(state.x_m - old.x_m, state.y_m - old.y_m)
            turned = abs(math.remainder(state.heading_deg - old.heading_deg, 360.0))
            assert step_m <= 1.3 * fastest_mps * 0.1  # a nose that swings out is faster than the wheels
            assert turned <= 40.0 * step_m + 0.5
            assert abs(state.speed_mps - old.speed_mps) <= most_accel * 0.1 + 1e-9


def test_a_moving_vehicle_goes_where_it_points(played):
    _, frames, _, _ = played
    n_checked = 0
    for before, after in pairwise(frames):
        earlier = {state.vehicle.id: state for state in before.vehicles}
        for state in after.vehicles:
            old = earlier.get(state.vehicle.id)
            if old is None or abs(state.speed_mps) < 0.4 or abs(old.speed_mps) < 0.4:
                continue
            course = math.atan2(state.y_m - old.y_m, state.x_m - old.x_m) + (math.pi if state.speed_mps < 0 else 0.0)
            assert abs(math.remainder(course - math.radians(state.heading_deg), math.tau)) < math.radians(35)
            n_checked += 1
    assert n_checked > 100


def test_a_parked_vehicle_stands_inside_its_stall_along_its_axis(played):
    site, frames, _, _ = played
    stalls = {stall.id: stall for stall in site.stalls}
    for frame in frames[:: 10 * SECOND // FRAME]:
        parked = [state for state in frame.vehicles if state.state == "parked"]
        assert len({state.stall for state in parked}) == len(parked)
        for state in parked:
            stall = stalls[state.stall]
            assert shapely.Polygon(stall.ring_m).contains(shapely.Polygon(corners(_rectangle(state))))
            assert math.remainder(state.heading_deg - stall.heading_deg, 180.0) == pytest.approx(0.0, abs=1.0)
            assert state.level == stall.level


def test_every_visit_lies_between_its_entry_and_its_exit(played, start_at):
    _, frames, ended, going_on = played
    assert ended
    seen = {}
    for frame in frames:
        for state in frame.vehicles:
            seen.setdefault(state.vehicle.id, []).append(frame.at)
    first = {state.vehicle.id for state in frames[0].vehicles if state.state == "parked"}
    for visit in ended:
        assert visit.exit_at is not None
        assert (visit.entry_at is None) == (visit.vehicle.id in first)
        assert (visit.entry_at or start_at) < visit.exit_at < seen[visit.vehicle.id][-1] + 10 * SECOND
        assert visit.entry_at is None or seen[visit.vehicle.id][0] <= visit.entry_at
    last = frames[-1].at
    inside = {visit.vehicle.id for visit in going_on if visit.exit_at is None}
    assert inside <= {one for one, at in seen.items() if at[-1] == last}
    assert not {visit.vehicle.id for visit in ended} & {visit.vehicle.id for visit in going_on}


def test_entry_and_exit_are_when_the_middle_crosses_the_portal(lot, start_at):
    traffic = Traffic(lot, 5, start_at, BUSY)
    tracks = {}
    for frame in traffic.frames(start_at + 240 * SECOND):
        for state in frame.vehicles:
            tracks.setdefault(state.vehicle.id, []).append((frame.at, state.x_m))
    visits = [visit for visit in traffic.take_visits() if visit.entry_at is not None]
    assert visits
    for visit in visits:
        at, x = np.array(tracks[visit.vehicle.id]).T
        assert np.interp(visit.entry_at, at, x) == pytest.approx(1.0, abs=0.15)
        assert np.interp(visit.exit_at, at, x) == pytest.approx(45.0, abs=0.15)


def test_the_same_seed_gives_the_same_traffic_however_it_is_advanced(lot, start_at):
    until_at = start_at + 120 * SECOND
    at_once = list(Traffic(lot, 9, start_at, DEMO).frames(until_at))
    in_steps = list(Traffic(lot, 9, start_at, DEMO).frames(until_at, chunk=700_000))
    assert at_once == in_steps
    assert at_once != list(Traffic(lot, 10, start_at, DEMO).frames(until_at))


def test_the_demo_is_alive(lot, start_at):
    traffic = Traffic(lot, 4, start_at, DEMO)
    frames = list(traffic.frames(start_at + 600 * SECOND))
    visits = traffic.take_visits() + traffic.open_visits()
    n_parked = [sum(state.state == "parked" for state in frame.vehicles) for frame in frames]
    n_events = sum((visit.entry_at is not None) + (visit.exit_at is not None) for visit in visits)
    assert n_parked[0] == 10  # half of 20
    assert 5 <= np.mean(n_parked) <= 16
    assert 8 <= 600 / n_events <= 25  # seconds between arrivals or departures


def test_memory_does_not_grow_with_what_is_over(lot, start_at):
    traffic = Traffic(lot, 6, start_at, DEMO)
    for minute in range(1, 16):
        traffic.advance(start_at + minute * 60 * SECOND)
        traffic.take_visits()
    assert len(traffic._presences) <= 40
    assert len(traffic._road._taken) <= 2 * 60 * 8
    assert sum(len(one.episodes) for one in traffic._presences.values()) <= 3 * 40


def test_rush_hours_bring_more_vehicles_than_nights(lot, start_at):
    demand = Demand(arrivals_per_h=60.0, rush=1.0, stay_median_s=60.0)
    night_at = start_at - 6 * 3600 * SECOND  # 02:00

    def arrivals(from_at):
        traffic = Traffic(lot, 2, from_at, demand)
        traffic.advance(from_at + 1800 * SECOND)
        traffic.advance(from_at + 1801 * SECOND)
        return sum(visit.entry_at is not None for visit in traffic.take_visits() + traffic.open_visits())

    assert arrivals(start_at) > 3 * max(1, arrivals(night_at))


def test_a_site_without_a_way_through_is_refused_with_what_is_missing(lot, start_at):
    closed = replace(lot, portals=lot.portals[:1])
    with pytest.raises(BadInput, match="1 lanes in and 0 lanes out"):
        Traffic(closed, 1, start_at)


def test_truth_before_it_is_generated_is_refused(lot, start_at):
    with pytest.raises(BadInput, match="advance to it first"):
        Traffic(lot, 1, start_at).at(start_at)
