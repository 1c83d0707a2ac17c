"""What is true of every page of stays: no serious accessibility fault in dark and light, and on a phone; one navigation."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from accessibility import faults
from billed_day import SITE, WRONG
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.e2e

SHEETS = {
    "sessions": ("/sessions", {"session": WRONG["session"]}, "#stay[data-opened]"),
    "vehicle": ("/vehicle", {"vehicle": WRONG["vehicle"]}, "#vehicle[data-vehicle]"),
    "review": ("/review", {"session": WRONG["session"]}, "#case[data-session]"),
    "occupancy": ("/occupancy", {}, "main[data-shown]"),
}
CHECKED = {
    **SHEETS,
    "subscriptions": ("/subscriptions", {}, "main[data-shown]"),
    "cameras": ("/cameras", {}, "#wall [data-status]"),
    "map": ("/", {"at": "2026-01-05T03:02:00Z"}, ".mark"),
    "explore": ("/explore", {}, "#filters [name=kind]"),
    "inside": ("/-/cameras", {}, "#told table"),
    "docs": ("/docs", {}, ".operation"),
    "edit": ("/edit", {}, "#told[data-status=done]"),
    "calibrate": ("/calibrate", {}, "#told[data-status=open]"),
}
OTHERS = ("/", "/cameras", "/explore", "/edit", "/calibrate", "/subscriptions", "/-/cameras", "/docs")
NAMES = (
    "Map",
    "Cameras",
    "Sessions",
    "Review",
    "Occupancy",
    "Explore",
    "Edit",
    "Calibrate",
    "Subscriptions",
    "Inside",
    "Interface",
)
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
DESK = {"viewport": {"width": 1440, "height": 900}}


@pytest.fixture
def windows(browser: Browser, billed: str, console_faults: list[str]) -> Iterator:
    """``windows(**shape)``: a page at the day's service; all must end without complaints."""
    contexts = []

    def opened(**shape) -> Page:
        context = browser.new_context(base_url=billed, **shape)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda told: console_faults.append(told.text) if told.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: console_faults.append(f"uncaught: {error}"))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert console_faults == []


def shown(page: Page, name: str) -> Page:
    path, query, mark = CHECKED[name]
    page.goto(f"{path}?{httpx2.QueryParams({'site': SITE, **query})}")
    page.wait_for_selector(mark, state="attached", timeout=60_000)
    page.wait_for_function("document.querySelector('main[aria-busy]') === null")
    return page


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("name", CHECKED)
def test_a_page_has_no_serious_accessibility_fault(windows, weak_text: str, name: str, scheme: str):
    page = shown(windows(color_scheme=scheme, **DESK), name)
    assert faults(page, weak_text) == []


@pytest.mark.parametrize("name", CHECKED)
def test_a_phone_shows_a_page_within_its_width_and_without_a_fault(windows, weak_text: str, name: str):
    page = shown(windows(color_scheme="light", **PHONE), name)
    assert faults(page, weak_text) == []


def test_the_check_finds_faults_where_there_are_some(windows, weak_text: str):
    page = windows(color_scheme="light", **DESK)
    page.goto("/healthz")
    page.set_content(_FAULTY)
    found = " | ".join(faults(page, weak_text))
    for part in (
        "no language",
        "0 main regions",
        "no name: button",
        "no name: input",
        "heading 4 after 1",
        "no alt text",
        "a drawing is neither named nor hidden",
        "a table without headers",
        "two elements have the id twice",
        "aria-controls names nowhere",
        "an order of its own",
        "10 x 10 px",
        "contrast",
        "focus is not to be seen",
        "wider than the window",
    ):
        assert part in found, part


def test_the_navigation_is_the_same_on_every_page_and_keeps_the_site(windows):
    page = windows(**DESK)
    seen = set()
    for path in (*(path for path, _, _ in SHEETS.values()), *OTHERS):
        page.goto(f"{path}?site={SITE}")
        links = page.get_by_role("navigation", name="Pages").get_by_role("link")
        expect(links.first).to_have_attribute("href", f"/?site={SITE}")
        seen.add(tuple(links.all_inner_texts()))
        current = page.locator(".pages [aria-current=page]")
        expect(current).to_have_count(0 if path == "/vehicle" else 1)
    assert seen == {NAMES}
    for name in ("Cameras", "Sessions", "Review", "Occupancy", "Explore", "Edit", "Calibrate", "Subscriptions", "Map"):
        page.goto(f"/sessions?site={SITE}")
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()
        page.wait_for_url(f"**/{'' if name == 'Map' else name.lower()}?*site={SITE}*")


