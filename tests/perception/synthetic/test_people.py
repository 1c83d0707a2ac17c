import math
from itertools import groupby, pairwise

import pytest
import shapely
from msgspec.structs import replace

from perception.synthetic.demand import DEMO, Demand
from perception.synthetic.traffic import Traffic
from perception.synthetic.walkways import Walkways
from site_models.generate import generate
from site_models.load import load_site, resolve
from twin.events.ids import SECOND

LONG = replace(DEMO, arrivals_per_h=200.0, initial_share=0.0, stay_median_s=110.0, stay_sigma=0.2, change_share=0.0)


@pytest.fixture(scope="module")
def demo_lot():
    return load_site(resolve("demo_lot"))


@pytest.fixture(scope="module")
def frames(demo_lot, start_at):
    return list(Traffic(demo_lot, 3, start_at, LONG).frames(start_at + 300 * SECOND))


def _is_inside(person, state, around_m=0.0):
    heading, dx, dy = math.radians(state.heading_deg), person.x_m - state.x_m, person.y_m - state.y_m
    along, across = dx * math.cos(heading) + dy * math.sin(heading), dy * math.cos(heading) - dx * math.sin(heading)
    shape = state.vehicle.shape
    return abs(along) < shape.length_m / 2 + around_m and abs(across) < shape.width_m / 2 + around_m


def _tracks(frames):
    tracks = {}
    for frame in frames:
        for person in frame.people:
            tracks.setdefault(person.id, []).append((frame.at, person))
    return tracks


def _walks(track):
    """A track's unbroken pieces."""
    by_gap = groupby(enumerate(track), lambda one: one[1][0] // 100_000 - one[0])
    return [[one for _, one in piece] for _, piece in by_gap]


def test_whoever_leaves_a_car_walks_away_from_it_and_comes_back_to_it_before_it_leaves(frames):
    parked = {}
    for frame in frames:
        for state in frame.vehicles:
            if state.state == "parked":
                parked.setdefault(state.vehicle.id, []).append((frame.at, state))
    whole = 0
    for name, track in _tracks(frames).items():
        stands = parked[name.split("-")[0]]
        assert stands[0][0] < track[0][0]
        assert _is_inside(track[0][1], stands[0][1], 0.6)
        if stands[-1][0] < frames[-1].at:  # it left
            away, back = _walks(track)
            assert back[-1][0] < stands[-1][0]
            assert _is_inside(back[-1][1], stands[0][1], 0.6)
            assert math.hypot(away[-1][1].x_m - back[0][1].x_m, away[-1][1].y_m - back[0][1].y_m) < 2.0
            whole += 1
    assert whole >= 5


def test_people_walk_where_they_look_at_the_pace_of_people(frames):
    n_steps = n_odd = 0
    for track in _tracks(frames).values():
        for walk in _walks(track):
            for (_, before), (_, after) in pairwise(walk):
                n_steps += 1
                dx, dy = after.x_m - before.x_m, after.y_m - before.y_m
                course = math.degrees(math.atan2(dy, dx))
                is_ahead = abs(math.remainder(course - after.heading_deg, 360.0)) < 50
                n_odd += not (is_ahead and 0.09 < math.hypot(dx, dy) < 0.17)
    assert n_steps > 5_000
    assert n_odd < 0.03 * n_steps  # corners, and stepping aside from vehicles


def test_nobody_is_inside_a_vehicle_or_a_wall(demo_lot, frames):
    outlines = [
        shapely.LineString(one.outline_m).buffer(one.thickness_m / 2) if one.kind == "wall" else shapely.Polygon(one.outline_m)
        for one in demo_lot.obstacles
    ]
    walls = shapely.union_all(outlines)
    for frame in frames:
        for person in frame.people:
            assert not shapely.contains_xy(walls, person.x_m, person.y_m)
            assert not [state.vehicle.id for state in frame.vehicles if _is_inside(person, state)]


def test_nobody_walks_where_nobody_is_asked_for(demo_lot, start_at):
    quiet = replace(LONG, people_per_vehicle=0.0)
    frames = list(Traffic(demo_lot, 3, start_at, quiet).frames(start_at + 60 * SECOND))
    assert not any(frame.people for frame in frames)


def test_people_do_not_change_the_traffic(demo_lot, start_at, frames):
    alone = Traffic(demo_lot, 3, start_at, replace(LONG, people_per_vehicle=0.0))
    assert [frame.vehicles for frame in alone.frames(start_at + 120 * SECOND)] == [frame.vehicles for frame in frames[:1200]]


def test_an_upper_level_has_goals_and_ways_around_its_walls():
    site = generate(n_cameras=2, n_stalls=24, n_levels=2, overlap=0.2, seed=4)
    ways, upper = Walkways(site), site.levels[1].id
    assert ways.n_goals(upper) >= 1
    stall = next(one for one in site.stalls if one.level == upper)
    lane = next(one for one in site.lanes if one.level == upper and "aisle" in one.id)
    start = shapely.LineString(lane.line_m).interpolate(0.5, normalized=True)
    way = ways.way(upper, shapely.get_coordinates(start)[0], 0)
    blocked = shapely.union_all([shapely.Polygon(one.ring_m).buffer(-0.4) for one in site.stalls if one.level == upper])
    assert stall.level == upper
    assert shapely.LineString(way).length > 5
    assert not shapely.LineString(way).intersects(blocked)


def test_the_usual_demand_brings_people():
    assert Demand().people_per_vehicle > 1
