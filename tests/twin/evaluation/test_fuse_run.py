"""``twin fuse`` and ``twin simulate`` on files: run folders as the public formats define them."""

import json

import pyarrow.parquet as pq
import pytest
import zstandard

from perception.synthetic.run_files import write_run
from site_models.load import load_site, resolve
from twin.errors import BadInput
from twin.evaluation.event_files import read_observations
from twin.evaluation.fuse_run import fuse_run
from twin.evaluation.offline import DeviceKeys
from twin.events.codec import from_json, micros, to_json
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, RefuseRequested
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.sealing import SealingLog
from twin.refusal import stepped
from twin.rules.fold import Fold


@pytest.fixture(scope="module")
def site():
    return load_site(resolve("demo_lot"))


@pytest.fixture(scope="module")
def run(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(site, "default", 3, 40 / 3600, folder, micros("2026-01-05T06:00:00Z"))
    summary = fuse_run(site, folder / "observations.jsonl.zst", folder)
    return folder, summary


def test_a_run_folder_has_the_files_and_columns_of_the_formats(run):
    folder, summary = run
    assert pq.read_table(folder / "tracks.parquet").column_names == [
        "vehicle",
        "t",
        "level",
        "x_m",
        "y_m",
        "xx",
        "xy",
        "yy",
        "state",
    ]
    assert pq.read_table(folder / "sessions.parquet").column_names == [
        *("session", "vehicle", "entry_t", "exit_t", "status", "confidence", "amount_minor")
    ]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest) == {"schema", "site", "seed", "profile", "fold_version", "config_hash"}
    assert (manifest["seed"], manifest["profile"]) == (3, "default")
    facts = [json.loads(line) for line in (folder / "facts.jsonl").read_text().splitlines()]
    assert [int(fact["position"]) for fact in facts] == list(range(1, summary["facts"] + 1))


def test_the_same_file_gives_the_same_facts_and_a_doubled_line_changes_nothing(site, run, tmp_path):
    folder, summary = run
    events = list(read_observations(folder / "observations.jsonl.zst"))
    doubled = tmp_path / "doubled.jsonl"
    doubled.write_bytes(b"".join(to_json(event) + b"\n" for event in events for _ in range(1 + (event.key.sequence % 7 == 0))))
    again = fuse_run(site, doubled, tmp_path / "again")
    assert again["duplicates"] > 0
    assert (tmp_path / "again" / "facts.jsonl").read_bytes() == (folder / "facts.jsonl").read_bytes()
    assert again["facts"] == summary["facts"]


def test_a_file_without_ticks_is_fused_by_its_own_times(site, run, tmp_path):
    folder, _ = run
    events = [one for one in read_observations(folder / "observations.jsonl.zst") if not isinstance(one.payload, ClockTicked)]
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(b"".join(to_json(event) + b"\n" for event in events))
    summary = fuse_run(site, plain, tmp_path / "run")
    assert summary["ticks_added"] > 0
    assert summary["vehicles"] > 3


def test_a_device_key_is_taken_once_in_any_order():
    keys = DeviceKeys()
    order = [3, 1, 2, 3, 1, 5, 4, 5, 2]
    taken = [keys.add(DeviceKey(device="edge", boot_epoch=1, sequence=n)) for n in order]
    assert taken == [True, True, True, False, False, True, True, False, False]
    assert keys.add(DeviceKey(device="edge", boot_epoch=2, sequence=1))


async def test_requests_in_a_file_to_fuse_again_are_answered_as_a_service_answers_them(site, run, tmp_path):
    start = micros("2026-01-05T06:00:00Z")
    events = list(read_observations(run[0] / "observations.jsonl.zst"))
    late = [one for one in events if one.key.device == "aisle-1-east" and one.occurred_at < start + 3 * SECOND]
    in_time = [one for one in events if one not in late]
    asked = [refuse_requested(number, start + after * SECOND) for number, after in enumerate((1, 30), start=1)]
    came = [*in_time[:-2], *late, asked[0], *in_time[-2:], asked[1]]
    (tmp_path / "seen.jsonl").write_bytes(b"".join(to_json(one) + b"\n" for one in came))
    fuse_run(site, tmp_path / "seen.jsonl", tmp_path / "run")
    fused = [from_json(line) for line in (tmp_path / "run" / "facts.jsonl").read_bytes().splitlines()]

    log, keys, fold = MemoryLog(), MemoryKeyRing(), Fold(site)
    sealing = SealingLog(log, keys)
    await sealing.append(came)
    state, facts = fold.initial(), []
    for recorded in await sealing.observations(site.name, limit=len(came)):
        state, told = await stepped(sealing, keys, fold, state, recorded)
        facts += told
    assert {one.cause for one in fused if one.supersedes} >= {came.index(asked[0]) + 1}
    assert fused == facts


def refuse_requested(number, from_at):
    key = DeviceKey(device="desk", boot_epoch=1, sequence=number)
    payload = RefuseRequested(from_at=from_at, author="ann", reason="late data")
    return ObservationEvent(site="demo_lot", key=key, occurred_at=from_at + 60 * SECOND, payload=payload)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no observation"),
        (b"{}\n", r"1: the event has no attribute"),
        (b"\n\nnot json\n", r"3: not a JSON object"),
    ],
)
def test_a_file_that_is_no_observations_is_named_with_its_line(site, tmp_path, content, message):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        fuse_run(site, path, tmp_path / "run")
    assert not (tmp_path / "run" / "facts.jsonl").exists() or content == b""


def test_a_missing_a_broken_and_another_sites_file_are_refused(site, run, tmp_path):
    folder, _ = run
    with pytest.raises(BadInput, match="cannot be read"):
        fuse_run(site, tmp_path / "none.jsonl", tmp_path)
    broken = tmp_path / "broken.jsonl.zst"
    broken.write_bytes(zstandard.compress(b"x" * 1000)[:-3] + b"\x00\x00\x00")
    with pytest.raises(BadInput):
        fuse_run(site, broken, tmp_path)
    foreign = tmp_path / "foreign.jsonl"
    line = to_json(next(iter(read_observations(folder / "observations.jsonl.zst")))).replace(b"demo_lot", b"other_lot")
    foreign.write_bytes(line + b"\n")
    with pytest.raises(BadInput, match="is of site 'other_lot', but --site is 'demo_lot'"):
        fuse_run(site, foreign, tmp_path)
