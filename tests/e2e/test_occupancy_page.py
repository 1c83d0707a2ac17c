"""The Occupancy page over a simulated day, compared with what the API answers."""

import csv
import io
from pathlib import Path

import httpx2
import pytest
from billed_day import SITE
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

ROOT = f"/v1/sites/{SITE}"
PERIOD = {"from": "2026-01-05T03:01:00.000Z", "until": "2026-01-05T03:04:00.000Z"}
STATES = ("occupied", "free", "unknown")
ZONES = ("level-0-row-0a", "level-0-row-0b")


@pytest.fixture(scope="module")
def ask(billed: str):
    def asked(path: str, **query) -> dict:
        return httpx2.get(f"{billed}{ROOT}/{path}".rstrip("/"), params=query, timeout=30).raise_for_status().json()

    return asked


def opened(page: Page, **query: str) -> Page:
    page.goto(f"/occupancy?{httpx2.QueryParams({'site': SITE, **PERIOD, **query})}")
    expect(page.locator("main")).to_have_attribute("data-shown", "true", timeout=60_000)
    expect(page.locator("#told")).to_contain_text("moments;")
    return page


def saved(page: Page, button: str) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    text = Path(download.value.path()).read_bytes().decode()
    assert text.count("\r\n") == text.count("\n")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_series_is_the_apis_at_each_of_its_moments(sheet: Page, ask):
    rows = saved(opened(sheet), "Series as CSV")
    stalls_of = {zone: {one["id"] for one in ask("")["stalls"] if one["zone"] == zone} for zone in ZONES}
    moments = sorted({row["at"] for row in rows})
    assert (moments[0], moments[-1], len(moments)) == (PERIOD["from"], PERIOD["until"], 48)
    assert len(rows) == 48 * len(ZONES)
    for at in moments[::12]:
        told = ask("occupancy", at=at)
        for zone in ZONES:
            (row,) = [one for one in rows if one["at"] == at and one["zone"] == zone]
            states = [one["state"] for one in told["stalls"] if one["stall"] in stalls_of[zone]]
            assert len(states) == 4
            assert {state: int(row[f"n_{state}"]) for state in STATES} == {state: states.count(state) for state in STATES}


def test_each_zone_has_a_chart_that_says_what_is_in_it(sheet: Page):
    opened(sheet)
    for zone in ZONES:
        chart = sheet.locator(f"[data-zone={zone}] svg")
        expect(chart).to_have_attribute("role", "img")
        assert "of 4 stalls taken at the end" in str(chart.get_attribute("aria-label"))
        assert str(chart.locator(".line").get_attribute("d")).startswith("M")
    sheet.locator("#range [name=zone]").select_option(ZONES[0])
    expect(sheet.locator("#zones > [data-zone]")).to_have_count(1, timeout=60_000)


def test_the_numbers_of_a_chart_can_be_read_without_seeing_it(sheet: Page):
    zone = opened(sheet).locator(f"[data-zone={ZONES[0]}]")
    zone.get_by_text("As a table").click()
    assert zone.locator("tbody tr").count() == 48


def test_turnover_and_lengths_are_those_of_the_stays(sheet: Page, ask):
    opened(sheet)
    stays = [one for one in ask("sessions")["sessions"] if one["status"] != "void"]
    ended = [one for one in stays if one["status"] == "closed" and PERIOD["from"] <= one["exit_at"] <= PERIOD["until"]]
    expect(sheet.locator("#turnover dd").first).to_have_text(str(len(ended)))
    entries = sum(bool(one["entry_at"]) and PERIOD["from"] <= one["entry_at"] <= PERIOD["until"] for one in stays)
    exits = sum(bool(one["exit_at"]) and PERIOD["from"] <= one["exit_at"] <= PERIOD["until"] for one in stays)
    expect(sheet.locator("#flow figcaption")).to_contain_text(f"{entries} in and {exits} out")


def test_the_stays_as_csv_are_those_that_touch_the_period(sheet: Page, ask):
    rows = saved(opened(sheet), "Stays as CSV")
    wanted = [
        one
        for one in ask("sessions")["sessions"]
        if one["status"] != "void"
        and (one["entry_at"] is None or one["entry_at"] <= PERIOD["until"])
        and (one["exit_at"] is None or one["exit_at"] >= PERIOD["from"])
    ]
    assert sorted(row["session"] for row in rows) == sorted(one["session"] for one in wanted)
    by_name = {one["session"]: one for one in wanted}
    for row in rows:
        amount = by_name[row["session"]]["amount_minor"]
        assert row["amount_minor"] == ("" if amount is None else str(amount))


def test_without_a_period_the_day_of_the_last_stay_is_shown(sheet: Page):
    sheet.goto(f"/occupancy?site={SITE}")
    expect(sheet.locator("main")).to_have_attribute("data-shown", "true", timeout=60_000)
    assert sheet.locator("#flow .bar-of").count() > 4


def test_a_period_that_ends_before_it_begins_is_refused(sheet: Page):
    opened(sheet)
    sheet.get_by_label("Until").fill("2020-01-01T00:00:00")
    sheet.get_by_label("Until").press("Tab")
    expect(sheet.locator("#told")).to_have_text("“Until” must be after “From”.")


def test_a_cell_that_a_spreadsheet_would_run_is_text(bare_sheet: Page):
    text = bare_sheet.evaluate("""async () => {
        const { csvOf } = await import('/static/occupancy/figures.js');
        return csvOf(['a', 'b'], [['=1+1', -2], ['x,"y"', null]]);
    }""")
    assert text == 'a,b\r\n\'=1+1,-2\r\n"x,""y""",\r\n'


@pytest.fixture
def bare_sheet(sheet: Page) -> Page:
    sheet.goto("/static/favicon.svg")
    return sheet
