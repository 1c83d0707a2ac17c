import hashlib
import math
import sys
import tempfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from msgspec.structs import replace

from perception.synthetic.demand import DEMO
from perception.synthetic.footprints import corners
from perception.synthetic.routes import LaneGraph
from perception.synthetic.run_files import write_run
from perception.synthetic.sumo import traffic as sumo_traffic
from perception.synthetic.sumo.floating_cars import Inputs, SumoRun
from perception.synthetic.sumo.network import Network
from perception.synthetic.sumo.programs import SumoFailed, complete
from perception.synthetic.sumo.traffic import SumoTraffic
from perception.synthetic.truth import FRAME
from perception.synthetic.truth_checks import TruthChecks
from site_models.load import load_site, resolve
from twin.errors import BadInput, MissingExtra
from twin.events.ids import SECOND


def _missing():
    """Why SUMO does not run here; its programs need X11's libraries, though they open no window."""
    try:
        complete("sumo", ["--version"])
    except (MissingExtra, SumoFailed) as why:
        return str(why)
    return ""


needs_sumo = pytest.mark.skipif(bool(missing := _missing()), reason=missing)
MINUTES = 10


def _play(traffic, start_at, until_at, chunk=SECOND):
    now, next_at = start_at, start_at
    while now < until_at:
        now = min(now + chunk, until_at)
        traffic.advance(now)
        while next_at < now:
            yield traffic.at(next_at)
            next_at += FRAME


@pytest.fixture(scope="module")
def demo_lot():
    return load_site(resolve("demo_lot"))


@pytest.fixture(scope="module")
def played(demo_lot, start_at):
    until_at = start_at + MINUTES * 60 * SECOND
    traffic = SumoTraffic(demo_lot, 1, start_at, until_at, DEMO)
    frames = list(_play(traffic, start_at, until_at))
    yield traffic, frames, traffic.take_visits(), traffic.open_visits()
    traffic.close()


@needs_sumo
def test_ten_minutes_of_the_demo_lot_pass_the_checks(played):
    _, frames, ended, going_on = played
    checks = TruthChecks()
    for frame in frames:
        checks.add(frame)
    assert [str(fault) for fault in checks.faults(ended, going_on)] == []
    assert len(frames) == MINUTES * 60 * 10
    whole = [visit for visit in ended if visit.entry_at is not None]
    assert len(whole) >= 10
    assert any(visit.entry_at is None for visit in ended)  # who was parked first leaves too
    assert {state.vehicle.id for state in frames[0].vehicles} <= {v.vehicle.id for v in (*ended, *going_on)}


