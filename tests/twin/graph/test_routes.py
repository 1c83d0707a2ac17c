from math import inf

import pytest

from site_models.schema import Datum, Lane, Level, Portal, Site, Zone
from twin.graph import Routes, zone_graph


def test_a_one_way_lane_is_not_driven_against(lot):
    graph = zone_graph(lot)
    assert graph.has_edge("aisle", "road")  # over 20 m of ground in no zone
    assert not graph.has_edge("road", "aisle")


def test_open_ground_is_driven_both_ways(lot):
    graph = zone_graph(lot)
    assert graph.has_edge("row_a", "aisle")
    assert graph.has_edge("aisle", "row_a")


def test_weights_are_metres_between_centroids_along_the_passage(lot):
    # From (20, 3) to the zone's end at x = 40, 20 m of lane, then to (70, 3): 50 m; lanes are walked in half metres.
    assert zone_graph(lot).edges["aisle", "road"]["weight"] == pytest.approx(50.0, abs=0.01)


def test_within_a_zone_the_straight_line_is_driven(lot):
    assert Routes(lot).driving_m(("ground", (1.0, 1.0)), ("ground", (4.0, 5.0))) == pytest.approx(5.0)


def test_a_drive_through_several_zones_is_as_long_as_its_parts(lot):
    # From the middle of row_a down into the aisle, and along it to the road.
    metres = Routes(lot).driving_m(("ground", (10.0, 8.0)), ("ground", (70.0, 3.0)))
    assert 60.2 <= metres <= 62.0


def test_there_is_no_way_back_from_the_exit(lot):
    assert Routes(lot).driving_m(("ground", (70.0, 3.0)), ("ground", (10.0, 3.0))) == inf


def test_a_drive_is_never_shorter_than_the_straight_line(lot):
    routes = Routes(lot)
    for x in (1.0, 13.0, 39.0, 61.0):
        for other in (2.0, 21.0, 38.0, 75.0):
            assert routes.driving_m(("ground", (x, 3.0)), ("ground", (other, 3.0))) >= abs(x - other) - 1e-9


def test_a_place_outside_all_zones_counts_to_the_nearest(lot):
    routes = Routes(lot)
    assert routes.zone_at("ground", (55.0, 3.0)) == "road"
    assert routes.zone_at("roof", (55.0, 3.0)) is None


def square(x, y=0.0, size=10.0):
    return ((x, y), (x + size, y), (x + size, y + size), (x, y + size))


GROUND = (Level(id="ground"),)


def site(zones, lanes=(), portals=(), levels=GROUND):
    return Site(name="s", datum=Datum(latitude=0, longitude=0), levels=levels, zones=zones, lanes=lanes, portals=portals)


def lane(name, *line, one_way=True, follows=()):
    return Lane(id=name, level="ground", line_m=line, width_m=3.0, one_way=one_way, follows=follows)


def zone(name, x, level="ground"):
    return Zone(id=name, level=level, kind="lane", ring_m=square(x))


@pytest.mark.parametrize(("one_way", "is_back_open"), [(True, False), (False, True)])
def test_a_common_border_that_a_lane_crosses_is_driven_as_the_lane_is(one_way, is_back_open):
    graph = zone_graph(site((zone("a", 0), zone("b", 10)), (lane("l", (1.0, 5.0), (19.0, 5.0), one_way=one_way),)))
    assert graph.has_edge("a", "b")
    assert graph.has_edge("b", "a") is is_back_open


def test_lanes_that_follow_each_other_join_zones_over_ground_in_no_zone():
    lanes = (
        lane("in_a", (1.0, 5.0), (9.0, 5.0), follows=("between",)),
        lane("between", (12.0, 5.0), (28.0, 5.0), follows=("in_b",)),
        lane("in_b", (31.0, 5.0), (39.0, 5.0)),
    )
    graph = zone_graph(site((zone("a", 0), zone("b", 30)), lanes))
    # Centroid (5, 5) to (35, 5) along one straight line.
    assert graph.edges["a", "b"]["weight"] == pytest.approx(30.0)
    assert not graph.has_edge("b", "a")


@pytest.mark.parametrize(("direction", "ways"), [("in", {("low", "up")}), ("both", {("low", "up"), ("up", "low")})])
def test_a_ramp_leads_to_its_level_and_is_as_long_as_its_climb_asks(direction, ways):
    ramp = Portal(
        id="ramp", level="ground", role="level", direction=direction, line_m=((4.0, 5.0), (6.0, 5.0)), to_level="roof"
    )
    levels = (Level(id="ground"), Level(id="roof", elevation_m=3.0))
    built = site((zone("low", 0), zone("up", 0, "roof")), portals=(ramp,), levels=levels)
    assert set(zone_graph(built).edges) == ways
    # 3 m up at 15 % are 20 m; both ends are at the ramp.
    assert Routes(built).driving_m(("ground", (5.0, 5.0)), ("roof", (5.0, 5.0))) == pytest.approx(20.0)
