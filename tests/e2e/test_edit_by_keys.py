"""The site editor without a pointer: shapes are drawn, moved and typed, and a screen reader is told each step."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.e2e

SOUND = "The site is sound."


@pytest.fixture
def desk(browser: Browser, calm: tuple[str, Path], console_faults: list[str]) -> Iterator[Page]:
    context = browser.new_context(base_url=calm[0], color_scheme="dark", viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    page.on("console", lambda one: console_faults.append(one.text) if one.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: console_faults.append(f"uncaught: {error}"))
    page.goto("/edit?site=demo_lot")
    expect(page.locator("#told")).to_have_text(SOUND, timeout=30_000)
    yield page
    context.close()
    assert console_faults == []


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def begin(page: Page, tool: str) -> None:
    page.get_by_role("button", name=tool, exact=True).focus()
    press(page, "Enter")


def doing(page: Page):
    return page.locator("#doing")


def cross_at(page: Page) -> tuple[float, float]:
    told = (doing(page).text_content() or "").split(" at ")[1].split(", ")
    return float(told[0].split()[0]), float(told[1].split()[0])


def test_a_zone_is_drawn_with_keys_alone(desk: Page):
    begin(desk, "Zone")
    expect(desk.locator("#plan")).to_be_focused()
    east, north = cross_at(desk)
    press(desk, "Shift+ArrowRight", "Shift+ArrowRight", "ArrowUp", "Alt+ArrowLeft")
    assert cross_at(desk) == pytest.approx((east + 19.9, north + 1.0), abs=0.011)
    press(desk, "Alt+Enter")
    expect(doing(desk)).to_contain_text("Corner 1 at")
    press(desk, "ArrowRight", "Alt+Enter", "Backspace")
    expect(doing(desk)).to_contain_text("Corner 2 at")
    expect(doing(desk)).to_contain_text("taken back; 1 left")
    press(desk, "ArrowRight", "ArrowRight", "Alt+Enter", "ArrowUp", "ArrowUp", "ArrowUp", "Alt+Enter")
    expect(desk.locator("#plan .draft-corner")).to_have_count(3)
    press(desk, "Enter")  # once more at the same place
    expect(desk.locator("#chosen-title")).to_have_text("Zone zone-01")
    expect(doing(desk)).to_have_text("Zone zone-01 is drawn.")
    expect(desk.locator("#plan")).to_be_focused()
    expect(desk.locator("#changes li")).to_contain_text(["zone zone-01 added"], timeout=30_000)
    expect(desk.locator("#plan .cross")).to_be_hidden()


def test_escape_gives_a_shape_up_and_the_arrows_move_the_plan_again(desk: Page):
    begin(desk, "Lane")
    press(desk, "Enter", "ArrowRight", "Enter", "Escape")
    expect(doing(desk)).to_have_text("Given up; nothing was drawn.")
    expect(desk.locator("#draft")).to_be_hidden()
    seen = desk.locator("#plan").get_attribute("viewBox")
    press(desk, "ArrowRight")
    expect(desk.locator("#plan")).not_to_have_attribute("viewBox", seen or "")
    assert desk.locator("#changes li").count() == 0


def test_the_cross_says_what_it_would_snap_to_and_does(desk: Page):
    corner = desk.evaluate("fetch('/v1/sites/demo_lot').then((a) => a.json()).then(({ stalls }) => stalls[0].ring_m[0])")
    begin(desk, "Portal")
    east, north = cross_at(desk)
    for name, by in (("ArrowRight", corner[0] - east), ("ArrowUp", corner[1] - north)):
        way = name if by > 0 else {"ArrowRight": "ArrowLeft", "ArrowUp": "ArrowDown"}[name]
        tens, ones, tenths = (
            divmod(round(abs(by) * 10), 100)[0],
            divmod(round(abs(by) * 10) % 100, 10)[0],
            round(abs(by) * 10) % 10,
        )
        press(desk, *([f"Shift+{way}"] * tens), *([way] * ones), *([f"Alt+{way}"] * tenths))
    expect(doing(desk)).to_contain_text("at a corner of ")
    press(desk, "Enter")
    expect(doing(desk)).to_contain_text(f"Corner 1 at {corner[0]:.2f} m east, {corner[1]:.2f} m north")


def test_corners_are_typed_as_coordinates(desk: Page):
    begin(desk, "Stall")
    for east, north in ((60, 5), (62.5, 5), (62.5, 10), (60, 10)):
        desk.get_by_label("East, m").fill(str(east))
        desk.get_by_label("North, m").fill(str(north))
        press(desk, "Enter")
        expect(doing(desk)).to_contain_text(f"{east:.2f} m east, {north:.2f} m north")
    expect(desk.get_by_label("East, m")).to_be_focused()
    desk.get_by_role("button", name="Finish").focus()
    press(desk, "Enter")
    expect(desk.locator("#chosen-title")).to_have_text("Stall stall-01")
    desk.locator(".corners summary").focus()
    press(desk, "Enter")
    desk.get_by_label("Corner 3, metres north").fill("11")
    press(desk, "Tab")
    expect(desk.get_by_label("Corner 4, metres east")).to_be_focused()
    expect(desk.get_by_label("Corner 3, metres north")).to_have_value("11")
    told = desk.locator("#plan [data-corner='3']").get_attribute("aria-label")
    assert told == "Corner 3 at 62.50 m east, 11.00 m north"


def test_a_field_that_is_changed_by_keys_hands_the_focus_to_the_next_one(desk: Page):
    desk.locator("#plan .shape[data-kind=stall]").first.focus()
    desk.get_by_label("Name", exact=True).fill("renamed")
    press(desk, "Tab")
    expect(desk.locator("#properties select[name=Zone]")).to_be_focused()
    expect(desk.locator("#chosen-title")).to_have_text("Stall renamed")


def test_a_shape_in_a_picture_is_drawn_and_moved_with_keys_alone(desk: Page):
    desk.locator("#view").select_option("gate-in")
    expect(desk.locator("#picture-told")).to_contain_text("Placed", timeout=30_000)
    begin(desk, "Zone")
    expect(desk.locator("#picture")).to_be_focused()
    press(desk, *["Shift+ArrowDown"] * 2, "Alt+Enter", "Shift+ArrowRight", "Alt+Enter", *["ArrowUp"] * 5, "Alt+Enter", "Enter")
    expect(desk.locator("#chosen-title")).to_have_text("Zone zone-01")
    handle = desk.locator("#picture [data-corner='1']")
    before = handle.get_attribute("aria-label")
    handle.focus()
    press(desk, "ArrowRight")
    expect(handle).not_to_have_attribute("aria-label", before or "")
    expect(handle).to_be_focused()
    begin(desk, "Zone")
    press(desk, *["Shift+ArrowUp"] * 3)
    expect(doing(desk)).to_contain_text("above the horizon")
    press(desk, "Enter")
    assert desk.locator("#picture .draft-corner").count() == 0
