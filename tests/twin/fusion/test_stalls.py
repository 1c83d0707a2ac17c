"""What is known of a stall: by who is parked in it, by looks at it, and less and less surely where nobody looks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracks import car

from twin.events.ids import SECOND
from twin.fusion.arithmetic import probability_of
from twin.fusion.columns import TrackColumns
from twin.fusion.emission import Emission
from twin.fusion.frame import Seen
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.stall_views import Covers, StallView
from twin.fusion.stalls import StallFilter, Taken
from twin.fusion.state import StallBelief
from twin.spatial.placement import corners_of

T0 = 1_767_268_800 * SECOND
MINUTE = 60 * SECOND
NONE = Covers([], [])


class Watch:
    """A filter of the lot's stalls, and what it says."""

    def __init__(self, lot, **stalls):
        self.scene, self.emission = Scene(lot, DEFAULTS), Emission("lot", "2", 1, lambda _: [])
        self.stalls = dict(stalls)
        self.filter = StallFilter(self.stalls, self.scene, self.emission)

    def look(self, at, covers=NONE, *tracks, name="s1"):
        place = next(one for one in self.scene.stalls if one.id == name)
        seen = Seen(at, None, "ground", None, (), (), corners_of([]))
        columns = TrackColumns().of({one.id: one for one in tracks})
        views = [StallView(place, (100.0, 100.0, 200.0, 160.0))]
        self.filter.look(self.filter.untracked(views, columns), seen, covers)

    @property
    def told(self):
        return [(one.payload.stall, one.payload.state, one.payload.vehicle, one.occurred_at) for one in self.emission.facts]

    @property
    def states(self):
        return [(stall, state) for stall, state, *_ in self.told]


