"""Crops of vehicles before several cameras: who is in a group, and what a folder of them holds."""

import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from perception.synthetic.footprints import overlaps
from perception.synthetic.render import passes
from perception.synthetic.render.lots import random_lot
from perception.synthetic.render.passes import GROUP, MOMENTS, SIDE_PX, group_of_vehicles, read_crops, write_crops
from perception.synthetic.render.shapes import HELD_OUT, SHAPES, TRAINED
from perception.synthetic.seeds import generator


@pytest.mark.parametrize("is_held_out", [False, True])
def test_a_fifth_of_a_group_are_look_alikes_of_the_same_body(is_held_out):
    vehicles = group_of_vehicles(3, 5, is_held_out=is_held_out)
    assert len({one.vehicle for one in vehicles}) == len({one.plate for one in vehicles}) == GROUP
    by_look = defaultdict(set)
    for one in vehicles:
        by_look[one.look].add((one.vehicle, one.shape))
    alike = [members for members in by_look.values() if len(members) > 1]
    assert sorted(len(members) for members in alike) == [2, 3]
    assert all(len({shape for _, shape in members}) == 1 for members in alike)


def test_training_groups_mostly_have_few_bodies_and_never_a_held_out_one():
    n_bodies = Counter(len({one.shape for one in group_of_vehicles(1, k, is_held_out=False)}) for k in range(200))
    few = sum(n for count, n in n_bodies.items() if count <= 3)
    assert 0.65 < few / 200 < 0.85
    assert {one.shape for k in range(40) for one in group_of_vehicles(1, k, is_held_out=False)} <= set(TRAINED)


def test_held_out_groups_mix_bodies_that_training_never_shows_with_those_it_does():
    bodies = Counter(one.shape for k in range(40) for one in group_of_vehicles(1, k, is_held_out=True))
    new = sum(bodies[name] for name in HELD_OUT)
    assert 0.3 < new / (40 * GROUP) < 0.5


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}
    for is_held_out in (False, True):
        made[is_held_out] = tmp_path_factory.mktemp("crops")
        list(write_crops(made[is_held_out], range(1), 4, n_scenes=1, is_held_out=is_held_out))
    return made


def test_held_out_tracklets_are_drives_and_training_views_are_tracklets_of_their_own(folders):
    for is_held_out, folder in folders.items():
        pictures, labels = read_crops(folder)
        assert pictures.shape == (len(labels), SIDE_PX, SIDE_PX, 3)
        assert [label.row for label in labels] == list(range(len(labels)))
        sizes = Counter(label.tracklet for label in labels)
        assert max(sizes.values()) == (MOMENTS if is_held_out else 1)


def test_whoever_drives_gets_on_by_some_metres_and_touches_nobody():
    for group in range(4):
        vehicles, rng = group_of_vehicles(9, group, is_held_out=True), generator(1, "drives", group)
        moments = [{one.vehicle: one for one in placed} for placed in passes._drives(vehicles, random_lot(rng, 0), rng)]
        assert len(moments) == MOMENTS
        for placed in moments:
            assert not np.triu(overlaps(*2 * (np.array([_rectangle(one) for one in placed.values()]),)), 1).any()
        for name, first in moments[0].items():
            ways = [math.dist((a[name].x_m, a[name].y_m), (b[name].x_m, b[name].y_m)) for a, b in pairwise(moments)]
            assert all(1.0 < way < 3.2 for way in ways), (first, ways)


def test_training_views_of_a_vehicle_are_all_over_the_place(folders):
    boxes = defaultdict(list)
    for label in read_crops(folders[False])[1]:
        boxes[label.vehicle, label.camera].append(np.array(label.box_px))
    moved = [np.abs(b - a).max() / (a[2] - a[0]) for row in boxes.values() for a, b in pairwise(row)]
    assert np.median(moved) > 1.0


def _rectangle(one):
    shape, heading = SHAPES[one.shape], math.radians(one.heading_deg)
    return one.x_m, one.y_m, math.cos(heading), math.sin(heading), shape.length_m / 2, shape.width_m / 2


def test_crops_that_a_folder_holds_are_not_rendered_again(folders, monkeypatch):
    assert list(write_crops(folders[True], range(1), 4, n_scenes=1, is_held_out=True)) == []
