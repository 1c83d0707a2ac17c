from twin.graph import site_graph


def relations(graph, relation):
    return {(source, target) for source, target, kind in graph.net.edges.data("relation") if kind == relation}


def test_a_site_contains_its_levels_zones_and_stalls(lot):
    contains = relations(site_graph(lot), "contains")
    assert {(("site", "lot"), ("level", "ground")), (("level", "ground"), ("zone", "row_a"))} <= contains
    assert (("zone", "row_b"), ("stall", "s4")) in contains


def test_zones_with_a_common_border_are_adjacent_both_ways(lot):
    pairs = {frozenset((source[1], target[1])) for source, target in relations(site_graph(lot), "adjacent")}
    assert pairs == {frozenset(pair) for pair in (("aisle", "row_a"), ("aisle", "row_b"), ("row_a", "row_b"))}


def test_a_camera_sees_the_zones_and_stalls_in_its_footprint(lot):
    seen = {target for source, target in relations(site_graph(lot), "sees") if source == ("camera", "left")}
    # x reaches 22: all of row_a, and two of the five metres of s4.
    assert seen == {("zone", "aisle"), ("zone", "row_a"), ("zone", "row_b")} | {("stall", f"s{n}") for n in range(5)}


def test_a_portal_joins_the_zones_at_its_line(lot):
    joined = relations(site_graph(lot), "joins")
    assert (("portal", "exit"), ("zone", "road")) in joined
    assert (("portal", "entry"), ("zone", "aisle")) in joined


def test_zones_are_cut_into_pieces_by_the_cameras_that_see_them(lot):
    pieces = site_graph(lot).pieces_by_zone
    assert pieces["row_a"] == (frozenset({"left"}), frozenset({"left", "right"}))
    assert pieces["road"] == ()
