import pytest
from msgspec.structs import replace

from twin.events.envelope import RecordedFact
from twin.events.facts import SessionAmended
from twin.graph import apply, site_graph, state


def folded(site, events):
    graph = site_graph(site)
    for position, event in enumerate(events, 1):
        apply(graph, RecordedFact(position=position, recorded_at=0, event=event))
    return graph


def told(site, events):
    return state(folded(site, events))


def test_an_empty_site_has_no_vehicles_and_knows_nothing(lot):
    empty = told(lot, [])
    assert empty["vehicles"] == []
    assert {one["state"] for one in empty["stalls"]} == {"unknown"}
    assert {one["state"] for one in empty["cameras"]} == {"unseen"}
    assert empty["counters"] == {"entries": 0, "exits": 0, "inside": 0, "orphans": 0, "sessions_open": 0}
    assert empty["position"] == "0"


def test_a_vehicle_keeps_the_time_its_state_began(lot, story):
    (vehicle,) = told(lot, story.events(story.confirmed(), story.moved(x=5.0), story.moved(x=8.0)))["vehicles"]
    assert vehicle == {
        "vehicle": "v1",
        "kind": "car",
        "state": "moving",
        "level": "ground",
        "position_m": [8.0, 3.0],
        "covariance_m2": [0.04, 0.0, 0.04],
        "velocity_mps": [2.5, 0.0],
        "zone": "aisle",
        "stall": None,
        "session": None,
        "since_at": "2026-01-01T12:00:01.000000Z",
        "updated_at": "2026-01-01T12:00:03.000000Z",
        "takes": [],
        "is_double_parked": False,
        "is_inferred": False,
    }


def test_a_vehicle_shows_that_it_is_double_parked_until_it_moves_or_is_hidden(lot, story):
    over = replace(story.parked(), takes=("s2",), is_double_parked=True)
    for last, expected in ((None, (["s2"], True)), (story.moved(), ([], False)), (story.hidden(), ([], False))):
        events = story.events(story.confirmed(), over, *([] if last is None else [last]))
        (vehicle,) = told(lot, events)["vehicles"]
        assert (vehicle["takes"], vehicle["is_double_parked"]) == expected


def test_a_stall_shows_how_sure_it_is(lot, story):
    (stall, *_) = [one for one in told(lot, story.events(replace(story.stall(), certainty=0.97)))["stalls"] if one["vehicle"]]
    assert (stall["state"], stall["certainty"]) == ("occupied", 0.97)


def test_a_parked_vehicle_stands_in_its_stall_and_zone(lot, story):
    graph = folded(lot, story.events(story.confirmed(), story.moved(), story.parked(), story.stall()))
    assert set(graph.net.successors(("vehicle", "v1"))) == {("zone", "row_a"), ("stall", "s1")}
    zones = {zone["zone"]: zone["n_vehicles"] for zone in state(graph)["zones"]}
    assert zones == {"aisle": 0, "road": 0, "row_a": 1, "row_b": 0}


def test_a_vehicle_that_drives_off_is_in_no_stall(lot, story):
    graph = folded(lot, story.events(story.confirmed(), story.parked(), story.moved()))
    assert set(graph.net.successors(("vehicle", "v1"))) == {("zone", "aisle")}
    assert state(graph)["vehicles"][0]["stall"] is None


def test_a_hidden_vehicle_is_still_on_the_site(lot, story):
    (vehicle,) = told(lot, story.events(story.confirmed(), story.hidden()))["vehicles"]
    assert (vehicle["state"], vehicle["position_m"], vehicle["zone"]) == ("hidden", [50.0, 3.0], None)


def test_a_vehicle_that_left_takes_its_tracklets_along(lot, story):
    graph = folded(lot, story.events(story.confirmed(), story.assigned(), story.left()))
    assert state(graph)["vehicles"] == []
    assert not graph.ids["tracklet"]


def test_a_tracklet_belongs_to_the_vehicle_it_was_last_assigned_to(lot, story):
    events = story.events(story.confirmed("v1"), story.confirmed("v2"), story.assigned("v1"), story.assigned("v2"))
    graph = folded(lot, events)
    assert list(graph.net.successors(("tracklet", "left/1"))) == [("vehicle", "v2")]


