import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from site_models.camera_entries import look_at
from site_models.load import PACKAGED, load_site
from site_models.schema import GroundHomography, Pinhole
from twin.spatial.calibration import Lens, Marks, Pair, calibrate
from twin.spatial.calibration.least_squares import fit
from twin.spatial.calibration.pinhole import LensAndPose, turn
from twin.spatial.calibration.plane import Plane
from twin.spatial.calibration.plumb_lines import PlumbLines
from twin.spatial.camera import GroundCamera

FRAME = (960, 540)
DEMO = load_site(PACKAGED / "demo_lot")
LENS = (-0.06, 0.008, 0.0, 0.0, 0.0)


def camera(position=(0.0, -12.0, 6.0), target=(2.0, 8.0, 0.0), focal=520.0, distortion=LENS) -> GroundCamera:
    pose = look_at(position, target)
    geometry = Pinhole(k=(focal, focal, 480.0, 270.0), position_m=position, rotation=pose, distortion=distortion)
    return GroundCamera(geometry, FRAME, range_m=45.0)


def seen(one: GroundCamera, places) -> np.ndarray:
    places = np.array(places, dtype=float)
    return one.to_pixels(np.column_stack((places, np.full(len(places), one.elevation_m)))).points_px


def marks(one: GroundCamera, places, noise_px=0.0, seed=1, **given) -> Marks:
    pixels = seen(one, places) + np.random.default_rng(seed).normal(0.0, noise_px, (len(places), 2))
    pairs = tuple(Pair(pixel_px=tuple(px), ground_m=tuple(m)) for px, m in zip(pixels.tolist(), places, strict=True))
    return Marks(frame_px=one.frame_px, pairs=pairs, range_m=one.range_m, **given)


def on_picture(one: GroundCamera) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of a grid that see ground in range, and that ground."""
    width, height = one.frame_px
    pixels = np.stack(np.meshgrid(np.arange(10.0, width, 20.0), np.arange(10.0, height, 20.0)), -1).reshape(-1, 2)
    found = one.to_ground(pixels, np.ones_like(pixels))
    return pixels[found.is_valid], found.points_m[found.is_valid]


def errors(geometry, one: GroundCamera) -> np.ndarray:
    """How far a calibration has the ground of the picture from the truth, metres."""
    pixels, truth = on_picture(one)
    found = GroundCamera(geometry, one.frame_px, one.elevation_m, range_m=1e4).to_ground(pixels, np.ones_like(pixels))
    return np.where(found.is_valid, np.hypot(*(found.points_m - truth).T), 1e3)  # far off, where no ground is seen


def spread(one: GroundCamera, n: int, seed: int) -> list[tuple[float, float]]:
    """``n`` places of the picture's ground, each as far as can be from the others in the picture."""
    pixels, ground = on_picture(one)
    chosen = [int(np.random.default_rng(seed).integers(len(pixels)))]
    while len(chosen) < n:
        apart = np.min([np.hypot(*(pixels - pixels[index]).T) for index in chosen], axis=0)
        chosen.append(int(apart.argmax()))
    return [tuple(ground[index]) for index in chosen]


def codes(solution) -> set[str]:
    return {one.code for one in solution.remarks}


SPREAD = [(-8.0, 0.0), (9.0, -1.0), (0.0, -4.0), (-12.0, 20.0), (14.0, 22.0), (1.0, 12.0), (-5.0, 8.0), (8.0, 9.0)]


@pytest.mark.parametrize("name", [one.id for one in DEMO.cameras])
def test_eight_pairs_on_a_rendered_camera_place_what_it_sees_within_20_cm(name):
    found = next(one for one in DEMO.cameras if one.id == name)
    one = GroundCamera.of(found, DEMO.levels[0])
    off = []
    for seed in range(6):
        made = calibrate(marks(one, spread(one, 8, seed), noise_px=0.5, seed=seed, sigma_px=0.5)).calibration
        assert made is not None
        off.append(errors(made.geometry, one))
    assert np.quantile(np.concatenate(off), 0.95) <= 0.2


def test_exact_marks_give_the_camera_back():
    one = camera(distortion=(0.0, 0.0, 0.0, 0.0, 0.0))
    made = calibrate(marks(one, SPREAD)).calibration
    assert isinstance(made.geometry, Pinhole)
    assert made.geometry.position_m == pytest.approx((0.0, -12.0, 6.0), abs=0.01)
    assert made.geometry.k[0] == pytest.approx(520.0, abs=0.5)
    assert made.rms_px < 0.05


