"""A stay whose entry is told again by a moment, or under another vehicle's name: what was paid and decided goes along."""

import random

import pytest

from twin.events.facts import FactRetracted, IdentitiesMerged, IdentitiesSplit
from twin.rules.tariff import MINUTE

T0 = 1_767_268_800_000_000
MOMENT = 1 / 600  # of a minute: 100 ms
RETRACTED = FactRetracted(kind="portal.crossed.v1", reason="late_data", vehicle="a")


def opened(site):
    (one,) = site.cross(0, "a", "in")
    return one.session


def moved(site, by=MOMENT):
    """The entry is told again."""
    return site.correct((by, site.crossing("a", "in"), site.crossed("a", "in")[-1:]))


def renamed(site, is_retracted_first):
    """The vehicle that entered has another name."""
    told = [(MOMENT, site.crossing("b", "in"), ()), (0, RETRACTED, site.crossed("a", "in"))]
    return site.correct(*(reversed(told) if is_retracted_first else told))


@pytest.mark.parametrize(
    "change", [moved, lambda site: renamed(site, is_retracted_first=True), lambda site: renamed(site, is_retracted_first=False)]
)
def test_what_was_paid_and_decided_goes_with_the_stay_that_stands_for_another(site, change):
    before = opened(site)
    site.pay(1, "p1", before, 60)
    site.decide(2, decision="waive", session=before)
    change(site)
    (after,) = (name for name, (status, _, _) in site.stays.items() if status == "open")
    assert after != before
    assert site.balance == {after: -60}
    assert site.rules.state.stays[after].is_waived
    (booked,) = site.pay(3, "p2", before, 5)
    assert (booked.session, booked.named, booked.paid_minor) == (after, before, 65)


def test_an_entry_that_is_none_any_more_leaves_what_was_paid_on_the_void_stay_to_be_paid_back(site):
    before = opened(site)
    site.pay(1, "p1", before, 60)
    site.correct((0, RETRACTED, site.crossed("a", "in")))
    assert site.stays == {}
    assert site.balance == {before: -60}


@pytest.mark.parametrize("by", [4 / 60, -4 / 60, 5])
def test_an_entry_of_another_moment_is_another_stay(site, by):
    before = opened(site)
    site.pay(1, "p1", before, 60)
    moved(site, by)
    assert site.balance == {before: -60}


def test_a_name_that_comes_back_has_again_what_was_paid(site):
    before = opened(site)
    site.pay(1, "p1", before, 60)
    moved(site)
    site.correct((0, site.crossing("a", "in"), site.crossed("a", "in")[-1:]))
    assert [name for name, (status, _, _) in site.stays.items() if status == "open"] == [before]
    assert site.balance == {before: -60}


def test_a_name_that_comes_back_takes_what_was_paid_from_who_stood_for_it(site):
    before = opened(site)
    site.pay(1, "p1", before, 60)
    renamed(site, is_retracted_first=True)
    site.cross(0, "a", "in")
    assert sorted(status for status, _, _ in site.stays.values()) == ["open", "open"]
    assert site.balance == {before: -60}


def test_an_exit_that_a_person_denied_stays_denied_when_it_is_told_again(site):
    session = opened(site)
    site.cross(10, "a", "out")
    site.decide(12, decision="reopen", session=session)
    site.correct((10 + MOMENT, site.crossing("a", "out"), site.crossed("a", "out")))
    assert site.stays == {session: ("open", T0, None)}
    site.correct((14, site.crossing("a", "out"), site.crossed("a", "out")[-1:]))
    assert site.stays == {session: ("closed", T0, T0 + 14 * MINUTE)}, "an exit of another time is another one"


def test_an_orphan_that_is_told_again_keeps_its_money(site):
    (orphan,) = site.cross(10, "a", "out")
    site.pay(11, "p1", orphan.session, 60)
    site.correct((10 + MOMENT, site.crossing("a", "out"), site.crossed("a", "out")))
    (after,) = site.stays
    assert after != orphan.session
    assert site.balance == {after: -60}


def test_a_stay_under_a_former_name_is_not_forgotten_while_it_is_open(site):
    before = opened(site)
    site.pay(1, "p1", before, 60)
    renamed(site, is_retracted_first=True)
    site.cross(8 * 24 * 60, "c", "in")
    assert before not in site.rules.state.stays
    (booked,) = site.pay(8 * 24 * 60 + 1, "p2", before, 5)
    assert (booked.fate, booked.paid_minor) == ("credited", 65)


def test_a_split_holds_when_the_merge_that_it_took_back_is_told_again(site):
    site.cross(0, "a", "in")
    site.cross(1, "b", "in")
    _, *_ = site.decide(2, decision="merge", vehicle="a", other="b")
    merge = next(one for one in site.facts if isinstance(one.payload, IdentitiesMerged))
    site.decide(3, decision="split", vehicle="a", other="b")
    site.correct((2.5, IdentitiesMerged(vehicle="a", merged="b", decision=merge.payload.decision), [merge.id]))
    assert [status for status, _, _ in site.stays.values()] == ["open", "open"]
    site.decide(4, decision="merge", vehicle="a", other="b")
    assert [status for status, _, _ in site.stays.values()] == ["open"]


