from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.events.envelope import RecordedFact
from twin.events.facts import IdentitiesMerged
from twin.feeds.present import Present
from twin.graph import apply, site_graph, state
from twin.graph.snapshot import pack
from twin.projections.naive import net_of

# Few vehicles and stalls, so that facts out of order are about the same ones.
ROW = st.tuples(st.integers(0, 13), st.integers(0, 2), st.integers(0, 5), st.integers(0, 30).map(lambda n: n if n < 8 else 0))
SETTLE = 300_000


def recorded(events):
    return [RecordedFact(position=position, recorded_at=0, event=event) for position, event in enumerate(events, 1)]


def naive(site, facts, until_at=2**62):
    graph = site_graph(site)
    for fact in net_of(facts):
        if fact.event.occurred_at <= until_at:
            apply(graph, fact)
    return graph


def load(present, site, facts):
    settled_at = naive(site, facts).at - SETTLE
    recent = [fact for fact in net_of(facts) if fact.event.occurred_at > settled_at]
    packed = pack(naive(site, facts, settled_at))
    present.load(recent, settled=packed, settled_at=settled_at, position=len(facts))


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(ROW, min_size=10, max_size=60), sizes=st.lists(st.integers(1, 9), min_size=10, max_size=10))
def test_the_present_is_the_fold_of_all_net_facts_in_the_order_in_which_they_occurred(lot, story, rows, sizes):
    facts = recorded(story.any(rows))
    present = Present(lot, settle=SETTLE)
    done = 0
    for size in sizes:
        if not present.take(facts[done : done + size]):
            load(present, lot, facts[: done + size])
        done = min(done + size, len(facts))
        assert present.state() == state(naive(lot, facts[:done]), position=done)


def test_a_fact_a_little_out_of_order_is_put_in_its_place(lot, story):
    facts = recorded([story.event(1, story.confirmed(), at=1), story.event(2, story.moved(x=9.0), at=9)])
    present = Present(lot, settle=60_000_000)
    assert present.take(facts)
    assert present.take([RecordedFact(position=3, recorded_at=0, event=story.event(3, story.moved(x=5.0), at=5))])
    assert present.state()["vehicles"][0]["position_m"] == [9.0, 3.0]


def test_a_fact_that_reaches_behind_what_is_settled_is_refused_until_the_next_load(lot, story):
    facts = recorded([story.event(n, story.stall("s1", "free"), at=n) for n in range(1, 30)])
    present = Present(lot, settle=2_000_000)
    assert present.take(facts)
    late = RecordedFact(position=30, recorded_at=0, event=story.event(30, story.stall("s1"), at=3))
    assert not present.take([late])
    assert present.is_stale
    load(present, lot, [*facts, late])
    assert not present.is_stale


def test_where_a_vehicle_was_while_nobody_saw_it_is_put_behind_what_is_settled(lot, story):
    inferred = [replace(story.moved(x=float(at)), is_inferred=True) for at in (3, 4, 5, 6)]
    told = [
        *(story.event(n, story.confirmed(vehicle), at=n) for n, vehicle in ((1, "v1"), (2, "v2"))),
        story.event(3, story.hidden(), at=4),
        *(story.event(n, story.moved("v2", x=float(n)), at=n) for n in range(4, 40)),
    ]
    found = [
        *(story.event(40 + n, one, at=3 + n) for n, one in enumerate(inferred)),
        story.event(50, story.moved(x=30.0), at=39),
    ]
    facts = recorded([*told, *found])
    present = Present(lot, settle=2_000_000)
    assert present.take(facts[: len(told)])
    assert present.take(facts[len(told) :])
    assert present.state() == state(naive(lot, facts), position=len(facts))
    (vehicle,) = [one for one in present.state()["vehicles"] if one["vehicle"] == "v1"]
    assert (vehicle["position_m"], vehicle["is_inferred"], vehicle["since_at"][17:19]) == ([30.0, 3.0], False, "04")


def test_a_correction_of_something_settled_is_refused(lot, story):
    facts = recorded([story.event(n, story.stall("s1", "free"), at=n) for n in range(1, 30)])
    present = Present(lot, settle=2_000_000)
    present.take(facts)
    correction = story.event(30, story.stall("s1"), at=30, supersedes=[facts[0].event.id])
    assert not present.take([RecordedFact(position=30, recorded_at=0, event=correction)])


def test_what_is_kept_apart_is_bounded_by_time(lot, story):
    present = Present(lot, settle=1_000_000)
    present.take(recorded([story.event(n, story.moved(), at=n * 0.1) for n in range(1, 500)]))
    assert present.n_recent <= 20


def test_the_first_fact_of_a_stall_is_of_all_the_time_that_it_was_watched(lot, story):
    facts = recorded([story.event(n, story.stall("s1", "free"), at=n) for n in range(2, 30)])
    late = [
        RecordedFact(position=29, recorded_at=0, event=story.event(30, story.stall("s2", "occupied"), at=1)),
        RecordedFact(position=30, recorded_at=0, event=story.event(31, story.stall("s2", "free"), at=28)),
    ]
    present = Present(lot, settle=2_000_000)
    assert present.take(facts)
    assert present.take(late)
    assert present.state() == state(naive(lot, [*facts, *late]), position=30)
    again = RecordedFact(position=31, recorded_at=0, event=story.event(32, story.stall("s2", "free"), at=3))
    assert not present.take([again]), "something is settled of it by now"


def test_whoever_is_found_to_be_another_is_that_one_in_the_past_too(lot, story):
    confirmed = story.event(2, story.confirmed("v2"), at=3)
    found = replace(story.event(4, IdentitiesMerged(vehicle="v1", merged="v2"), at=5), supersedes=(confirmed.id,))
    events = [story.event(1, story.confirmed("v1"), at=1), confirmed, story.event(3, story.moved("v2", x=9.0), at=4), found]
    facts = recorded([*events, replace(story.event(4, story.moved("v1", x=9.0), at=4), ordinal=1)])
    present = Present(lot, settle=60_000_000)
    assert present.take(facts)
    assert present.state() == state(naive(lot, facts), position=5)
    assert [one["vehicle"] for one in present.state()["vehicles"]] == ["v1"]
    then = naive(lot, facts, events[2].occurred_at)
    assert [one["vehicle"] for one in state(then, position=5)["vehicles"]] == ["v1"]
