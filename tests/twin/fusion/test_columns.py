"""Tracks as columns: what they say is what the tracks say, through births, ends, changes and other states."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.fusion.columns import TrackColumns
from twin.fusion.gating import GONE, PARKED
from twin.fusion.motion import born
from twin.fusion.place import CUT, Look
from twin.fusion.state import Track


def track(name, x=0.0, y=0.0, level="ground", status="moving", looks=None):
    return Track(
        id=name,
        level=level,
        status=status,
        motion=born(name, x, y, (1.0, 0.1, 2.0), 3.0),
        kind="car",
        kind_scores={"car": 1.0},
        heading=(0.0, 0.0),
        born_at=0,
        first_m=(x, y),
        is_inner_birth=False,
        hits=1,
        seen_at=7 * name,
        seen_by="cam",
        seen_rate={"cam": 0.5},
        looks=looks or {},
    )


def told(columns):
    """Every living row: id, place, spread, times, level and status."""
    rows = [row for row, kind in enumerate(columns.kinds[: len(columns.tracks)]) if kind[1] != GONE]
    assert [columns.row_by_id[columns.tracks[row].id] for row in rows] == rows
    return [
        (
            columns.tracks[row].id,
            columns.numbers[row].tolist(),
            columns.times[row].tolist(),
            columns.kinds[row].tolist()[1:],
            {camera: columns.looks(camera)[row].tolist() for camera in ("cam", "other")},
        )
        for row in rows
    ]


def asked(tracks):
    return told(TrackColumns().of(tracks))


def test_a_row_says_what_its_track_does():
    ((name, numbers, times, kinds, _),) = asked({3: track(3, 1.0, 2.0, status="parked")})
    assert (name, numbers, times) == (3, [1.0, 2.0, 0.0, 0.0, 1.0, 0.1, 0.0, 0.0, 2.0, 0.0, 0.0, 9.0, 0.0, 9.0], [3, 21])
    assert kinds == [PARKED, 1, 1]  # it stands, and no camera's look at it is kept


def look(n, x=1.0):
    return Look(n, 0, x, 2.0, (1.0, 0.5, 2.0), CUT, (0.0, 0.0, 1.0, 1.0))


_LOOKS = ({}, {"cam": look(2)}, {"cam": look(3), "other": look(30)}, {"cam": look(9, 7.0)})


def test_a_camera_knows_a_vehicle_that_it_saw_often_enough():
    (known,) = asked({3: track(3, looks=_LOOKS[2])})
    assert known[-1]["cam"] == [1.0, 2.0, 0.35, 0.175, 0.7, CUT]
    (unknown,) = asked({3: track(3, looks=_LOOKS[1])})
    assert [looks[-1] for looks in unknown[-1].values()] == [-1.0, -1.0]


def test_who_is_kept_was_seen_and_nothing_else_of_it_changed():
    columns = TrackColumns().of({name: track(name) for name in (1, 2, 3)})
    before = told(columns)
    columns.keep([1, 3], 50)
    assert told(columns) == [(*row[:2], [50, 50] if row[0] != 2 else row[2], *row[3:]) for row in before]


@given(st.lists(st.dictionaries(st.integers(1, 200), st.integers(0, 3), max_size=120), min_size=2, max_size=5))
def test_columns_of_one_state_become_those_of_any_other(states):
    known = {(name, x): track(name, float(x), looks=_LOOKS[x]) for state in states for name, x in state.items()}
    columns = TrackColumns()
    for state in states:
        tracks = {name: known[name, state[name]] for name in sorted(state)}
        assert told(columns.of(tracks)) == asked(tracks)
        parked = [track(name, status="parked") for name in tracks]
        for one in parked:
            columns.write(one)
        shown = [one.id for one in parked if one.id % 3 == 0]
        assert columns.at(columns.unseen("cam", "ground", shown)) == [one for one in parked if one.id % 3 != 0]
        columns.of(tracks)


def _stall_at(level, x, y):
    return None if x > 1.0 else f"{level} {x:.0f}"


@given(st.lists(st.dictionaries(st.integers(1, 200), st.integers(0, 3), max_size=120), min_size=2, max_size=5))
def test_tracks_are_counted_in_the_stalls_that_they_are_in_now(states):
    columns = TrackColumns()
    for state in states:
        columns.of({name: track(name, float(x)) for name, x in sorted(state.items())})
        for name in [name for name in state if name % 5 == 0]:
            columns.write(track(name, 3.0 - state[name]))
        for name in [name for name in state if name % 5 == 1]:
            columns.drop(name)
        places = [3.0 - x if name % 5 == 0 else x for name, x in state.items() if name % 5 != 1]
        counted = Counter(stall for x in places if (stall := _stall_at("ground", x, 0.0)) is not None)
        assert columns.in_stalls(_stall_at) == counted
        columns.of({})


def test_a_birth_comes_last_and_an_end_leaves_the_order():
    columns = TrackColumns().of({name: track(name) for name in range(1, 70)})
    for name in range(70, 140):
        columns.write(track(name))
    columns.drop(5)
    assert [row[0] for row in told(columns)] == [*range(1, 5), *range(6, 140)]
    changed = replace(track(90, 4.0), status="parked")
    columns.write(changed)
    assert columns.at(columns.unseen("another", "ground", [])) == [changed], "no camera's look at it is kept"
    assert not len(columns.unseen("cam", "ground", [90]))
    assert not len(columns.unseen("cam", "deck", []))
    assert columns.between("ground", 3.0, -1.0, 5.0, 1.0) == [changed]


def test_what_is_around_a_place_is_on_its_level():
    rng = np.random.default_rng(2)
    places = rng.uniform(-20, 20, (60, 2)).tolist()
    tracks = {n + 1: track(n + 1, x, y, "deck" if n % 3 == 0 else "ground") for n, (x, y) in enumerate(places)}
    columns = TrackColumns().of(tracks)
    near = {one.id for one in columns.around("ground", 1.0, 2.0, 8.0)}
    ground = [one for one in tracks.values() if one.level == "ground"]
    true = {one.id for one in ground if abs(one.motion.x - 1.0) < 8.0 and abs(one.motion.y - 2.0) < 8.0}
    assert near == true
    assert len(true) > 3
