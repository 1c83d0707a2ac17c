import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import CodecError
from twin.events.envelope import RecordedFact
from twin.events.state import StateView
from twin.graph import apply, site_graph, state
from twin.graph.snapshot import pack, restore

ROWS = st.lists(st.tuples(*(st.integers(0, 29) for _ in range(3)), st.just(0)), max_size=60)


def fold(graph, events, first=1):
    for position, event in enumerate(events, first):
        apply(graph, RecordedFact(position=position, recorded_at=0, event=event))


def edges(graph):
    return sorted(map(repr, graph.net.edges.data("relation")))


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, cut=st.integers(0, 60))
def test_a_restored_graph_is_the_same_and_goes_on_the_same(lot, story, rows, cut):
    events = story.any(rows)
    whole, resumed = site_graph(lot), site_graph(lot)
    fold(whole, events[:cut])
    fold(resumed, events[::-1])  # what it held before must not matter
    restore(resumed, pack(whole))
    assert pack(resumed) == pack(whole)
    assert edges(resumed) == edges(whole)
    fold(whole, events[cut:], cut + 1)
    fold(resumed, events[cut:], cut + 1)
    assert pack(resumed) == pack(whole)
    assert edges(resumed) == edges(whole)
    assert state(resumed) == state(whole)


@settings(max_examples=30, deadline=None)
@given(rows=ROWS)
def test_a_state_has_the_documented_form(lot, story, rows):
    graph = site_graph(lot)
    fold(graph, story.any(rows))
    told = state(graph)
    assert msgspec.to_builtins(msgspec.convert(told, StateView, strict=True)) == {
        **told,
        "vehicles": [
            {**one, **{name: tuple(one[name]) for name in ("position_m", "covariance_m2", "velocity_mps")}}
            for one in told["vehicles"]
        ],
    }


@settings(max_examples=30, deadline=None)
@given(rows=ROWS)
def test_counts_agree_with_the_graph(lot, story, rows):
    graph = site_graph(lot)
    fold(graph, story.any(rows))
    told = state(graph)
    counters = told["counters"]
    assert counters["inside"] == len(told["vehicles"])
    placed = [one["zone"] for one in told["vehicles"]]
    assert {zone["zone"]: zone["n_vehicles"] for zone in told["zones"]} == {
        zone.id: placed.count(zone.id) for zone in lot.zones
    }


def test_bytes_that_are_no_snapshot_are_refused_and_change_nothing(lot, story):
    graph = site_graph(lot)
    fold(graph, story.events(story.confirmed()))
    before = pack(graph)
    with pytest.raises(CodecError, match="cannot be read"):
        restore(graph, before[:-3])
    assert pack(graph) == before
