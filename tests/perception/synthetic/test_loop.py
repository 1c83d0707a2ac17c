import itertools
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import shapely
from msgspec.structs import replace

import site_models
from perception.synthetic.footprints import overlap
from perception.synthetic.loop import LoopTraffic
from perception.synthetic.loop_demand import LoopDemand
from perception.synthetic.run_files import write_truth
from perception.synthetic.truth import FRAME
from perception.synthetic.views import Viewer
from site_models.load import load_site
from twin.errors import BadInput
from twin.events.ids import SECOND

PERIOD = 180 * SECOND
FASTEST_MPS = 7.5  # 5 m/s, the fastest driver, and a nose that swings out


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


def _of_round(visits, number):
    """Stays that begin in a round."""
    return [one for one in visits if one.entry_at is not None and one.entry_at // PERIOD == number]


def _parked_s(loop, visit):
    """How long a vehicle stands in a stall during a stay."""
    times = range(visit.entry_at, visit.exit_at, SECOND)
    return sum(one.vehicle.id == visit.vehicle.id and one.state == "parked" for at in times for one in loop.at(at).vehicles)


def test_every_round_has_what_was_asked_for(loop, demo_lot):
    demand = LoopDemand()
    first = loop.at(0).vehicles
    assert abs(len(first) / len(demo_lot.stalls) - 0.6) < 0.05
    for number in (0, 1):
        stays = _of_round(loop.visits(3), number)
        crossing = [one for one in stays if one.exit_at >= (number + 1) * PERIOD]
        parked_s = [_parked_s(loop, one) for one in stays if one.exit_at < (number + 1) * PERIOD]
        assert len(crossing) == demand.n_returning >= 4
        assert sum(one >= 25 for one in parked_s) == demand.n_visiting >= 3
        assert sum(one == 0 for one in parked_s) == demand.n_passing >= 3


def test_who_crosses_the_seam_comes_back_to_its_very_pose(loop):
    stays = [one for one in loop.visits(2) if one.entry_at is None and one.exit_at is not None]
    assert len(stays) == LoopDemand().n_returning
    for one in stays:
        back = next(stay for stay in loop.visits(2) if stay.vehicle == one.vehicle and stay.entry_at is not None)
        assert one.exit_at < back.entry_at < PERIOD
        poses = [_poses(loop.at(at)).get(one.vehicle.id) for at in range(0, PERIOD, SECOND)]
        assert None in poses[one.exit_at // SECOND : back.entry_at // SECOND]
        assert poses[0] == poses[-1]
        assert poses[0][3] is not None


def test_entries_and_exits_are_spread_over_the_round(loop):
    at = sorted(at for one in loop.visits(3) for at in (one.entry_at, one.exit_at) if at is not None)
    assert max(after - before for before, after in itertools.pairwise(at)) <= 30 * SECOND


def test_look_alikes_are_on_site_together_and_one_of_them_moves(loop):
    movers = {one.vehicle.id for one in loop.visits(1) if (one.entry_at, one.exit_at) != (None, None)}
    met = set()
    for at in range(0, PERIOD, SECOND):
        pairs = itertools.combinations([state.vehicle for state in loop.at(at).vehicles], 2)
        met |= {(a.id, b.id) for a, b in pairs if (a.look, a.body) == (b.look, b.body) and a.plate != b.plate}
    assert any(movers & set(pair) for pair in met)


def test_somebody_drives_through_the_passage_that_no_camera_sees(loop, demo_lot):
    lines = [shapely.LineString(portal.line_m) for portal in demo_lot.portals if portal.role == "blind"]
    tracks = {}
    for at in range(0, PERIOD, SECOND // 2):
        for one in loop.at(at).vehicles:
            tracks.setdefault(one.vehicle.id, []).append((one.x_m, one.y_m))
    through = [one for one in tracks.values() if all(shapely.LineString(one).intersects(line) for line in lines)]
    assert len(lines) == 2
    assert through


def test_every_vehicle_is_in_view_when_it_enters_and_when_it_leaves(loop, demo_lot):
    viewers = [Viewer(demo_lot, camera) for camera in demo_lot.cameras]
    for one in _of_round(loop.visits(3), 1):
        for at in (one.entry_at, one.exit_at):
            (state,) = (state for state in loop.at(at).vehicles if state.vehicle.id == one.vehicle.id)
            assert any(viewer.views([state])[0] is not None for viewer in viewers), (one.vehicle.id, at)


def test_people_walk_from_their_cars_and_back_and_on_across_the_seam(loop):
    walked, before = set(), {}
    for at in range(0, 2 * PERIOD, SECOND // 2):
        now = {one.id: one for one in loop.at(at).people}
        vehicles = {one.vehicle.id: one for one in loop.at(at).vehicles}
        for person in now.keys() & before.keys():
            moved_m = math.dist((now[person].x_m, now[person].y_m), (before[person].x_m, before[person].y_m))
            assert moved_m < 3.0, (person, at)  # at a walk, or aside before a vehicle
        for person in now.keys() - before.keys():
            beside_m = min(math.dist((now[person].x_m, now[person].y_m), (one.x_m, one.y_m)) for one in vehicles.values())
            walked |= {person} if beside_m < 3.0 else set()
        before = now
    assert len(walked) >= 3
    assert {one.id for one in loop.at(PERIOD + 30 * SECOND).people} == {one.id for one in loop.at(30 * SECOND).people}
    assert loop.at(PERIOD).people == loop.at(0).people


def test_a_site_that_one_camera_covers_badly_still_gets_its_round(demo_lot):
    one_camera = replace(demo_lot, cameras=demo_lot.cameras[:1])
    assert len(LoopTraffic(one_camera, 1, 120).visits(1)) > 10


def test_truth_of_two_rounds_has_no_rows_at_the_seam(loop, tmp_path):
    path = tmp_path / "truth.parquet"
    write_truth(path, (loop.at(at) for at in range(0, 2 * PERIOD, FRAME)))
    rows = pq.read_table(path).to_pylist()
    assert sum(row["t"] == 0 for row in rows) == len(loop.at(0).vehicles)
    assert any(row["t"] > PERIOD + 2 * SECOND for row in rows)
    assert not [row for row in rows if PERIOD - 2 * SECOND < row["t"] < PERIOD + 2 * SECOND]


def test_vehicles_appear_before_they_enter_and_vanish_after_they_left(loop):
    visits = loop.visits(2)
    there = [{state.vehicle.id for state in loop.at(at).vehicles} for at in range(0, 2 * PERIOD, SECOND)]
    for second, (before, now) in enumerate(itertools.pairwise(there), start=1):
        for vehicle in before ^ now:
            of_vehicle = [one for one in visits if one.vehicle.id == vehicle]
            is_inside = any(
                (one.entry_at or 0) <= second * SECOND < (2 * PERIOD if one.exit_at is None else one.exit_at)
                for one in of_vehicle
            )
            assert of_vehicle
            assert not is_inside


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


def test_a_demand_that_does_not_fit_is_refused_with_its_numbers(demo_lot, monkeypatch):
    monkeypatch.setattr("perception.synthetic.loop._MOST_TRIES", 4)
    with pytest.raises(BadInput, match=r"32 usable stalls of 'demo_lot', 29 are parked on and 3 free: .* 30 visiting"):
        LoopTraffic(demo_lot, 1, 60, LoopDemand(n_visiting=30, parked_share=0.9))
    with pytest.raises(BadInput, match=r"4 times a drive did not end in time"):
        LoopTraffic(demo_lot, 1, 12, LoopDemand())
    with pytest.raises(BadInput, match=r"parked_share=1\.5"):
        LoopTraffic(demo_lot, 1, 60, LoopDemand(parked_share=1.5))
    with pytest.raises(BadInput, match=r"cannot last 3 s; give a multiple of 0\.5 s over 8 s"):
        LoopTraffic(demo_lot, 1, 3)
    with pytest.raises(BadInput, match=r"cannot last 60\.2 s"):
        LoopTraffic(demo_lot, 1, 60.2)
