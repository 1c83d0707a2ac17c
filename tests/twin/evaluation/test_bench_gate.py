"""``twin bench gate`` for a second: every question is answered on both sides, and timed."""

import pytest

from twin.errors import BadInput
from twin.evaluation.benches import bench_text, module


@pytest.fixture
def gate(monkeypatch):
    bench = module("gate")
    monkeypatch.setattr(bench, "WARM_UP_S", 0)
    monkeypatch.setattr(bench, "N_CAMERAS", 2)
    for name, value in (("SECONDS", "1"), ("RATE", "4"), ("STALLS", "8")):
        monkeypatch.setenv(f"BENCH_GATE_{name}", value)
    return bench


def test_every_question_is_answered_by_both_sides_and_timed(gate):
    report = gate.run(1)
    assert report["schema"] == "twin.bench/1"
    for side in ("ours", "reference"):
        assert report[side]["n"] == 4
        assert 0 < report[side]["p50_ms"] <= report[side]["p99_ms"]
        assert 0 <= report[side]["own_core_p50_ms"] <= report[side]["own_core_p99_ms"]
    assert report["ratio"]["p50_ms"] == pytest.approx(report["ours"]["p50_ms"] / report["reference"]["p50_ms"], abs=0.001)
    assert "| p99_ms |" in bench_text("gate", report)


def test_a_rate_that_is_none_is_refused(gate, monkeypatch):
    monkeypatch.setenv("BENCH_GATE_RATE", "0")
    with pytest.raises(BadInput, match="BENCH_GATE_RATE is '0'"):
        gate.run(1)
