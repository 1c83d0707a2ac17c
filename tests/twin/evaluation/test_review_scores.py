"""Which stays ask for a person, and what that is worth, by hand."""

import pytest
from msgspec.structs import replace
from written_runs import SESSIONS, VISITS, at, write

from site_models.dump import dump_site
from site_models.load import load_site, resolve
from site_models.schema import Tariff
from twin.errors import BadInput
from twin.evaluation.event_files import FactWriter
from twin.evaluation.scores import evaluate
from twin.events.envelope import FactEvent, Recorded
from twin.events.facts import SessionAmended, SessionClosed, SessionOpened, SessionOrphaned


def values(run, kind="review"):
    return {name: one["value"] for name, one in evaluate(kind, [run])["metrics"].items()}


def write_facts(run, *facts):
    with FactWriter(run / "facts.jsonl") as out:
        for n, fact in enumerate(facts, start=1):
            event = FactEvent(site="lot", fold_version="2", cause=n, ordinal=0, occurred_at=at(n), payload=fact)
            out.write(Recorded(position=n, recorded_at=at(n), event=event))


def opened(name, entry, *flags):
    return SessionOpened(session=name, vehicle=name, portal="in", entry_at=at(entry), confidence=1.0, flags=flags)


def closed(name, entry, leave, *flags):
    ends = {"entry_at": at(entry), "exit_at": at(leave)}
    return SessionClosed(session=name, vehicle=name, portal="out", confidence=1.0, flags=flags, **ends)


@pytest.fixture
def run(tmp_path):
    """Four stays of 100: a is right, b's exit is flagged and billed 50, c's is wrong by 30 without a flag, d's was missed but
    for an orphan at its exit; and a flagged stay of nobody, billed 70."""
    run = tmp_path / "run"
    ends = {"a": (0, 500), "b": (100, 600), "c": (200, 700), "d": (300, 800)}
    write(run, "visits", (*VISITS, "amount_minor"), [(name, at(i), at(o), None, 100) for name, (i, o) in ends.items()])
    told = [
        ("a", "a", at(0), at(500), "closed", 1.0, 100),
        ("b", "b", at(100), at(580), "closed", 0.5, 50),
        ("c", "c", at(200), at(650), "closed", 1.0, 70),
        ("d", "d", None, at(800), "orphan", 0.0, None),
        ("e", "e", at(400), at(950), "closed", 0.5, 70),
    ]
    write(run, "sessions", SESSIONS, told)
    facts = [opened("a", 0, "unverified"), opened("b", 100), opened("c", 200), opened("e", 400, "camera_gap", "unverified")]
    facts += [closed("a", 0, 500), closed("b", 100, 580, "ambiguous_identity", "no_exit", "unverified")]
    facts += [closed("c", 200, 650), closed("e", 400, 950, "unverified")]
    facts += [SessionOrphaned(session="d", vehicle="d", portal="out", exit_at=at(800))]
    write_facts(run, *facts)
    return run


def test_the_newest_fact_of_a_stay_says_whether_it_is_in_doubt_and_why(run):
    found = values(run)
    shares = {name: value for name, value in found.items() if name.startswith("review_")}
    assert shares == {
        "review_share": 0.6,  # b, d, e; a's doubt was over when it was closed
        "review_no_entry_share": 0.2,
        "review_no_exit_share": 0.2,
        "review_camera_gap_share": 0.0,
        "review_ambiguous_identity_share": 0.2,
        "review_unverified_share": 0.2,
        "review_needed_share": 1.0,
    }


def test_a_review_puts_right_what_is_flagged_and_leaves_the_rest(run):
    found = values(run)
    assert (found["exact_stay"], found["exact_stay_reviewed"]) == (0.25, 0.75)
    # before: 50 of b, 30 of c, 100 of d, 70 of nobody's; after: 30 of c.
    assert (found["money_error_minor"], found["money_error_reviewed_minor"]) == (250 / 4, 30 / 4)
    assert found["wrong_unreviewed_share"] == 0.25  # c, of b, c, d and e
    (case,) = (one for one in evaluate("review", [run])["worst"] if one["case"] == "wrong, and not asked for")
    assert case["vehicle"] == "c"


def test_a_later_amendment_takes_the_doubt_away(run):
    amended = SessionAmended(
        session="b", vehicle="b", version=3, status="closed", was="closed", reason="operator", entry_at=at(100), exit_at=at(580)
    )
    write_facts(run, opened("b", 100), closed("b", 100, 580, "unverified"), amended)
    assert values(run)["review_share"] == 0.0


def test_dues_follow_the_tariff_of_the_runs_own_site(run):
    tariff = Tariff(id="public", version=1, currency="EUR", step_minutes=5, price_minor=10)
    dump_site(replace(load_site(resolve("demo_lot")), tariffs=(tariff,)), run / "site")
    write(run, "visits", VISITS, [("a", at(0), at(500), None), ("b", at(100), at(600), None)])
    # 20 due for each; 100 and 50 were billed, and 70 twice for stays of nobody.
    assert values(run, "sessions")["money_error_minor"] == (80 + 30 + 70 + 70) / 2


def test_one_who_was_inside_at_the_start_asks_for_nobody(tmp_path):
    run = tmp_path / "run"
    write(run, "visits", VISITS, [("a", None, at(500), None), ("b", at(100), at(600), None)])
    told = [("a", "a", None, at(500), "orphan", 0.0, None), ("b", "b", at(100), at(600), "closed", 1.0, None)]
    write(run, "sessions", SESSIONS, told)
    write_facts(run, SessionOrphaned(session="a", vehicle="a", portal="out", exit_at=at(500)), closed("b", 100, 600))
    report = evaluate("review", [run])
    assert (report["n"], report["metrics"]["review_share"]["value"], report["worst"]) == (1, 0.0, [])


def test_a_run_without_facts_says_what_writes_them(run):
    (run / "facts.jsonl").unlink()
    with pytest.raises(BadInput, match="only facts say which stays are in doubt"):
        evaluate("review", [run])
