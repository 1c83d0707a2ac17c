import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.emit import Crop, Emission
from perception.spool import Spool
from twin.errors import BadInput, LogClosed
from twin.events.codec import from_json
from twin.events.observations import FrameObserved, LossDeclared, Personal, TrackletEmbedded


def frame(at: int, camera: str = "north") -> Emission:
    return Emission(at, FrameObserved(camera=camera, frame_px=(320, 192), detector="d", clock="file"))


def embedded(at: int, crop_bytes: int = 2000, camera: str = "north") -> Emission:
    crop = Crop(f"{at:064x}", bytes(crop_bytes))
    payload = TrackletEmbedded(
        camera=camera,
        tracklet=f"{camera}:1:1",
        kind="car",
        embedder="e",
        box_px=(0.0, 0.0, 9.0, 9.0),
        quality=0.5,
        personal=Personal(embedding=b"\1\2", crop=crop.id),
    )
    return Emission(at, payload, crop)


def at_gate(at: int) -> Emission:
    return Emission(at, FrameObserved(camera="gate", frame_px=(320, 192), detector="d", clock="file"))


def opened(folder: Path, **options) -> Spool:
    return Spool(folder, site="lot", device="edge", **{"now": lambda: 5_000_000, **options})


def drained(spool: Spool) -> list:
    events = []
    while items := spool.peek():
        events += [from_json(item.line) for item in items]
        spool.acknowledge(items[-1].id)
        spool.declare_losses()
    return events


def test_items_come_back_in_order_with_their_keys_and_crops(tmp_path):
    spool = opened(tmp_path)
    spool.append([frame(1), embedded(2), frame(3)])
    items = spool.peek()
    events = [from_json(item.line) for item in items]
    assert [event.key.sequence for event in events] == [1, 2, 3]
    assert {event.key.boot_epoch for event in events} == {spool.boot_epoch} == {5}
    assert [event.occurred_at for event in events] == [1, 2, 3]
    assert [item.crop is not None for item in items] == [False, True, False]
    spool.acknowledge(items[1].id)
    assert [item.occurred_at for item in spool.peek()] == [3]
    spool.close()


def test_what_is_spooled_outlives_the_process_and_the_boot_epoch_grows(tmp_path):
    first = opened(tmp_path)
    first.append([frame(1)])
    first.close()
    second = opened(tmp_path)
    second.append([frame(2)])
    keys = [from_json(item.line).key for item in second.peek()]
    assert [(key.boot_epoch, key.sequence) for key in keys] == [(5, 1), (6, 1)]
    second.close()
    assert opened_epoch(tmp_path, now=lambda: 900_000_000) == 900


def opened_epoch(folder: Path, **options) -> int:
    spool = opened(folder, **options)
    spool.close()
    return spool.boot_epoch


def test_over_the_bound_frames_at_a_portal_go_last_and_are_declared_as_such(tmp_path):
    def spool_of(n_bytes):
        return opened(tmp_path / str(n_bytes), max_bytes=n_bytes, is_crossing=lambda payload: payload.camera == "gate")

    events = [embedded(1), at_gate(2), frame(3), at_gate(4), frame(5), embedded(6), frame(7)]
    whole = spool_of(1 << 20)
    whole.append(events)
    sizes = [row[0] for row in whole._db.execute("select n_bytes from item order by id")]
    whole.close()

    for n_lost, kept in [(2, [2, 3, 4, 5, 7]), (3, [2, 4, 5, 7]), (5, [2, 4]), (6, [4])]:
        order = [0, 5, 2, 4, 6, 1, 3]
        spool = spool_of(sum(sizes) - sum(sizes[one] for one in order[:n_lost]))
        spool.append(events)
        assert [item.occurred_at for item in spool.peek()] == kept
        lost = [one.payload for one in drained(spool) if isinstance(one.payload, LossDeclared)]
        at_portal = [(one.camera, one.count, one.from_at) for one in lost if one.reason == "spool full, at a portal"]
        assert at_portal == ([("gate", 1, 2)] if n_lost == 6 else [])
        spool.close()


