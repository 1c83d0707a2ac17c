"""The Sessions page over a simulated day, compared with what the API answers."""

import httpx2
import pytest
from billed_day import SITE, WRONG
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

ROOT = f"/v1/sites/{SITE}"
AT = "2026-01-05T03:02:00Z"
LOADED = "(selector) => [...document.querySelectorAll(selector)].every((one) => one.naturalWidth > 0)"


@pytest.fixture(scope="module")
def ask(billed: str):
    def asked(path: str, **query) -> dict:
        return httpx2.get(f"{billed}{ROOT}/{path}", params=query, timeout=30).raise_for_status().json()

    return asked


def opened(page: Page, **query: str) -> Page:
    page.goto(f"/sessions?{httpx2.QueryParams({'site': SITE, **query})}")
    expect(page.locator("#told")).not_to_have_text("Asking…", timeout=30_000)
    if "session" in query:
        expect(page.locator("#stay")).to_have_attribute("data-opened", query["session"], timeout=30_000)
    return page


def listed(page: Page) -> list[str]:
    return page.locator("#list tbody tr").evaluate_all("(rows) => rows.map(({ dataset }) => dataset.session)")


def standing(stays: list[dict]) -> list[str]:
    """Names of those that stand, the newest first."""
    stand = [one for one in stays if one["status"] != "void"]
    return [one["session"] for one in sorted(stand, key=lambda one: one["entry_at"] or one["exit_at"], reverse=True)]


def test_stays_are_listed_the_newest_first_as_the_api_has_them(sheet: Page, ask):
    assert listed(opened(sheet)) == standing(ask("sessions")["sessions"])


@pytest.mark.parametrize(
    ("status", "fits"),
    [
        ("open", lambda one: one["status"] == "open"),
        ("orphan", lambda one: one["status"] == "orphan"),
        ("doubt", lambda one: one["status"] != "void" and (one["flags"] or one["status"] == "orphan")),
        ("void", lambda one: one["status"] == "void"),
    ],
)
def test_a_status_leaves_the_others_out(sheet: Page, ask, status: str, fits):
    opened(sheet).get_by_label("Status").select_option(status)
    wanted = [one["session"] for one in ask("sessions")["sessions"] if fits(one)]
    assert wanted
    assert sorted(listed(sheet)) == sorted(wanted)
    sheet.get_by_role("button", name="Clear").click()
    expect(sheet.locator("#list tbody tr")).to_have_count(len(standing(ask("sessions")["sessions"])))


def test_a_part_of_a_vehicles_name_finds_its_stays_and_the_address_says_so(sheet: Page, ask):
    opened(sheet).get_by_label("Vehicle").fill(WRONG["vehicle"][2:8].upper())
    expect(sheet.locator("#list tbody tr")).to_have_count(1)
    assert listed(sheet) == [WRONG["session"]]
    sheet.reload()
    expect(sheet.locator("#list tbody tr")).to_have_count(1)


def test_a_time_leaves_out_who_was_not_inside_then(sheet: Page, ask):
    opened(sheet, **{"from": AT, "until": AT})
    inside = [
        one["session"]
        for one in ask("sessions")["sessions"]
        if one["status"] != "void"
        and (one["entry_at"] or one["exit_at"]) <= AT
        and (one["exit_at"] is None or one["exit_at"] >= AT)
    ]
    assert inside
    assert sorted(listed(sheet)) == sorted(inside)


def test_no_stay_is_said_in_words(sheet: Page):
    opened(sheet).get_by_label("Vehicle").fill("nobody")
    expect(sheet.locator("#told")).to_have_text("No stay fits these conditions.")


