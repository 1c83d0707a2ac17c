"""Position errors by hand."""

import numpy as np
import pytest
from written_runs import track, truth, write_tracking

from twin.errors import BadInput
from twin.evaluation.run_tables import read_table
from twin.evaluation.scores import evaluate


def values(run):
    return {name: one["value"] for name, one in evaluate("localization", [run])["metrics"].items()}


def drive(make, name, n, off_m=0.0, **rest):
    """5 m/s along x, a row every 0.2 s."""
    return [make(name, 0.2 * k, k + off_m, **rest) for k in range(n)]


def test_a_track_half_a_metre_off_is_half_a_metre_off(tmp_path):
    # d2 = 0.5 * 0.5 / 0.1 = 2.5 is under 5.99.
    found = values(write_tracking(tmp_path / "run", drive(truth, "a", 51), drive(track, "x", 51, 0.5)))
    assert found == {"position_median_m": 0.5, "position_p95_m": 0.5, "nees_coverage95": 1}


def test_rows_between_two_true_rows_are_compared_with_where_the_vehicle_was_then(tmp_path):
    between = [track("x", 0.2 * k + 0.1, k + 0.5) for k in range(50)]
    assert values(write_tracking(tmp_path / "run", drive(truth, "a", 51), between))["position_p95_m"] == pytest.approx(
        0, abs=1e-6
    )


def test_a_covariance_that_is_too_small_covers_too_little(tmp_path):
    # 0.5 m off with a variance of 0.04: d2 = 6.25 is over 5.99.
    run = write_tracking(tmp_path / "run", drive(truth, "a", 51), drive(track, "x", 51, 0.5, var_m2=0.04))
    assert values(run)["nees_coverage95"] == 0


def test_errors_drawn_from_the_stated_covariance_are_covered_95_times_in_100(tmp_path):
    rng = np.random.default_rng(1)
    true = [truth(f"v{n:03}", 0, 100 * n, state="parked") for n in range(800)] + [truth("end", 2, -100, state="parked")]
    off_m = rng.normal(0, 0.5, (800, 2))
    tracks = [track(f"v{n:03}", 0, 100 * n + x, y, state="parked", var_m2=0.25) for n, (x, y) in enumerate(off_m)]
    assert values(write_tracking(tmp_path / "run", true, tracks))["nees_coverage95"] == pytest.approx(0.95, abs=0.02)


def test_a_parked_vehicle_counts_once_however_often_it_is_told(tmp_path):
    true = [truth("a", 0, 0, state="parked"), *drive(truth, "b", 21)]
    often = [track("x", 0.1 * k, 0.3, state="parked") for k in range(40)]
    assert evaluate("localization", [write_tracking(tmp_path / "run", true, often)])["n"] == 1


def test_rows_without_a_covariance_count_for_the_error_alone(tmp_path):
    run = write_tracking(tmp_path / "run", drive(truth, "a", 51), drive(track, "x", 51, 0.5, var_m2=None))
    assert values(run) == {"position_median_m": 0.5, "position_p95_m": 0.5, "nees_coverage95": None}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (track("x", 1, float("nan")), "has x_m nan; a position is needed"),
        (track("x", 1, 1, state="gone"), "has the state 'gone'; use one of moving, parked, hidden, left"),
        (track("x", 1, 1, var_m2=-1.0), "not positive definite"),
        (track("x", 0, 1), "has 1 rows twice"),
        ((None, *track("x", 1, 1)[1:]), "row 2 of .* has no vehicle"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, row, message):
    with pytest.raises(BadInput, match=message):
        values(write_tracking(tmp_path / "run", drive(truth, "a", 11), [track("x", 0, 0), row]))


def test_a_run_without_truth_or_with_an_empty_one_says_so(tmp_path):
    with pytest.raises(BadInput, match="is not there"):
        values(tmp_path / "none")
    with pytest.raises(BadInput, match="holds no row"):
        values(write_tracking(tmp_path / "run", [], []))
    (tmp_path / "run" / "truth.parquet").unlink()
    with pytest.raises(BadInput, match=r"neither truth\.parquet nor truth\.csv"):
        values(tmp_path / "run")


def test_a_run_whose_fusion_was_stopped_says_so(tmp_path):
    (tmp_path / "facts.jsonl.partial").write_text("")
    with pytest.raises(BadInput, match="did not get to its end there; run it again"):
        read_table(tmp_path, "tracks")