@pytest.mark.parametrize(
    "path",
    [
        "/edit",
        "/calibrate",
        "/subscriptions",
        *(path for path, _, _ in SHEETS.values()),
        "/",
        "/cameras",
        "/explore",
        "/-/cameras",
        "/docs",
    ],
)
@pytest.mark.parametrize("shape", [DESK, PHONE], ids=["desk", "phone"])
def test_the_header_fits_with_the_button_to_log_out(windows, weak_text: str, path: str, shape: dict):
    page = windows(**shape)
    page.goto(f"{path}?site={SITE}")
    page.locator("#log-out").evaluate("(button) => { button.hidden = false; }")
    assert page.evaluate(_HEADER) == []
    assert [one for one in page.evaluate(weak_text) if any(name in one for name in (*NAMES, "Log out"))] == []


def test_a_theme_that_was_chosen_holds_on_the_next_page(windows):
    page = shown(windows(color_scheme="light", **DESK), "sessions")
    page.get_by_role("button", name="Switch to dark theme").click()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Review").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("name", SHEETS)
def test_the_picture_for_the_documentation(windows, name: str):
    page = shown(windows(color_scheme="dark" if name in ("review", "vehicle") else "light", **DESK), name)
    page.wait_for_function("[...document.querySelectorAll('[data-end] img, .charts img')].every((one) => one.naturalWidth > 0)")
    page.wait_for_function(
        "[...document.images].every((one) => one.getBoundingClientRect().top > innerHeight || one.naturalWidth > 0)"
    )
    picture = page.screenshot(type="jpeg", quality=72)
    assert 20_000 < len(picture) < 200_000
    if folder := os.environ.get("PAGES_SCREENSHOTS_TO"):
        Path(folder, f"{name}.jpg").write_bytes(picture)


# What of the header is outside of the window or above another part of it; on a desk no link is scrolled out of sight.
_HEADER = """() => {
    const bar = document.querySelector('.bar');
    const parts = [...bar.children].filter((one) => one.checkVisibility() && !one.matches('.spring'));
    const told = (one) => `${one.tagName} ${one.id || one.className}`;
    const found = [];
    const wider = document.documentElement.scrollWidth - innerWidth;
    if (wider > 0) found.push(`wider by ${wider}`);
    for (const [i, one] of parts.entries()) {
        const a = one.getBoundingClientRect();
        if (a.left < 0 || a.right > innerWidth + 0.5) found.push(`outside: ${told(one)}`);
        for (const other of parts.slice(i + 1)) {
            const b = other.getBoundingClientRect();
            const isBeside = a.left >= b.right - 1 || b.left >= a.right - 1;
            const isAbove = a.top >= b.bottom - 1 || b.top >= a.bottom - 1;
            if (!isBeside && !isAbove) found.push(`${told(one)} on ${told(other)}`);
        }
    }
    const nav = document.querySelector('.pages');
    const cut = nav.scrollWidth - nav.clientWidth;
    if (innerWidth > 760 && cut > 0) found.push(`links are cut by ${cut}`);
    const current = nav.querySelector('[aria-current]')?.getBoundingClientRect();
    const frame = nav.getBoundingClientRect();
    if (current?.left < frame.left - 1 || current?.right > frame.right + 1) found.push('this page is out of its links');
    return found;
}"""

_FAULTY = """<body style="background: #fff"><h1 id="twice">One</h1><h4 id="twice">Four</h4>
<button style="width: 10px; height: 10px; padding: 0; border: 0; outline: 0"></button><input type="text" style="outline: 0">
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><svg width="9" height="9"></svg><table><tr><td>1</td></tr></table>
<p style="color: #ccc" tabindex="3">Weak</p><div aria-controls="nowhere" style="width: 3000px">Wide</div></body>"""
