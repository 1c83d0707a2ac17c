"""``twin bench log`` with tiny sizes: what it compares does the same work, and the report is whole."""

import sqlite3

import pytest

from twin.errors import BadInput
from twin.evaluation.benches import bench_text, module
from twin.log.sql import SqlLog


@pytest.fixture
def log(monkeypatch):
    bench = module("log")
    monkeypatch.setattr(bench, "N_ROWS_BY_BATCH", {1: 3, 100: 40})
    monkeypatch.setattr(bench, "N_ROWS_BY_BATCH_OF_PEER", {1: 3, 10: 20})
    monkeypatch.setattr(bench, "LATENCY_S", 0.3)
    monkeypatch.setattr(bench, "SIZES", (200, 6_000))
    return bench


def test_every_figure_has_both_sides_and_their_ratio(log, monkeypatch):
    monkeypatch.setenv("BENCH_LOG_PARTS", "sqlite,peer,growth")
    report = log.run(1)
    assert {"sqlite_batch_1", "sqlite_batch_100", "sqlite_batch_100_made", "sqlite_batch_1_clients_32"} <= set(report["ratio"])
    assert {"sqlite_batch_100_after_200_rows", "sqlite_batch_100_after_6000_rows"} <= set(report["ratio"])
    for name, ratio in report["ratio"].items():
        ours = report["ours"][name.removesuffix("_made")]
        assert ratio == pytest.approx(ours / report["reference"][name], abs=0.001)
    text = bench_text("log", report)
    assert all(f"| {name} |" in text for name in report["ratio"])


def test_postgresql_is_measured_where_it_and_its_driver_are_installed(log, monkeypatch):
    pytest.importorskip("asyncpg")
    pytest.importorskip("psycopg")
    if log.part("postgres").binaries() is None:
        pytest.skip("no PostgreSQL server binaries are installed")
    monkeypatch.setenv("BENCH_LOG_PARTS", "postgresql")
    report = log.run(1)
    assert {"postgresql_batch_100", "postgresql_batch_100_copy"} <= set(report["ratio"])


def test_every_event_reaches_its_subscriber_and_is_timed(log, monkeypatch):
    monkeypatch.setenv("BENCH_LOG_PARTS", "latency")
    report = log.run(1)
    latencies = report["latency_ms"]
    assert latencies["append_to_follower"]["n"] == 20 * 3
    assert latencies["commit_to_durable_subscription"]["n"] == 3
    assert 0 < latencies["append_to_follower"]["p50_ms"] <= latencies["append_to_follower"]["p99_ms"]
    assert "p99" in bench_text("log", report)


def test_the_stages_of_a_row_and_the_rest_add_up_to_an_append(log, monkeypatch):
    monkeypatch.setenv("BENCH_LOG_PARTS", "costs")
    report = log.run(1)
    stages = dict(report["row_us"])
    whole = stages.pop("all")
    assert whole == pytest.approx(sum(stages.values()), abs=0.5)  # nine rounded figures
    assert "insert, commit" in stages  # what is left of an append: on a busy machine it may be less than nothing
    assert all(stages[name] > 0 for name in ("msgpack", "JSON text", "compress", "link"))
    assert f"JSON text {stages['JSON text']}" in bench_text("log", report)


@pytest.mark.parametrize("raw", ["append", "append_made"])
async def test_the_raw_table_ends_up_with_the_rows_that_the_log_has(log, raw, tmp_path):
    # The reference counts its positions and takes event times for recording times; all else is the same to the byte.
    opened = SqlLog.open(tmp_path / "ours.db")
    for batch in log.ours.batches(40, 7):
        await opened.append(batch)
    await opened.aclose()
    getattr(log.raw_sqlite, raw)(tmp_path / "raw.db", 40, 7)
    rows = []
    for name in ("ours.db", "raw.db"):
        connection = sqlite3.connect(tmp_path / name)
        rows.append(connection.execute("select * from observations order by position").fetchall())
        connection.close()
    ours, theirs = ([(*row[:2], *row[3:]) for row in side] for side in rows)
    assert len(ours) == 40
    assert ours == theirs


def test_a_part_that_there_is_not_is_refused(log, monkeypatch):
    monkeypatch.setenv("BENCH_LOG_PARTS", "sqlite,oracle")
    with pytest.raises(BadInput, match="names 'oracle'; use some of sqlite"):
        log.run(1)
