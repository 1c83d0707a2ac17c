"""Crossings in any order, names that become one and two, and people's decisions, over random stays."""

import random
from itertools import pairwise

import pytest

from twin.events.envelope import FactEvent
from twin.events.facts import IdentitiesMerged, IdentitiesSplit, LedgerClosed
from twin.rules.invariants import Violation
from twin.rules.passages import Pin
from twin.rules.tariff import MINUTE

T0 = 1_767_268_800_000_000


def visits(rng, names):
    """Crossings of each name at whole minutes, in turn for most; now and then an entry or an exit was not seen."""
    minutes = iter(sorted(rng.sample(range(0, 2_000, 2), 8 * len(names))))
    made = []
    for minute in minutes:
        name = rng.choice(names)
        last = next((one for one in reversed(made) if one[1] == name), None)
        direction = "out" if last is not None and last[2] == "in" else "in"
        if rng.random() < 0.1:
            direction = "in" if direction == "out" else "out"
        made.append((minute, name, direction))
    return made


def naive(crossings):
    """Of one name, in order of time: what each entry and exit means, without anything that the rules know."""
    stays, entry = [], None
    for minute, _, direction in sorted(crossings):
        if direction == "in":
            entry = minute if entry is None else entry
        else:
            stays.append(("orphan" if entry is None else "closed", entry, minute))
            entry = None
    return sorted([*stays, *([("open", entry, None)] if entry is not None else [])], key=str)


def told(site):
    def minute(at):
        return None if at is None else (at - T0) // MINUTE

    return sorted(((status, minute(entry), minute(end)) for status, entry, end in site.stays.values()), key=str)


@pytest.mark.parametrize("seed", range(60))
def test_in_any_order_of_arrival_the_net_is_a_naive_fold_in_order_of_time(new_site, seed):
    rng = random.Random(seed)
    names = ["a", "b", "c"]
    made = visits(rng, names)
    expected = sorted((one for name in names for one in naive([each for each in made if each[1] == name])), key=str)
    site = new_site()
    for minute, name, direction in rng.sample(made, len(made)):
        site.cross(minute, name, direction)
    assert told(site) == expected
    amounts = [site.tariff.amount_minor(entry * MINUTE, end * MINUTE) for status, entry, end in expected if status == "closed"]
    assert sum(site.net.values()) == sum(amounts)


@pytest.mark.parametrize("seed", range(60))
def test_merges_and_splits_among_late_crossings_give_what_they_give_after_all_crossings(new_site, seed):
    rng = random.Random(seed)
    names = ["a", "b", "c", "d"]
    made = [(number, *one) for number, one in enumerate(visits(rng, names), 1)]
    joints, merged = [], []
    for _ in range(6):
        if merged and rng.random() < 0.4:
            joints.append(("split", *merged.pop()))
        else:
            pair = rng.sample(names, 2)
            roots = dict(map(reversed, merged))
            pair = [_root(roots, name) for name in pair]
            if pair[0] != pair[1]:
                joints.append(("merge", *pair))
                merged.append(pair)
    late, ordered = new_site(), new_site()
    for number, minute, name, direction in made:
        ordered.cross(minute, name, direction, number)
    for joint in joints:
        _join(ordered, joint)
    rest, mixed = rng.sample(made, len(made)), list(joints)
    while rest or mixed:
        if mixed and (not rest or rng.random() < 0.2):
            _join(late, mixed.pop(0))
        else:
            number, minute, name, direction = rest.pop()
            late.cross(minute, name, direction, number)
    assert late.stays == ordered.stays
    assert late.net == ordered.net


def _root(roots, name):
    while name in roots:
        name = roots[name]
    return name


def _join(site, joint):
    kind, vehicle, other = joint
    if kind == "merge":
        site.cause(2_100, IdentitiesMerged(vehicle=vehicle, merged=other))
    elif other in site.rules.state.kept:
        site.cause(2_100, IdentitiesSplit(vehicle=vehicle, split=other, decision="d"))


@pytest.mark.parametrize("seed", range(60))
def test_a_merge_bills_no_minute_twice_and_loses_none_and_a_split_gives_the_earlier_net(new_site, seed):
    rng = random.Random(seed)
    site = new_site()
    for minute, name, direction in visits(rng, ["a", "b"]):
        site.cross(minute, name, direction)
    before, net = site.stays, site.net
    site.decide(2_100, decision="merge", vehicle="a", other="b")
    closed = sorted((entry, end) for status, entry, end in site.stays.values() if status == "closed")
    assert all(one[1] <= after[0] for one, after in pairwise(closed))
    covered = [*closed, *((entry, 2**62) for status, entry, _ in site.stays.values() if status == "open")]
    for status, entry, end in before.values():
        if status == "closed":
            assert any(first <= entry and end <= last for first, last in covered)
    site.decide(2_101, decision="split", vehicle="a", other="b")
    assert (site.stays, site.net) == (before, net)


