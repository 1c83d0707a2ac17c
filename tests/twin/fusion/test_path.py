"""Two names are found to be one vehicle: where it was as one of them is told again by the other, while that was not seen."""

import pytest
from tracks import car

from twin.events.facts import IdentitiesMerged, VehicleConfirmed, VehicleHidden, VehicleMoved, VehicleParked
from twin.events.ids import SECOND
from twin.fusion import path
from twin.fusion.emission import Emission, unanswered
from twin.fusion.joining import exchange, go_on, take_back, unite
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Passed, TrailPoint, replaceable, with_names
from twin.fusion.telling import Telling

T0 = 1_767_268_800_000_000
BEGAN = "a" * 32


def at(seconds):
    return T0 + round(seconds * SECOND)


def moved(x, vehicle="v2"):
    return VehicleMoved(
        vehicle=vehicle, level="ground", position_m=(x, 3.0), covariance_m2=(0.1, 0.0, 0.1), velocity_mps=(2.0, 0.0), zone=None
    )


def parked(x, vehicle="v2"):
    return VehicleParked(
        vehicle=vehicle, level="ground", position_m=(x, 3.0), covariance_m2=(0.1, 0.0, 0.1), stall=None, zone=None
    )


def hidden(x, vehicle="v1"):
    return VehicleHidden(vehicle=vehicle, level="ground", position_m=(x, 3.0), zone=None)


def younger(*places, **changes):
    told = tuple(Passed(at(seconds), fact) for seconds, fact in places)
    return car(2, at(60), 60.0, 3.0, confirmed=BEGAN, path=told, **changes)


def said(facts):
    """Places, as (second, place, name)."""
    return [
        ((one.occurred_at - T0) / SECOND, type(one.payload).__name__, one.payload.position_m[0], one.payload.vehicle)
        for one in facts
        if not isinstance(one.payload, IdentitiesMerged)
    ]


def merged(elder, other, decision=None):
    emission = Emission("lot", "2", 1, unanswered)
    unite(elder, other, at(60), emission, decision)
    return emission.facts


WAY = (51, moved(51.0)), (52, moved(52.0)), (53, parked(53.0))


def test_where_it_was_is_told_again_by_its_right_name_and_its_own_name_never_was():
    facts = merged(car(1, at(50), 50.0, 3.0), younger(*WAY))
    assert facts[0].supersedes == (BEGAN,)
    assert said(facts) == [
        (51.0, "VehicleMoved", 51.0, "v1"),
        (52.0, "VehicleMoved", 52.0, "v1"),
        (53.0, "VehicleParked", 53.0, "v1"),
    ]


def test_what_was_seen_by_its_right_name_is_not_told_otherwise():
    assert said(merged(car(1, at(51.5), 50.0, 3.0), younger(*WAY))) == [
        (52.0, "VehicleMoved", 52.0, "v1"),
        (53.0, "VehicleParked", 53.0, "v1"),
    ]
    facts = merged(car(1, at(60), 50.0, 3.0), younger(*WAY))
    assert (facts[0].supersedes, said(facts)) == ((BEGAN,), [])


def test_that_it_was_hidden_is_put_right_at_the_same_moment():
    elder = car(1, at(50), 50.0, 3.0, status="hidden", has_entered=True, path=(Passed(at(52.5), hidden(50.0)),))
    told = said(merged(elder, younger(*WAY)))
    assert told[2] == (52.5, "VehicleMoved", 52.0, "v1")
    assert len(told) == 4
    assert elder.path[-1].fact == parked(53.0, "v1")
    assert said(merged(car(1, at(50), 50.0, 3.0, path=(Passed(at(50.5), hidden(50.0)),)), younger(*WAY)))[0][0] == 51.0


def test_what_a_person_says_changes_no_places():
    facts = merged(car(1, at(50), 50.0, 3.0), younger(*WAY), decision="d" * 32)
    assert (facts[0].supersedes, said(facts)) == ((), [])


def test_of_a_state_of_before_nothing_is_told_again():
    facts = merged(car(1, at(50), 50.0, 3.0), car(2, at(60), 60.0, 3.0))
    assert (len(facts), facts[0].supersedes) == (1, ())


