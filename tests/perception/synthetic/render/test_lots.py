"""The random car parks of training frames, without rendering them."""

from collections import Counter

import pytest

from perception.synthetic.render.lots import sample
from perception.synthetic.render.shapes import HELD_OUT, SHAPES

N = 250
LONG = {"bus", "truck"}


@pytest.fixture(scope="module")
def samples():
    return [sample(1, number) for number in range(N)]


def test_a_sample_depends_on_seed_and_number_alone(samples):
    assert sample(1, 7) == samples[7]
    assert sample(2, 7) != samples[7]


def test_every_trained_body_is_common_enough_to_be_learned(samples):
    bodies = Counter(one.shape for each in samples for one in each.vehicles)
    assert set(bodies) == set(SHAPES) - set(HELD_OUT)
    assert min(bodies.values()) > 0.01 * bodies.total()


def test_long_vehicles_park_in_yards_and_nowhere_else(samples):
    def parked(each):
        spots = {(round(x), round(y)) for x, y, _ in each.lot.spots}
        return [one.shape for one in each.vehicles if (round(one.x_m), round(one.y_m)) in spots and one.speed_mps == 0.0]

    yards = [each for each in samples if each.lot.is_yard]
    assert 0.15 * N < len(yards) < 0.35 * N
    in_yards = Counter(shape for each in yards for shape in parked(each))
    elsewhere = [shape for each in samples if not each.lot.is_yard for shape in parked(each)]
    assert sum(in_yards[shape] for shape in LONG) > 0.3 * in_yards.total()
    assert sum(shape in LONG for shape in elsewhere) < 0.01 * len(elsewhere)  # one may stand on a lane near a stall


def test_training_samples_have_more_of_the_rare_kinds_than_held_out_ones(samples):
    def share(each_of, *kinds):
        bodies = Counter(SHAPES[one.shape].kind for each in each_of for one in each.vehicles)
        return sum(bodies[kind] for kind in kinds) / bodies.total()

    held_out = [sample(1, number, is_held_out=True) for number in range(N)]
    assert share(samples, "truck", "bus", "motorcycle") > 2 * share(held_out, "truck", "bus", "motorcycle")
    assert share(samples, "car") > 0.3  # most vehicles of a real site


def test_held_out_samples_have_bodies_and_light_of_their_own(samples):
    held_out = [sample(1, number, is_held_out=True) for number in range(60)]
    bodies = Counter(one.shape for each in held_out for one in each.vehicles)
    assert 0.3 < sum(bodies[shape] for shape in HELD_OUT) / bodies.total() < 0.5
    assert not {each.light for each in held_out} & {each.light for each in samples}


def test_no_frame_has_one_vehicle_twice(samples):
    for each in samples:
        assert len({one.vehicle for one in each.vehicles}) == len(each.vehicles)
