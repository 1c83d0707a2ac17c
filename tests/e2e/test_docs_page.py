"""The page that describes the interface, in a real browser.

``DOCS_SCREENSHOT_TO`` is where the picture of the documentation goes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.e2e

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


@contextmanager
def opened(browser: Browser, origin: str, *, is_refused: bool = False, **shape) -> Iterator[Page]:
    """The page, read; it must end without complaints, but for those of the browser about a request that is refused."""
    faults: list[str] = []
    context = browser.new_context(base_url=origin, **shape)
    try:
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(f"uncaught: {error}"))
        page.goto("/docs")
        expect(page.locator("#interface")).not_to_have_attribute("aria-busy", "true")
        yield page
    finally:
        context.close()
    assert [one for one in faults if not (is_refused and "422" in one)] == []


@pytest.fixture
def docs(browser: Browser, service: str) -> Iterator[Page]:
    with opened(browser, service, viewport={"width": 1280, "height": 900}, color_scheme="dark") as page:
        yield page


def operation(page: Page, name: str):
    return page.locator(f"[data-operation={name}]")


def test_every_operation_and_every_channel_is_listed(docs: Page, service: str):
    api = httpx2.get(f"{service}/openapi.json").json()
    named = {one["operationId"] for by_method in api["paths"].values() for one in by_method.values()}
    listed = docs.locator(".operation").evaluate_all("(all) => all.map((one) => one.dataset.operation)")
    assert (set(listed), len(listed)) == (named, len(named))
    events = httpx2.get(f"{service}/asyncapi.json").json()
    channels = docs.locator(".channel").evaluate_all("(all) => all.map((one) => one.dataset.channel)")
    assert set(channels) == set(events["channels"])


def test_a_read_is_tried_and_its_answer_shown(docs: Page):
    one = operation(docs, "read_occupancy")
    one.locator("summary").first.click()
    one.get_by_role("button", name="Try").click()
    expect(one.locator(".answer pre")).to_contain_text("200 OK")
    expect(one.locator(".answer pre")).to_contain_text('"site": "demo_lot"')


def test_what_the_service_refuses_is_shown_in_its_words(browser: Browser, service: str):
    with opened(browser, service, is_refused=True) as page:
        one = operation(page, "read_state")
        one.locator("summary").first.click()
        one.get_by_label("known_at").fill("yesterday")
        one.get_by_role("button", name="Try").click()
        expect(one.locator(".answer pre")).to_contain_text("known_at='yesterday' cannot be read")


def test_the_command_follows_the_fields_and_asks_what_try_asks(docs: Page, service: str):
    one = operation(docs, "read_facts")
    one.locator("summary").first.click()
    one.get_by_label("limit").fill("2")
    command = one.locator(".copyable pre").first.inner_text()
    assert command == f"curl '{service}/v1/sites/demo_lot/facts?limit=2'"


def test_schemas_open_to_what_they_hold(docs: Page):
    one = operation(docs, "read_state")
    one.locator("summary").first.click()
    one.locator("dt", has_text="vehicles").locator("+ dd details > summary").first.click()
    expect(one.locator("dd details[open] .schema").first).to_contain_text("covariance_m2")


def test_an_operation_says_which_scope_it_takes(docs: Page):
    for name, scope in (("read_state", "read"), ("post_decision", "operate")):
        one = operation(docs, name)
        one.locator("summary").first.click()
        expect(one.locator(".body > .note").first).to_have_text(f"Scope {scope}")


def test_the_keyboard_reaches_and_opens_an_operation(docs: Page):
    docs.locator("#find").focus()
    docs.keyboard.type("read_occupancy")
    expect(docs.locator("#n-found")).to_have_text("1 found")
    for _ in range(40):
        docs.keyboard.press("Tab")
        if docs.evaluate("document.activeElement.parentElement?.dataset.operation") == "read_occupancy":
            break
    docs.keyboard.press("Enter")
    expect(operation(docs, "read_occupancy").get_by_role("button", name="Try")).to_be_visible()


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("shape", [{"viewport": {"width": 1280, "height": 900}}, PHONE], ids=["desk", "phone"])
def test_it_can_be_read_on_a_desk_and_on_a_phone_dark_and_light(browser: Browser, service: str, weak_text: str, shape, scheme):
    with opened(browser, service, color_scheme=scheme, **shape) as page:
        for name in ("read_state", "post_decision"):
            operation(page, name).locator("summary").first.click()
        page.locator("[data-channel=live] > summary").click()
        assert page.evaluate(weak_text) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_docs_show_this_page(docs: Page):
    target = os.environ.get("DOCS_SCREENSHOT_TO")
    if target is None:
        pytest.skip("DOCS_SCREENSHOT_TO names no file")
    one = operation(docs, "read_occupancy")
    one.locator("summary").first.click()
    one.get_by_role("button", name="Try").click()
    expect(one.locator(".answer pre")).to_contain_text("200 OK")
    one.scroll_into_view_if_needed()
    docs.screenshot(path=target)