def test_of_a_way_that_is_not_known_whole_any_more_the_past_stays_as_it_was_told():
    facts = merged(car(1, at(50), 50.0, 3.0), younger(*WAY, path_from=at(50.5)))
    assert (facts[0].supersedes, said(facts)) == ((), [])
    facts = merged(car(1, at(51), 50.0, 3.0), younger(*WAY, path_from=at(50.5)))
    assert (facts[0].supersedes, len(said(facts))) == ((BEGAN,), 2)


def test_the_past_of_an_older_name_is_not_taken_back():
    facts = merged(car(1, at(50), 50.0, 3.0), younger(*WAY, known_at=T0 - 900 * SECOND))
    assert (facts[0].supersedes, said(facts)) == ((), [])


def test_a_name_was_seen_as_long_as_it_was_told_even_by_another_track():
    elder = car(1, at(40), 50.0, 3.0, path=(Passed(at(52), moved(49.0, "v1")), Passed(at(52.5), hidden(49.0))))
    assert [second for second, *_ in said(merged(elder, younger(*WAY)))] == [53.0]


def test_a_name_that_is_given_back_brings_what_began_it():
    track, other = car(1, at(50), 50.0, 3.0, confirmed="b" * 32), younger(*WAY)
    take_back(track, other, at(60), Emission("lot", "2", 1, unanswered))
    assert (other.vehicle, other.confirmed, [one.fact.vehicle for one in other.path]) == ("v1", "b" * 32, ["v1"] * 3)


def test_names_that_change_places_take_their_pasts_along():
    one, other = car(1, at(60), 50.0, 3.0, confirmed="b" * 32), younger(*WAY)
    exchange(one, other, at(60))
    assert (one.confirmed, len(one.path), other.confirmed, other.path) == (BEGAN, 3, "b" * 32, ())


def test_whoever_is_found_again_goes_on_with_the_past_of_its_name():
    found, known = car(3, at(60), 60.0, 3.0, vehicle=None, trail=(TrailPoint(at(60), 60.0, 3.0),)), younger(*WAY)
    go_on(found, known, 0.9, is_ambiguous=False)
    assert (found.confirmed, found.path) == (BEGAN, known.path)


@pytest.mark.parametrize(("has_entered", "kept"), [(False, path.LONGEST), (True, 2)])
def test_a_path_is_bounded_and_of_who_came_in_the_last_places_are_kept(has_entered, kept):
    track = car(1, at(0), 0.0, 3.0, has_entered=has_entered)
    for n in range(path.LONGEST + 5):
        path.note(track, at(n / 5), moved(float(n), "v1"))
    assert (len(track.path), track.path_from) == (kept, track.path[0].at)
    assert track.path[-1].at == at((path.LONGEST + 4) / 5)


def test_what_stands_adds_no_more_than_its_first_and_its_newest_place():
    track = car(2, at(0), 0.0, 3.0)
    for n in range(9):
        path.note(track, at(n / 5), moved(0.03 * n))
    for n in range(9):
        path.note(track, at(2 + n), parked(0.2 + 0.01 * n))
    assert [one.at for one in track.path] == [at(0), at(2), at(10)]
    path.note(track, at(300), parked(0.4))
    assert [one.at for one in track.path] == [at(0), at(2), at(300)]
    assert track.path_from is None


def test_what_is_told_is_noted_and_what_began_a_name(lot):
    emission = Emission("lot", "2", 1, unanswered)
    telling = Telling(Scene(lot, DEFAULTS), emission, {})
    track = car(1, at(0), 50.0, 3.0, evidence=("e" * 32,))
    track.trail = (TrailPoint(at(0), 50.0, 3.0),)
    telling.confirmed(track)
    telling.move(track, is_due=True)
    confirmed, told = emission.facts
    assert isinstance(confirmed.payload, VehicleConfirmed)
    assert track.confirmed == confirmed.id
    assert (told.payload.evidence, track.path[0].fact.evidence) == (("e" * 32,), ())
    assert track.path[0].fact.position_m == told.payload.position_m


def test_what_began_a_name_is_a_fact_that_may_be_superseded_and_may_get_another_id():
    state = FusionState(tracks={2: younger(*WAY), 3: car(3, at(0), 0.0, 0.0)})
    assert replaceable(state) == {BEGAN}
    renamed = with_names(state, {BEGAN: "c" * 32})
    assert (renamed.tracks[2].confirmed, renamed.tracks[3]) == ("c" * 32, state.tracks[3])
    assert with_names(state, {"f" * 32: "c" * 32}) is state