def test_a_known_lens_is_kept_and_the_pose_found():
    one = camera()
    lens = Lens(k=(520.0, 520.0, 480.0, 270.0), distortion=LENS)
    made = calibrate(marks(one, SPREAD[:4], lens=lens)).calibration
    assert made.geometry.k == lens.k
    assert made.geometry.distortion == LENS
    assert errors(made.geometry, one).max() < 0.01


def test_lines_that_are_straight_in_the_world_tell_how_the_lens_bends():
    bent = (-0.25, 0.06, 0.0, 0.0, 0.0)  # far from a common lens
    one = camera(distortion=bent)
    lines = [[(-14.0, y) for y in np.linspace(2.0, 30.0, 9)], [(x, 26.0) for x in np.linspace(-20.0, 22.0, 9)]]
    lines.append([(x, -5.0 + 0.1 * x) for x in np.linspace(-5.0, 6.0, 9)])
    drawn = tuple(tuple(map(tuple, seen(one, line).tolist())) for line in lines)
    without = calibrate(marks(one, SPREAD, noise_px=0.5)).calibration
    made = calibrate(marks(one, SPREAD, noise_px=0.5, lines_px=drawn)).calibration
    assert made.geometry.distortion[0] == pytest.approx(bent[0], abs=0.03)
    assert np.quantile(errors(made.geometry, one), 0.95) < 0.6 * np.quantile(errors(without.geometry, one), 0.95)


@pytest.mark.parametrize(("lens", "model"), [(Lens(k=(520.0, 520.0, 480.0, 270.0)), "auto"), (None, "homography")])
def test_lines_that_are_of_no_use_are_told(lens, model):
    line = ((100.0, 400.0), (300.0, 410.0), (500.0, 420.0))
    assert "lines_unused" in codes(calibrate(marks(camera(), SPREAD, lines_px=(line,), lens=lens), model))
    assert "lines_unused" not in codes(calibrate(marks(camera(), SPREAD, lines_px=(line,))))


def test_pixels_of_a_straight_line_are_straight_once_undistorted():
    one = camera(distortion=(-0.25, 0.06, 0.0, 0.0, 0.0))
    line = seen(one, [(x, 18.0) for x in np.linspace(-16.0, 18.0, 12)])
    right = Lens(k=(520.0, 520.0, 480.0, 270.0), distortion=(-0.25, 0.06, 0.0, 0.0, 0.0))
    flat = Lens(k=right.k)
    assert np.abs(PlumbLines((line,)).off_straight(right)).max() < 0.01
    assert np.abs(PlumbLines((line,)).off_straight(flat)).max() > 2.0


def test_the_most_and_worst_marks_that_a_request_may_carry_are_computed_in_bounded_steps(monkeypatch):
    """50 lines of 200 points that are straight for no lens took two minutes of a processor."""
    asked, looked_at = [], LensAndPose.residuals
    monkeypatch.setattr(LensAndPose, "residuals", lambda self, parameters: asked.append(1) or looked_at(self, parameters))
    random = np.random.default_rng(5)
    lines = tuple(tuple(map(tuple, random.uniform(0.0, 540.0, (200, 2)).tolist())) for _ in range(50))
    one = camera()
    _, ground = on_picture(one)
    places = [tuple(place) for place in random.choice(ground, 100).tolist()]
    shaken = marks(one, places, noise_px=40.0, lines_px=lines)
    inside = [replace(pair, pixel_px=tuple(np.clip(pair.pixel_px, 0.0, 540.0).tolist())) for pair in shaken.pairs]
    assert calibrate(replace(shaken, pairs=tuple(inside))).calibration is not None
    assert len(asked) < 40_000
    n_places = len(PlumbLines(lines).weights)
    assert n_places <= 240


def test_a_traced_line_says_as_much_by_the_means_of_its_points():
    one = camera(distortion=(-0.25, 0.06, 0.0, 0.0, 0.0))
    line = seen(one, [(x, 18.0) for x in np.linspace(-16.0, 18.0, 120)])
    right = Lens(k=(520.0, 520.0, 480.0, 270.0), distortion=(-0.25, 0.06, 0.0, 0.0, 0.0))
    traced = PlumbLines((tuple(map(tuple, line.tolist())),))
    assert np.abs(traced.off_straight(right)).max() < 0.05
    assert np.abs(traced.off_straight(Lens(k=right.k))).max() > 1.5
    assert (traced.weights**2).sum() == pytest.approx(120)


