"""Galleries of views, and how alike they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.fusion.appearance import (
    ANY_SIDE,
    N_ANY_SIDE,
    N_EXEMPLARS,
    PER_OCTANT,
    PRIOR_NATS,
    View,
    likeness,
    log_likelihood_ratio,
    octant,
    plates_of,
    with_views,
)
from twin.fusion.plates import Read


def view(*values):
    return View(np.array(values, dtype=np.int8).tobytes())


def test_like_views_speak_for_one_vehicle_and_unlike_ones_against():
    same, other = view(100, 20, 0), view(0, -20, 120)
    assert likeness((same,), (same,)) == 1.0
    assert log_likelihood_ratio((same,), (same,), PRIOR_NATS) > 2.0
    assert log_likelihood_ratio((same,), (other,), PRIOR_NATS) < -2.0
    assert log_likelihood_ratio((), (same,), PRIOR_NATS) == 0.0
    assert log_likelihood_ratio((view(1, 2),), (same,), PRIOR_NATS) == 0.0, "views of two embedders say nothing"


def test_what_is_by_chance_in_each_view_goes_out_of_their_sum():
    # One vehicle is (100, 0, 0), the other (0, 100, 0); each view is off by 60 somewhere.
    ours, theirs = (view(100, 60, 0), view(100, -60, 0)), (view(100, 0, 60), view(100, 0, -60))
    other = (view(60, 100, 0), view(-60, 100, 0))
    assert likeness(ours[:1], theirs[:1]) == 10_000 / 13_600
    assert likeness(ours, theirs) == 1.0
    assert likeness(ours, other) == 0.0
    assert likeness((*ours, view(1, 2)), theirs) == 1.0, "of another embedder"


def test_of_views_from_nobody_knows_where_the_first_and_the_newest_are_kept():
    views = [view(n, 1) for n in range(1, 8)]
    assert with_views((), views) == (views[0], *views[-N_ANY_SIDE:])


any_view = st.builds(View, st.binary(min_size=2, max_size=2), st.integers(ANY_SIDE, 7), st.floats(0.01, 1.0))


@given(st.lists(any_view, max_size=60, unique_by=lambda one: one.embedding))
def test_a_gallery_is_small_in_order_and_has_the_first_view_and_of_every_side(views):
    gallery = with_views((), views)
    order = [views.index(one) for one in gallery]
    assert gallery[:1] == tuple(views[:1])
    assert len(gallery) <= N_EXEMPLARS
    assert order == sorted(order)
    if len(sides := {one.octant for one in views}) < 6:  # fewer than a gallery has room for
        assert {one.octant for one in gallery} == sides


def test_many_views_of_one_side_do_not_push_out_another_side():
    left, front = (replace(view(9, n), octant=octant) for n, octant in ((1, 2), (2, 0)))
    many = [replace(view(n, 3), octant=2) for n in range(20)]
    assert with_views((), [left, front, *many]) == (left, front, *many[-PER_OCTANT:])


def test_a_view_much_worse_than_another_of_its_side_is_not_taken_and_gives_way_to_a_better_one():
    first, good, poor, better = (replace(view(n, 1), octant=4, quality=q) for n, q in ((1, 0.2), (2, 0.8), (3, 0.3), (4, 0.7)))
    assert with_views((), [first, good, better, poor]) == (first, good, better)
    assert with_views((), [first, good, poor, better]) == (first, good, better)


def test_a_side_seen_once_counts_as_much_as_one_seen_twice():
    front, back = replace(view(100, 0), octant=0), replace(view(0, 100), octant=4)
    again = replace(view(0, 99), octant=4)
    assert likeness((front, back, again), (view(100, 100),)) == pytest.approx(1.0, abs=1e-4)
    assert likeness((view(100, 0), view(0, 100), view(0, 99)), (view(100, 100),)) < 0.96, "of sides that nobody knows"


@pytest.mark.parametrize(
    ("sight", "side"),
    [
        ((9, 0), 0),
        ((5, 5), 1),
        ((0, 7), 2),
        ((-5, 5), 3),
        ((-3, 1), 4),
        ((-5, -5), 5),
        ((1, -3), 6),
        ((5, -5), 7),
        ((0, 0), ANY_SIDE),
    ],
)
def test_the_octant_is_that_of_the_vehicle_wherever_it_heads(sight, side):
    for turns in range(4):
        (hx, hy), (sx, sy) = (1.0, 0.0), map(float, sight)
        for _ in range(turns):
            (hx, hy), (sx, sy) = (-hy, hx), (-sy, sx)
        assert octant((hx, hy), (sx, sy)) == side
    assert octant((0.0, 0.0), (9.0, 1.0)) == octant((1.0, 0.0), (0.0, 0.0)) == ANY_SIDE


def test_a_side_with_plates_weighs_no_more_than_others():
    plated = [replace(view(100, n), octant=0, plate=Read(f"ABC{n}234", 0.9)) for n in range(4)]
    front = [replace(view(100, n), octant=0) for n in (5, 6)]
    gallery = with_views((), [view(100, 9), *front, *plated, replace(view(0, 100), octant=4)])
    assert likeness(gallery[1:], (view(100, 100),)) == pytest.approx(1.0, abs=0.01)


def test_a_view_that_is_known_already_still_tells_its_plate():
    known, again = view(100, 0), replace(view(100, 0), plate=Read("ABC1234", 0.9))
    gallery = with_views((), [known, again, again])
    assert [one.text for one in plates_of(gallery)] == ["ABC1234"]
    assert likeness(gallery, (known,)) == 1.0