@pytest.mark.parametrize("seed", range(120))
def test_whatever_people_decide_among_late_crossings_the_billing_invariants_hold(new_site, seed):
    rng = random.Random(seed)
    names = ["a", "b", "c", "d"]
    site, refused = new_site(), 0
    for minute, name, direction in rng.sample(made := visits(rng, names), len(made)):
        site.cross(minute, name, direction)
        if rng.random() < 0.05:
            site.cause(minute, LedgerClosed(invoice=f"i-{minute}", until_at=T0 + minute * MINUTE))
        if rng.random() < 0.5:
            kind = rng.choice(["close", "reopen", "waive", "merge", "split"])
            session = rng.choice([*site.rules.state.stays, "s-unknown"])
            first, other = rng.sample([*names, "nobody"], 2)
            subject = {"vehicle": first, "other": other} if kind in ("merge", "split") else {"session": session}
            if kind == "close" and rng.random() < 0.7:
                subject["exit_at"] = T0 + rng.randrange(0, 2_100) * MINUTE
            answered = site.decide(rng.randrange(2_000), decision=kind, **subject)
            assert answered, "a decision is never without an answer"
            refused += type(answered[0]).__name__ == "DecisionRefused"
    assert refused, "some of these cannot be done"
    amounts = {}
    for event in site.facts:
        if hasattr(event.payload, "amount_minor"):
            amounts[event.payload.session] = event.payload.amount_minor or 0
    assert {session: amount for (session, _), amount in site.net.items()} == {key: one for key, one in amounts.items() if one}


def test_what_a_person_decided_holds_when_the_exit_is_seen_later(site):
    (opened,) = site.cross(0, "a", "in")
    (closed,) = site.decide(30, decision="close", session=opened.session, exit_at=T0 + 20 * MINUTE)
    assert (closed.status, closed.reason, closed.was, closed.exit_at) == ("closed", "operator", "open", T0 + 20 * MINUTE)
    (again,) = site.cross(45, "a", "out")
    assert (again.exit_at, again.reason, again.version) == (T0 + 20 * MINUTE, "operator", 3)
    assert site.net == {(opened.session, "EUR"): 90}


def test_a_reopened_stay_goes_on_until_the_next_exit(site):
    (opened,) = site.cross(0, "a", "in")
    site.cross(10, "a", "out")
    (reopened,) = site.decide(12, decision="reopen", session=opened.session)
    assert (reopened.status, reopened.was, reopened.exit_at) == ("open", "closed", None)
    assert site.net == {}
    (closed,) = site.cross(70, "a", "out")
    assert (closed.session, closed.exit_at) == (opened.session, T0 + 70 * MINUTE)


def test_a_waived_stay_costs_nothing_and_stays_waived_when_it_is_corrected(site):
    (opened,) = site.cross(0, "a", "in")
    site.cross(10, "a", "out")
    (waived,) = site.decide(12, decision="waive", session=opened.session)
    assert (waived.amount_minor, waived.final_at) == (0, T0 + 12 * MINUTE)
    (moved,) = site.decide(13, decision="close", session=opened.session, exit_at=T0 + 60 * MINUTE)
    assert moved.amount_minor == 0
    assert [(line.kind, line.version, line.amount_minor) for line in site.lines] == [
        ("charge", 2, 60),
        ("reversal", 2, -60),
        ("charge", 3, 0),
        ("reversal", 3, 0),
        ("charge", 4, 0),
    ]


def test_a_lost_entry_and_a_lost_exit_of_one_vehicle_become_its_stay(site):
    (opened,) = site.cross(0, "a", "in")
    (orphan,) = site.cross(30, "b", "out")
    _, void, closed = site.decide(40, decision="merge", vehicle="a", other="b")
    assert (void.session, void.status, void.was) == (orphan.session, "void", "orphan")
    assert (closed.session, closed.status, closed.exit_at) == (opened.session, "closed", T0 + 30 * MINUTE)
    assert "ambiguous_identity" not in closed.flags, "a person is sure"
    _, restored, reopened = sorted(
        site.decide(50, decision="split", vehicle="a", other="b"), key=lambda one: one.__class__.__name__
    )
    assert {restored.status, reopened.status} == {"orphan", "open"}


