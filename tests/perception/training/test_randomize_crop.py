import numpy as np
import pytest

from perception.synthetic.seeds import generator
from perception.training.randomize_crop import any_tones, changed, tones_like


def _upper_red_lower_blue():
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[:64, :, 2], picture[64:, :, 0] = 200, 200
    return picture


def _drawn(n, side_px=96):
    return [changed(_upper_red_lower_blue(), side_px, generator(seed, "crop")) for seed in range(n)]


@pytest.mark.parametrize("side_px", [64, 96, 128])
def test_every_draw_is_a_picture_of_the_wanted_side(side_px):
    for picture in _drawn(40, side_px):
        assert picture.shape == (side_px, side_px, 3)
        assert picture.dtype == np.uint8


def test_the_same_seed_draws_the_same_and_another_seed_another():
    assert all(np.array_equal(one, again) for one, again in zip(_drawn(10), _drawn(10), strict=True))
    assert len({picture.tobytes() for picture in _drawn(40)}) == 40


def test_the_vehicle_is_not_upside_down_and_keeps_its_colours():
    kept = 0
    for picture in _drawn(100):
        upper, lower = picture[:24].mean(axis=(0, 1)), picture[-24:].mean(axis=(0, 1))
        kept += upper[2] > upper[0] + 40 and lower[0] > lower[2] + 40
    assert kept >= 80  # the rest are grey or covered


def test_the_picture_given_is_left_as_it_is():
    picture = _upper_red_lower_blue()
    for seed in range(30):
        changed(picture, 128, generator(seed, "crop"))
    assert np.array_equal(picture, _upper_red_lower_blue())


def test_half_of_the_crops_are_mirrored():
    picture = np.full((128, 128, 3), 40, np.uint8)
    picture[:, 96:] = 220
    drawn = [changed(picture, 64, generator(seed, "crop")) for seed in range(300)]
    is_mirrored = [float(one[:, :12].mean()) > float(one[:, -12:].mean()) for one in drawn]
    assert 0.4 < np.mean(is_mirrored) < 0.6


def test_tones_of_one_make_are_nearer_to_each_other_than_those_of_any():
    rng = np.random.default_rng(4)
    make = any_tones(rng)
    alike = np.array([tones_like(make, rng).gains for _ in range(200)])
    apart = np.array([any_tones(rng).gains for _ in range(200)])
    assert (alike.std(axis=0) < 0.4 * apart.std(axis=0)).all()
    assert alike.mean(axis=0) == pytest.approx(make.gains, abs=0.02)
    grey = np.full((40, 40, 3), 128, np.uint8)
    means = [changed(grey, 32, np.random.default_rng(k), make).mean() for k in range(60)]
    others = [changed(grey, 32, np.random.default_rng(k)).mean() for k in range(60)]
    assert np.std(means) < np.std(others)
