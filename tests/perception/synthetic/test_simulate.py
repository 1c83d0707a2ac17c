import hashlib
import io
from collections import Counter
from itertools import islice

import msgspec
import pyarrow.parquet as pq
import pytest
import zstandard
from msgspec.structs import replace

from perception.synthetic.demand import DEMO
from perception.synthetic.profiles import CLEAN, DEFAULT, HARSH
from perception.synthetic.run_files import write_run
from perception.synthetic.simulate import Simulation
from twin.errors import BadInput
from twin.events.codec import from_json, to_json
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, FrameObserved, TrackletEmbedded
from twin.log.content import content_of


def test_events_come_in_order_of_arrival_with_a_tick_every_hundred_milliseconds(lot, start_at):
    events = list(Simulation(lot, 1, HARSH, start_at, demand=DEMO).events(start_at + 30 * SECOND))
    arrivals = [arrival_at for arrival_at, _ in events]
    assert arrivals == sorted(arrivals)
    ticks = [event.occurred_at for _, event in events if isinstance(event.payload, ClockTicked)]
    assert ticks == list(range(start_at + 100_000, start_at + 100_000 * (len(ticks) + 1), 100_000))
    assert len(ticks) >= 300
    for arrival_at, event in events:
        if isinstance(event.payload, ClockTicked):
            assert event.occurred_at == arrival_at


def test_an_event_is_the_same_bytes_from_memory_and_from_the_wire(lot, start_at):
    for _, event in Simulation(lot, 1, HARSH, start_at, demand=DEMO).events(start_at + 20 * SECOND):
        assert content_of(from_json(to_json(event))) == content_of(event)


def test_every_frame_arrives_once_also_the_late_ones(lot, start_at):
    simulation = Simulation(lot, 1, replace(DEFAULT, late=0.3, outages_a_day=0), start_at, demand=DEMO, ticks=False)
    events = [event for _, event in simulation.events(start_at + 20 * SECOND)]
    for camera in lot.cameras:
        sequences = [event.key.sequence for event in events if event.key.device == camera.id]
        assert sorted(sequences) == list(range(1, len(sequences) + 1))
        assert sequences != sorted(sequences)
    assert not any(isinstance(event.payload, ClockTicked) for event in events)


def test_every_camera_reports_every_frame_also_without_vehicles(road, lot, start_at):
    empty = replace(road, cameras=lot.cameras)
    simulation = Simulation(empty, 1, CLEAN, start_at, demand=replace(DEMO, arrivals_per_h=0.001), ticks=False)
    payloads = [event.payload for _, event in simulation.events(start_at + 10 * SECOND)]
    assert Counter(payload.camera for payload in payloads) == {"east": 100, "west": 100}
    assert all(isinstance(payload, FrameObserved) and not payload.boxes for payload in payloads)


def test_a_live_stream_has_no_end_and_starts_at_once(lot, start_at):
    stream = Simulation(lot, 1, DEFAULT, start_at, demand=DEMO, ticks=False).events()
    first = list(islice(stream, 500))
    assert first[0][0] < start_at + SECOND
    assert len(first) == 500


def test_an_embedding_names_a_tracklet_whose_box_was_sent(lot, start_at):
    events = [event for _, event in Simulation(lot, 2, DEFAULT, start_at, demand=DEMO).events(start_at + 60 * SECOND)]
    boxed = {box.tracklet for event in events if isinstance(event.payload, FrameObserved) for box in event.payload.boxes}
    embedded = {event.payload.tracklet for event in events if isinstance(event.payload, TrackletEmbedded)}
    assert embedded
    assert len(embedded - boxed) <= 1  # but for frames that were dropped


def test_a_written_run_has_the_public_columns_and_the_same_bytes_for_the_same_seed(lot, start_at, tmp_path):
    digests = []
    for name in ("one", "two"):
        write_run(lot, "default", 7, 2 / 60, tmp_path / name, start_at, demand=DEMO)
        files = sorted((tmp_path / name).iterdir())
        digests.append([(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files])
    assert digests[0] == digests[1]
    assert [name for name, _ in digests[0]] == ["manifest.json", "observations.jsonl.zst", "truth.parquet", "visits.parquet"]
    run = tmp_path / "one"
    assert msgspec.json.decode((run / "manifest.json").read_bytes()) == {
        "schema": "twin.run/1",
        "site": "lot",
        "seed": 7,
        "profile": "default",
        "fold_version": None,
        "config_hash": None,
    }
    truth = pq.read_table(run / "truth.parquet")
    assert truth.column_names == ["vehicle", "t", "level", "x_m", "y_m", "heading_deg", "stall", "state"]
    assert set(truth["state"].to_pylist()) == {"moving", "parked", "left"}
    assert truth["t"].to_pylist() == sorted(truth["t"].to_pylist())
    visits = pq.read_table(run / "visits.parquet")
    assert visits.column_names == ["vehicle", "entry_t", "exit_t", "plate"]
    assert visits["entry_t"].null_count >= 10  # who was parked at the start


def test_a_written_log_reads_back_as_the_events_that_were_simulated(lot, start_at, tmp_path):
    summary = write_run(lot, "clean", 3, 0.5 / 60, tmp_path, start_at, demand=DEMO)
    with zstandard.open(tmp_path / "observations.jsonl.zst", "rb") as file:
        lines = list(io.BufferedReader(file))
    simulated = [event for _, event in Simulation(lot, 3, CLEAN, start_at, demand=DEMO).events(start_at + 30 * SECOND)]
    assert len(lines) == summary.observations == len(simulated)
    assert [from_json(line) for line in lines] == simulated
    assert [to_json(event) + b"\n" for event in simulated] == lines


@pytest.mark.parametrize(("fold_version", "left"), [("2", set()), (None, {"facts.jsonl", "tracks.parquet"})])
def test_what_was_fused_of_other_observations_goes_and_tables_of_another_tracker_stay(
    lot, start_at, tmp_path, fold_version, left
):
    manifest = {"schema": "twin.run/1", "site": "lot", "fold_version": fold_version}
    (tmp_path / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    for name in ("facts.jsonl", "tracks.parquet"):
        (tmp_path / name).write_bytes(b"of another seed")
    write_run(lot, "clean", 3, 1 / 3600, tmp_path, start_at, demand=DEMO)
    written = {"manifest.json", "observations.jsonl.zst", "truth.parquet", "visits.parquet"}
    assert {path.name for path in tmp_path.iterdir()} == written | left


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"traffic": "cars"}, BadInput, "traffic source 'cars'"),
        ({"profile": "noisy"}, BadInput, "choose one of clean, default, harsh"),
        ({"hours": 0.0}, BadInput, "cannot simulate 0.0 hours"),
        ({"hours": float("nan")}, BadInput, "cannot simulate nan hours"),
    ],
)
def test_a_run_that_cannot_be_made_says_why_and_writes_nothing(lot, start_at, tmp_path, changes, error, message):
    arguments = {"profile": "clean", "seed": 1, "hours": 0.1, "out": tmp_path / "run", "start_at": start_at} | changes
    with pytest.raises(error, match=message):
        write_run(lot, **arguments)
    assert not (tmp_path / "run").exists()


def test_a_site_without_cameras_is_refused(road, start_at):
    with pytest.raises(BadInput, match="has no cameras"):
        Simulation(road, 1, CLEAN, start_at)