def test_lines_are_judged_each_by_itself():
    flat = Lens(k=(520.0, 520.0, 480.0, 270.0))
    straight, bent = ((0.0, 0.0), (10.0, 10.0), (20.0, 20.0), (30.0, 30.0)), ((0.0, 100.0), (50.0, 110.0), (100.0, 100.0))
    off = PlumbLines((straight, bent)).off_straight(flat)
    assert np.abs(off[:4]).max() < 1e-9
    assert off[4:] == pytest.approx(PlumbLines((bent,)).off_straight(flat))
    assert np.abs(off[4:]).max() > 5.0


@pytest.mark.parametrize("where", [(961.0, 300.0), (300.0, -0.5)])
def test_a_mark_outside_the_picture_is_named_and_gives_no_calibration(where):
    right = marks(camera(), SPREAD)
    moved = replace(right, pairs=(*right.pairs[:2], replace(right.pairs[2], pixel_px=where), *right.pairs[3:]))
    found = calibrate(moved)
    assert found.calibration is None
    (outside,) = [one for one in found.remarks if one.code == "outside"]
    assert outside.pairs == (3,)
    assert "960 x 540" in outside.text
    lined = calibrate(replace(right, lines_px=(((5.0, 5.0), (9.0, 9.0), where),)))
    assert lined.remarks[0].text.startswith("A point of line 1")


def test_a_homography_is_fitted_where_it_is_asked_for():
    one = camera(distortion=(0.0, 0.0, 0.0, 0.0, 0.0))
    made = calibrate(marks(one, SPREAD), "homography").calibration
    assert isinstance(made.geometry, GroundHomography)
    assert made.focal_px is None
    assert errors(made.geometry, one).max() < 0.01


def test_the_ground_of_another_level_and_of_a_place_far_from_the_datum_is_met():
    geometry = Pinhole(
        k=(520.0, 520.0, 480.0, 270.0), position_m=(900.0, 588.0, 9.0), rotation=look_at((900, 588, 9), (902, 608, 3))
    )
    one = GroundCamera(geometry, FRAME, elevation_m=3.0, range_m=45.0)
    places = [(x + 900.0, y + 600.0) for x, y in SPREAD]
    made = calibrate(marks(one, places, elevation_m=3.0)).calibration
    assert errors(made.geometry, one).max() < 0.02


def test_a_wrong_pair_is_named_and_pulls_the_others_little():
    one = camera()
    right = marks(one, SPREAD, noise_px=0.5)
    wrong = Pair(pixel_px=(right.pairs[5].pixel_px[0] + 40.0, right.pairs[5].pixel_px[1]), ground_m=right.pairs[5].ground_m)
    given = Marks(frame_px=FRAME, pairs=(*right.pairs[:5], wrong, *right.pairs[6:]), range_m=45.0)
    solution = calibrate(given)
    (told,) = [one for one in solution.remarks if one.code == "outlier"]
    assert told.pairs == (6,)
    assert "Pair 6" in told.text
    assert "outlier" not in codes(calibrate(right))


@pytest.mark.parametrize("seed", range(8))
def test_no_pair_of_right_ones_is_called_wrong(seed):
    assert "outlier" not in codes(calibrate(marks(camera(), SPREAD, noise_px=1.0, seed=seed)))


def test_points_nearly_on_a_line_are_told():
    places = [(0.1 * (index % 2), float(index) * 3.0) for index in range(8)]
    assert "collinear" in codes(calibrate(marks(camera(), places, noise_px=0.3)))


def test_points_exactly_on_a_line_give_nothing():
    solution = calibrate(marks(camera(), [(0.0, float(index) * 3.0) for index in range(6)]))
    assert solution.calibration is None
    assert {"degenerate", "collinear"} <= codes(solution)


def test_bunched_points_are_told_and_what_lies_beyond_them():
    places = [(x, y) for x in (-1.0, 0.5, 2.0) for y in (3.0, 4.5, 6.0)]
    assert {"bunched", "extrapolated"} <= codes(calibrate(marks(camera(), places, noise_px=0.5)))
    assert not {"bunched", "extrapolated"} & codes(calibrate(marks(camera(), SPREAD, noise_px=0.5)))


@pytest.mark.parametrize("n", [0, 1, 3])
def test_three_pairs_are_too_few(n):
    solution = calibrate(marks(camera(), SPREAD[:n]) if n else Marks(frame_px=FRAME, pairs=()))
    assert solution.calibration is None
    assert solution.remarks[0].code == "too_few"


def test_four_pairs_are_told_to_be_unchecked():
    solution = calibrate(marks(camera(), SPREAD[:4]))
    assert "unchecked" in codes(solution)
    assert solution.calibration.left_out_m is None


