"""A plate that a person set: it stays with its stay whatever is corrected, and says nothing of times or money."""

import random

import pytest

from twin.events.facts import DecisionRefused, IdentitiesMerged, IdentitiesSplit
from twin.events.observations import Personal, PlateRead
from twin.rules.tariff import MINUTE

T0 = 1_767_268_800_000_000
PLATE = {"decision": "set_plate", "personal": Personal(plate=PlateRead(text="B-XY 123", score=1.0))}


def session_of(told):
    return next(one.session for one in told if hasattr(one, "session"))


def test_a_plate_goes_with_the_stay_that_takes_another_over_and_comes_back_with_a_split(site):
    first, second = session_of(site.cross(0, "a", "in")), session_of(site.cross(10, "b", "in"))
    (told,) = site.decide(12, session=second, **PLATE)
    assert told.plate is not None
    merged = site.cause(15, IdentitiesMerged(vehicle="a", merged="b"))
    assert {one.session: one.plate for one in merged if one.status == "open"} == {first: told.plate}
    split = site.cause(20, IdentitiesSplit(vehicle="a", split="b", decision="d"))
    assert {one.session: one.plate for one in split} == {first: None, second: told.plate}


def test_a_plate_stays_with_a_stay_whose_crossings_are_corrected(site):
    session = session_of(site.cross(10, "a", "in"))
    (told,) = site.decide(12, session=session, **PLATE)
    site.cross(30, "a", "out")
    site.cross(20, "a", "out")
    assert site.rules.state.stays[session].plate == told.plate


def test_the_plate_that_was_set_last_holds(site):
    session = session_of(site.cross(0, "a", "in"))
    plates = [site.decide(minute, session=session, **PLATE)[0].plate for minute in (5, 9, 7)]
    assert len(set(plates)) == 3
    assert site.rules.state.stays[session].plate == plates[-1]


def test_a_plate_makes_no_stay_final_and_takes_no_decision_back(site):
    (opened,) = site.cause(0, site.crossing("a", "in"))
    site.decide(5, decision="close", session=opened.session, exit_at=T0 + 4 * MINUTE)
    (told,) = site.decide(20, session=opened.session, **PLATE)
    assert (told.status, told.exit_at, told.final_at) == ("closed", T0 + 4 * MINUTE, T0 + 5 * MINUTE)
    doubtful = site.crossing("b", "in")
    doubtful = type(doubtful)(
        vehicle="b", portal=doubtful.portal, direction="in", position_m=(0.0, 0.0), speed_mps=3.0, certainty=0.5
    )
    (other,) = site.cause(30, doubtful)
    site.cross(40, "b", "out")
    (told,) = site.decide(50, session=other.session, **PLATE)
    assert "unverified" in told.flags
    assert told.final_at is None, "a person must still look at its times"


@pytest.mark.parametrize(
    ("session", "given", "reason"),
    [("nobody", PLATE, "unknown_session"), ("orphan", PLATE, "no_stay"), ("open", {"decision": "set_plate"}, "no_plate")],
)
def test_a_plate_that_cannot_be_set_is_refused_in_a_fact(site, session, given, reason):
    sessions = {"open": session_of(site.cross(0, "a", "in")), "orphan": session_of(site.cross(3, "b", "out"))}
    (refused,) = site.decide(5, session=sessions.get(session, session), **given)
    assert isinstance(refused, DecisionRefused)
    assert (refused.reason, refused.kind) == (reason, "set_plate")


@pytest.mark.parametrize("seed", range(20))
def test_among_random_crossings_and_merges_no_plate_is_lost_or_on_two_stays(new_site, seed):
    rng, site, names, made = random.Random(seed), new_site(), ["a", "b", "c"], {}
    for minute in rng.sample(range(600), 40):
        open_ = list(site.rules.state.open.values())
        match rng.randrange(4):
            case 0 | 1:
                site.cross(minute, rng.choice(names), rng.choice(("in", "out")))
            case 2:
                site.cause(minute, IdentitiesMerged(vehicle=rng.choice(names), merged=rng.choice(names)))
            case _ if open_:
                session = rng.choice(open_).session
                made[site.decide(700 + minute, session=session, **PLATE)[-1].plate] = session
            case _:
                pass
    stays = [one for one in site.rules.state.stays.values() if one.status != "void"]
    plates = [one.plate for one in stays if one.plate is not None]
    assert len(plates) == len(set(plates))
    for stay in stays:
        given = [plate for plate, session in made.items() if session in stay.sessions]
        assert (stay.plate is not None) == bool(given)
