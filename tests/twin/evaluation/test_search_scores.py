"""The evaluation of image search on a small simulated run: probes are gone before fusion, figures are those of hand counts."""

from __future__ import annotations

import asyncio

import msgspec
import numpy as np
import pytest

from perception.synthetic.run_files import write_run
from retrieval.weights import Temper, Weights
from site_models.dump import dump_site
from site_models.generate import generate
from twin.errors import BadInput
from twin.evaluation.event_files import read_observations
from twin.evaluation.run_tables import read_table
from twin.evaluation.search_case import open_case
from twin.evaluation.search_learning import learned_from_observations, learned_from_runs
from twin.evaluation.search_probes import chosen, passages_of, without
from twin.evaluation.search_scores import _precision, search_report, searched
from twin.evaluation.tracklet_truth import Labelled, labelled
from twin.events.codec import micros
from twin.events.observations import FrameObserved, TrackletEmbedded

START_AT = micros("2026-01-05T08:00:00Z")
SECOND = 1_000_000


@pytest.fixture(scope="module")
def site():
    return generate(n_cameras=4, n_stalls=16, n_levels=1, overlap=0.2, seed=7)


@pytest.fixture(scope="module")
def run(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "run"
    write_run(site, "default", 7, 0.15, folder, START_AT)
    dump_site(site, folder / "site")
    return folder


@pytest.fixture(scope="module")
def report(run):
    return search_report([run], None, None, seed=1)


def test_tracklets_are_labelled_by_whom_they_show(site, run):
    found = labelled(site, read_table(run, "truth"), read_observations(run / "observations.jsonl.zst"))
    seen = [one for one in found if one.vehicle is not None and one.votes.total() >= 5]
    assert len(seen) > 20
    assert {one.vehicle for one in seen} <= set(read_table(run, "truth")["vehicle"])
    assert np.mean([one.votes[one.vehicle] / one.votes.total() for one in seen]) > 0.97


def test_a_passage_ends_where_a_vehicle_is_out_of_view_for_a_while():
    def tracklet(name, first_s, last_s):
        one = Labelled(tracklet=name, camera="a", first_at=first_s * SECOND, last_at=last_s * SECOND)
        one.votes["v"] += 3
        return one

    found = passages_of([tracklet("t1", 0, 5), tracklet("t2", 8, 20), tracklet("t3", 141, 150)])
    assert [(one.first_at // SECOND, one.last_at // SECOND, sorted(one.tracklets)) for one in found] == [
        (0, 20, ["t1", "t2"]),
        (141, 150, ["t3"]),
    ]


def test_nothing_of_a_probes_passage_is_left_to_be_fused(site, run):
    events = list(read_observations(run / "observations.jsonl.zst"))
    views = {}
    for event in events:
        if isinstance(event.payload, TrackletEmbedded):
            views.setdefault(event.payload.tracklet, []).append(event)
    probes = chosen(passages_of(labelled(site, read_table(run, "truth"), events)), views, seed=1)
    gone = {name for probe in probes for name in probe.passage.tracklets}
    left = set()
    for event in without(events, probes):
        if isinstance(event.payload, FrameObserved):
            left |= {box.tracklet for box in event.payload.boxes} | set(event.payload.unchanged)
        elif isinstance(event.payload, TrackletEmbedded):
            left.add(event.payload.tracklet)
    assert gone
    assert not gone & left
    assert len(list(without(events, []))) == len(events)
    assert chosen(passages_of(labelled(site, read_table(run, "truth"), events)), views, seed=1) == probes


def test_average_precision_is_the_mean_of_the_precision_at_each_right_answer():
    assert _precision(np.array([True, False, True, False])) == pytest.approx((1 + 2 / 3) / 2)
    assert _precision(np.array([False, False])) == 0.0


def test_the_report_has_the_figures_of_the_formats_with_and_without_an_anchor(report):
    names = {"map", "rank1", "rank5", "ece", "map_visual", "map_multi_shot", "map_reciprocal", "map_time_space"}
    assert names | {f"{name}_anchored" for name in names} <= set(report["metrics"])
    assert (report["schema"], report["kind"]) == ("twin.eval/1", "search")
    for name in names:
        assert 0.0 <= report["metrics"][name]["value"] <= 1.0
    for told in report["reliability"].values():
        assert sum(one["n"] for one in told) > 0


def test_where_looks_tell_nothing_the_twin_still_knows_who_was_there(run, site, monkeypatch):
    case = open_case(site, run, Weights(), seed=1)
    blind = np.ones(128, np.float32) / np.sqrt(np.float32(128))
    monkeypatch.setattr("twin.evaluation.search_scores.unit_vector", lambda embedding: blind)
    asked = asyncio.run(searched(case))
    precision = {
        (one.is_anchored, stage): np.mean(
            [each.stages[stage].precision for each in asked if each.is_anchored == one.is_anchored]
        )
        for one in asked
        for stage in ("visual", "all")
    }
    assert precision[True, "all"] > 2 * precision[True, "visual"]


def test_the_same_run_gives_the_same_figures_and_what_was_fused_is_used_again(run, report):
    before = (run / "search" / "facts.jsonl").stat().st_mtime_ns
    again = search_report([run], None, None, seed=1)
    timed = {"latency_mean_ms", "latency_mean_ms_anchored"}
    for name in set(report["metrics"]) - timed:
        assert again["metrics"][name] == report["metrics"][name], name
    assert (run / "search" / "facts.jsonl").stat().st_mtime_ns == before


def test_weights_are_learned_from_truth_or_from_the_twins_own_vehicles(site, run, monkeypatch):
    monkeypatch.setattr("twin.evaluation.search_learning.FEWEST_PROBES", 2)
    weights = learned_from_runs(lambda _: site, [run], Weights(), own_identities=False)
    assert weights.version != Weights().version
    assert "simulated-128@1" in weights.looks
    assert weights.looks["simulated-128@1"].between > 0.0
    assert msgspec.json.decode(msgspec.json.encode(weights), type=Weights) == weights

    def write(path):
        path.write_bytes((run / "observations.jsonl.zst").read_bytes())

    own = learned_from_observations(site, write, Weights())
    assert own.learned_from.startswith("own identities of")


def test_only_looks_keep_what_evidence_is_worth_and_temper_the_runs_embedder(site, run, monkeypatch):
    monkeypatch.setattr("twin.evaluation.search_learning.FEWEST_PROBES", 2)
    before = Weights(tempers={"other@1": Temper(free=0.9), "simulated-128@1": Temper(free=2.0)})
    found = learned_from_runs(lambda _: site, [run], before, own_identities=False, only_looks=True)
    assert (found.free, found.anchored) == (before.free, before.anchored)
    assert found.tempers["other@1"] == before.tempers["other@1"]
    assert found.tempers["simulated-128@1"] not in (Temper(), before.tempers["simulated-128@1"])
    assert found.looks["simulated-128@1"].between > 0.0
    assert "looks of simulated-128@1" in found.learned_from


def test_too_few_probes_teach_nothing(site, run, monkeypatch):
    monkeypatch.setattr("twin.evaluation.search_learning.FEWEST_PROBES", 10_000)
    with pytest.raises(BadInput, match="and 10000 are needed"):
        learned_from_runs(lambda _: site, [run], Weights(), own_identities=False)


def test_a_run_without_observations_says_what_is_missing(site, run, tmp_path):
    with pytest.raises(BadInput, match="has neither observations"):
        open_case(site, tmp_path, Weights())
