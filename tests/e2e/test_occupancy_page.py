"""The Occupancy page over a simulated day, compared with what the API answers."""

import csv
import io
import re
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
N_MOMENTS = 181


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


def saved(page: Page, link: str) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("link", name=link).click()
    text = Path(download.value.path()).read_bytes().decode()
    assert text.count("\r\n") == text.count("\n")
    return list(csv.DictReader(io.StringIO(text)))


def test_one_request_gives_all_zones_at_all_moments_and_a_zone_is_chosen_without_another(sheet: Page):
    asked = []
    sheet.on("request", lambda request: asked.append(request.url.partition("/v1/")[2].partition("?")[0]))
    opened(sheet)
    found = [one for one in asked if one.startswith(f"sites/{SITE}/")]
    assert sorted(found) == [
        f"sites/{SITE}/{one}" for one in ("occupancy", "occupancy/series", "occupancy/turnover", "sessions")
    ]
    sheet.locator("#range [name=zone]").select_option(ZONES[0])
    expect(sheet.locator("#zones > [data-zone]")).to_have_count(1)
    assert len([one for one in asked if one.startswith(f"sites/{SITE}/")]) == len(found)


def test_a_zone_and_a_site_without_stalls_are_said_to_have_none(sheet: Page, ask):
    site = ask("")
    lane = next(one["id"] for one in site["zones"] if one["id"] not in {stall["zone"] for stall in site["stalls"]})
    opened(sheet, zone=lane)
    expect(sheet.locator("#zones")).to_contain_text("has no stalls, so none is taken or free in it: choose another zone")
    expect(sheet.locator("#zone-table")).to_have_count(0)
    expect(sheet.locator("#turnover dd").first).to_have_text(re.compile(r"\d+"))
    opened(sheet, zone="moon")
    expect(sheet.locator("#zones")).to_have_text("This site has no zone “moon”: choose another one above.")
    sheet.locator("#range [name=zone]").select_option(ZONES[0])
    expect(sheet.locator("#zones > [data-zone]")).to_have_count(1)
    sheet.route(f"**{ROOT}", lambda route: route.fulfill(json={**site, "stalls": []}))
    opened(sheet)
    expect(sheet.locator("#zones")).to_contain_text("This site has no stalls, so none is taken or free.")


def test_the_series_is_the_apis_at_each_of_its_moments(sheet: Page, ask):
    rows = saved(opened(sheet), "Series as CSV")
    stalls_of = {zone: {one["id"] for one in ask("")["stalls"] if one["zone"] == zone} for zone in ZONES}
    moments = sorted({row["at"] for row in rows})
    assert (moments[0][:19], moments[-1][:19], len(moments)) == (PERIOD["from"][:19], PERIOD["until"][:19], N_MOMENTS)
    for at in moments[::30]:
        told = ask("occupancy", at=at)
        for zone in ZONES:
            (row,) = [one for one in rows if one["at"] == at and one["zone"] == zone]
            states = [one["state"] for one in told["stalls"] if one["stall"] in stalls_of[zone]]
            assert int(row["n_stalls"]) == len(states) == 4
            assert int(row["n_occupied"]) == states.count("occupied")
            assert int(row["n_free"]) <= states.count("free")
            assert sum(int(row[f"n_{state}"]) for state in STATES) == 4


def test_the_line_of_a_chart_is_the_series(sheet: Page, ask):
    opened(sheet)
    series = ask("occupancy/series", **PERIOD, step_s=1)["points"]
    for zone in ZONES:
        counts = [one["n_occupied"] for point in series for one in point["zones"] if one["zone"] == zone]
        told = str(sheet.locator(f"[data-zone={zone}] svg").get_attribute("aria-label"))
        assert f"{counts[-1]} of 4 stalls taken at the end; of the moments shown, {max(counts)} at most" in told
        unknown = [one["n_unknown"] for point in series for one in point["zones"] if one["zone"] == zone]
        assert (f"Up to {max(unknown)} unknown" in told) == (max(unknown) > 0)
        assert sheet.locator(f"[data-zone={zone}] svg .not-known").count() == (max(unknown) > 0)


def test_what_was_known_before_gives_the_chart_that_was_shown_then(sheet: Page, ask):
    known_at = int(ask("facts", limit=1)["head"]) // 2
    opened(sheet, known_at=str(known_at))
    told = ask("occupancy/turnover", **PERIOD, known_at=known_at)
    assert (told["stays"]["n_entries"], told["stays"]["n_exits"]) != tuple(
        ask("occupancy/turnover", **PERIOD)["stays"][name] for name in ("n_entries", "n_exits")
    )
    expect(sheet.locator("#turnover dd").first).to_have_text(str(told["stays"]["n_entries"]))
    assert f"known_at={known_at}" in str(sheet.locator("#series-csv").get_attribute("href"))


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
    zone = opened(sheet).locator(f"[data-zone={ZONES[0]}]").first
    zone.get_by_text("As a table").click()
    assert zone.locator("tbody tr").count() == N_MOMENTS


def test_turnover_and_lengths_are_what_the_api_says(sheet: Page, ask):
    opened(sheet)
    told = ask("occupancy/turnover", **PERIOD)
    stays = told["stays"]
    figures = sheet.locator("#turnover dd")
    expect(figures.nth(0)).to_have_text(str(stays["n_entries"]))
    expect(figures.nth(1)).to_have_text(str(stays["n_exits"]))
    expect(sheet.locator("#flow figcaption")).to_contain_text(f"{stays['n_entries']} in and {stays['n_exits']} out")
    expect(sheet.locator("#lengths figcaption").first).to_contain_text(f"{stays['lengths']['n']} stays that ended. Half stayed")
    for zone in told["zones"]:
        cells = sheet.locator(f"#zone-table tr[data-zone={zone['zone']}] td").all_inner_texts()
        rate = "–" if zone["turnover_per_stall_h"] is None else f"{zone['turnover_per_stall_h']:.2f}"
        assert cells[:3] == ["4", str(zone["n_arrivals"]), rate]
    rows = saved(sheet, "Turnover as CSV")
    assert [(one["zone"], int(one["n_arrivals"]), float(one["free_s"])) for one in rows] == [
        (one["zone"], one["n_arrivals"], one["free_s"]) for one in told["zones"]
    ]
    bins = saved(sheet, "Lengths as CSV")
    assert sum(int(one["n"]) for one in bins if one["zone"] == "(stays on the site)") == stays["lengths"]["n"]
    assert {one["zone"] for one in bins} == {"(stays on the site)", *ZONES}


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
