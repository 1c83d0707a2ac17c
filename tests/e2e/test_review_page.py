"""The Review page over a simulated day in which a vehicle is taken for another one: found, split, billed right, taken back.

Tests that only look share the day with other files; those that decide have one of their own, and choose stays that nobody
has decided about.
"""

import os
from pathlib import Path

import httpx2
import pytest
from billed_day import SITE, WRONG
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

ROOT = f"/v1/sites/{SITE}"
CONCLUDED_MS = 40_000
OVER = "2026-01-05T03:05:02Z"
"""When the day is over."""
LOADED = "(selector) => [...document.querySelectorAll(selector)].every((one) => one.naturalWidth > 0)"


@pytest.fixture(scope="module")
def ask(reviewed: str):
    return asking(reviewed)


@pytest.fixture(scope="module")
def read(billed: str):
    return asking(billed)


def asking(origin: str):
    def asked(path: str, **query) -> dict:
        return httpx2.get(f"{origin}{ROOT}/{path}", params=query, timeout=30).raise_for_status().json()

    return asked


def opened(page: Page, **query: str) -> Page:
    page.goto(f"/review?{httpx2.QueryParams({'site': SITE, **query})}")
    expect(page.locator("#told")).to_contain_text("for a person", timeout=30_000)
    if "session" in query:
        looked_at(page, query["session"])
    return page


def looked_at(page: Page, session: str) -> None:
    expect(page.locator("#case")).to_have_attribute("data-session", session, timeout=30_000)


def queued(page: Page) -> list[str]:
    return page.locator("#cases [data-case]").evaluate_all("(all) => all.map(({ dataset }) => dataset['case'])")


def decide(page: Page, name: str, *, form: str | None = None) -> None:
    """Press the button of a decision, as its author, and wait for what comes of it."""
    page.get_by_label("Decided by").fill("Kim")
    within = page.locator(form) if form else page.locator("#case")
    within.get_by_role("button", name=name, exact=True).click()
    concluded(page)


def concluded(page: Page) -> None:
    expect(page.locator("#outcome h2")).to_have_text("It was carried out", timeout=CONCLUDED_MS)


def take_back(page: Page) -> None:
    """Press Take back, and wait for that."""
    before = page.locator("#outcome").get_attribute("data-decision")
    page.locator("#undo").click()
    expect(page.locator("#outcome")).not_to_have_attribute("data-decision", str(before), timeout=CONCLUDED_MS)
    concluded(page)


def test_the_queue_is_the_apis_with_causes_in_words(sheet: Page, read):
    told = read("review")
    assert queued(opened(sheet)) == [one["session"]["session"] for one in told["cases"] if not one["is_decided"]]
    expect(sheet.locator("#told")).to_contain_text(f"{told['n_waiting']} stays wait for a person")
    expect(sheet.locator(f"[data-case='{WRONG['session']}']")).to_contain_text("not sure that both ends are of one vehicle")


def test_a_cause_leaves_the_others_out(sheet: Page, read):
    opened(sheet).get_by_label("Cause").select_option("no_entry")
    wanted = [one["session"]["session"] for one in read("review")["cases"] if "no_entry" in one["causes"]]
    assert wanted
    assert queued(sheet) == wanted


def test_a_case_shows_both_ends_beside_each_other_with_pictures_and_the_time_between(sheet: Page, read):
    opened(sheet).locator(f"[data-case='{WRONG['session']}'] a").click()
    looked_at(sheet, WRONG["session"])
    entry, exit = (sheet.locator(f"#case .ends > [data-end={end}]") for end in ("entry", "exit"))
    expect(entry).to_contain_text(WRONG["vehicle"])
    expect(exit).to_contain_text(WRONG["merged"])
    left, right = entry.bounding_box(), exit.bounding_box()
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    expect(sheet.locator("#case .between").first).to_have_text("3 min from Entry to Exit, under two names.")
    sheet.wait_for_function(LOADED, arg="#case img")
    assert entry.locator("img").count() > 0
    assert exit.locator("img").count() > 0


def test_an_orphan_names_the_stays_that_it_may_end(sheet: Page, read):
    orphan = next(one for one in read("review")["cases"] if one["candidates"])
    opened(sheet, session=orphan["session"]["session"])
    names = sheet.locator("#case [data-candidate]").evaluate_all("(all) => all.map(({ dataset }) => dataset.candidate)")
    assert names == [one["vehicle"] for one in orphan["candidates"]]
    assert sheet.get_by_role("button", name=f"Merge with {names[0]}").count() == 1


def test_nobody_decides_without_a_name(sheet: Page, read):
    opened(sheet, session=WRONG["session"]).get_by_role("button", name="Waive").click()
    expect(sheet.locator("#told")).to_have_text("Say who decides: write your name first.")
    expect(sheet.get_by_label("Decided by")).to_be_focused()
    assert read(f"sessions/{WRONG['session']}")["session"]["is_waived"] is False