def test_a_merge_that_the_twin_concludes_at_another_time_leaves_no_stay_to_the_name_that_is_no_more(site):
    site.cross(0, "a", "in")
    (other,) = site.cross(1, "b", "in")
    site.pay(2, "p1", other.session, 60)
    site.cause(3, IdentitiesMerged(vehicle="a", merged="b"))
    merge = next(one.id for one in site.facts if isinstance(one.payload, IdentitiesMerged))
    before, balance = site.stays, site.balance
    site.correct((3 + MOMENT, IdentitiesMerged(vehicle="a", merged="b"), [merge]))
    assert (site.stays, site.balance) == (before, balance)
    assert len(before) == 1


@pytest.mark.parametrize("seed", range(60))
def test_payments_among_corrections_end_on_the_stays_that_crossings_in_order_of_time_give(new_site, seed):
    """Crossings are told by a moment wrong, and of vehicles that get other names, before they are told as they were."""
    rng = random.Random(seed)
    names = [f"v{n}" for n in range(6)]
    truth = {name: (n * 10 + rng.random(), n * 10 + rng.uniform(2, 40)) for n, name in enumerate(names)}
    corrected, ordered = new_site(), new_site()
    first = {}
    for name, (entry, _) in truth.items():
        (one,) = corrected.cause(entry + rng.uniform(-0.04, 0.04), corrected.crossing(rng.choice((name, f"{name}x")), "in"))
        first[name] = one
    paid = {name: rng.randrange(1, 200) for name in rng.sample(names, 4)}
    todo = [("pay", name) for name in paid] + [("correct", name) for name in names]
    for what, name in rng.sample(todo, len(todo)):
        if what == "pay":
            corrected.pay(70, f"p-{name}", first[name].session, paid[name])
            continue
        gone, told = first[name].evidence[:1], (truth[name][0], corrected.crossing(name, "in"))
        is_named_so = first[name].vehicle == name
        facts = [(*told, gone if is_named_so else ()), *([] if is_named_so else [(0, RETRACTED, gone)])]
        corrected.correct(*rng.sample(facts, len(facts)), number=1 + names.index(name))
    for name, (_, leave) in truth.items():
        corrected.cross(leave, name, "out", number=101 + names.index(name))
    for name, (entry, leave) in truth.items():
        (one,) = ordered.correct((entry, ordered.crossing(name, "in"), ()), number=1 + names.index(name))
        ordered.cross(leave, name, "out", number=101 + names.index(name))
        first[name] = one
    for name, amount in paid.items():
        ordered.pay(70, f"p-{name}", first[name].session, amount)
    assert corrected.stays == ordered.stays
    assert corrected.balance == ordered.balance


def test_a_split_of_who_was_renamed_gives_the_money_back_to_its_own_stay(site):
    opened(site)
    (other,) = site.cross(5, "b", "in")
    site.pay(6, "p1", other.session, 60)
    site.correct((5 + MOMENT, site.crossing("b", "in"), site.crossed("b", "in")))
    site.cause(7, IdentitiesMerged(vehicle="a", merged="b"))
    site.cause(8, IdentitiesSplit(vehicle="a", split="b", decision="d"))
    (its,) = (name for name, (_, entry, _) in site.stays.items() if entry > T0)
    assert site.balance == {its: -60}


def _open_by_vehicle(site):
    return {one.vehicle: one.session for one in site.rules.state.stays.values() if one.status == "open"}


def test_who_comes_in_just_before_does_not_get_what_another_paid(site):
    before = opened(site)
    site.pay(1, "p1", before, 60)
    site.decide(2, decision="waive", session=before)
    site.correct((-2 / 60, site.crossing("b", "in"), ()), (MOMENT, site.crossing("a", "in"), site.crossed("a", "in")[-1:]))
    stays = _open_by_vehicle(site)
    assert site.balance == {stays["a"]: -60}
    assert site.rules.state.stays[stays["a"]].is_waived
    assert not site.rules.state.stays[stays["b"]].is_waived


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_two_that_came_in_together_and_are_told_again_together_keep_what_each_paid(site, order):
    a = opened(site)
    (one,) = site.cross(2 / 60, "b", "in")
    site.pay(1, "p1", a, 60)
    site.pay(1, "p2", one.session, 7)
    told = [
        (MOMENT, site.crossing("a", "in"), site.crossed("a", "in")[-1:]),
        (2 / 60 + MOMENT, site.crossing("bx", "in"), ()),
        (2 / 60, FactRetracted(kind="portal.crossed.v1", reason="late_data", vehicle="b"), site.crossed("b", "in")),
    ]
    site.correct(*(told[k] for k in order))
    stays = _open_by_vehicle(site)
    assert site.balance == {stays["a"]: -60, stays["bx"]: -7}


def test_an_exit_that_a_person_denied_stays_denied_when_both_exits_are_told_again(site):
    a = opened(site)
    (one,) = site.cross(2 / 60, "b", "in")
    site.cross(10, "a", "out")
    site.decide(11, decision="reopen", session=a)
    site.cross(10 + 1 / 60, "b", "out")
    site.correct(
        (10 + 1 / 60 + MOMENT, site.crossing("b", "out"), site.crossed("b", "out")[-1:]),
        (10 + MOMENT, site.crossing("a", "out"), site.crossed("a", "out")[-1:]),
    )
    assert site.stays[a][0] == "open"
    assert site.stays[one.session][0] == "closed"
