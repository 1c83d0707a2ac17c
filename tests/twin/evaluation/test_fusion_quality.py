"""The runs of many seeds: seconds of a tiny car park."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TINY = ("--cameras", "2", "--stalls", "6", "--hours", "0.01", "--stay-minutes", "0.3", "--profile", "clean")


def quality(out, *more):
    command = [sys.executable, "-m", "ops.bench.fusion_quality", *TINY, "--out", str(out), *more]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    out = tmp_path_factory.mktemp("quality")
    return out, quality(out, "--seeds", "2", "--json")


def test_every_kind_is_scored_over_all_seeds(kept):
    _, done = kept
    assert done.returncode == 0, done.stderr
    (reports,) = json.loads(done.stdout).values()
    assert set(reports) == {"tracking", "sessions", "localization", "stalls"}
    assert len(reports["tracking"]["runs"]) == 2


def test_what_is_finished_is_not_run_again(kept):
    out, first = kept
    again = quality(out, "--seeds", "3", "--json")
    assert again.returncode == 0, again.stderr
    assert (first.stderr.count("simulated in"), again.stderr.count("simulated in")) == (2, 1)
    assert (first.stderr.count("concluded in"), again.stderr.count("concluded in")) == (2, 1)


def test_what_was_interrupted_is_run_again(kept):
    out, _ = kept
    (run,) = out.glob("*-seed-1")
    (run / "fused.json").unlink()
    again = quality(out, "--seeds", "1", "--json")
    assert (again.stderr.count("simulated in"), again.stderr.count("concluded in")) == (0, 1)


def test_the_table_has_the_goals_and_a_check_fails_short_of_them(kept):
    out, _ = kept
    shown = quality(out, "--seeds", "2")
    assert "| `exact_stay` | ≥ 0.98 |" in shown.stdout
    checked = quality(out, "--seeds", "2", "--check")
    assert checked.returncode == ("short of the goal" in checked.stderr)


def test_an_unknown_scene_is_named_with_those_there_are(tmp_path):
    done = quality(tmp_path, "--scene", "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "scene 'nowhere' is not known; use one of overlap, gaps, two-levels" in done.stderr
