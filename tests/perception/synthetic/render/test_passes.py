"""Crops of vehicles before several cameras: who is in a group, and what a folder of them holds."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from perception.synthetic.render.passes import GROUP, MOMENTS, SIDE_PX, group_of_vehicles, read_crops, write_crops
from perception.synthetic.render.shapes import HELD_OUT, TRAINED


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


def test_views_of_a_drive_are_alike_and_those_to_learn_from_are_not(folders):
    """How far the box of one vehicle in one camera changes from a view to the next, in shares of its size."""
    change = {}
    for is_held_out, folder in folders.items():
        boxes = defaultdict(list)
        for label in read_crops(folder)[1]:
            boxes[label.vehicle, label.camera].append(np.array(label.box_px))
        moved = [np.abs(b - a).max() / (a[2] - a[0]) for row in boxes.values() for a, b in pairwise(row)]
        change[is_held_out] = float(np.median(moved))
    assert change[True] < 0.5 < 1.0 < change[False]


def test_crops_that_a_folder_holds_are_not_rendered_again(folders, monkeypatch):
    assert list(write_crops(folders[True], range(1), 4, n_scenes=1, is_held_out=True)) == []
