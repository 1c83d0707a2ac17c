"""Stall-minutes by hand, from tracks and from facts."""

import shlex

import pytest
from typer.testing import CliRunner
from written_runs import START, track, truth, write_tracking

from site_models.load import load_site, resolve
from twin.cli import app
from twin.errors import BadInput
from twin.evaluation.event_files import FactWriter
from twin.evaluation.scores import evaluate
from twin.events.envelope import FactEvent, Recorded
from twin.events.facts import StallChanged
from twin.events.ids import SECOND

SITE = load_site(resolve("demo_lot"))
STALL = SITE.stalls[0]
N = len(SITE.stalls)
X, Y = (sum(axis) / len(axis) for axis in zip(*STALL.ring_m, strict=True))


def value(run):
    return evaluate("stalls", [run], "demo_lot")["metrics"]["stall_minutes"]["value"]


def parked(make, name, start, end):
    stall = {"stall": STALL.id} if make is truth else {}
    rows = [make(name, start, X, Y, state="parked", **stall), make(name, end, X, Y, state="left")]
    return [(*row[:2], STALL.level, *row[3:]) for row in rows]


def period(seconds):
    """A vehicle outside of all stalls, so that the truth is that long."""
    return [truth("far", 0, 1000, state="parked"), truth("far", seconds, 1000, state="left")]


def test_stalls_shown_as_they_are_score_one(tmp_path):
    run = write_tracking(
        tmp_path / "run", [*period(600), *parked(truth, "a", 60, 300)], [track("far", 0, 1000), *parked(track, "x", 60, 300)]
    )
    assert value(run) == 1


def test_a_stall_shown_free_while_it_is_taken_is_wrong_for_so_long(tmp_path):
    run = write_tracking(tmp_path / "run", [*period(599.5), *parked(truth, "a", 0, 300)], [track("far", 0, 1000)])
    # One stall of N is wrong for 300 of 600 s.
    assert value(run) == pytest.approx(1 - 0.5 / N, abs=1e-6)


def facts(run, *changes):
    with FactWriter(run / "facts.jsonl") as out:
        for number, (seconds, stall, state, supersedes) in enumerate(changes, start=1):
            told = StallChanged(stall=stall, state=state, vehicle=None)
            event = FactEvent(
                site=SITE.name,
                fold_version="1",
                cause=number,
                ordinal=0,
                occurred_at=START + seconds * SECOND,
                payload=told,
                supersedes=supersedes,
            )
            out.write(Recorded(position=number, recorded_at=START, event=event))
            yield event.id


def test_facts_say_what_was_shown_and_unknown_is_wrong(tmp_path):
    run = write_tracking(tmp_path / "run", period(599.5), [])
    list(facts(run, *((0, stall.id, "free", ()) for stall in SITE.stalls[1:])))
    assert value(run) == pytest.approx(1 - 1 / N, abs=1e-6)


def test_a_superseded_fact_does_not_count(tmp_path):
    run = write_tracking(tmp_path / "run", period(599.5), [])
    free = [(0, stall.id, "free", ()) for stall in SITE.stalls]
    *_, wrong = facts(run, *free, (100, STALL.id, "occupied", ()))
    assert value(run) < 1
    list(facts(run, *free, (100, STALL.id, "occupied", ()), (100, STALL.id, "free", (wrong,))))
    assert value(run) == 1


def test_the_replay_line_of_a_stall_shows_it(tmp_path):
    run = write_tracking(tmp_path / "run", [*period(599.5), *parked(truth, "a", 60, 300)], [track("far", 0, 1000)])
    (case,) = evaluate("stalls", [run], "demo_lot")["worst"]
    done = CliRunner().invoke(app, shlex.split(case["replay"])[1:])
    assert done.exit_code == 0, done.output
    assert f"stall '{STALL.id}' at 2026-01-05T06:01:00.000000Z: occupied, shown as free" in done.output


def test_a_run_of_no_known_site_asks_for_it(tmp_path):
    run = write_tracking(tmp_path / "run", period(10), [])
    with pytest.raises(BadInput, match="does not say of which site it is; give --site"):
        evaluate("stalls", [run])