def n_looks_until_free(lot, covers):
    watch = Watch(lot)
    for number in range(2_000):
        watch.look(T0 + number * SECOND // 5, covers)
        if watch.told:
            return number + 1
    return None


def test_a_stall_is_free_after_looks_that_would_show_a_vehicle_in_it(lot):
    watch = Watch(lot)
    for number in range(10):
        watch.look(T0 + number * SECOND // 5)
    assert watch.told == []
    for number in range(10, 20):
        watch.look(T0 + number * SECOND // 5)
    assert watch.states == [("s1", "free")]


def test_looks_at_what_is_half_hidden_count_for_less_and_at_what_is_hidden_for_nothing(lot):
    half, every = (Covers([(0.0, bottom, 400.0, 260.0)], [None]) for bottom in (130.0, 80.0))
    assert n_looks_until_free(lot, NONE) < n_looks_until_free(lot, half) / 2
    assert n_looks_until_free(lot, every) is None


def test_of_what_is_mostly_hidden_it_is_guessed_that_nobody_is_there_and_said_to_be_a_guess(lot):
    watch, most = Watch(lot), Covers([(0.0, 112.0, 400.0, 260.0)], [None])
    for number in range(2_000):
        watch.look(T0 + number * SECOND // 5, most)
    assert watch.told == [("s1", "free", None, T0)]
    assert n_looks_until_free(lot, most) > 100
    assert watch.emission.facts[0].payload.certainty == pytest.approx(0.8, abs=0.02)


def test_a_look_says_nothing_where_somebody_is_tracked(lot):
    watch = Watch(lot)
    for number in range(100):
        watch.look(T0 + number * SECOND // 5, NONE, car(1, T0, 7.5, 8.5))
    assert watch.told == []


def test_who_is_parked_takes_a_stall_and_whoever_leaves_frees_it_when_each_did(lot):
    watch = Watch(lot)
    watch.filter.occupy({"s1": Taken("v1", 0.99, T0)}, {}, T0 + 2 * SECOND)
    watch.filter.occupy({"s1": Taken("v1", 0.99, T0)}, {}, T0 + 3 * SECOND)
    watch.filter.occupy({}, {"v1": T0 + 60 * SECOND}, T0 + 62 * SECOND)
    assert watch.told == [("s1", "occupied", "v1", T0), ("s1", "free", None, T0 + 60 * SECOND)]


def test_what_is_said_of_a_stall_is_said_in_the_order_of_time(lot):
    """Whoever parks as another has just left stood there when that one was still said to be in it."""
    watch = Watch(lot)
    watch.filter.occupy({"s1": Taken("v1", 0.99, T0)}, {}, T0)
    watch.filter.occupy({}, {}, T0 + 9 * SECOND)
    watch.filter.occupy({"s1": Taken("v2", 0.99, T0 + 8 * SECOND)}, {}, T0 + 10 * SECOND)
    times = [at for *_, at in watch.told]
    assert times == sorted(set(times))
    assert watch.states[-1] == ("s1", "occupied")


def test_a_parked_vehicle_never_times_out_but_is_less_surely_there(lot):
    watch = Watch(lot)
    watch.filter.occupy({"s1": Taken("v1", 0.999, T0)}, {}, T0)
    for minute in range(1, 10_000, 7):
        watch.filter.fade({"v1": T0}, T0 + minute * MINUTE)
    assert {state for _, state in watch.states} == {"occupied"}
    certainties = [fact.payload.certainty for fact in watch.emission.facts]
    assert certainties == sorted(certainties, reverse=True)
    assert certainties[0] > 0.99
    assert 0.7 < certainties[-1] < 0.85, "as sure as one nat"
    assert len(certainties) < 5, "said again only where it tells something"


def test_one_that_is_seen_again_is_as_surely_there_as_before(lot):
    watch = Watch(lot)
    watch.filter.occupy({"s1": Taken("v1", 0.999, T0)}, {}, T0)
    watch.filter.fade({"v1": T0}, T0 + 180 * MINUTE)
    watch.filter.fade({"v1": T0 + 181 * MINUTE}, T0 + 181 * MINUTE)
    assert [fact.payload.certainty for fact in watch.emission.facts][::2] == [0.999, 0.999]


def test_of_a_free_stall_that_nobody_sees_for_hours_nothing_is_known(lot):
    watch = Watch(lot, s1=StallBelief("free", free_nats=5.0, seen_at=T0, since_at=T0, certainty=0.993))
    watch.filter.fade({}, T0 + 30 * MINUTE)
    assert watch.told == [], "half as sure, and still sure"
    watch.filter.fade({}, T0 + 240 * MINUTE)
    assert watch.states == [("s1", "unknown")]
    assert watch.emission.facts[0].payload.certainty is None


def test_one_that_is_looked_at_stays_free(lot):
    watch = Watch(lot, s1=StallBelief("free", free_nats=5.0, seen_at=T0, since_at=T0, certainty=0.993))
    for minute in range(1, 300):
        watch.look(T0 + minute * MINUTE)
        watch.filter.fade({}, T0 + minute * MINUTE)
    assert watch.told == []


def test_beliefs_of_states_before_this_are_read(lot):
    watch = Watch(lot, s1=StallBelief("occupied", "v1"), s2=StallBelief("free"))
    watch.filter.fade({"v1": T0}, T0)
    assert watch.told == [], "nothing was learned"
    watch.filter.fade({"v1": T0}, T0 + 300 * MINUTE)
    assert watch.states == [("s1", "occupied"), ("s2", "unknown")]
    watch.filter.occupy({}, {}, T0 + 301 * MINUTE)
    assert watch.states[2:] == [("s1", "free")]


@given(st.floats(-60.0, 60.0))
def test_the_probability_of_log_odds_is_the_logistic_function(nats):
    assert probability_of(nats) == pytest.approx(1.0 / (1.0 + math.exp(-nats)), abs=2e-3)


def test_a_classifier_that_is_sure_twice_says_that_a_stall_is_taken(lot):
    watch = Watch(lot)
    watch.filter.rate("s1", 0.99, T0)
    assert watch.told == [], "one picture is not enough"
    watch.filter.rate("s1", 0.99, T0 + 10 * SECOND)
    assert watch.told == [("s1", "occupied", None, T0)], "since the first of them"
    for number in range(2, 9):
        watch.filter.rate("s1", 0.02, T0 + number * 10 * SECOND)
    assert watch.states == [("s1", "occupied"), ("s1", "free")]


def test_a_stall_is_what_it_is_found_to_be_since_that_was_what_spoke_of_it(lot):
    watch = Watch(lot)
    watch.filter.rate("s1", 0.8, T0)
    for number in range(1, 100):
        watch.look(T0 + number * SECOND // 5)
    ((*_, free_at),) = watch.told
    assert T0 < free_at < T0 + 3 * SECOND


def test_what_was_not_watched_all_the_time_is_told_since_it_is(lot):
    watch = Watch(lot)
    watch.look(T0)
    for number in range(100):
        watch.look(T0 + 60 * MINUTE + number * SECOND // 5)
    assert watch.told == [("s1", "free", None, T0 + 60 * MINUTE)]
    before = Watch(lot, s1=StallBelief("unknown", free_nats=5.9, seen_at=T0))  # as a release before this one kept it
    before.look(T0 + SECOND)
    assert before.told == [("s1", "free", None, T0 + SECOND)]


def test_scores_of_one_picture_again_and_again_are_hardly_more_than_one(lot):
    watch = Watch(lot)
    for number in range(3):
        watch.filter.rate("s1", 0.99, T0 + number * SECOND // 10)
    assert watch.told == []


def test_a_classifier_does_not_argue_away_who_is_parked(lot):
    watch = Watch(lot)
    watch.filter.occupy({"s1": Taken("v1", 0.99, T0)}, {}, T0)
    for number in range(100):
        watch.filter.rate("s1", 0.0, T0 + number * 10 * SECOND)
    assert watch.states == [("s1", "occupied")]


def test_a_score_of_a_stall_that_is_not_there_is_let_be(lot):
    watch = Watch(lot)
    watch.filter.rate("s99", 1.0, T0)
    watch.filter.rate("s99", 1.0, T0 + 60 * SECOND)
    assert (watch.told, watch.stalls) == ([], {})


def test_a_name_that_changes_is_told_when_it_changes_and_not_before(lot):
    """Two that have just parked beside each other exchange their names: nobody is in two stalls."""
    watch = Watch(lot)
    watch.filter.occupy({"s1": Taken("v1", 0.99, T0), "s2": Taken("v2", 0.99, T0 + SECOND)}, {}, T0 + 2 * SECOND)
    watch.filter.occupy({"s1": Taken("v2", 0.99, T0), "s2": Taken("v1", 0.99, T0 + SECOND)}, {}, T0 + 4 * SECOND)
    assert [at for *_, at in watch.told[2:]] == [T0 + 4 * SECOND] * 2


def test_a_vehicle_that_stands_surer_makes_its_stall_surer(lot):
    watch = Watch(lot)
    watch.filter.occupy({"s1": Taken("v1", 0.75, T0)}, {}, T0)
    watch.filter.occupy({"s1": Taken("v1", 0.99, T0)}, {}, T0 + 5 * SECOND)
    watch.filter.fade({"v1": T0 + 6 * SECOND}, T0 + 6 * SECOND)
    assert [round(one.payload.certainty, 2) for one in watch.emission.facts] == [0.75, 0.99]


def test_looks_that_tell_nothing_leave_a_classifiers_scores_their_weight(lot):
    most = Covers([(0.0, 112.0, 400.0, 260.0)], [None])

    def n_scores(has_looks):
        watch = Watch(lot)
        for number in range(600):
            at = T0 + number * SECOND // 5
            if has_looks:
                watch.look(at, most)
            if number % 75 == 74:
                watch.filter.rate("s1", 0.99, at)
                if ("s1", "occupied") in watch.states:
                    return number // 75 + 1
        return None

    assert n_scores(has_looks=False) == 2
    assert n_scores(has_looks=True) <= 3
