"""HOTA, IDF1 and CLEAR by hand, by properties, and against Roboflow's ``trackers``."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackers.eval import compute_clear_metrics, compute_hota_metrics, compute_identity_metrics
from written_runs import VISITS, at, track, truth, write, write_tracking

from twin.evaluation.grid import grid_of, sampled
from twin.evaluation.hota import similarity
from twin.evaluation.pairing import best_pairs
from twin.evaluation.run_tables import read_table
from twin.evaluation.scores import evaluate
from twin.evaluation.tracking_scores import WITHIN_M


def values(run):
    return {name: one["value"] for name, one in evaluate("tracking", [run])["metrics"].items()}


def path(make, name, n, y_m=0.0, start=0.0):
    """A vehicle at 5 m/s, a row every 0.5 s."""
    return [make(name, start + 0.5 * k, 2.5 * k, y_m) for k in range(n)]


def test_perfect_tracks_score_one(tmp_path):
    true = [*path(truth, "a", 21), *path(truth, "b", 21, 10.0), truth("c", 0, 50, state="parked")]
    tracks = [*path(track, "x", 21), *path(track, "y", 21, 10.0), track("z", 0, 50, state="parked")]
    found = values(write_tracking(tmp_path / "run", true, tracks))
    assert found == {"hota": 1, "deta": 1, "assa": 1, "idf1": 1, "idf1_moving": 1, "mota": 1, "id_switches": 0}


def test_a_track_that_ends_half_way_and_goes_on_as_another_is_one_switch(tmp_path):
    # 20 samples, 10 as x and 10 as y: IDTP 10, so IDF1 = 2 * 10 / (20 + 20); MOTA = (20 - 1) / 20.
    # HOTA: each match's association is 10 / (20 + 10 - 10); DetA is 1.
    both = [*path(track, "x", 10), track("x", 5, 0, state="left"), *path(track, "y", 20)[10:]]
    found = values(write_tracking(tmp_path / "run", path(truth, "a", 20), both))
    assert found == {"hota": 0.707107, "deta": 1, "assa": 0.5, "idf1": 0.5, "idf1_moving": 0.5, "mota": 0.95, "id_switches": 1}


def test_who_leaves_and_comes_back_is_another_one_as_often_as_it_does(tmp_path):
    leaves = [truth("a", 5 + 20 * k, 25, state="left") for k in range(3)]
    true = [one for k in range(3) for one in (*path(truth, "a", 10, start=20.0 * k), leaves[k])]
    tracks = [one for k, name in enumerate("xyz") for one in path(track, name, 10, start=20.0 * k)]
    tracks += [track(name, 5 + 20 * k, 25, state="left") for k, name in enumerate("xyz")]
    run = write_tracking(tmp_path / "run", true, tracks)
    assert values(run)["idf1"] < 0.6  # nobody says that it was away
    write(run, "visits", VISITS, [("a", at(20 * k), at(20 * k + 5), None) for k in (2, 0, 1)])
    found = values(run)
    assert (found["idf1"], found["idf1_moving"], found["assa"], found["id_switches"]) == (1, 1, 1, 0)


def test_a_track_that_takes_two_stays_for_one_vehicle_is_wrong(tmp_path):
    true = [
        *path(truth, "a", 10),
        truth("a", 5, 25, state="left"),
        *path(truth, "a", 10, start=20),
        truth("a", 25, 25, state="left"),
    ]
    tracks = [*path(track, "x", 10), track("x", 5, 25, state="left"), *path(track, "x", 10, start=20)]
    run = write_tracking(tmp_path / "run", true, [*tracks, track("x", 25, 25, state="left")])
    write(run, "visits", VISITS, [("a", at(0), at(5), None), ("a", at(20), at(25), None)])
    assert values(run)["idf1"] == 0.5


def test_a_track_one_and_a_half_metres_off_counts_at_half_of_the_thresholds(tmp_path):
    # Similarity 1 - 1.5 / 3 = 0.5 passes 0.05, 0.10, … 0.50: 10 of 19.
    found = values(write_tracking(tmp_path / "run", path(truth, "a", 11), path(track, "x", 11, 1.5)))
    assert found["hota"] == pytest.approx(10 / 19, abs=1e-6)
    assert found["idf1"] == found["mota"] == 1


def test_farther_than_two_metres_is_a_miss_and_a_false_sample(tmp_path):
    found = values(write_tracking(tmp_path / "run", path(truth, "a", 10), path(track, "x", 10, 2.1)))
    assert (found["idf1"], found["mota"], found["id_switches"]) == (0, -1, 0)


def test_parked_vehicles_do_not_flatter_the_figure_of_those_in_motion(tmp_path):
    true = [*path(truth, "a", 20), *(truth(f"p{n}", 0, 100 + 3 * n, state="parked") for n in range(20))]
    tracks = [*path(track, "x", 10), track("x", 5, 0, state="left")]
    tracks += [track(f"q{n}", 0, 100 + 3 * n, state="parked") for n in range(20)]
    found = values(write_tracking(tmp_path / "run", true, tracks))
    assert found["idf1"] > 0.98
    assert found["idf1_moving"] == pytest.approx(2 * 10 / (20 + 10), abs=1e-6)


def test_a_hidden_vehicle_is_not_at_a_position(tmp_path):
    tracks = [*path(track, "x", 10), track("x", 5, 25, state="hidden")]
    found = values(write_tracking(tmp_path / "run", path(truth, "a", 20), tracks))
    assert found["mota"] == 0.5


def test_a_vehicle_outside_its_stay_is_neither_missed_nor_made_up(tmp_path):
    run = write_tracking(tmp_path / "run", path(truth, "a", 21), path(track, "x", 21))
    write(run, "visits", VISITS, [("a", at(2), at(8), None)])
    report = evaluate("tracking", [run])
    assert report["n"] == 12
    assert report["metrics"]["mota"]["value"] == 1
    write_tracking(run, path(truth, "a", 21), [*path(track, "x", 21)[4:17], track("x", 8.5, 0, state="left")])
    assert values(run)["idf1"] == 1


def test_vehicles_on_different_levels_are_never_one(tmp_path):
    rows = [(*row[:2], "roof", *row[3:]) for row in path(track, "x", 10)]
    assert values(write_tracking(tmp_path / "run", path(truth, "a", 10), rows))["idf1"] == 0


def test_a_run_without_tracks_scores_nothing(tmp_path):
    found = values(write_tracking(tmp_path / "run", path(truth, "a", 10), []))
    assert (found["hota"], found["idf1"], found["mota"]) == (0, 0, 0)


def test_several_runs_are_pooled_by_their_samples(tmp_path):
    good = write_tracking(tmp_path / "good", path(truth, "a", 30), path(track, "x", 30))
    poor = write_tracking(tmp_path / "poor", path(truth, "a", 10), [])
    report = evaluate("tracking", [good, poor])
    assert report["metrics"]["mota"]["value"] == 0.75
    assert (report["mean"]["mota"], report["worst_run"]["mota"]) == (0.5, {"value": 0, "run": str(poor)})
    assert report["metrics"]["mota"]["lo95"] < 0.75 < report["metrics"]["mota"]["hi95"]


scenes = st.integers(0, 2**32 - 1)


def random_run(folder, seed, rename=str):
    """Up to five vehicles on random walks, and tracks of them that stray, break, swap and are made up."""
    rng = np.random.default_rng(seed)
    n, steps = int(rng.integers(1, 6)), 16
    walks = rng.uniform(0, 8, (n, 1, 2)) + rng.normal(0, 0.8, (n, steps, 2)).cumsum(axis=1)
    true = [truth(rename(f"a{v}"), k / 2, *walks[v, k]) for v in range(n) for k in range(steps)]
    tracks = dict[tuple[str, int], tuple]()
    for v in range(n):
        name = f"x{v}"
        for k in range(steps):
            name = f"x{rng.integers(0, n + 1)}" if rng.random() < 0.1 else name
            if rng.random() < 0.85:
                tracks.setdefault((name, k), track(rename(name), k / 2, *(walks[v, k] + rng.normal(0, 0.7, 2))))
    tracks |= {("ghost", k): track(rename("ghost"), k / 2, *rng.uniform(0, 8, 2)) for k in range(0, steps, 3)}
    return write_tracking(folder, true, list(tracks.values()))


def frames(run):
    """Ids and distances moment by moment, as TrackEval has them."""
    table = read_table(run, "truth")
    grid = grid_of(table)
    true, tracks = sampled(table, grid), sampled(read_table(run, "tracks"), grid)
    for frame in range(len(grid)):
        here, there = true.where(true.frame == frame), tracks.where(tracks.frame == frame)
        yield here.vehicle, there.vehicle, np.linalg.norm(here.xy_m[:, None] - there.xy_m[None], axis=2)


@given(scenes)
@settings(max_examples=60, deadline=None)
def test_the_figures_are_those_of_another_implementation(seed):
    with tempfile.TemporaryDirectory() as folder:
        run = random_run(Path(folder) / "run", seed)
        found = values(run)
        ids, names, distances = (list(column) for column in zip(*frames(run), strict=True))
    hota = compute_hota_metrics(ids, names, [similarity(one) for one in distances])
    near = [np.maximum(0.0, 1.0 - one / (2 * WITHIN_M)) for one in distances]
    clear = compute_clear_metrics(ids, names, near, threshold=0.5)
    identity = compute_identity_metrics(ids, names, near, threshold=0.5)
    expected = {"hota": hota["HOTA"], "deta": hota["DetA"], "assa": hota["AssA"], "idf1": identity["IDF1"]}
    expected |= {"mota": clear["MOTA"], "id_switches": clear["IDSW"]}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


@given(scenes)
@settings(max_examples=25, deadline=None)
def test_names_do_not_matter(seed):
    with tempfile.TemporaryDirectory() as folder:
        plain = values(random_run(Path(folder) / "plain", seed))
        renamed = values(random_run(Path(folder) / "renamed", seed, lambda name: f"vehicle-{hash(name) % 1000}-{name[::-1]}"))
    assert renamed == pytest.approx(plain, abs=1e-6)


@given(scenes)
@settings(max_examples=200, deadline=None)
def test_the_best_pairs_are_those_of_the_full_table(seed):
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(seed)
    table = np.where(rng.random((6, 7)) < 0.4, rng.random((6, 7)), 0.0)
    true, tracks = np.nonzero(table)
    chosen = best_pairs(true, tracks, table[true, tracks])
    assert len(set(true[chosen])) == len(set(tracks[chosen])) == len(chosen)
    rows, columns = linear_sum_assignment(table, maximize=True)
    assert table[true[chosen], tracks[chosen]].sum() == pytest.approx(table[rows, columns].sum())