def test_an_opened_stay_shows_both_ends_with_pictures(sheet: Page, ask):
    opened(sheet, session=WRONG["session"])
    told = ask(f"sessions/{WRONG['session']}")
    for end in ("entry", "exit"):
        card = sheet.locator(f"[data-end={end}]")
        expect(card).to_contain_text(told[end]["vehicle"])
        assert card.locator(".sight").count() == len(told[end]["tracklets"])
    sheet.locator("#stay details summary").click()
    sheet.wait_for_function(LOADED, arg="#stay img")
    assert sheet.locator("#stay img").count() > 4
    assert sheet.locator("#stay img").evaluate_all("(all) => all.every(({ alt }) => alt.startsWith('Picture by'))")
    expect(sheet.locator("#stay .names")).to_contain_text("the twin found out")


def test_the_bill_has_every_line_of_the_ledger_and_its_sum(sheet: Page, ask):
    opened(sheet, session=WRONG["session"])
    lines = ask("ledger", session=WRONG["session"])["lines"]
    rows = sheet.locator("#stay .bill tbody tr")
    assert rows.evaluate_all("(all) => all.map(({ dataset }) => dataset.line)") == [one["kind"] for one in lines]
    shown = rows.locator("td").all_inner_texts()
    assert [money(one) for one in shown] == [one["amount_minor"] for one in lines]
    assert money(sheet.inner_text("#stay .bill tfoot td")) == sum(one["amount_minor"] for one in lines) == 200


def test_what_an_open_stay_costs_if_it_ended_now_is_told(sheet: Page, ask):
    inside = next(one for one in ask("sessions")["sessions"] if one["status"] == "open" and one["tariff"])
    opened(sheet, session=inside["session"], at=AT.replace(":02:", ":05:"))
    due = ask(f"sessions/{inside['session']}/due", at=AT.replace(":02:", ":05:"))
    expect(sheet.locator("#stay .bill tfoot")).to_contain_text("Due if it ended then")
    assert money(sheet.locator("#stay .bill tfoot td").last.inner_text()) == due["due_minor"]


def test_each_version_leads_to_what_was_believed_then(sheet: Page, ask):
    opened(sheet, session=WRONG["session"])
    versions = ask(f"sessions/{WRONG['session']}")["versions"]
    assert sheet.locator("#stay .versions li").count() == len(versions)
    sheet.get_by_role("link", name="As believed at version 1").click()
    expect(sheet.locator("#stay .chip").first).to_have_text("Open")
    expect(sheet.locator("#moment [role=status]")).to_have_text(f"Everything, as known at position {versions[0]['position']}.")
    assert listed(sheet) == standing(ask("sessions", known_at=versions[0]["position"])["sessions"])
    sheet.get_by_role("button", name="Now").click()
    expect(sheet.locator("#stay .chip").first).to_have_text("Closed")


def test_the_moment_is_chosen_in_fields_and_asked_of_the_api(sheet: Page, ask):
    opened(sheet)
    local = sheet.evaluate(
        "(at) => { const d = new Date(at); return new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, 19); }", AT
    )
    sheet.get_by_label("At", exact=True).fill(local)
    expect(sheet.locator("#list tbody tr")).to_have_count(len(standing(ask("sessions", at=AT)["sessions"])))
    assert listed(sheet) == standing(ask("sessions", at=AT)["sessions"])
    assert "at=2026-01-05T03:02:00.000Z" in sheet.url


def test_a_stay_is_opened_by_keyboard_and_left_by_the_back_button(sheet: Page):
    opened(sheet)
    sheet.locator("#list tbody a").nth(2).focus()
    sheet.keyboard.press("Enter")
    expect(sheet.locator("#stay-title")).to_be_focused(timeout=30_000)
    sheet.go_back()
    expect(sheet.locator("#stay")).to_be_hidden()


def test_a_time_that_is_none_is_answered_in_the_services_words(sheet: Page, console_faults: list[str]):
    opened(sheet, at="noon")
    expect(sheet.locator("#told")).to_contain_text("at='noon' cannot be read")
    console_faults[:] = [fault for fault in console_faults if "422" not in fault]


def money(text: str) -> int:
    """Minor units of a text such as "EUR 2.00" or "-€2.00"."""
    digits = "".join(one for one in text if one.isdigit())
    return -int(digits) if "-" in text or "−" in text else int(digits)
