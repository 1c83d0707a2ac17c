import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.events.ids import SECOND
from twin.fusion.camera_links import CameraLinks, Gap, estimated, likelihood_ratio, with_lost, with_new, with_passage

HOUR = 3600 * SECOND
WAY_M = 40.0  # 10 s at the usual speed


def _gap(seconds, lost_by="a", found_by="b", way_m=WAY_M):
    return Gap(lost_by, found_by, way_m, round(seconds * SECOND))


def _taught(links, gaps):
    for gap in gaps:
        links = with_passage(with_lost(links, gap.lost_by), gap)
    return links


def test_before_anything_is_known_who_comes_in_the_usual_time_is_likelier_than_a_new_one():
    ratio = {seconds: likelihood_ratio(CameraLinks(), _gap(seconds), HOUR) for seconds in (1, 10, 60, 7200)}
    assert ratio[10] > 1.0
    assert max(ratio, key=ratio.get) == 10
    assert ratio[7200] < -5.0


def test_the_time_that_is_usual_is_learned():
    slow = _taught(CameraLinks(), [_gap(30 + k) for k in range(20)])
    assert likelihood_ratio(slow, _gap(38), HOUR) > likelihood_ratio(slow, _gap(10), HOUR) + 2.0
    # and its spread: 20 passages around 39 s leave less room than the prior
    assert likelihood_ratio(slow, _gap(38), HOUR) > likelihood_ratio(CameraLinks(), _gap(10), HOUR)


def test_whom_nobody_found_there_is_expected_elsewhere():
    links = _taught(CameraLinks(), [_gap(10) for _ in range(20)])
    here, elsewhere = (likelihood_ratio(links, _gap(10, found_by=name), HOUR) for name in ("b", "c"))
    assert here > elsewhere + 2.0


def test_where_many_park_out_of_sight_fewer_are_expected():
    links = _taught(CameraLinks(), [_gap(10)] * 4)
    parked = links
    for _ in range(40):
        parked = with_lost(parked, "a")
    assert likelihood_ratio(parked, _gap(10), HOUR) == pytest.approx(
        likelihood_ratio(links, _gap(10), HOUR) - math.log(48 / 8), abs=1e-6
    )


def test_where_new_vehicles_come_up_a_new_one_is_expected():
    links = CameraLinks()
    for _ in range(30):
        links = with_new(links, "b")
    assert likelihood_ratio(links, _gap(10), HOUR) < likelihood_ratio(CameraLinks(), _gap(10), HOUR) - 3.0
    assert likelihood_ratio(links, _gap(10, found_by="c"), HOUR) == likelihood_ratio(
        CameraLinks(), _gap(10, found_by="c"), HOUR
    )


@given(st.lists(st.floats(0.5, 500.0), min_size=1, max_size=30))
def test_the_running_sums_are_those_of_all_passages(times):
    link = _taught(CameraLinks(), [_gap(seconds) for seconds in times]).passages["a"]["b"]
    ratios = np.log(np.round(np.array(times) * SECOND) / SECOND / 10.0)
    assert link.n == len(times)
    assert link.mean == pytest.approx(ratios.mean(), abs=1e-6)
    assert link.squares == pytest.approx(((ratios - ratios.mean()) ** 2).sum(), abs=1e-5)


@settings(deadline=None)
@given(st.lists(st.floats(1.0, 100.0), max_size=12))
def test_the_density_of_driving_and_stopping_is_a_density(times):
    """Summed over all times it is at most the chance to come here at all."""
    links = _taught(CameraLinks(), [_gap(seconds) for seconds in times])
    seconds = np.exp(np.linspace(math.log(0.31), math.log(40_000.0), 300))
    rate = 1.0 / (2 * 3600.0)
    density = np.array([math.exp(likelihood_ratio(links, _gap(one), HOUR)) * rate for one in seconds])
    share = float(np.trapezoid(density, seconds))
    n = len(times)
    assert share <= (n + 1) / (n + 4) * 1.02
    assert share >= 0.7 * (n + 1) / (n + 4)


def test_a_link_is_told_at_the_first_passage_and_whenever_there_are_twice_as_many():
    links, told = CameraLinks(), []
    for number in range(1, 20):
        links = _taught(links, [_gap(20)])
        fact = estimated(links, _gap(20))
        if fact is not None:
            told.append((number, fact.n_passages, fact.n_lost))
    assert told == [(n, n, n) for n in (1, 2, 4, 8, 16)]
    fact = estimated(_taught(CameraLinks(), [_gap(20)] * 16), _gap(20))
    assert (fact.from_camera, fact.camera) == ("a", "b")
    assert fact.ln_ratio_mean == pytest.approx(16 / 17 * math.log(2), abs=1e-3)
