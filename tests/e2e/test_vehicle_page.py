"""The Vehicle page over a simulated day, compared with what the API answers."""

import httpx2
import pytest
from billed_day import SITE, WRONG
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

ROOT = f"/v1/sites/{SITE}"
LOADED = "(selector) => [...document.querySelectorAll(selector)].every((one) => one.naturalWidth > 0)"


@pytest.fixture(scope="module")
def told(billed: str) -> dict:
    return httpx2.get(f"{billed}{ROOT}/vehicles/{WRONG['vehicle']}", timeout=30).raise_for_status().json()


def opened(page: Page, **query: str) -> Page:
    page.goto(f"/vehicle?{httpx2.QueryParams({'site': SITE, 'vehicle': WRONG['vehicle'], **query})}")
    return page


def shown(page: Page) -> Page:
    expect(page.locator("#vehicle")).to_have_attribute("data-vehicle", WRONG["vehicle"], timeout=30_000)
    return page


def test_its_tracklets_are_shown_in_order_with_pictures_and_lead_to_what_is_like_them(sheet: Page, told: dict):
    passages = shown(opened(sheet)).locator(".passages li")
    names = passages.evaluate_all("(all) => all.map(({ dataset }) => dataset.passage)")
    assert sorted(names) == sorted(one["tracklet"] for one in told["sightings"])
    sheet.locator(".passages").scroll_into_view_if_needed()
    sheet.wait_for_function(LOADED, arg=".passages img")
    assert sheet.locator(".passages img").count() > 3
    link = sheet.get_by_role("link", name="More like the sighting of").first
    address = httpx2.URL(str(link.get_attribute("href")))
    assert address.path == "/explore"
    assert address.params["tracklet"] in names


def test_its_way_is_drawn(sheet: Page, told: dict):
    places = [one for one in told["history"] if one["data"].get("position_m") and one["data"].get("level")]
    shown(opened(sheet))
    assert 1 < int(str(sheet.locator("#map").get_attribute("data-trail"))) <= len(places)
    assert sheet.locator("#world .way-mark").count() > 0


def test_who_was_found_to_be_the_same_is_told_and_can_be_followed(sheet: Page):
    names = shown(opened(sheet)).locator("#names li")
    expect(names).to_contain_text(f"{WRONG['merged']}: the twin found them to be one")
    names.get_by_role("link").click()
    expect(sheet.locator("#vehicle")).to_have_attribute("data-vehicle", WRONG["merged"], timeout=30_000)
    expect(sheet.locator("#names")).to_contain_text(WRONG["vehicle"])


def test_its_stay_leads_to_the_evidence(sheet: Page):
    shown(opened(sheet)).locator("#stays").get_by_role("link", name="Closed").click()
    expect(sheet.locator("#stay")).to_have_attribute("data-opened", WRONG["session"], timeout=30_000)


def test_the_timeline_has_no_later_fact_than_the_moment(sheet: Page):
    shown(opened(sheet, at="2026-01-05T03:01:00Z"))
    times = sheet.locator("#vehicle .facts time").evaluate_all("(all) => all.map(({ dateTime }) => dateTime)")
    assert times
    assert max(times) <= "2026-01-05T03:01:00Z"
    assert times == sorted(times, reverse=True)
    expect(sheet.locator("#names")).to_have_count(0)  # the names became one later


def test_without_a_vehicle_the_page_says_where_to_choose_one(sheet: Page):
    sheet.goto(f"/vehicle?site={SITE}")
    expect(sheet.locator("#told")).to_contain_text("Which vehicle?")


def test_a_vehicle_that_never_was_is_told_in_the_services_words(sheet: Page, console_faults: list[str]):
    opened(sheet, vehicle="v-nobody")
    expect(sheet.locator("#told")).to_contain_text("names a vehicle 'v-nobody'", timeout=30_000)
    console_faults[:] = [fault for fault in console_faults if "404" not in fault]
