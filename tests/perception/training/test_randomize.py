import numpy as np
import pytest

from perception.synthetic.seeds import generator
from perception.training.frames_dataset import Boxes
from perception.training.randomize import MILD, STRONG, Strength, randomized

SIZE_PX = (256, 160)


def painted():
    image = np.full((180, 320, 3), 100, np.uint8)
    image[60:120, 100:200] = (0, 0, 255)
    return image, Boxes(np.array([[100, 60, 200, 120]], np.float32), np.zeros(1, np.int64), np.ones(1, np.float32))


def edges(image):
    is_red = (image[:, :, 2] > 180) & (image[:, :, 0] < 50)
    rows, columns = np.nonzero(is_red.any(axis=1))[0], np.nonzero(is_red.any(axis=0))[0]
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


@pytest.mark.parametrize("seed", range(20))
def test_boxes_move_with_the_vehicles(seed):
    only_moved = Strength(mosaic=0.0, zoom=(0.6, 1.8), pixels=0.0)
    image, boxes = randomized(painted, SIZE_PX, only_moved, generator(seed, "randomize"))
    if len(boxes.px):
        assert edges(image) == pytest.approx(boxes.px[0].tolist(), abs=1.5)


@pytest.mark.parametrize("seed", range(10))
def test_boxes_of_a_mosaic_lie_on_its_vehicles(seed):
    mosaic = Strength(mosaic=1.0, zoom=(0.6, 1.2), pixels=0.0)
    image, boxes = randomized(painted, SIZE_PX, mosaic, generator(seed, "randomize"))
    is_red = (image[:, :, 2] > 180) & (image[:, :, 0] < 50)
    inside = np.zeros(is_red.shape, bool)
    for x1, y1, x2, y2 in boxes.px.round().astype(int).tolist():
        assert is_red[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].all()
        inside[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = True
    assert not (is_red & ~inside).any()


def test_the_same_seed_draws_the_same_picture():
    first, boxes = randomized(painted, SIZE_PX, STRONG, generator(7, "randomize"))
    again, same = randomized(painted, SIZE_PX, STRONG, generator(7, "randomize"))
    other, _ = randomized(painted, SIZE_PX, STRONG, generator(8, "randomize"))
    assert np.array_equal(first, again)
    assert np.array_equal(boxes.px, same.px)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("strength", [STRONG, MILD])
def test_every_draw_is_a_picture_of_the_wanted_size(strength):
    for seed in range(30):
        image, boxes = randomized(painted, SIZE_PX, strength, generator(seed, "randomize"))
        assert image.shape == (160, 256, 3)
        assert image.dtype == np.uint8
        assert (boxes.px >= 0).all()
        assert (boxes.px <= [256, 160, 256, 160]).all()


def test_the_source_picture_is_left_as_it_is():
    source, boxes = painted()
    before = source.copy()
    for seed in range(10):
        randomized(lambda: (source, boxes), SIZE_PX, STRONG, generator(seed, "randomize"))
    assert np.array_equal(source, before)
