"""``twin bench storage`` for two seconds: its parts add up, and its sizes are SQLite's."""

import sqlite3

import pytest

from twin.errors import BadInput
from twin.evaluation.benches import bench_text, module


@pytest.fixture(scope="module")
def storage():
    return module("storage")


@pytest.fixture(scope="module")
def report(storage):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_W20_SECONDS", "2")
        patch.setenv("BENCH_W20_STALLS", "12")
        return storage.run(1)


def test_the_workload_is_twenty_cameras_at_ten_frames(report):
    assert 180 <= report["ours"]["frames_per_s"] <= 200
    assert report["ours"]["detections_per_s"] <= 600


def test_tables_add_up_to_the_file(report):
    parts = sum(size for parts in report["ours"]["tables"].values() for size in parts.values())
    assert parts == pytest.approx(report["ours"]["file"], abs=0.002)
    assert report["ours"]["observations"] + report["ours"]["facts"] <= report["ours"]["file"] + 0.001


def test_a_log_of_two_weeks_takes_more_and_is_measured_whole(report):
    ours = report["ours"]
    assert sum(ours["aged_tables"].values()) == pytest.approx(ours["aged_file"], abs=0.002)
    assert ours["file"] < ours["aged_file"] < 2 * ours["file"]


def test_fields_add_up_to_the_frames_payloads_as_they_were_before_they_were_packed(report):
    frames = report["ours"]["rows"]["observations"]["frame.observed.v1"]
    n_a_camera_day = frames["n_per_s"] / 20 * 86_400
    fields = sum(report["ours"]["frame_fields"].values())
    assert 2 < fields / (frames["bytes_a_row"]["payload"] * n_a_camera_day / 1e9) < 10


def test_the_text_has_the_goal_and_every_type(report):
    text = bench_text("storage", report)
    assert "goal 0.3" in text
    assert "| frame.observed.v1 |" in text


def test_a_length_that_is_none_is_refused(storage, monkeypatch):
    monkeypatch.setenv("BENCH_W20_SECONDS", "0")
    with pytest.raises(BadInput, match="BENCH_W20_SECONDS is '0'"):
        storage.run(1)


@pytest.mark.parametrize(
    ("value", "n_bytes"), [(0, 0), (1, 0), (-1, 1), (127, 1), (128, 2), (2**23, 4), (2**31, 6), (2**47, 8), ("é", 2), (None, 0)]
)
def test_a_value_takes_what_sqlite_stores_of_it(storage, value, n_bytes):
    with sqlite3.connect(":memory:") as connection:
        (found,) = connection.execute(f"select {storage.sizes._stored('v')} from (select ? as v)", (value,)).fetchone()
    connection.close()
    assert found == n_bytes
