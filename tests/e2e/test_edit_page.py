"""The site editor in a real browser: what is drawn, checked and saved is a site that loads.

``EDIT_SCREENSHOT_TO`` is where the page's picture goes.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from site_models.load import check_site, load_site, resolve
from twin.access.keys import KeyRecord, new_key
from twin.access.store import AccessStore
from twin.log.clock import system_clock

pytestmark = pytest.mark.e2e

SITE = load_site(resolve("demo_lot"))
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
ON_SCREEN = """(element, [x, y]) => {
    const { x: left, y: top } = new DOMPoint(x, -y).matrixTransform(element.getScreenCTM());
    return [left, top];
}"""
SOUND = "The site is sound."


@pytest.fixture
def open_page(browser: Browser, calm: tuple[str, Path], console_faults: list[str]):
    """``open_page(**shape)``: the page, checked once; it must end without complaints."""
    contexts = []

    def opened(**shape) -> Page:
        context = browser.new_context(base_url=calm[0], color_scheme="dark", **shape)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda one: console_faults.append(one.text) if one.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: console_faults.append(f"uncaught: {error}"))
        page.goto("/edit?site=demo_lot")
        expect(page.locator("#told")).to_have_text(SOUND, timeout=30_000)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert console_faults == []


@pytest.fixture
def desk(open_page) -> Page:
    return open_page(viewport={"width": 1600, "height": 1000})


@contextmanager
def logged_in(browser: Browser, keyed, faults: list[str], scopes: tuple[str, ...], **shape) -> Iterator[Page]:
    """A page of somebody whose key has these scopes; it must end without complaints."""
    origin, folder = keyed
    store, made = AccessStore.open(folder / "access.db"), new_key(os.urandom)
    store.add_key(
        KeyRecord(id=made.id, name="Ann", sites=("demo_lot",), scopes=scopes, digest=made.digest, made_at=system_clock())
    )
    store.close()
    with browser.new_context(base_url=origin, **shape) as context:
        page = context.new_page()
        page.on("console", lambda one: faults.append(one.text) if one.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(f"uncaught: {error}"))
        assert page.request.post("/v1/session", data={"key": made.text}).ok
        yield page
    assert faults == []


def click(page: Page, point: tuple[float, float]) -> None:
    page.mouse.click(*page.locator("#plan").evaluate(ON_SCREEN, list(point)))


def take_out(page: Page, kind: str, name: str) -> None:
    page.locator(f".shape[data-kind={kind}][data-id='{name}']").focus()
    page.keyboard.press("Delete")


def changes(page: Page) -> list[str]:
    return page.locator("#changes li").all_text_contents()


def test_a_stall_is_taken_out_and_drawn_anew_and_the_saved_version_loads(desk: Page, calm):
    stall = SITE.stalls[0]
    take_out(desk, "stall", stall.id)
    expect(desk.locator("#changes li")).to_have_text([f"stall {stall.id} removed"], timeout=30_000)
    desk.get_by_role("button", name="Stall", exact=True).click()
    for corner in stall.ring_m:
        click(desk, (corner[0] + 0.05, corner[1] - 0.04))  # not quite: it snaps
    desk.keyboard.press("Enter")
    expect(desk.locator("#chosen-title")).to_have_text("Stall stall-01")
    desk.get_by_label("Name", exact=True).fill("stall-new")
    desk.get_by_label("Heading").fill(str(stall.heading_deg))
    desk.get_by_label("Your name").fill("ann")
    desk.get_by_label("Reason").fill("renamed")
    expect(desk.locator("#changes li")).to_have_count(2, timeout=30_000)
    expect(desk.locator("#told")).to_have_text(SOUND, timeout=30_000)
    if path := os.environ.get("EDIT_SCREENSHOT_TO"):
        desk.screenshot(path=path)
    desk.get_by_role("button", name="Save as a new version").click()
    expect(desk.locator("#saved")).to_contain_text("Saved as version", timeout=30_000)
    folder = sorted((calm[1] / "sites" / "demo_lot").iterdir())[-1]
    site, faults = check_site(folder)
    assert faults == ()
    (made,) = [one for one in site.stalls if one.id == "stall-new"]
    assert made.zone == stall.zone
    assert {tuple(map(round, point)) for point in made.ring_m} == {tuple(map(round, point)) for point in stall.ring_m}
    waiting = desk.locator("#waiting")
    expect(waiting).to_contain_text(f"Version {int(folder.name)} is saved and not in force. Ann saved it")
    expect(waiting).to_contain_text(f"--site DATA/sites/demo_lot/{folder.name}")


@pytest.mark.parametrize("shape", [{"viewport": {"width": 1600, "height": 1000}}, PHONE])
def test_a_key_that_only_reads_looks_at_the_map_and_is_told_why_no_more(
    browser: Browser, keyed, console_faults: list[str], weak_text: str, shape: dict
):
    with logged_in(browser, keyed, console_faults, ("read",), **shape) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
        page.goto("/edit?site=demo_lot")
        expect(page.locator("#rights")).to_have_text(
            "The key “Ann” may look at the map and at what is on it. Editing takes a key with scope operate,"
            " and saving one with admin."
        )
        for part in ("tools", "undo", "redo", "faults", "changes"):
            expect(page.locator(f"#{part}")).to_be_hidden()
        expect(page.get_by_role("button", name="Save as a new version")).to_be_hidden()
        stall = page.locator(f".shape[data-id='{SITE.stalls[0].id}']")
        stall.focus()
        expect(page.get_by_label("Heading")).to_have_value(str(SITE.stalls[0].heading_deg).removesuffix(".0"))
        expect(page.get_by_label("Heading")).to_be_disabled()
        expect(page.locator(".handle").first).to_be_hidden()
        outline = stall.get_attribute("d")
        for key in ("ArrowLeft", "Delete"):
            page.keyboard.press(key)
            expect(page.locator("#doing")).to_have_text("This key may look at the map, and not edit it.")
        assert stall.get_attribute("d") == outline
        assert page.evaluate(weak_text) == []
        page.wait_for_timeout(500)  # longer than the page waits before it has a map checked
        assert asked == []


def test_a_key_that_may_try_a_map_is_told_that_it_saves_none(browser: Browser, keyed, console_faults: list[str]):
    with logged_in(browser, keyed, console_faults, ("read", "operate")) as page:
        page.goto("/edit?site=demo_lot")
        expect(page.locator("#rights")).to_contain_text("may try an edited map and not save it")
        take_out(page, "stall", SITE.stalls[0].id)
        expect(page.locator("#changes li")).to_have_text([f"stall {SITE.stalls[0].id} removed"], timeout=30_000)
        expect(page.get_by_role("button", name="Save as a new version")).to_be_hidden()


def test_a_row_of_stalls_takes_two_clicks(desk: Page):
    row = [one for one in SITE.stalls if one.zone == SITE.stalls[0].zone][-3:]
    heading = math.radians(row[0].heading_deg)
    ahead, along = (math.cos(heading), math.sin(heading)), (math.sin(heading), -math.cos(heading))
    corners = [point for one in row for point in one.ring_m]
    depths = [x * ahead[0] + y * ahead[1] for x, y in corners]
    front = [point for point, depth in zip(corners, depths, strict=True) if depth < min(depths) + 0.1]
    begin, end = (pick(front, key=lambda p: p[0] * along[0] + p[1] * along[1]) for pick in (min, max))
    for one in row:
        take_out(desk, "stall", one.id)
    desk.get_by_role("button", name="Row of stalls").click()
    click(desk, begin)
    click(desk, end)
    desk.get_by_label("Stalls", exact=True).fill("3")
    desk.get_by_label("Depth, m").fill(f"{max(depths) - min(depths):.2f}")
    desk.get_by_label("Names begin with").fill("new-")
    desk.get_by_role("button", name="Make them").click()
    expect(desk.locator("#changes li")).to_have_count(6, timeout=30_000)
    expect(desk.locator("#told")).to_have_text(SOUND, timeout=30_000)
    assert {"stall new-01 added", "stall new-02 added", "stall new-03 added"} <= set(changes(desk))
    desk.get_by_role("button", name="Undo").click()
    expect(desk.locator("#changes li")).to_have_count(3, timeout=30_000)
    desk.get_by_role("button", name="Redo").click()
    expect(desk.locator("#changes li")).to_have_count(6, timeout=30_000)


def test_a_corner_is_dragged_and_what_is_wrong_with_it_is_told(desk: Page):
    stall = SITE.stalls[0]
    x, y = stall.ring_m[0]
    desk.locator(f".shape[data-id='{stall.id}']").click()
    expect(desk.locator(".handle")).to_have_count(len(stall.ring_m))
    desk.mouse.move(*desk.locator("#plan").evaluate(ON_SCREEN, [x, y]))
    desk.mouse.down()
    desk.keyboard.down("Alt")
    desk.mouse.move(*desk.locator("#plan").evaluate(ON_SCREEN, [x - 3, y - 3]), steps=5)
    desk.keyboard.up("Alt")
    desk.mouse.up()
    expect(desk.locator("#faults li").first).to_contain_text(stall.id, timeout=30_000)
    expect(desk.locator("#changes li").first).to_contain_text("moved by 4.2", timeout=30_000)
    expect(desk.get_by_role("button", name="Save as a new version")).to_be_disabled()
    desk.get_by_role("button", name="Undo").click()
    expect(desk.locator("#told")).to_have_text(SOUND, timeout=30_000)
    expect(desk.locator("#changes li")).to_have_count(0)


def test_it_can_be_moved_and_copied_with_keys_alone(desk: Page):
    portal = SITE.portals[0]
    desk.locator(f".shape[data-id='{portal.id}']").focus()
    expect(desk.locator("#chosen-title")).to_have_text(f"Portal {portal.id}")
    desk.keyboard.press("ArrowUp")
    desk.keyboard.press("ArrowUp")
    expect(desk.locator("#changes li")).to_have_text([f"portal {portal.id}: moved by 0.20 m"], timeout=30_000)
    desk.locator(".handle").first.focus()
    desk.keyboard.press("Shift+ArrowRight")
    expect(desk.locator("#changes li")).to_contain_text(["moved by 1.02 m"], timeout=30_000)
    desk.get_by_role("button", name="Copy it beside").focus()
    desk.keyboard.press("Enter")
    expect(desk.locator("#changes li")).to_have_count(2, timeout=30_000)


def test_rows_of_stalls_stand_side_by_side(desk: Page):
    row = desk.evaluate("""async () => (await import('/static/edit/shapes.js'))
        .rowOf({ from: [0, 0], to: [5, 0], n: 2, depth_m: 4, angle_deg: 90 })""")
    assert row[0] == {"ring_m": [[0, 0], [2.5, 0], [2.5, 4], [0, 4]], "heading_deg": 90}
    assert row[1]["ring_m"][0] == [2.5, 0]


def test_a_shape_gets_one_corner_more_in_the_middle_of_its_longest_edge(desk: Page):
    zone = SITE.zones[0]
    desk.locator(f".shape[data-id='{zone.id}']").focus()
    desk.get_by_role("button", name="Add a corner").click()
    expect(desk.locator(".handle")).to_have_count(len(zone.ring_m) + 1)
    expect(desk.locator("#changes li")).to_have_text([f"zone {zone.id}: has other corners"], timeout=30_000)
    expect(desk.locator("#told")).to_have_text(SOUND)


def test_a_place_snaps_to_a_corner_first_and_then_to_an_edge(desk: Page):
    snapped = desk.evaluate("""async () => {
        const { snap } = await import('/static/edit/shapes.js');
        const outlines = [{ points: [[0, 0], [10, 0], [10, 10]], isRing: true }];
        return [[0.3, 0.2], [4, 0.4], [4, 3]].map((place) => snap(place, outlines, 0.05));
    }""")
    assert snapped == [[0, 0], [4, 0], [4, 3]]


def test_a_phone_shows_it_within_its_width_and_text_is_readable(open_page, weak_text: str):
    phone = open_page(**PHONE)
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert phone.evaluate(weak_text) == []
    phone.emulate_media(color_scheme="light")
    assert phone.evaluate(weak_text) == []