def test_what_a_person_said_to_be_two_the_twin_does_not_make_one_again(site):
    site.cross(0, "a", "in")
    site.cross(1, "b", "in")
    site.decide(2, decision="merge", vehicle="a", other="b")
    site.decide(3, decision="split", vehicle="a", other="b")
    assert site.cause(4, IdentitiesMerged(vehicle="a", merged="b")) == []
    assert [status for status, _, _ in site.stays.values()] == ["open", "open"]


@pytest.mark.parametrize(
    ("decided", "reason"),
    [
        ({"decision": "close", "session": "s-0"}, "unknown_session"),
        ({"decision": "waive"}, "unknown_session"),
        ({"decision": "merge", "vehicle": "a", "other": "zebra"}, "unknown_vehicle"),
        ({"decision": "merge", "vehicle": "a"}, "unknown_vehicle"),
        ({"decision": "merge", "vehicle": "a", "other": "a"}, "already_so"),
        ({"decision": "split", "vehicle": "a", "other": "b"}, "not_merged"),
        ({"decision": "reopen", "session": "first"}, "already_so"),
        ({"decision": "close", "session": "first", "exit_at": T0 - 1}, "exit_before_entry"),
        ({"decision": "close", "session": "second"}, "no_stay"),
    ],
)
def test_a_decision_that_cannot_be_carried_out_is_refused_in_a_fact_and_changes_nothing(site, decided, reason):
    (first,) = site.cross(0, "a", "in", number=1)
    (second,) = site.cross(5, "b", "out", number=2)
    before = site.rules.state
    named = {"first": first.session, "second": second.session}
    (refused,) = site.decide(9, **{key: named.get(value, value) for key, value in decided.items()})
    assert refused.reason == reason
    assert site.rules.state == before


def test_after_an_invoice_is_closed_changes_are_adjustments_of_it(site):
    (first,) = site.cross(0, "a", "in")
    site.cross(10, "a", "out")
    site.cross(20, "b", "in")
    site.cause(60, LedgerClosed(invoice="2026-01", until_at=T0 + 60 * MINUTE))
    site.decide(70, decision="close", session=first.session, exit_at=T0 + 90 * MINUTE)
    site.cross(80, "b", "out")
    assert [(line.kind, line.adjusts) for line in site.lines] == [
        ("charge", None),
        ("reversal", "2026-01"),
        ("charge", None),
        ("charge", None),
    ]


def test_a_crossing_that_another_supersedes_counts_no_more(site):
    (opened,) = site.cross(0, "a", "in")
    site.cross(10, "a", "out")
    wrong = next(event for event in site.facts if getattr(event.payload, "direction", None) == "out")
    better = FactEvent(
        site="lot",
        fold_version="2",
        cause=99,
        ordinal=0,
        occurred_at=T0 + 14 * MINUTE,
        payload=site.crossing("a", "out"),
        supersedes=(wrong.id,),
    )
    ((at, amended),) = site.rules.react(better)
    assert (amended.session, amended.reason, amended.exit_at) == (opened.session, "late_data", T0 + 14 * MINUTE)
    assert at >= T0 + 14 * MINUTE


def test_stays_that_are_long_over_are_forgotten_and_open_ones_never(site):
    (inside,) = site.cross(0, "a", "in")
    (over,) = site.cross(1, "b", "in")
    site.cross(9, "b", "out")
    site.cross(8 * 24 * 60, "c", "in")
    assert {inside.session, over.session} & set(site.rules.state.stays) == {inside.session}
    (refused,) = site.decide(8 * 24 * 60 + 1, decision="waive", session=over.session)
    assert refused.reason == "unknown_session"
    (closed,) = site.cross(8 * 24 * 60 + 2, "a", "out")
    assert closed.session == inside.session


@pytest.mark.parametrize("change", ["exit_at", "amount_minor", "version", "tariff"])
def test_a_false_amendment_is_noticed(site, change):
    (opened,) = site.cross(0, "a", "in")
    site.cross(10, "a", "out")
    ((at, amended),) = site.rules.pin(opened.session, Pin(is_waived=True), T0 + 20 * MINUTE, "decision")
    false = {"exit_at": T0 - MINUTE, "amount_minor": 61, "version": 7, "tariff": "t@2"}[change]
    event = site._event(
        at, type(amended)(**{**{f: getattr(amended, f) for f in amended.__struct_fields__}, change: false}), 50, 0
    )
    with pytest.raises(Violation):
        site.billing.check(event, "fact 9")