def test_facts_of_vehicles_that_are_not_on_the_site_change_no_vehicle(lot, story):
    strange = (story.moved, story.parked, story.hidden, story.left, story.assigned)
    assert told(lot, story.events(*(make("v7") for make in strange)))["vehicles"] == []


def test_facts_of_stalls_cameras_and_portals_that_the_site_lacks_change_nothing(lot, story):
    unknown = story.events(story.stall("s99"), story.camera("none"), story.crossed(portal="nowhere"))
    before, after = told(lot, []), told(lot, unknown)
    assert {**after, "at": before["at"], "position": "0"} == before


def test_a_session_that_opened_before_its_vehicle_was_confirmed_is_shown_on_it(lot, story):
    graph = folded(lot, story.events(story.opened(), story.confirmed()))
    assert state(graph)["vehicles"][0]["session"] == "p1"
    assert graph.net.has_edge(("session", "p1"), ("vehicle", "v1"))


def test_entries_minus_exits_are_the_open_sessions(lot, story):
    events = story.events(story.opened("p1"), story.opened("p2", "v2"), story.closed("p1"), story.orphaned())
    assert told(lot, events)["counters"] == {"entries": 2, "exits": 1, "inside": 0, "orphans": 1, "sessions_open": 1}


def amended(session, status, was, entry_at=1):
    return SessionAmended(
        session=session, vehicle="v1", version=9, status=status, was=was, reason="operator", entry_at=entry_at, exit_at=None
    )


@pytest.mark.parametrize(
    ("status", "was", "entry_at", "counters"),
    [
        ("open", "closed", 1, (2, 0, 1, 2)),
        ("void", "closed", 1, (1, 0, 1, 1)),
        ("closed", "closed", 1, (2, 1, 1, 1)),
        ("void", "orphan", None, (2, 1, 0, 1)),
    ],
)
def test_entries_minus_exits_are_the_open_sessions_also_after_amendments(lot, story, status, was, entry_at, counters):
    session = "p1" if entry_at else "p9"
    events = story.events(
        story.opened("p1"),
        story.opened("p2", "v2"),
        story.closed("p1"),
        story.orphaned(),
        amended(session, status, was, entry_at),
    )
    found = told(lot, events)["counters"]
    assert tuple(found[name] for name in ("entries", "exits", "orphans", "sessions_open")) == counters


def test_portals_count_each_direction(lot, story):
    events = story.events(story.crossed(), story.crossed("v2"), story.crossed("v1", "exit", "out"))
    counts = {one["portal"]: (one["n_in"], one["n_out"]) for one in told(lot, events)["portals"]}
    assert counts == {"entry": (2, 0), "exit": (0, 1)}


def test_free_stalls_are_counted_in_their_zone(lot, story):
    events = story.events(story.stall("s0", "free", None), story.stall("s1", "free", None), story.stall("s5", "free", None))
    zones = {zone["zone"]: (zone["n_free"], zone["n_stalls"]) for zone in told(lot, events)["zones"]}
    assert zones == {"aisle": (0, 0), "road": (0, 0), "row_a": (2, 4), "row_b": (1, 4)}


def test_a_zone_is_unknown_while_only_silent_cameras_see_a_piece_of_it(lot, story):
    # "right" overlaps row_a only from x = 18 to 20, where "left" sees too; it alone sees most of row_b.
    both = story.events(story.camera("left"), story.camera("right"))
    silent = story.events(story.camera("left"), story.camera("right"), story.camera("right", "idle"))
    assert {zone["zone"]: zone["state"] for zone in told(lot, both)["zones"]} == dict.fromkeys(
        ("aisle", "road", "row_a", "row_b"), "known"
    )
    assert {zone["zone"]: zone["state"] for zone in told(lot, silent)["zones"]} == {
        "aisle": "unknown",
        "road": "known",  # no camera was ever meant to see it
        "row_a": "known",
        "row_b": "unknown",
    }
