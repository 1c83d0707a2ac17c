"""The pages under ``/-/`` in a real browser, beside what their JSON says."""

import httpx2
import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e


def test_each_page_shows_what_its_json_says_and_leads_to_the_others(page: Page, service: str):
    page.goto("/-/")
    for part in ("Cameras", "Consumers", "Log", "Versions", "Settings"):
        page.get_by_role("navigation", name="Parts").get_by_role("link", name=part).click()
        page.wait_for_url(f"**/-/{part.lower()}")
        expect(page.locator("#told table").first).to_be_visible()
        expect(page.locator(".parts [aria-current=page]")).to_have_text(part)
    page.goto("/-/cameras")
    told = httpx2.get(f"{service}/-/cameras.json").json()["cameras"]
    shown = page.locator("#told tbody tr td:nth-child(2)")
    expect(shown).to_have_text([one["camera"] for one in told])


def test_a_page_says_when_the_service_refuses_and_goes_on_when_it_does_not(page: Page, console_faults: list[str]):
    refuse = True

    def answer(route):
        if refuse:
            route.fulfill(status=503, json={"detail": "the log does not answer"})
        else:
            route.continue_()

    page.route("**/-/log.json", answer)
    page.goto("/-/log")
    expect(page.get_by_role("alert")).to_have_text("the log does not answer")
    refuse = False
    expect(page.locator("#told table").first).to_be_visible(timeout=15_000)
    console_faults[:] = [fault for fault in console_faults if "503" not in fault]


def test_a_phone_shows_it_within_its_width_and_text_is_readable(phone: Page, weak_text: str):
    phone.goto("/-/cameras")
    expect(phone.locator("#told table").first).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert phone.evaluate(weak_text) == []
