"""Time on the map page: marks of corrections, the difference that each made, and what was known; compared with the API."""

import os
from collections import Counter
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from accessibility import faults
from billed_day import SITE, WRONG
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

OPENED = "#difference[data-correction]"
MARKED = "() => [...document.querySelectorAll('.mark')].reduce((n, one) => n + Number(one.dataset.n), 0)"


def corrections(origin: str) -> list[dict]:
    answer = httpx2.get(f"{origin}/v1/sites/{SITE}/corrections", params={"limit": 1000}, timeout=30)
    return answer.raise_for_status().json()["corrections"]


def changes(origin: str, page: Page) -> dict:
    """What the API says of the difference that is open, at the moment shown."""
    shown = page.evaluate("() => ({ ...document.querySelector('#difference').dataset })")
    before, after = shown["correction"].split("-")
    query = {"from_known_at": before, "to_known_at": after, "at": shown["at"]}
    return httpx2.get(f"{origin}/v1/sites/{SITE}/changes", params=query, timeout=30).raise_for_status().json()["state"]


def opened_map(page: Page, n_marked: int) -> Page:
    page.goto(f"/?site={SITE}")
    page.wait_for_selector("#connection[data-status=live]", timeout=60_000)
    page.wait_for_function(f"(n) => ({MARKED})() === n", arg=n_marked, timeout=60_000)
    return page


def opened_difference(page: Page, origin: str) -> dict:
    """Press marks until one is of a merge; gives that correction."""
    wanted = next(one for one in corrections(origin) if one["names"])
    query = {"site": SITE, "at": wanted["until_at"], "changed": f"{wanted['before']}-{wanted['after']}"}
    page.goto(f"/?{httpx2.QueryParams(query)}")
    page.wait_for_selector(OPENED, timeout=60_000)
    return wanted


def test_every_correction_of_the_past_is_marked_once(sheet: Page, billed: str):
    found = corrections(billed)
    assert len(found) > 10
    page = opened_map(sheet, len(found))
    marks = page.locator(".mark")
    assert 1 < marks.count() < len(found), "those that lie near to each other share a mark"
    ends = page.evaluate("() => [...document.querySelectorAll('.mark')].map((one) => one.getBoundingClientRect().x)")
    assert all(b - a >= 24 for a, b in pairwise(ends)), "none lies on another"


def test_marks_are_reached_by_keys_and_say_what_changed_by_whom_and_when_it_was_learned(sheet: Page, billed: str):
    page = opened_map(sheet, len(corrections(billed)))
    assert page.locator(".mark[tabindex='0']").count() == 1
    page.locator(".mark").first.focus()
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement === [...document.querySelectorAll('.mark')].at(-1)")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    while page.evaluate("Number(document.activeElement.dataset.n)") != 1:
        page.keyboard.press("ArrowRight")
    said = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert "by the twin" in said
    assert "learned" in said
    page.keyboard.press("Enter")
    page.wait_for_selector(OPENED)
    assert page.evaluate("document.activeElement.closest('#difference') !== null"), "the focus follows to what was opened"


def test_a_mark_of_several_lists_them_and_each_leads_to_its_difference(sheet: Page, billed: str):
    page = opened_map(sheet, len(corrections(billed)))
    several = page.locator(".mark:not([data-n='1'])").first
    n = int(several.get_attribute("data-n") or 0)
    several.click()
    rows = page.locator("#difference .rows .row")
    expect(rows).to_have_count(n)
    rows.last.click()
    page.wait_for_selector(OPENED)
    page.click(f"text=All {n} of this mark")
    expect(rows).to_have_count(n)
    page.keyboard.press("Escape")
    expect(page.locator("#difference")).to_be_hidden()


def test_the_difference_shown_is_the_one_that_the_api_tells(sheet: Page, billed: str):
    opened_difference(sheet, billed)
    told = changes(billed, sheet)
    kinds = Counter(sheet.eval_on_selector_all("[data-difference]", "(all) => all.map((one) => one.dataset.difference)"))
    assert (kinds["stall"], kinds["zone"], kinds["stay"]) == tuple(len(told[name]) for name in ("stalls", "zones", "sessions"))
    n_vehicles = sum(kinds[one] for one in ("moved", "otherwise", "added", "removed")) + 2 * kinds["renamed"]
    assert n_vehicles == len(told["vehicles"])
    assert sum(kinds.values()) > 0
    drawn = sheet.eval_on_selector_all(".overlay .changed", "(all) => all.length")
    assert drawn == n_vehicles - kinds["removed"] - kinds["renamed"]


