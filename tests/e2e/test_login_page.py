"""A browser where keys are asked for: led to the login, let in, and out again."""

import os
import re
import time

import pytest
from playwright.sync_api import Browser, expect

from twin.access.keys import KeyRecord, new_key
from twin.access.store import AccessStore
from twin.log.clock import system_clock

pytestmark = pytest.mark.e2e


def test_a_person_logs_in_by_keyboard_watches_and_is_out_when_the_key_is_revoked(browser: Browser, keyed, weak_text):
    origin, folder = keyed
    store, made = AccessStore.open(folder / "access.db"), new_key(os.urandom)
    store.add_key(
        KeyRecord(id=made.id, name="Ann", sites=("demo_lot",), scopes=("read",), digest=made.digest, made_at=system_clock())
    )
    context = browser.new_context(base_url=origin, color_scheme="dark")
    page = context.new_page()
    page.goto("/explore?site=demo_lot")
    expect(page).to_have_url(f"{origin}/login?next=%2Fexplore%3Fsite%3Ddemo_lot")
    expect(page.get_by_label("API key")).to_be_focused()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(weak_text) == []
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(
        "this key is not valid: mistyped, revoked or expired; ask whoever gave it to you"
    )
    assert page.evaluate(weak_text) == []
    page.keyboard.type(made.text)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{origin}/explore?site=demo_lot")
    assert page.evaluate("document.cookie") == ""

    page.goto("/")
    page.wait_for_selector("#connection[data-status=live]")
    expect(page.get_by_role("button", name="Log out")).to_have_attribute("title", "Logged in as Ann")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{origin}/login?next=%2F%3Fsite%3Ddemo_lot")
    page.get_by_label("API key").fill(made.text)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("#connection[data-status=live]")
    store.revoke(made.id, system_clock())
    expect(page).to_have_url(re.compile(re.escape(f"{origin}/login?")), timeout=15_000)
    context.close()
    store.close()


def test_the_description_is_open_to_who_has_not_logged_in_and_the_console_says_nothing(browser: Browser, keyed):
    origin, _ = keyed
    context = browser.new_context(base_url=origin)
    page, faults = context.new_page(), []
    page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    with page.expect_response("**/v1/session") as asked:
        page.goto("/docs")
    assert asked.value.json()["key"] == ""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("#log-out")).to_be_hidden()
    page.wait_for_load_state("networkidle")
    assert faults == []
    context.close()


def test_who_has_logged_in_is_whose_name_stands_in_what_is_saved(browser: Browser, keyed):
    origin, folder = keyed
    store, made = AccessStore.open(folder / "access.db"), new_key(os.urandom)
    scopes = ("read", "operate", "admin")
    store.add_key(
        KeyRecord(id=made.id, name="Ann", sites=("demo_lot",), scopes=scopes, digest=made.digest, made_at=system_clock())
    )
    context = browser.new_context(base_url=origin)
    page = context.new_page()
    assert page.request.post("/v1/session", data={"key": made.text}).ok
    page.add_init_script("localStorage.setItem('operator', 'who was here before')")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/v1/session") else None)
    for path in ("/review", "/calibrate", "/edit"):
        asked.clear()
        page.goto(f"{path}?site=demo_lot")
        expect(page.locator("[name=author]")).to_have_value("Ann")
        assert len(asked) == 1
    held = []

    def hold(route):  # a method of a list cannot be a handler
        held.append(route)

    page.route("**/v1/session", hold)
    page.goto("/edit?site=demo_lot")
    page.get_by_label("Your name").fill("Bo")
    page.wait_for_function("document.querySelectorAll('#level option').length > 0")
    for route in held:
        route.continue_()
    page.unroute("**/v1/session")
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    expect(page.get_by_label("Your name")).to_have_value("Bo")

    page.goto("/calibrate?site=demo_lot")
    page.wait_for_selector("#picture-told:not(:empty)")
    store.revoke(made.id, system_clock())
    until_s = time.monotonic() + 15
    while page.request.get("/v1/session").json()["key"]:  # the service hears of it within a second
        assert time.monotonic() < until_s
        page.wait_for_timeout(200)
    page.get_by_role("button", name="Latest picture").click()
    expect(page).to_have_url(re.compile(re.escape(f"{origin}/login?")), timeout=15_000)
    context.close()
    store.close()
