"""The runs of many seeds: seconds of a tiny car park."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from site_models.generate import generate
from twin.errors import BadInput
from twin.evaluation.benches import module

ROOT = Path(__file__).parents[3]
TINY = ("--cameras", "2", "--stalls", "6", "--hours", "0.01", "--stay-minutes", "0.3", "--profile", "clean")


@pytest.fixture(scope="module")
def main():
    module("fusion_quality")
    return importlib.import_module("bench_fusion_quality.__main__").main


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("quality")


@pytest.fixture
def quality(main, out, capsys):
    """``quality("--seeds", "2")``: exit status, standard output, progress."""

    def called(*more):
        status = main([*TINY, "--out", str(out), *more])
        output = capsys.readouterr()
        return status, output.out, output.err

    return called


def test_every_kind_is_scored_over_all_seeds_and_what_is_finished_is_not_run_again(quality, out):
    status, told, _ = quality("--seeds", "2", "--json")
    assert status == 0
    (reports,) = json.loads(told).values()
    assert set(reports) == {"tracking", "sessions", "localization", "stalls", "review"}
    assert len(reports["tracking"]["runs"]) == 2
    _, _, again = quality("--seeds", "3", "--json")
    assert (again.count("simulated in"), again.count("concluded in")) == (1, 1)
    (out / next(out.glob("*-seed-1")) / "fused.json").unlink()
    _, _, interrupted = quality("--seeds", "1", "--json")
    assert (interrupted.count("simulated in"), interrupted.count("concluded in")) == (0, 1)


def test_no_seeds_are_refused(quality, capsys):
    with pytest.raises(SystemExit) as ended:
        quality("--seeds", "0")
    assert ended.value.code == 2
    assert "'0' is no number of seeds; give 1 or more" in capsys.readouterr().err


def test_the_table_has_the_goals_and_a_check_fails_short_of_them(quality):
    _, told, progress = quality("--seeds", "1")
    assert "| `exact_stay` | ≥ 0.98 |" in told
    status, _, _ = quality("--seeds", "1", "--check")
    assert status == ("short of the goal" in progress)


def test_the_fold_without_each_of_its_parts_stands_beside_it_and_says_what_is_left_out(quality):
    status, told, _ = quality("--seeds", "1", "--ablations")
    assert status == 0
    parts = "no-geometry | no-appearance | no-late | no-clock | no-calibration | no-links | no-bias"
    assert f"| figure | goal | twin | {parts} |" in told
    assert "- no-links: ways between cameras are not learned" in told


def test_without_geometry_places_are_worse(quality):
    _, told, _ = quality("--seeds", "1", "--instead", "no-geometry", "--json")
    (columns,) = json.loads(told).values()
    ours, theirs = (one["localization"]["metrics"]["position_median_m"]["value"] for one in columns.values())
    assert theirs > 2 * ours


def test_turned_cameras_look_elsewhere_by_as_much_whenever_it_is_asked(main):
    turned = importlib.import_module("bench_fusion_quality.turned").turned
    site = generate(n_cameras=40, n_stalls=60, n_levels=1, overlap=0.2, seed=3)
    changed = turned(site, 0.4)
    assert changed == turned(site, 0.4)
    assert {one.geometry.position_m for one in changed.cameras} == {one.geometry.position_m for one in site.cameras}
    pairs = zip(site.cameras, changed.cameras, strict=True)
    turns = [np.array(b.geometry.rotation).reshape(3, 3) @ np.array(a.geometry.rotation).reshape(3, 3).T for a, b in pairs]
    assert np.array([turn @ turn.T for turn in turns]) == pytest.approx(np.tile(np.eye(3), (40, 1, 1)), abs=1e-6)
    about = [(turn[2, 1], turn[0, 2], turn[1, 0]) for turn in turns]  # small angles about each axis
    assert np.rad2deg(np.std(about, axis=0)) == pytest.approx([0.4] * 3, rel=0.35)


def test_with_turned_cameras_other_things_are_concluded(quality):
    _, told, _ = quality("--seeds", "1", "--instead", "turned-no-bias", "--json")
    (columns,) = json.loads(told).values()
    ours, theirs = (one["localization"]["metrics"]["position_p95_m"]["value"] for one in columns.values())
    assert theirs != ours


def test_an_unknown_scene_or_way_is_named_with_those_there_are(quality):
    with pytest.raises(BadInput, match="scene 'nowhere' is not known; use one of overlap, gaps, two-levels"):
        quality("--scene", "nowhere")
    with pytest.raises(BadInput, match="'guessing' is no other way to conclude; use peer, no-geometry"):
        quality("--seeds", "1", "--instead", "guessing")


def test_numbers_change_the_scene_that_is_named_and_no_given_site(main, tmp_path):
    options = sys.modules[main.__module__]
    words = ("--scene", "gaps", "--cameras", "3", "--stalls", "12")
    (scene,) = options._scenes(options._options(words))
    assert (scene.cameras, scene.stalls, scene.view_m, scene.overlap) == (3, 12, 24.0, 0.2)
    with pytest.raises(BadInput, match="--site takes a site as it is; leave out --view-m, or --site"):
        main(["--site", "demo_lot", "--view-m", "30", "--out", str(tmp_path)])
    with pytest.raises(BadInput, match="leave out --scene"):
        main(["--site", "demo_lot", "--scene", "gaps", "--out", str(tmp_path)])


def test_it_is_a_command():
    command = [sys.executable, "-m", "ops.bench.fusion_quality", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, "--ablations" in done.stdout) == (0, True)
