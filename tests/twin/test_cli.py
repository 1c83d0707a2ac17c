"""The commands, as a shell runs them."""

import asyncio
import json
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perception.synthetic.run_files import write_run
from site_models.load import load_site, resolve
from twin.cli import app
from twin.evaluation.event_files import read_observations
from twin.events.codec import canonical_json, micros, rfc3339
from twin.log.port import FoldCommit
from twin.log.sealing import SealingLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.log import SqlLog
from twin.opened_logs import opened_logs
from twin.opened_maps import begin
from twin.projections.naive import replay
from twin.projections.timeline import Timeline
from twin.rules.fold import Fold
from twin.settings import Settings

ROOT = Path(__file__).parents[2]
START = micros("2026-01-05T06:00:00Z")


def twin(*words, expect=0):
    done = subprocess.run([sys.executable, "-m", "twin.cli", *map(str, words)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A data folder as the service leaves it after 40 s of simulated traffic."""
    folder = tmp_path_factory.mktemp("data")
    write_run(load_site(resolve("demo_lot")), "default", 5, 40 / 3600, folder / "run", START)
    asyncio.run(store(folder, observed(folder)))
    return folder


def observed(folder):
    return list(read_observations(folder / "run" / "observations.jsonl.zst"))


async def store(folder, events, unfolded=()):
    site = load_site(resolve("demo_lot"))
    sql = SqlLog.open(folder / "log.db")
    log, fold = SealingLog(sql, SqlKeyRing(sql)), Fold(site)
    await log.append(events)
    token = await log.acquire(site.name, "test")
    state, facts = fold.initial(), []
    for recorded, event in zip(await log.observations(site.name, limit=len(events)), events, strict=True):
        state, made = fold.step(state, recorded, getattr(event.payload, "personal", None))
        facts += made
    await log.commit(FoldCommit(token=token, after=0, cursor=len(events), facts=tuple(facts)))
    await log.append(list(unfolded))
    await log.aclose()


async def test_the_state_at_any_time_as_known_at_any_position_is_that_of_the_naive_fold(data_dir):
    site, draw = load_site(resolve("demo_lot")), random.Random(3)
    log = SqlLog.open(data_dir / "log.db", read_only=True)
    try:
        timeline, head = Timeline(log, site), (await log.heads(site.name)).facts
        assert head > 100
        for _ in range(100):
            at, known_at = START + draw.randrange(-2_000_000, 45_000_000), draw.randint(0, head)
            ours, naive = await timeline.state(at, known_at), await replay(log, site, at=at, known_at=known_at)
            assert canonical_json(ours) == canonical_json(naive), f"at={rfc3339(at)} known_at={known_at}"
    finally:
        await log.aclose()


def test_at_and_replay_print_the_same_bytes(data_dir):
    given = ["--site", "demo_lot", "--data-dir", data_dir, "--at", "2026-01-05T06:00:25Z"]
    at = twin("at", *given, "--known-at", 150).stdout
    assert at == twin("replay", *given, "--until-position", 150).stdout
    assert json.loads(at)["position"] == "150"


def test_a_site_that_the_log_does_not_hold_is_told(data_dir):
    for words in (("log", "tail", "--no-follow"), ("at",)):
        said = twin(*words, "--site", "motorway", "--data-dir", data_dir).stderr
        assert said == "the log holds nothing of site 'motorway' yet; it holds demo_lot\n"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (b"no database at all" * 300, "the database cannot be read: file is not a database"),
        (None, "the database cannot be read: database disk image is malformed"),
        (b"", "the database holds no log: it is empty, or another program's"),
    ],
)
def test_a_file_that_is_no_database_is_told_in_one_line(data_dir, tmp_path, damage, said):
    whole = (data_dir / "log.db").read_bytes()
    for words in (("log", "verify"), ("log", "head"), ("at", "--site", "demo_lot")):
        (tmp_path / "log.db").write_bytes(whole[: len(whole) // 4096 // 3 * 4096] if damage is None else damage)
        lines = twin(*words, "--data-dir", tmp_path, expect=1).stderr.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith(f"twin: {said}")


def test_check_holds_for_a_log_and_fails_for_one_whose_fact_was_changed(data_dir, tmp_path):
    told = json.loads(twin("replay", "--site", "demo_lot", "--data-dir", data_dir, "--check").stdout)
    assert told["is_equal"] is True
    assert told["facts"] > 100
    shutil.copytree(data_dir, tmp_path / "changed")
    with closing(sqlite3.connect(tmp_path / "changed" / "log.db")) as database, database:
        database.execute("update facts set occurred_at = occurred_at + 1 where position = 50")
    failed = twin("replay", "--site", "demo_lot", "--data-dir", tmp_path / "changed", "--check", expect=1)
    assert "fact 50 is stored as" in failed.stderr


def test_the_log_is_printed_in_order(data_dir):
    lines = twin("log", "tail", "--site", "demo_lot", "--data-dir", data_dir, "--facts", "--no-follow").stdout.splitlines()
    assert [int(json.loads(line)["position"]) for line in lines] == list(range(1, len(lines) + 1))


def test_a_log_is_verified_against_heads_that_were_kept_elsewhere(data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "changed")
    kept = tmp_path / "heads.json"
    kept.write_text(twin("log", "head", "--data-dir", data_dir).stdout)
    sound = json.loads(twin("log", "verify", "--known", kept, "--data-dir", data_dir, "--json").stdout)
    assert (sound["ok"], [one["site"] for one in sound["sites"]]) == (True, ["demo_lot"])
    with closing(sqlite3.connect(tmp_path / "changed" / "log.db")) as database, database:
        database.execute("update observations set occurred_at = occurred_at + 1 where position = 7")
    failed = twin("log", "verify", "--site", "demo_lot", "--data-dir", tmp_path / "changed", expect=1)
    assert "demo_lot: observations 7 to 7: the content does not have its hash" in failed.stderr
    assert "holds no site 'nowhere'" in twin("log", "verify", "--site", "nowhere", "--data-dir", data_dir, expect=1).stderr
    assert "no chain heads" in twin("log", "verify", "--known", ROOT / "LICENSE", "--data-dir", data_dir, expect=1).stderr


def test_a_log_is_trimmed_and_says_what_it_does_not_know_any_more(data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "cut")
    given = ["--site", "demo_lot", "--data-dir", tmp_path / "cut"]
    kept = tmp_path / "heads.json"
    kept.write_text(twin("log", "head", "--data-dir", data_dir).stdout)
    words = ["--keep-days", 0, "--keep-movement-days", 0, "--json"]
    planned = json.loads(twin("log", "trim", *given, *words, "--dry-run").stdout)
    assert "up to 0 are cut" not in twin("log", "verify", "--data-dir", tmp_path / "cut").stderr
    done = twin("log", "trim", *given, *words)
    told = json.loads(done.stdout)
    assert (told["schema"], told["observations"], told["dry_run"]) == ("twin.log_trim/1", planned["observations"], False)
    assert "keep what `twin log head` prints now" in done.stderr
    verified = twin("log", "verify", "--known", kept, "--data-dir", tmp_path / "cut")
    assert f"observations up to {told['observations']} cut at" in verified.stderr
    assert "after the known head" in verified.stderr
    older = json.loads(kept.read_text())
    older["sites"]["demo_lot"]["observations"]["position"] = 1
    kept.write_text(json.dumps(older))
    said = twin("log", "verify", "--known", kept, "--data-dir", tmp_path / "cut", expect=1).stderr
    assert said.splitlines()[-1].startswith("twin: the known heads are older than a cut")
    assert "restore" not in said
    checked = json.loads(twin("replay", *given, "--check").stdout)
    assert (checked["is_equal"], checked["cut"], checked["observations"]) == (True, told["observations"], 0)
    assert "are cut" in twin("log", "tail", *given, "--no-follow").stderr
    assert "ask for a later time" in twin("refuse", *given, "--from", "2026-01-05T06:00:04Z", expect=1).stderr
    assert "were cut by retention" in twin("log", "tail", *given, "--no-follow", "--after", 0, expect=1).stderr
    facts = [json.loads(line) for line in twin("log", "tail", *given, "--facts", "--no-follow").stdout.splitlines()]
    # No fact stays behind the anchor, which would say from when on states are known: movement is not taken.
    assert (told["movement"], facts[0]["position"]) == (0, "1")
    assert twin("at", *given).stdout == twin("at", "--site", "demo_lot", "--data-dir", data_dir).stdout
    assert "begins with an empty site after" in twin("log", "afresh", *given).stderr
    assert "say what to cut" in twin("log", "trim", *given, expect=1).stderr


@pytest.fixture
def late_dir(data_dir, tmp_path):
    """As ``data_dir``, but what one camera saw in the first three seconds came after all else, half a minute too late."""
    events = observed(data_dir)
    late = [one for one in events if one.key.device == "aisle-1-east" and one.occurred_at < START + 3_000_000]
    in_time = [one for one in events if one not in late]
    asyncio.run(store(tmp_path, in_time, late))
    return tmp_path


async def standing(folder, at, known_at=None):
    """Stalls with their states, and where vehicles are, to a metre; clocks are put right by less of a camera's frames here."""
    log = SqlLog.open(folder / "log.db", read_only=True)
    try:
        state = await replay(log, load_site(resolve("demo_lot")), at=at, known_at=known_at)
        known_at = (await log.heads("demo_lot")).facts
    finally:
        await log.aclose()
    stalls = {stall["stall"]: stall["state"] for stall in state["stalls"]}
    return stalls, sorted(tuple(map(round, vehicle["position_m"])) for vehicle in state["vehicles"]), known_at


def test_what_came_too_late_is_fused_when_it_is_asked_for_and_the_facts_still_follow_from_the_log(data_dir, late_dir):
    at = START + 4_000_000
    in_time, without = asyncio.run(standing(data_dir, at)), asyncio.run(standing(late_dir, at))
    assert len(in_time[1]) >= len(without[1]) + 2, "some vehicles were seen by that camera alone"
    given = ["--site", "demo_lot", "--data-dir", late_dir]
    asked = ("refuse", *given, "--from", "2026-01-05T06:00:00Z", "--json")
    told = json.loads(twin(*asked).stdout)
    assert (told["schema"], told["answered"]) == ("twin.refuse/1", True)
    assert told["facts"] > told["superseded"] > 50
    assert asyncio.run(standing(late_dir, at))[:2] == in_time[:2]
    assert asyncio.run(standing(late_dir, at, without[2]))[:2] == without[:2], "what was known then stays"
    assert json.loads(twin("replay", *given, "--check").stdout)["is_equal"]
    assert "the service answers" in twin(*asked[:-1], "--ask-only").stderr
    trim = ("log", "trim", *given, "--keep-days", "0", "--json")
    assert json.loads(twin(*trim).stdout)["observations"] == 0, "what an open request needs stays"


def test_a_backup_is_made_and_restored(data_dir, tmp_path):
    made = json.loads(twin("backup", "--out", tmp_path / "kept", "--data-dir", data_dir, "--json").stdout)
    assert "exists already" in twin("backup", "--out", tmp_path / "kept", "--data-dir", data_dir, expect=1).stderr
    restored = json.loads(twin("restore", "--from", tmp_path / "kept", "--data-dir", tmp_path / "new", "--json").stdout)
    assert restored == made
    assert "there is a log" in twin("restore", "--from", tmp_path / "kept", "--data-dir", tmp_path / "new", expect=1).stderr
    at = [twin("at", "--site", "demo_lot", "--data-dir", folder).stdout for folder in (data_dir, tmp_path / "new")]
    assert at[0] == at[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("restore", "--from", "/nonexistent"), "give one that `twin backup` made"),
        (("backup", "--out", "x", "--data-dir", "/nonexistent"), "there is no log at"),
        (("at", "--site", "nowhere"), "neither a folder nor a packaged site"),
        (("at", "--site", "demo_lot", "--data-dir", "/nonexistent"), "there is no log at"),
        (("serve", "--site", "demo_lot", "--host", "0.0.0.0"), "listen on 127.0.0.1"),
        (("serve", "--site", "demo_lot", "--host", "here"), "is not an IP address"),
        (("fuse", "--site", "demo_lot", "--observations", "none.jsonl", "--out", "x"), "cannot be read"),
        (("simulate", "--site", "demo_lot", "--profile", "wild", "--out", "x"), "wild"),
        (("replay", "--site", "demo_lot", "--check", "--at", "2026-01-01T00:00:00Z"), "leave out"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(words, message, tmp_path):
    if words[0] == "serve":
        words = (*words, "--data-dir", str(tmp_path))
    assert message in twin(*words, expect=1).stderr


def test_the_readmes_commands_exist():
    text = (ROOT / "README.md").read_text()
    for command in re.findall(r"^\| `twin ([a-z]+(?: [a-z]+)?)", text, re.MULTILINE):
        words = command.split() if command.split()[0] in ("log", "site", "db") else command.split()[:1]
        told = CliRunner().invoke(app, [*words, "--help"], prog_name="twin")
        assert (told.exit_code, f"twin {' '.join(words)}" in told.stdout) == (0, True), told.output


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = twin("simulate", "--site", "demo_lot", "--hours", "0.01", "--out", tmp_path / "file", expect=1)
    assert done.stderr.strip() == f"twin: cannot use '{tmp_path / 'file'}': File exists"


def test_what_was_known_before_the_map_was_edited_is_told_on_the_map_of_then(data_dir, tmp_path):
    folder, edited = tmp_path / "data", tmp_path / "demo_lot"
    shutil.copytree(data_dir, folder)
    shutil.copytree(resolve("demo_lot"), edited, ignore=shutil.ignore_patterns("clips"))
    drawn = json.loads((edited / "map.geojson").read_text())
    gone = next(one["properties"]["id"] for one in drawn["features"] if one["properties"]["kind"] == "stall")
    drawn["features"] = [one for one in drawn["features"] if one["properties"].get("id") != gone]
    (edited / "map.geojson").write_text(json.dumps(drawn))

    async def serve_once(site):
        async with opened_logs(Settings(data_dir=folder)) as logs:
            edited_site = load_site(site)
            await begin(logs, edited_site, (await logs.sql.heads(edited_site.name)).facts)

    asyncio.run(serve_once(resolve("demo_lot")))
    at = ["--at", "2026-01-05T06:00:25Z", "--known-at", 150, "--data-dir", folder]
    before = twin("at", "--site", "demo_lot", *at).stdout
    asyncio.run(serve_once(edited))
    assert twin("at", "--site", edited, *at).stdout == before
    replayed = ["--at", "2026-01-05T06:00:25Z", "--until-position", 150, "--data-dir", folder]
    assert twin("replay", "--site", edited, *replayed).stdout == before
    now = json.loads(twin("at", "--site", edited, "--data-dir", folder).stdout)
    assert gone in {one["stall"] for one in json.loads(before)["stalls"]}
    assert gone not in {one["stall"] for one in now["stalls"]}