def test_a_spool_of_the_first_release_is_read_on(tmp_path):
    spool = opened(tmp_path)
    spool.append([frame(1)])
    spool._db.execute("alter table item drop column is_crossing")
    n_bytes = spool.n_bytes
    spool.close()
    spool = opened(tmp_path, max_bytes=n_bytes)
    spool.append([frame(2)])
    assert [item.occurred_at for item in spool.peek()] == [2]
    spool.close()


def test_counts_are_what_the_disk_holds_whatever_failed(tmp_path):
    spool = opened(tmp_path)
    spool.append([embedded(at) for at in range(50)])
    pages = spool._db.execute("pragma page_count").fetchone()[0]
    spool._db.execute(f"pragma max_page_count = {pages}").fetchone()
    n_closed = 0
    for at in range(100, 160):
        try:
            spool.append([embedded(at, crop_bytes=9_000)])
        except LogClosed:
            n_closed += 1
        spool.declare_losses()
        assert spool.n_bytes == spool._db.execute("select coalesce(sum(n_bytes), 0) from item").fetchone()[0]
    spool._db.execute("pragma max_page_count = 1000000").fetchone()
    events = drained(spool)
    n_lost = sum(one.payload.count for one in events if getattr(one.payload, "kind", "") == "tracklet.embedded.v1")
    n_kept = sum(isinstance(one.payload, TrackletEmbedded) for one in events)
    assert n_kept + n_lost + n_closed == 50 + 60
    spool.close()


def test_over_the_bound_crops_go_first_and_every_loss_is_declared(tmp_path):
    spool = opened(tmp_path, max_bytes=20_000)
    spool.append([embedded(at) for at in range(5)] + [frame(at) for at in range(100, 110)])
    spool.append([embedded(at) for at in range(200, 204)])
    assert spool.n_bytes <= 20_000
    events = drained(spool)
    frames = [event for event in events if isinstance(event.payload, FrameObserved)]
    losses = {event.payload.kind: event.payload for event in events if isinstance(event.payload, LossDeclared)}
    kept = [event.occurred_at for event in events if isinstance(event.payload, TrackletEmbedded)]
    assert len(frames) == 10
    lost = losses["tracklet.embedded.v1"]
    assert lost.count + len(kept) == 9
    assert lost.count == losses["crop"].count > 0
    assert kept == sorted(kept)[-len(kept) :]  # the oldest went
    assert (lost.from_at, lost.reason, lost.camera) == (0, "spool full", "north")
    assert lost.until_at < kept[0]
    spool.close()


def test_frames_go_only_when_no_embedding_is_left(tmp_path):
    spool = opened(tmp_path, max_bytes=10_000)
    spool.append([embedded(0)] + [frame(at) for at in range(1, 101)])
    events = drained(spool)
    counts = Counter(type(event.payload).__name__ for event in events)
    assert counts["TrackletEmbedded"] == 0
    assert 0 < counts["FrameObserved"] < 100
    lost = {event.payload.kind: event.payload.count for event in events if isinstance(event.payload, LossDeclared)}
    assert lost["frame.observed.v1"] + counts["FrameObserved"] == 100
    spool.close()


def test_what_is_in_flight_is_not_given_up(tmp_path):
    spool = opened(tmp_path, max_bytes=9_000)
    spool.append([embedded(0), embedded(1)])
    in_flight = spool.peek(max_items=1)
    spool.append([embedded(2), embedded(3), embedded(4)])
    spool.acknowledge(in_flight[0].id)
    kept = [event.occurred_at for event in drained(spool) if isinstance(event.payload, TrackletEmbedded)]
    assert 0 not in kept  # acknowledged
    assert len(kept) < 4
    spool.close()