def test_a_wrong_identity_is_split_by_one_click_and_the_bill_is_corrected_by_compensation(desk: Page, ask):
    before = ask("ledger", session=WRONG["session"])["lines"]
    known_before = ask("review")["position"]
    assert sum(one["amount_minor"] for one in before) == 200
    opened(desk, session=WRONG["session"])
    decide(desk, f"Split off {WRONG['merged']}")

    # The bill: what was charged is taken back by a line of its own; no line is gone.
    after = ask("ledger", session=WRONG["session"])["lines"]
    assert after[: len(before)] == before
    assert [(one["kind"], one["amount_minor"]) for one in after[len(before) :]] == [("reversal", -200)]
    row = desk.locator(f"#outcome [data-bill='{WRONG['session']}']")
    assert [digits(row.locator(f"[data-name='{name}']").inner_text()) for name in ("Before", "After", "Balance now")] == [
        200,
        0,
        0,
    ]
    expect(row.locator("[data-line=reversal]")).to_contain_text("Reversal of version")

    # Both vehicles have their own again: one is inside, the other's exit has no entry.
    told = {one["vehicle"]: one for one in ask("sessions")["sessions"] if one["status"] != "void"}
    assert told[WRONG["vehicle"]]["status"] == "open"
    assert told[WRONG["merged"]]["status"] == "orphan"
    assert told[WRONG["merged"]]["session"] in queued(desk)
    assert WRONG["session"] not in queued(desk)

    # The log has who said so, and why.
    splits = [one for one in ask(f"vehicles/{WRONG['vehicle']}")["history"] if one["type"] == "identities.split.v1"]
    assert [(one["data"]["vehicle"], one["data"]["split"]) for one in splits] == [(WRONG["vehicle"], WRONG["merged"])]
    expect(desk.locator("#outcome")).to_contain_text(f"split by Kim: Looked at: {WRONG['merged']} is another vehicle")

    assert desk.get_by_role("link", name="What was believed of").count() == 1  # the orphan was no stay before
    desk.evaluate("scrollTo(0, 0)")
    desk.wait_for_function(LOADED, arg="#case [data-end] img")
    picture = desk.screenshot(type="jpeg", quality=70)
    assert len(picture) > 20_000
    if folder := os.environ.get("PAGES_SCREENSHOTS_TO"):
        Path(folder, "decided.jpg").write_bytes(picture)

    # What was believed before is still there to be looked at: the stay and its bill, and the map.
    past = desk.context.new_page()
    past.goto(str(desk.get_by_role("link", name=f"What was believed of {WRONG['session']} before").get_attribute("href")))
    expect(past.locator("#stay")).to_have_attribute("data-opened", WRONG["session"], timeout=30_000)
    expect(past.locator("#stay .chip").first).to_have_text("Closed")
    expect(past.locator("#moment [role=status]")).to_have_text(f"Everything, as known at position {known_before}.")
    assert digits(past.inner_text("#stay .bill tfoot td")) == 200
    past.get_by_role("button", name="Now").click()
    expect(past.locator("#stay .chip").first).to_have_text("Open")
    expect(past.locator("#stay .bill [data-line]").last).to_contain_text("Reversal")
    assert digits(past.locator("#stay .bill tfoot td").first.inner_text()) == 0
    past.goto(str(desk.get_by_role("link", name="The map as believed before").get_attribute("href")))
    expect(past.locator("#map-section")).to_have_attribute("data-position", known_before, timeout=30_000)
    at = str(past.locator("#map-section").get_attribute("data-at"))
    believed, known = (ask("state", at=at, **query)["counters"] for query in ({"known_at": known_before}, {}))
    assert (believed["orphans"], believed["sessions_open"]) == (known["orphans"] - 1, known["sessions_open"] - 1)
    expect(past.locator("[data-counter=orphans]")).to_have_text(str(believed["orphans"]))
    past.close()

    # Its opposite brings all of it back, and is taken back in turn.
    take_back(desk)
    stay = ask(f"sessions/{WRONG['session']}")["session"]
    assert (stay["status"], stay["amount_minor"]) == ("closed", 200)
    assert sum(one["amount_minor"] for one in ask("ledger", session=WRONG["session"])["lines"]) == 200
    take_back(desk)
    assert ask(f"sessions/{WRONG['session']}")["session"]["status"] == "open"


def test_a_stay_is_reopened_and_closed_again_as_it_was(desk: Page, ask):
    cases = [one for one in ask("review")["cases"] if one["session"]["status"] == "closed" and not one["is_decided"]]
    case = next((one for one in cases if not one["names"]), cases[-1])
    session, exit_at = case["session"]["session"], case["session"]["exit_at"]
    opened(desk, session=session)
    decide(desk, "Reopen")
    assert ask(f"sessions/{session}")["session"]["status"] == "open"
    take_back(desk)
    after = ask(f"sessions/{session}")["session"]
    assert (after["status"], after["exit_at"], after["amount_minor"]) == ("closed", exit_at, case["session"]["amount_minor"])
    (decided,) = [one for one in ask("review")["cases"] if one["session"]["session"] == session]
    assert decided["is_decided"]
    assert session not in queued(desk)  # a person has decided


