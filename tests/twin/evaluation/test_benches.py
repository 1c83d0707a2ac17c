import shutil

import pytest

from twin.errors import BadInput
from twin.evaluation.benches import bench_names, bench_text, run_bench


def test_the_checkout_has_benchmarks_of_the_log_and_of_perception():
    assert set(bench_names()) == {
        "fusion",
        "fusion_quality",
        "gate",
        "live",
        "log",
        "map",
        "noise",
        "perception",
        "search",
        "storage",
        "timetravel",
        "traffic",
    }


def test_a_benchmark_is_run_with_its_repeats(tmp_path):
    (tmp_path / "echo.py").write_text("\ndef run(repeats):\n    return {'repeats': repeats}\n")
    (tmp_path / "other.py").write_text("VALUE = 1\n")
    assert bench_names(tmp_path) == ["echo"]
    assert run_bench("echo", 3, tmp_path) == {"repeats": 3}


def test_a_package_is_a_benchmark_too_and_has_parts(tmp_path):
    package = tmp_path / "packed"
    package.mkdir()
    (package / "__init__.py").write_text("from . import part\n\n\ndef run(repeats):\n    return {'is': part.VALUE}\n")
    (package / "part.py").write_text("VALUE = 7\n")
    assert bench_names(tmp_path) == ["packed"]
    assert run_bench("packed", 1, tmp_path) == {"is": 7}


def test_an_unknown_benchmark_is_named_with_those_there_are(tmp_path):
    (tmp_path / "echo.py").write_text("\ndef run(repeats):\n    return {}\n")
    with pytest.raises(BadInput, match="'nope' is not known; use one of echo"):
        run_bench("nope", 1, tmp_path)
    with pytest.raises(BadInput, match="come with a checkout"):
        run_bench("log", 1, tmp_path / "empty")


def test_a_report_is_read_by_field_unless_the_benchmark_says_how(tmp_path):
    (tmp_path / "plain.py").write_text("\ndef run(repeats):\n    return {}\n")
    (tmp_path / "own.py").write_text("\ndef run(repeats):\n    return {}\n\n\ndef text(report):\n    return report['table']\n")
    report = dict.fromkeys(("workload", "machine", "ours", "reference", "ratio", "repeats"), 1) | {"table": "| a |\n"}
    assert bench_text("plain", report, tmp_path).splitlines()[:2] == ["workload: 1", "machine: 1"]
    assert bench_text("own", report, tmp_path) == "| a |\n"


def test_the_search_bench_finds_the_nearest_and_compares_with_the_bare_store(monkeypatch):
    for name, value in (("SIZES", "1500"), ("PROBES", "4"), ("SIDES", "ours,qdrant_edge")):
        monkeypatch.setenv(f"BENCH_SEARCH_{name}", value)
    report = run_bench("search", 1)
    assert report["schema"] == "twin.bench/1"
    for side in (report["ours"]["1500"], report["reference"]["1500"]["qdrant_edge"]):
        assert (side["plain"]["recall_at_10"], side["filtered"]["recall_at_10"]) == (1.0, 1.0)
    assert set(report["ratio"]["1500"]) == {"plain", "filtered"}
    assert "| 1500 | ours |" in bench_text("search", report)
    monkeypatch.setenv("BENCH_SEARCH_SIDES", "elastic")
    with pytest.raises(BadInput, match="there are ours, qdrant_edge"):
        run_bench("search", 1)


@pytest.mark.e2e
def test_the_map_bench_draws_beside_a_bare_page(monkeypatch):
    pytest.importorskip("playwright")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no chromium on this machine")
    for name, value in {"VEHICLES": "12", "SECONDS": "1", "HZ": "5"}.items():
        monkeypatch.setenv(f"BENCH_MAP_{name}", value)
    report = run_bench("map", 1)
    assert report["schema"] == "twin.bench/1"
    assert set(report["ratio"]) == {"bare", "empty"}
    for side in (report["ours"], *report["reference"].values()):
        assert side["frames_s"] > 0
    assert report["ours"]["draw_ms"] > 0
    assert report["ours"]["messages_s"] > 0, "vehicles are told by the service while it is measured"
    assert "| ours |" in bench_text("map", report)
    monkeypatch.setenv("BENCH_MAP_HZ", "never")
    with pytest.raises(BadInput, match="give a number above 0"):
        run_bench("map", 1)


def test_the_live_bench_tells_every_client_everything_beside_a_bare_server(monkeypatch):
    small = {"CLIENTS": "5", "SECONDS": "1.5", "STALLED": "3", "HZ": "20", "SIDES": "ours,uvicorn"}
    for name, value in small.items():
        monkeypatch.setenv(f"BENCH_LIVE_{name}", value)
    report = run_bench("live", 1)
    assert report["schema"] == "twin.bench/1"
    for side in (report["ours"], *report["reference"].values()):
        assert (side["n_missed"], side["n_messages"] >= 5) == (0, True)
    assert set(report["ratio"]) == {"uvicorn"}
    assert report["ours"]["ingest"]["with"]["n"] == report["ours"]["ingest"]["without"]["n"] == 75
    told = bench_text("live", report)
    assert "| ours |" in told
    assert "| with |" in told
    monkeypatch.setenv("BENCH_LIVE_SIDES", "nginx")
    with pytest.raises(BadInput, match="there are ours, uvicorn"):
        run_bench("live", 1)
