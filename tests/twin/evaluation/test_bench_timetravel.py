import pytest

from twin.errors import BadInput
from twin.evaluation.benches import bench_text, run_bench


def test_the_time_travel_bench_reads_at_random_moments_and_equals_the_naive_fold(monkeypatch, tmp_path):
    for name, value in (("FACTS", "6000"), ("READS", "8"), ("NAIVE", "2"), ("FOLDER", str(tmp_path))):
        monkeypatch.setenv(f"BENCH_TIMETRAVEL_{name}", value)
    report = run_bench("timetravel", 1)
    assert report["schema"] == "twin.bench/1"
    ours = report["ours"]
    assert ours["warm_ms"]["p50"] <= ours["warm_ms"]["p95"]
    assert ours["strips_bytes"] < ours["file_bytes"]
    assert report["ratio"]["naive"] > 0
    assert "| naive fold |" in bench_text("timetravel", report)
    again = run_bench("timetravel", 1)
    assert again["ours"]["file_bytes"] == ours["file_bytes"]  # the log was kept
    monkeypatch.setenv("BENCH_TIMETRAVEL_READS", "many")
    with pytest.raises(BadInput, match="READS='many' is not a number"):
        run_bench("timetravel", 1)
