"""The measuring of noise is tried on noise put in by hand; what the profiles come to is measured by ``twin bench noise``."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from perception.synthetic.achieved import achieved, box_sigma, detection, purity
from perception.synthetic.arrival_delays import _late, _late_by_s
from perception.synthetic.demand import DEMO
from perception.synthetic.intervals import Estimate, bounds, largest, ratio, resampled, share, time_between
from perception.synthetic.long_watch import watch, watched
from perception.synthetic.profiles import CLEAN, DEFAULT
from perception.synthetic.rank import rank_1
from perception.synthetic.sightings import Truth, outputs, sightings
from perception.synthetic.simulate import Simulation
from site_models.load import load_site, resolve
from twin.errors import BadInput
from twin.events.ids import SECOND
from twin.events.observations import FrameObserved

SEED = 4


@pytest.fixture(scope="module")
def site():
    return load_site(resolve("demo_lot"))


@pytest.fixture(scope="module")
def play(site):
    def play(profile, seconds):
        steps = list(Simulation(site, SEED, profile, demand=DEMO, ticks=False).steps(seconds * SECOND))
        return [one for step in steps for one in step.arrivals], [frame for step in steps for frame in step.truth]

    return play


@pytest.fixture(scope="module")
def clean(play):
    return play(CLEAN, 40)


def _matched(site, run):
    truth = Truth(run[1])
    return [sightings(site, one, truth) for one in outputs(site, run[0])], truth


def _changed(deliveries, change):
    """With another payload of each frame; None leaves it out."""
    changed = []
    for number, one in enumerate(deliveries):
        payload = one.event.payload
        other = change(number, payload) if isinstance(payload, FrameObserved) else payload
        if other is not None:
            changed.append(one._replace(event=replace(one.event, payload=other)))
    return changed


@pytest.fixture(scope="module")
def clean_figures(site, clean):
    return achieved(site, *clean)


@pytest.fixture(scope="module")
def clean_matched(site, clean):
    return _matched(site, clean)


def test_the_clean_profile_is_clean(clean_figures):
    figures = clean_figures
    assert {name: figures[name].value for name in ("detection", "false_boxes", "dropped", "late")} == {
        "detection": 1.0,
        "false_boxes": 0.0,
        "dropped": 0.0,
        "late": 0.0,
    }
    assert figures["break_s"].value == math.inf
    assert figures["purity"].value == 1.0
    assert figures["box_sigma"].value < 0.002
    assert figures["delay_fixed_s"].holds(0.02)
    assert figures["detection"].n > 1000


def test_the_default_profile_shows_its_own_noise_and_no_other(site, play):
    figures = achieved(site, *play(DEFAULT, 120))
    asked = {"detection": 0.95, "false_boxes": 0.05, "box_sigma": 0.04, "delay_mean_s": 0.06, "dropped": 0.01, "late": 0.01}
    others = {"detection": 0.90, "false_boxes": 0.10, "box_sigma": 0.08, "delay_mean_s": 0.2, "late": 0.03, "break_s": 12.0}
    wide = {name: _wide(figures[name]) for name in (*asked, "break_s")}
    assert {name: wide[name].holds(value) for name, value in asked.items()} == dict.fromkeys(asked, True), figures
    assert {name: figures[name].holds(value) for name, value in others.items()} == dict.fromkeys(others, False), figures
    assert wide["break_s"].holds(30.0)


def _wide(one):
    """An interval that a right figure leaves once in thousands, and not once in twenty."""
    return Estimate(one.value, one.value - 2 * (one.value - one.lo95), one.value + 2 * (one.hi95 - one.value), one.n)


def test_boxes_and_frames_left_out_by_hand_are_found_missing(site, clean):
    rng = np.random.default_rng(1)

    def thinned(_, frame):
        boxes = tuple(box for box in frame.boxes if rng.random() < 0.8)
        return replace(frame, boxes=boxes, unchanged=tuple(one for one in frame.unchanged if rng.random() < 0.8))

    fewer, _ = _matched(site, (_changed(clean[0], thinned), clean[1]))
    assert detection(fewer, over_px=40.0, up_to=0.001).value == pytest.approx(0.8, abs=0.03)
    dropped = _changed(clean[0], lambda number, frame: None if number % 20 == 0 else frame)
    assert achieved(site, dropped, clean[1])["dropped"].value == pytest.approx(0.05, abs=0.01)


def test_boxes_moved_by_hand_have_that_error(site, clean):
    rng = np.random.default_rng(1)

    def shaken(_, frame):
        return replace(frame, boxes=tuple(replace(box, box_px=moved(box.box_px)) for box in frame.boxes))

    def moved(box):
        width, height = box[2] - box[0], box[3] - box[1]
        return tuple((np.array(box) + 0.06 * rng.standard_normal(4) * (width, height, width, height)).tolist())

    shaken_ones, _ = _matched(site, (_changed(clean[0], shaken), clean[1]))
    assert box_sigma(shaken_ones).value == pytest.approx(0.06, rel=0.1)


def test_tracklets_given_one_name_are_impure(site, clean):
    def renamed(_, frame):
        first = {frame.boxes[0].tracklet} if frame.boxes else set()
        return replace(frame, boxes=tuple(replace(box, tracklet=next(iter(first))) for box in frame.boxes[:2]), unchanged=())

    mixed, _ = _matched(site, (_changed(clean[0], renamed), clean[1]))
    assert purity(mixed).value < 0.9


def test_embeddings_without_noise_find_their_vehicle_except_among_look_alikes(clean_matched):
    matched, truth = clean_matched
    found = rank_1(matched, truth, n_others=5)
    assert found.n >= 10
    assert found.value > 0.75


def test_there_is_no_gallery_of_a_hundred_in_a_minute(clean_figures):
    assert clean_figures["rank_1"].n == 0


def test_nothing_to_measure_is_said(site, clean):
    with pytest.raises(BadInput, match="0 cameras sent frames and there are 400 frames of truth"):
        achieved(site, [], clean[1])


def test_a_days_watch_finds_outages_and_clocks(site):
    one_camera = replace(site, cameras=site.cameras[:1])
    figures = watched(watch(one_camera, DEFAULT, [1, 2], 0), fixed_s=0.02)
    assert figures["outages_a_day"].value == 2.0
    assert 10.0 <= figures["outage_mean_s"].value <= 120.0
    assert 0.0 < figures["clock_offset_s"].lo95 <= 2.1
    assert 0.0 < figures["clock_drift_ppm"].lo95 <= 50.5
    quiet = watched(watch(one_camera, CLEAN, [1], 0), fixed_s=0.02)
    assert (quiet["outages_a_day"].value, quiet["outage_mean_s"].n) == (0.0, 0)


@pytest.mark.parametrize("mean_s", [0.0, 0.06, 0.2])
def test_the_share_and_the_bound_of_late_frames_are_found_under_any_usual_delay(mean_s):
    rng = np.random.default_rng(5)
    is_late = rng.random(400_000) < 0.02
    after_s = rng.exponential(mean_s, len(is_late)) + np.where(is_late, rng.uniform(0.0, 4.5, len(is_late)), 0.0)
    beyond = after_s[after_s > 2.5]
    most = _late_by_s(beyond, mean_s)
    assert most.holds(4.5)
    assert most.hi95 - most.lo95 < 0.2
    late = _late(share(len(beyond), len(after_s)), mean_s, most.value)
    assert late.value == pytest.approx(0.02, rel=0.06)


def test_intervals_are_the_known_ones():
    wilson = share(8, 10)
    assert (round(wilson.lo95, 4), round(wilson.hi95, 4)) == (0.4902, 0.9433)  # Wilson (1927), as tables have it
    poisson = time_between(10, 100.0)
    assert (100 / poisson.hi95, 100 / poisson.lo95) == pytest.approx((4.795, 18.390), abs=1e-3)  # Garwood (1936)
    assert time_between(0, 50.0).value == math.inf
    assert largest(np.array([1.0, 2.0, 3.0])).value == pytest.approx(4.0)
    low, high = bounds(np.array([10.0, 20.0, 30.0]), 0.0)
    assert (low.hi95, high.lo95) == (10.0, 30.0)
    assert share(0, 0).n == 0


def test_intervals_of_resampled_groups_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(3)
    held = sum(resampled(np.stack([rng.normal(1.0, 1.0, 40), np.ones(40)], axis=1), ratio, 40).holds(1.0) for _ in range(200))
    assert 178 <= held <= 200