@settings(max_examples=20, deadline=None)
@given(
    steps=st.lists(st.sampled_from(["frame", "embedded", "send", "peek", "restart"]), max_size=60),
    max_bytes=st.integers(3_000, 30_000),
)
def test_delivered_plus_declared_is_what_was_produced(tmp_path_factory, steps, max_bytes):
    folder = tmp_path_factory.mktemp("spool")
    spool = opened(folder, max_bytes=max_bytes)
    produced: Counter = Counter()
    seen: Counter = Counter()

    def count(items) -> None:
        for event in (from_json(item.line) for item in items):
            payload = event.payload
            if isinstance(payload, LossDeclared):
                seen[payload.kind] += payload.count
            else:
                seen[type(payload).__struct_config__.tag] += 1

    for at, step in enumerate(steps):
        if step == "frame":
            spool.append([frame(at)])
            produced["frame.observed.v1"] += 1
        elif step == "embedded":
            spool.append([embedded(at)])
            produced["tracklet.embedded.v1"] += 1
        elif step == "send" and (items := spool.peek(max_items=3)):
            count(items)
            spool.acknowledge(items[-1].id)
            spool.declare_losses()
        elif step == "peek":
            spool.peek(max_items=2)
        elif step == "restart":
            spool.close()
            spool = opened(folder, max_bytes=max_bytes)
        assert spool.n_bytes <= max(max_bytes, 3_000 + 2 * 2_500)
    spool.declare_losses()
    while items := spool.peek():
        count(items)
        spool.acknowledge(items[-1].id)
        spool.declare_losses()
    spool.close()
    del seen["crop"]
    assert seen == produced


def test_a_killed_process_loses_nothing_that_was_appended(tmp_path):
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from perception.emit import Emission
        from perception.spool import Spool
        from twin.events.observations import FrameObserved
        spool = Spool(Path(sys.argv[1]), site="lot", device="edge")
        at = 0
        while True:
            at += 1
            spool.append([Emission(at, FrameObserved(camera="north", frame_px=(1, 1), detector="d", clock="file"))])
            print(at, flush=True)
    """)
    appended = 0
    seen: list[int] = []
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _line in range(25):
            appended = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read().split()
        child.stdout.close()
        child.wait()
        appended = int(rest[-1]) if rest else appended
        spool = opened(tmp_path)
        events = drained(spool)
        spool.close()
        assert [event.occurred_at for event in events][:appended] == list(range(1, appended + 1))
        assert len(events) <= appended + 1  # one more may have been stored before the kill and not printed
        seen.append(events[0].key.boot_epoch)
    assert seen == sorted(set(seen))


def test_a_full_disk_gives_up_the_oldest_and_declares_what_was_lost(tmp_path):
    spool = opened(tmp_path)
    spool.append([embedded(at) for at in range(20)])
    spool._db.execute(f"pragma max_page_count = {spool._db.execute('pragma page_count').fetchone()[0] + 2}")
    for at in range(100, 140):
        spool.append([embedded(at)])
    spool._db.execute("pragma max_page_count = 1000000")
    events = drained(spool)
    kept = sum(isinstance(event.payload, TrackletEmbedded) for event in events)
    lost = sum(
        event.payload.count
        for event in events
        if isinstance(event.payload, LossDeclared) and event.payload.kind == "tracklet.embedded.v1"
    )
    assert kept + lost == 60
    assert {event.payload.reason for event in events if isinstance(event.payload, LossDeclared)} >= {"disk full"}
    sequences = [event.key.sequence for event in events]
    assert sequences == sorted(set(sequences))
    spool.close()


def test_a_spool_of_another_device_and_one_in_use_are_refused(tmp_path):
    spool = opened(tmp_path)
    with pytest.raises(BadInput, match="in use by another process"):
        opened(tmp_path)
    spool.close()
    with pytest.raises(BadInput, match="is of device 'edge', not 'other'"):
        Spool(tmp_path, site="lot", device="other")
    opened(tmp_path).close()  # the refusals released it


def test_a_damaged_spool_is_refused_with_its_folder(tmp_path):
    (tmp_path / "spool.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(BadInput, match=f"spool '{tmp_path}' cannot be used"):
        opened(tmp_path)


def test_a_disk_that_fails_stops_the_spool_with_an_error(tmp_path):
    spool = opened(tmp_path)
    spool._db.execute("pragma query_only = on")
    with pytest.raises((LogClosed, sqlite3.OperationalError), match="cannot be written"):
        spool.append([frame(1)])
    spool.close()


def test_a_parked_item_is_kept_beside_the_queue(tmp_path):
    spool = opened(tmp_path)
    spool.append([frame(1), frame(2)])
    spool.park(spool.peek()[0], "refused")
    assert [item.occurred_at for item in spool.peek()] == [2]
    assert json.loads((tmp_path / "rejected.jsonl").read_text())["sequence"] == "1"
    assert spool.n_parked == 1
    assert time.time() - (tmp_path / "rejected.jsonl").stat().st_mtime < 60
    spool.close()
