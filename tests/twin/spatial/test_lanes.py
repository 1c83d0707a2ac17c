"""Ways along lanes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from site_models.generate import generate
from site_models.schema import Lane
from twin.spatial.lanes import OFF_LANE_M, Lanes


def lane(name, *line_m, level="ground", one_way=True, follows=()):
    return Lane(id=name, level=level, line_m=line_m, width_m=3.0, one_way=one_way, follows=follows)


def places(way):
    return None if way is None else [(one.level, round(one.x_m, 6), round(one.y_m, 6)) for one in way]


def test_a_way_leads_over_a_lane_that_is_joined_in_its_middle():
    lanes = Lanes([lane("a", (0.0, 0.0), (10.0, 0.0), follows=("b",)), lane("b", (11.0, -20.0), (11.0, 20.0))])
    way = lanes.way("ground", (2.0, 1.0), "ground", (11.5, 15.0))
    assert places(way) == [("ground", *one) for one in ((2.0, 0.0), (10.0, 0.0), (11.0, 0.0), (11.0, 15.0))]
    assert [one.along_m for one in way] == pytest.approx([0.0, 8.0, 9.0, 24.0])
    assert lanes.way("ground", (2.0, 1.0), "ground", (11.0, -15.0)) is None, "against a lane of one way"
    assert lanes.way("ground", (2.0, OFF_LANE_M + 0.1), "ground", (11.0, 15.0)) is None, "off the lanes"


def test_a_lane_of_both_ways_is_driven_back_and_one_of_one_way_round_the_block():
    there = lane("a", (0.0, 0.0), (20.0, 0.0), one_way=False)
    way = Lanes([there]).way("ground", (15.0, 0.0), "ground", (5.0, 0.0))
    assert way is not None
    assert way[-1].along_m == pytest.approx(10.0)
    street = [
        lane("a", (0.0, 0.0), (20.0, 0.0), one_way=False, follows=("b",)),
        lane("b", (20.0, 1.0), (20.0, 30.0), one_way=False),
    ]
    way = Lanes(street).way("ground", (20.0, 11.0), "ground", (5.0, 0.0))
    assert places(way) == [("ground", *one) for one in ((20.0, 11.0), (20.0, 1.0), (20.0, 0.0), (5.0, 0.0))]
    crossing = lane("in", (-40.0, 15.0), (20.0, 15.0), follows=("b",))
    lanes = Lanes([crossing, street[1]])
    for y in (5.0, 25.0):  # to either side
        assert places(lanes.way("ground", (0.0, 15.0), "ground", (20.0, y)))[-1] == ("ground", 20.0, y)
    side = Lanes([lane("s", (0.0, 15.0), (20.0, 15.0), one_way=False, follows=("b",)), street[1]])
    for y in (5.0, 25.0):  # and from either side into the lane
        assert places(side.way("ground", (20.0, y), "ground", (1.0, 15.0)))[-1] == ("ground", 1.0, 15.0)
    square = [(0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0)]
    names = "abcd"
    block = [lane(names[n], square[n], square[(n + 1) % 4], follows=(names[(n + 1) % 4],)) for n in range(4)]
    assert Lanes(block).way("ground", (15.0, 0.0), "ground", (5.0, 0.0))[-1].along_m == pytest.approx(70.0)


def test_a_ramp_leads_to_the_other_level():
    ramp = lane("up", (0.0, 0.0), (20.0, 0.0), follows=("in",)), lane("in", (21.0, 0.0), (21.0, 30.0), level="deck")
    way = Lanes(ramp).way("ground", (10.0, 0.0), "deck", (21.0, 20.0))
    assert places(way) == [("ground", 10.0, 0.0), ("ground", 20.0, 0.0), ("deck", 21.0, 0.0), ("deck", 21.0, 20.0)]
    assert Lanes(ramp).way("deck", (21.0, 20.0), "ground", (10.0, 0.0)) is None


@given(seed=st.integers(0, 40), levels=st.integers(1, 2), data=st.data())
def test_ways_on_any_site_are_as_long_as_their_steps_and_no_shorter_than_the_straight_line(seed, levels, data):
    site = generate(n_cameras=2, n_stalls=24, n_levels=levels, overlap=0.2, seed=seed)
    lanes = Lanes(site.lanes)
    one, other = (data.draw(st.sampled_from(site.lanes)) for _ in range(2))
    way = lanes.way(one.level, one.line_m[0], other.level, other.line_m[-1])
    leads_in = all(other.id not in lane.follows for lane in site.lanes)
    if not one.follows or leads_in:  # the way out, and the way in
        return
    assert way is not None
    steps = [((b.x_m - a.x_m) ** 2 + (b.y_m - a.y_m) ** 2) ** 0.5 for a, b in pairwise(way)]
    assert way[-1].along_m == pytest.approx(sum(steps))
    straight = ((way[-1].x_m - way[0].x_m) ** 2 + (way[-1].y_m - way[0].y_m) ** 2) ** 0.5
    assert way[-1].along_m >= straight - 1e-6
    assert (way[0].level, way[-1].level) == (one.level, other.level)