def test_a_plate_is_set_and_shown_to_who_asks_for_it(desk: Page, ask):
    case = next(one for one in ask("review")["cases"] if one["session"]["status"] == "closed" and not one["is_decided"])
    session = case["session"]["session"]
    opened(desk, session=session)
    desk.get_by_label("Number plate").fill("M-AB 123")
    decide(desk, "Set plate")
    expect(desk.locator("#outcome")).to_contain_text("This has no opposite")
    desk.goto(f"/sessions?{httpx2.QueryParams({'site': SITE, 'session': session})}")
    expect(desk.locator("#stay")).not_to_contain_text("M-AB 123", timeout=30_000)
    desk.get_by_role("button", name="Show the plate").click()
    expect(desk.locator("#plate")).to_have_text("M-AB 123, set by Kim")
    assert ask("review")["cases"][0]["session"]["session"]  # a plate decides about nothing
    assert session in [one["session"]["session"] for one in ask("review")["cases"] if not one["is_decided"]]


def test_a_waived_stay_costs_nothing_with_the_reason_that_was_written(desk: Page, ask):
    case = next(one for one in ask("review")["cases"] if one["session"]["amount_minor"] and not one["is_decided"])
    session = case["session"]["session"]
    opened(desk, session=session)
    desk.locator("form[data-decision=waive]").get_by_label("Reason").fill("Ambulance")
    decide(desk, "Waive")
    expect(desk.locator("#outcome")).to_contain_text("waive by Kim: Ambulance")
    assert sum(one["amount_minor"] for one in ask("ledger", session=session)["lines"]) == 0
    desk.locator("#filters [name=decided]").select_option("yes")
    assert session in queued(desk)


def test_a_decision_that_cannot_be_carried_out_is_told_with_its_reason(desk: Page, ask):
    case = next(one for one in ask("review")["cases"] if one["session"]["status"] == "closed")
    opened(desk, session=case["session"]["session"])
    form = desk.locator("form[data-decision=merge]")
    form.get_by_label("Is also vehicle").fill("v-nobody")
    desk.get_by_label("Decided by").fill("Kim")
    form.get_by_role("button", name="Merge", exact=True).click()
    expect(desk.locator("#outcome h2")).to_have_text("It was refused", timeout=CONCLUDED_MS)
    expect(desk.locator("#outcome .problem")).to_have_text("Nothing was changed: there is no such vehicle any more.")


def test_what_is_not_folded_yet_is_waited_for(desk: Page, ask, console_faults: list[str]):
    waits = []

    def not_yet(route):
        waits.append(route.request.url)
        problem = {"type": "urn:twin:problem:not-yet", "title": "Conflict", "status": 409, "detail": "it was not folded"}
        route.fulfill(status=409, content_type="application/problem+json", json=problem)

    case = next(one for one in ask("review")["cases"] if one["session"]["status"] == "closed" and not one["is_decided"])
    opened(desk, session=case["session"]["session"])
    desk.route("**/facts?*wait_for=*", not_yet)
    form = desk.locator("form[data-decision=merge]")
    form.get_by_label("Is also vehicle").fill("v-no-one")
    desk.get_by_label("Decided by").fill("Kim")
    form.get_by_role("button", name="Merge", exact=True).click()
    expect(desk.locator("#outcome h2")).to_have_text("It is stored; nothing was concluded of it yet", timeout=CONCLUDED_MS)
    assert len(waits) == 3
    assert len(set(waits)) == 1
    assert "wait_s=9" in waits[0]
    console_faults[:] = [fault for fault in console_faults if "409" not in fault]


def test_an_open_stay_without_a_doubt_is_closed_at_the_time_that_was_written(desk: Page, ask):
    stays = ask("sessions")["sessions"]
    session = next(one["session"] for one in reversed(stays) if one["status"] == "open" and not one["flags"])
    opened(desk, session=session)
    expect(desk.locator("#case")).to_contain_text("Nothing about it is in doubt.")
    field = desk.get_by_label("It left at")
    field.fill("2026-01-05T03:10:00")
    left_at = desk.evaluate("(text) => new Date(text).toISOString()", "2026-01-05T03:10:00")
    decide(desk, "Close")
    closed = ask(f"sessions/{session}")["session"]
    assert (closed["status"], closed["exit_at"][:19]) == ("closed", left_at[:19])
    assert closed["amount_minor"] > 0
    take_back(desk)
    assert ask(f"sessions/{session}")["session"]["status"] == "open"


def test_the_author_is_remembered(sheet: Page):
    opened(sheet).get_by_label("Decided by").fill("Sam")
    sheet.get_by_label("Decided by").press("Tab")
    sheet.reload()
    expect(sheet.get_by_label("Decided by")).to_have_value("Sam")


def test_the_past_can_be_looked_at_and_not_decided_about(sheet: Page):
    opened(sheet, session=WRONG["session"], at=OVER)
    expect(sheet.locator("#case")).to_contain_text("This is the past. Go back to now to decide.")
    assert sheet.locator("#case form").count() == 0


def digits(text: str) -> int:
    """Minor units of a text such as "EUR 2.00"."""
    return int("".join(one for one in text if one.isdigit()))