def test_mirrored_places_are_told():
    given = marks(camera(), SPREAD)
    mirrored = tuple(Pair(pixel_px=one.pixel_px, ground_m=(-one.ground_m[0], one.ground_m[1])) for one in given.pairs)
    assert "mirrored" in codes(calibrate(Marks(frame_px=FRAME, pairs=mirrored)))


def test_the_horizon_is_told_where_it_is_in_the_picture():
    level = camera(position=(0.0, -12.0, 4.0), target=(0.0, 20.0, 3.0), distortion=(0.0,) * 5)
    solution = calibrate(marks(level, [(x, y) for x in (-5.0, 0.0, 6.0) for y in (0.0, 9.0, 25.0)]))
    # The ray through the middle sinks by 1 m in 32; straight ahead is 520 / 32 px above the middle row, 270.
    assert solution.calibration.horizon_px == pytest.approx(270.0 - 520.0 / 32.0, abs=2.0)
    assert "horizon" in codes(solution)


def test_straight_down_the_focal_length_stays_open_and_the_ground_is_right():
    down = Pinhole(k=(520.0, 520.0, 480.0, 270.0), position_m=(0.0, 0.0, 8.0), rotation=(1, 0, 0, 0, -1, 0, 0, 0, -1))
    one = GroundCamera(down, FRAME, range_m=45.0)
    solution = calibrate(marks(one, [(x, y) for x in (-6.0, 0.5, 6.0) for y in (-3.5, 0.2, 3.5)], noise_px=0.5))
    assert isinstance(solution.calibration.geometry, GroundHomography) or "focal_open" in codes(solution)
    assert np.quantile(errors(solution.calibration.geometry, one), 0.95) < 0.05


def test_the_told_uncertainty_is_about_that_of_many_tries():
    one = camera()
    pixels, truth = on_picture(one)
    told, off = [], []
    for seed in range(20):
        made = calibrate(marks(one, SPREAD, noise_px=1.0, seed=seed)).calibration
        told.append(made.ground.median_m)
        found = GroundCamera(made.geometry, FRAME, range_m=1e4).to_ground(pixels, np.ones_like(pixels))
        off.append(found.points_m - truth)
    spread_m = np.sqrt((np.stack(off) ** 2).mean(axis=(0, 2)))
    assert 0.5 < np.median(told) / np.median(spread_m) < 2.0


poses = st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(3, 12), st.floats(0, 6.28), st.floats(8, 20))


@given(pose=poses, focal=st.floats(350, 1200), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_any_pose_is_found_from_marks_of_a_pixel(pose, focal, seed):
    x, y, height, bearing, away = pose
    target = (x + away * math.cos(bearing), y + away * math.sin(bearing), 0.0)
    one = camera((x, y, height), target, focal, (0.0,) * 5)
    made = calibrate(marks(one, spread(one, 10, seed), noise_px=1.0, seed=seed)).calibration
    assert made is not None
    found = GroundCamera(made.geometry, FRAME, range_m=1e4)
    pixels, truth = on_picture(one)
    back = seen(found, truth)
    assert np.quantile(np.hypot(*(back - pixels).T), 0.95) < 6.0  # in the picture: as good far away as near


@given(shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)), order=st.permutations(range(8)))
@settings(max_examples=15, deadline=None)
def test_neither_the_order_of_pairs_nor_the_datum_matters(shift, order):
    given_marks = marks(camera(), SPREAD, noise_px=0.5)
    plain = calibrate(given_marks).calibration
    moved = tuple(
        Pair(pixel_px=given_marks.pairs[i].pixel_px, ground_m=tuple(np.add(given_marks.pairs[i].ground_m, shift)))
        for i in order
    )
    other = calibrate(Marks(frame_px=FRAME, pairs=moved, range_m=45.0)).calibration
    assert other.rms_px == pytest.approx(plain.rms_px, abs=0.01)
    assert other.geometry.position_m[0] - shift[0] == pytest.approx(plain.geometry.position_m[0], abs=0.02)
    assert other.geometry.position_m[2] == pytest.approx(plain.geometry.position_m[2], abs=0.02)


@given(about=st.tuples(*[st.floats(-3, 3)] * 3))
def test_a_turn_is_a_rotation(about):
    rotation = turn(np.array(about))
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_a_fit_of_a_plane_reproduces_its_own_pixels():
    given_marks = marks(camera(distortion=(0.0,) * 5), SPREAD)
    found = fit(Plane(given_marks))
    assert np.allclose(found.unknowns.pixels(found.parameters, given_marks.ground()), given_marks.pixels(), atol=1e-3)