@needs_sumo
def test_a_parked_vehicle_stands_inside_its_stall_along_its_axis_nose_in_or_backed_in(played, demo_lot):
    traffic, frames, _, _ = played
    stalls, turns = {stall.id: stall for stall in demo_lot.stalls}, set()
    assert set(traffic.usable_stalls) == set(stalls)
    for frame in frames[:: 5 * SECOND // FRAME]:
        for state in (state for state in frame.vehicles if state.state == "parked"):
            stall, shape = stalls[state.stall], state.vehicle.shape
            heading = math.radians(state.heading_deg)
            box = (state.x_m, state.y_m, math.cos(heading), math.sin(heading), shape.length_m / 2, shape.width_m / 2)
            assert shapely.Polygon(stall.ring_m).contains(shapely.Polygon(corners(box)))
            turns.add(round(abs(math.remainder(state.heading_deg - stall.heading_deg, 360.0))))
    assert turns == {0, 180}


@needs_sumo
def test_a_vehicle_moves_along_its_heading_and_backs_into_or_out_of_stalls(played):
    _, frames, _, _ = played
    n_forwards, n_backwards, earlier = 0, 0, {}
    for frame in frames:
        for state in frame.vehicles:
            old = earlier.get(state.vehicle.id)
            if old is None or min(abs(state.speed_mps), abs(old.speed_mps)) < 0.4:
                continue
            course = math.atan2(state.y_m - old.y_m, state.x_m - old.x_m) + (math.pi if state.speed_mps < 0 else 0.0)
            assert abs(math.remainder(course - math.radians(state.heading_deg), math.tau)) < math.radians(35)
            assert abs(state.speed_mps - old.speed_mps) < 1.0
            n_forwards, n_backwards = n_forwards + (state.speed_mps > 0), n_backwards + (state.speed_mps < 0)
        earlier = {state.vehicle.id: state for state in frame.vehicles}
    assert n_forwards > 1000
    assert n_backwards > 500


@needs_sumo
def test_entry_and_exit_are_when_the_middle_crosses_the_portal(played):
    _, frames, ended, _ = played
    tracks = {}
    for frame in frames:
        for state in frame.vehicles:
            tracks.setdefault(state.vehicle.id, []).append((frame.at, state.x_m, state.y_m))
    for visit in (visit for visit in ended if visit.entry_at is not None):
        at, x, y = np.array(tracks[visit.vehicle.id]).T
        assert np.interp(visit.entry_at, at, y) == pytest.approx(-5.0, abs=0.01)  # both portals lie on y = -5
        assert np.interp(visit.exit_at, at, y) == pytest.approx(-5.0, abs=0.01)
        assert np.interp(visit.entry_at, at, x) < 3.0
        assert np.interp(visit.exit_at, at, x) > 25.0
        assert y.min() > -5.0 - 20.0  # they appear and vanish outside, not far away


@needs_sumo
def test_the_same_seed_gives_the_same_traffic_however_it_is_advanced(lot, start_at):
    until_at = start_at + 60 * SECOND
    played = []
    for seed, chunk in ((9, SECOND), (9, 700_000), (10, SECOND)):
        traffic = SumoTraffic(lot, seed, start_at, until_at, DEMO)
        played.append(list(_play(traffic, start_at, until_at, chunk)))
        traffic.close()
    assert played[0] == played[1]
    assert played[0] != played[2]


@needs_sumo
def test_between_frames_vehicles_are_between_their_places_and_parked_ones_are_the_same_object(lot, start_at):
    traffic = SumoTraffic(lot, 3, start_at, start_at + 60 * SECOND, DEMO)
    traffic.advance(start_at + 30 * SECOND)
    traffic.advance(start_at + 40 * SECOND)
    before, middle, after = (traffic.at(start_at + 35 * SECOND + part) for part in (0, 25_000, FRAME))
    later = {state.vehicle.id: state for state in after.vehicles}
    assert any(state.state == "moving" for state in before.vehicles)
    for one, between in zip(before.vehicles, middle.vehicles, strict=True):
        other = later[one.vehicle.id]
        assert between.x_m == pytest.approx(0.75 * one.x_m + 0.25 * other.x_m)
        assert (between is one) == (one.state == "parked")
    traffic.close()


@needs_sumo
def test_times_that_are_not_known_are_refused(lot, start_at):
    traffic = SumoTraffic(lot, 3, start_at, start_at + 10 * SECOND, DEMO)
    traffic.advance(start_at + 10 * SECOND)
    with pytest.raises(BadInput, match="advance to it first"):
        traffic.at(start_at + 10 * SECOND)
    with pytest.raises(BadInput, match="give a later end"):
        traffic.advance(start_at + 11 * SECOND)
    traffic.close()


@needs_sumo
@pytest.mark.parametrize("name", ["deck", "road"])
def test_levels_two_way_lanes_and_plain_roads_pass_the_checks_too(name, request, start_at):
    site = request.getfixturevalue(name)
    demand = replace(DEMO, arrivals_per_h=120.0, stay_median_s=60.0) if name == "deck" else None
    until_at = start_at + 180 * SECOND
    traffic, checks = SumoTraffic(site, 1, start_at, until_at, demand), TruthChecks()
    levels, moving = set(), set()
    for frame in _play(traffic, start_at, until_at):
        checks.add(frame)
        moving |= {state.vehicle.id for state in frame.vehicles if state.state == "moving"}
        levels |= {state.level for state in frame.vehicles if state.state == "moving"}
    assert [str(fault) for fault in checks.faults(traffic.take_visits(), traffic.open_visits())] == []
    assert levels == {level.id for level in site.levels}
    assert len(moving) >= 5
    traffic.close()


@needs_sumo
def test_the_network_keeps_site_frame_metres_and_the_ways_of_the_map(demo_lot, tmp_path):
    network = Network(demo_lot, LaneGraph(demo_lot), 5.0, tmp_path)
    aisle = next(edge for edge in network.edges.values() if network.graph.lanes[edge.lane].id == "lane-aisle-0")
    assert np.allclose(aisle.shape.points_m[:, 1], 11.0)  # the map draws it from (0, 11) to (28, 11)
    assert aisle.shape.points_m[0, 0] < 5.25 - 1.25 < 22.75 + 1.25 < aisle.shape.points_m[-1, 0]  # all its stalls
    written = (tmp_path / "site.con.xml").read_text()
    assert written.count("<connection ") == sum(len(lane.follows) for lane in demo_lot.lanes)


@needs_sumo
def test_a_run_with_sumo_has_the_same_bytes_for_the_same_seed_and_other_traffic_than_our_own(lot, start_at, tmp_path):
    runs = {"one": "sumo", "two": "sumo", "own": "own"}
    digests = {}
    for name, traffic in runs.items():
        write_run(lot, "default", 7, 1 / 60, tmp_path / name, start_at, traffic=traffic, demand=DEMO)
        files = sorted((tmp_path / name).iterdir())
        digests[name] = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    assert digests["one"] == digests["two"] != digests["own"]
    truth = pq.read_table(tmp_path / "one" / "truth.parquet")
    assert {"moving", "parked"} <= set(truth["state"].to_pylist())
    assert pq.read_table(tmp_path / "one" / "visits.parquet")["entry_t"].null_count == 10  # half of 20 stalls


@needs_sumo
def test_sites_that_sumo_cannot_drive_are_refused(lot, start_at):
    until_at = start_at + SECOND
    closed = replace(lot, portals=())
    with pytest.raises(BadInput, match="0 lanes in and 0 lanes out"):
        SumoTraffic(closed, 1, start_at, until_at)
    narrow = replace(lot, lanes=tuple(replace(lane, one_way=False, width_m=3.0) for lane in lot.lanes))
    with pytest.raises(BadInput, match=r"lane 'aisle' of site 'lot' is two-way and 3\.0 m wide"):
        SumoTraffic(narrow, 1, start_at, until_at)


@needs_sumo
def test_traffic_that_is_stuck_is_an_error(lot, start_at, monkeypatch):
    monkeypatch.setattr(sumo_traffic, "LONGEST_WAIT_S", 2.0)  # any vehicle that waits for another's manoeuvre
    until_at = start_at + 180 * SECOND
    traffic = SumoTraffic(lot, 1, start_at, until_at, replace(DEMO, arrivals_per_h=600.0))
    with pytest.raises(SumoFailed, match=r"has stood on SUMO's edge .* for 2 s: its traffic is stuck"):
        traffic.advance(until_at)
    traffic.close()


@needs_sumo
def test_closing_ends_sumo_and_deletes_its_files(lot, start_at, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    traffic = SumoTraffic(lot, 1, start_at, start_at + 3600 * SECOND, DEMO)
    assert [folder.name[:5] for folder in tmp_path.iterdir()] == ["sumo-"]
    traffic.advance(start_at + SECOND)
    traffic.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises((SumoFailed, ValueError)):
        traffic.advance(start_at + 3600 * SECOND)


@needs_sumo
def test_what_sumo_complains_about_is_told(tmp_path):
    missing = tmp_path / "missing.net.xml"
    run = SumoRun(tmp_path, Inputs(missing, missing, missing), 1, 1.0)
    with pytest.raises(SumoFailed, match=r"sumo ended with status 1: .*missing\.net\.xml"):
        list(run.moments())
    run.close()


def test_without_sumo_the_extra_is_named_and_nothing_is_written(lot, start_at, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sumo", None)
    with pytest.raises(MissingExtra, match=r"spatial-twin\[sumo\]"):
        write_run(lot, "clean", 1, 0.1, tmp_path / "run", start_at, traffic="sumo")
    assert not (tmp_path / "run").exists()
