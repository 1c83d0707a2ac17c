"""Stays against sessions, by hand."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from written_runs import SESSIONS, VISITS, at, track, truth, write, write_stays, write_tracking

from twin.errors import BadInput
from twin.evaluation.scores import evaluate

ROOT = Path(__file__).parents[3]


def values(run):
    return {name: one["value"] for name, one in evaluate("sessions", [run])["metrics"].items()}


def cases(run):
    return {(one["case"], one["vehicle"]) for one in evaluate("sessions", [run])["worst"]}


def test_sessions_that_are_the_visits_are_exact(tmp_path):
    stays = [("a", 10, 500), ("b", 40, None), ("c", None, 300)]
    found = values(write_stays(tmp_path / "run", stays, [("x", 10, 500), ("y", 40, None), ("z", None, 300)]))
    assert found == {
        "session_precision": 1,
        "session_recall": 1,
        "entry_error_p95_s": 0,
        "exit_error_p95_s": 0,
        "exact_stay": 1,
        "money_error_minor": None,
        "ece": 0,
        **dict.fromkeys(("right_at_0_to_50", "right_at_50_to_70", "right_at_70_to_90", "right_at_90_to_97")),
        "right_at_97_to_100": 1,
    }


def test_what_sessions_say_of_themselves_is_held_against_what_is_right(tmp_path):
    run = tmp_path / "run"
    write(
        run, "visits", VISITS, [(name, at(i), at(i + 500), None) for name, i in (("a", 0), ("b", 100), ("c", 200), ("d", 300))]
    )
    rows = [
        ("s0", "w", at(0), at(500), "closed", 0.8, None),
        ("s1", "x", at(100), at(650), "closed", 0.8, None),  # wrong
        ("s2", "y", at(200), at(700), "closed", 1.0, None),
        ("s3", "z", at(300), at(850), "closed", 0.4, None),  # wrong
        ("s4", "o", None, at(400), "orphan", 0.0, None),  # states nothing
    ]
    write(run, "sessions", SESSIONS, rows)
    found = values(run)
    assert (found["right_at_0_to_50"], found["right_at_50_to_70"], found["right_at_70_to_90"]) == (0, None, 0.5)
    assert (found["right_at_90_to_97"], found["right_at_97_to_100"]) == (None, 1)
    assert found["ece"] == pytest.approx((0.4 + (0.8 - 0.5) * 2 + 0.0) / 4)


def test_who_was_there_all_the_time_is_no_stay_to_score(tmp_path):
    run = write_stays(tmp_path / "run", [("a", 10, 500), ("b", None, None)], [("x", 10, 500)])
    assert (evaluate("sessions", [run])["n"], values(run)["exact_stay"]) == (1, 1)


def test_a_missed_visit_is_not_exact_and_not_found(tmp_path):
    run = write_stays(tmp_path / "run", [("a", 10, 500), ("b", 100, 400)], [("x", 10, 500)])
    found = values(run)
    assert (found["session_recall"], found["session_precision"], found["exact_stay"]) == (0.5, 1, 0.5)
    assert cases(run) == {("missed visit", "b")}


def test_a_second_session_of_a_visit_is_false(tmp_path):
    run = write_stays(tmp_path / "run", [("a", 10, 500)], [("x", 10, 500), ("y", 12, 200)])
    assert (values(run)["session_precision"], values(run)["session_recall"]) == (0.5, 1)
    assert cases(run) == {("double session", "y")}


def test_exits_of_two_vehicles_that_were_taken_for_each_other_are_wrong(tmp_path):
    run = write_stays(tmp_path / "run", [("a", 0, 500), ("b", 100, 900)], [("x", 0, 900), ("y", 100, 500)])
    found = values(run)
    assert (found["session_recall"], found["exact_stay"], found["exit_error_p95_s"]) == (1, 0, 400)
    assert cases(run) == {("wrong exit", "a"), ("wrong exit", "b")}


def test_an_end_is_right_within_a_second(tmp_path):
    run = write_stays(tmp_path / "run", [("a", 0, 500), ("b", 100, 900)], [("x", 1, 500), ("y", 100, 901.5)])
    assert values(run)["exact_stay"] == 0.5


def test_an_exit_that_never_came_is_wrong_by_the_rest_of_the_period(tmp_path):
    run = write_stays(tmp_path / "run", [("a", 0, 500), ("b", 100, 900)], [("x", 0, None), ("y", 100, 900)])
    assert (values(run)["exact_stay"], cases(run)) == (0.5, {("wrong exit", "a")})


def test_the_money_that_is_wrong_is_counted_a_visit(tmp_path):
    run = tmp_path / "run"
    write(run, "visits", (*VISITS, "amount_minor"), [("a", at(0), at(500), None, 200), ("b", at(100), at(900), None, 300)])
    rows = [("s0", "x", at(0), at(500), "closed", 1.0, 250), ("s1", "z", at(700), at(800), "closed", 1.0, 100)]
    write(run, "sessions", SESSIONS, rows)
    # 50 too much for a, 300 missing for b, 100 for nobody's stay: 450 over two visits.
    assert values(run)["money_error_minor"] == 225


@pytest.mark.parametrize(
    ("visits", "sessions", "message"),
    [
        ([("a", None, None)], [], "has no stay that begins or ends"),
        ([("a", 0, 10), ("a", 0, 20)], [], "has 1 rows twice"),
        ([("a", 0, 10)], [("x", 1e6, 2e6)], "same period"),
    ],
)
def test_stays_that_cannot_be_scored_are_refused(tmp_path, visits, sessions, message):
    with pytest.raises(BadInput, match=message):
        evaluate("sessions", [write_stays(tmp_path / "run", visits, sessions)])


def test_tables_may_be_csv_and_are_checked_as_parquet_is(tmp_path):
    (tmp_path / "visits.csv").write_text(f"vehicle,entry_t,exit_t,plate\na,{at(0)},{at(500)},\n")
    header = "session,vehicle,entry_t,exit_t,status,confidence,amount_minor\n"
    (tmp_path / "sessions.csv").write_text(f"{header}s,x,{at(0)},{at(500)},closed,1,\n")
    assert values(tmp_path)["exact_stay"] == 1
    (tmp_path / "sessions.csv").write_text(f"{header}s,x,{at(0)},soon,closed,1,\n")
    with pytest.raises(BadInput, match=r"sessions\.csv' cannot be read"):
        evaluate("sessions", [tmp_path])
    (tmp_path / "sessions.csv").write_text(f"{header}s,x,{at(0)},,closed,1,\n")
    with pytest.raises(BadInput, match="is closed, but has an entry and no exit"):
        evaluate("sessions", [tmp_path])


def test_the_replay_line_of_a_case_shows_it(tmp_path):
    run = write_stays(tmp_path / "a run", [("a", 10, 500), ("b", 100, 400)], [("x", 10, 500)])
    write_tracking(run, [truth("b", 100, 1.0, state="parked"), truth("b", 700, 1.0, state="left")], [track("x", 10, 1.0)])
    (case,) = (one for one in evaluate("sessions", [run])["worst"] if one["vehicle"] == "b")
    words = shlex.split(case["replay"])
    done = subprocess.run([sys.executable, "-m", "twin.cli", *words[1:]], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "true vehicle 'b'" in done.stdout
    assert "x at 0.00 m" in done.stdout