def test_before_and_after_are_the_states_known_then(sheet: Page, billed: str):
    correction = opened_difference(sheet, billed)
    for side, position in (("before", correction["before"]), ("after", correction["after"])):
        sheet.click(f"[data-side={side}]")
        expect(sheet.locator("#map-section")).to_have_attribute("data-position", position)
        told = httpx2.get(
            f"{billed}/v1/sites/{SITE}/state", params={"at": correction["until_at"], "known_at": position}, timeout=30
        ).json()
        marks = sheet.eval_on_selector_all("#vehicle-marks [data-vehicle]", "(all) => all.map((one) => one.dataset.vehicle)")
        assert sorted(marks) == sorted(one["vehicle"] for one in told["vehicles"])
    expect(sheet.locator(".overlay .changed")).to_have_count(0)


def test_another_moment_shows_what_differs_then(sheet: Page, billed: str):
    opened_difference(sheet, billed)
    at = sheet.get_attribute("#difference", "data-at")
    sheet.focus("#time")
    sheet.keyboard.press("ArrowLeft")
    sheet.wait_for_function("(at) => document.querySelector('#difference').dataset.at !== at", arg=at)
    assert changes(billed, sheet) is not None
    assert sheet.get_attribute("#difference", "data-at") == sheet.get_attribute("#map-section", "data-at")


def test_what_was_known_is_everything_then_a_time_of_ones_own_or_before_a_correction(sheet: Page, billed: str):
    correction = corrections(billed)[3]
    sheet.goto(f"/?{httpx2.QueryParams({'site': SITE, 'at': correction['at']})}")
    sheet.wait_for_selector(".mark", timeout=60_000)
    known = sheet.locator("#known")
    expect(known).to_have_value("now")

    def asked(act, known_at: str = "known_at=") -> dict[str, list[str]]:
        with sheet.expect_response(lambda answer: "/state?" in answer.url and known_at in answer.url) as told:
            act()
        return parse_qs(urlsplit(told.value.url).query)

    assert asked(lambda: known.select_option(correction["before"]))["known_at"] == [correction["before"]]
    expect(sheet.locator("#map-section")).to_have_attribute("data-position", correction["before"])
    asked_then = asked(lambda: known.select_option("then"))
    assert asked_then["known_at"] == asked_then["at"]
    known.select_option("time")
    given = asked(lambda: sheet.fill("#known-time", "2031-02-03T04:05:06"), "known_at=2031-02-0")
    assert parse_qs(urlsplit(sheet.url).query)["known_at"] == given["known_at"]
    expect(known).to_have_value("time")


def test_a_link_to_a_correction_that_is_none_says_so(sheet: Page, billed: str):
    sheet.goto(f"/?site={SITE}&at=2026-01-05T03:02:00Z&changed=1-2")
    expect(sheet.locator("#map-notice")).to_contain_text("1-2", timeout=30_000)


def test_what_a_person_decides_is_marked_soon_and_the_slider_shows_what_was_believed(desk: Page, reviewed: str):
    n_before = len(corrections(reviewed))
    page = opened_map(desk, n_before)
    decision = {
        "id": "time-1", "decision": "split", "author": "amira", "reason": "two cars in the pictures",
        "at": "2026-01-05T03:04:40Z", "vehicle": WRONG["vehicle"], "other": WRONG["merged"],
    }  # fmt: skip
    answer = httpx2.post(f"{reviewed}/v1/sites/{SITE}/decisions", json=decision, timeout=30).raise_for_status().json()
    httpx2.get(f"{reviewed}/v1/sites/{SITE}/facts", params={"wait_for": answer["position"], "wait_s": 20}, timeout=30)
    page.wait_for_function(f"(n) => ({MARKED})() === n", arg=n_before + 1, timeout=30_000)
    mark = page.locator(".mark[data-by=person]")
    mark.click()
    rows = page.locator("#difference .rows .row")
    if rows.count():
        rows.filter(has_text="amira").click()
    page.wait_for_selector(OPENED)
    expect(page.locator("#difference")).to_contain_text("decided by amira: “two cars in the pictures”")
    stays = [one.inner_text() for one in page.locator("[data-difference=stay]").all()]
    told = changes(reviewed, page)["sessions"]
    assert len(stays) == len(told)
    if page.get_by_text("Look at the last moment").count():
        page.get_by_text("Look at the last moment").click()
    page.wait_for_selector("[data-difference=stay]")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_difference_is_accessible_and_pictured_for_the_documentation(sheet: Page, billed: str, weak_text: str, scheme: str):
    sheet.emulate_media(color_scheme=scheme)
    opened_difference(sheet, billed)
    assert faults(sheet, weak_text) == []
    sheet.evaluate("document.activeElement?.blur(); document.querySelector('#difference').scrollIntoView()")
    picture = sheet.screenshot(type="jpeg", quality=72)
    assert 20_000 < len(picture) < 200_000
    folder = os.environ.get("PAGES_SCREENSHOTS_TO")
    if folder and scheme == "dark":
        Path(folder, "difference.jpg").write_bytes(picture)
