"""``twin bench fusion`` on tiny sites: every part reports, dense frames hold no unchanged box, and the slope is a slope."""

import pytest

from twin.errors import BadInput
from twin.evaluation.benches import bench_text, module
from twin.events.observations import FrameObserved


@pytest.fixture
def fusion(monkeypatch):
    bench = module("fusion")
    monkeypatch.setattr(bench, "_CAMERAS", (2, 4))
    monkeypatch.setattr(bench, "_WARM_UP_S", 1)
    monkeypatch.setattr(bench.workload, "dense_site", lambda: bench.workload.site(2))
    monkeypatch.setattr(bench.workload, "STALLS_A_CAMERA", 4)
    monkeypatch.setenv("BENCH_FUSION_SECONDS", "2")
    return bench


def test_every_part_has_its_figures_beside_the_goals(fusion):
    report = fusion.run(1)
    assert report["schema"] == "twin.bench/1"
    assert set(fusion.GOALS) <= set(report["ours"])
    assert all(report["ours"][name] > 0 for name in fusion.GOALS if name != "cameras_slope")
    for name, goal in fusion.GOALS.items():
        assert report["ratio"][name] == pytest.approx(report["ours"][name] / goal, abs=0.001)
    assert report["reference"]["dense_detections_per_s"] > report["ours"]["dense_detections_per_s"]
    assert "| dense_detections_per_s |" in bench_text("fusion", report)


def test_dense_frames_have_every_box_in_full(fusion):
    site = fusion.workload.site(2)
    thin, dense = (
        [event.payload for event in events if isinstance(event.payload, FrameObserved)]
        for events in (fusion.workload.thinned(site, 1, 8), fusion.workload.dense(site, 1, 8))
    )
    assert any(frame.unchanged for frame in thin)
    assert not any(frame.unchanged for frame in dense)
    assert sum(len(frame.boxes) for frame in dense) > 1.5 * sum(len(frame.boxes) for frame in thin)


def test_a_cost_that_grows_with_the_square_has_slope_two(fusion):
    assert fusion.workload.slope({5: 25.0, 10: 100.0, 100: 10_000.0}) == pytest.approx(2.0)


@pytest.mark.parametrize(("name", "value"), [("PARTS", "dense,speed"), ("SECONDS", "0"), ("SECONDS", "ten")])
def test_wishes_that_cannot_be_met_are_refused(fusion, monkeypatch, name, value):
    monkeypatch.setenv(f"BENCH_FUSION_{name}", value)
    with pytest.raises(BadInput, match=f"BENCH_FUSION_{name}"):
        fusion.run(1)
