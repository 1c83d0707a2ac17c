"""The calibration page in a real browser: a rendered camera calibrated by hand, and compared with where it really is.

``CALIBRATE_SCREENSHOT_TO`` is where the page's picture goes.
"""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from site_models.load import load_site, resolve
from site_models.schema import Pinhole
from twin.events.observations import CameraCalibrated
from twin.log.sql.log import SqlLog
from twin.spatial.camera import GroundCamera

pytestmark = pytest.mark.e2e

SITE = load_site(resolve("demo_lot"))
CAMERA = "aisle-1-east"
TRUE = GroundCamera.of(next(one for one in SITE.cameras if one.id == CAMERA), SITE.levels[0])
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
ON_SCREEN = """(element, [x, y]) => {
    const { x: left, y: top } = new DOMPoint(x, y).matrixTransform(element.getScreenCTM());
    return [left, top];
}"""


@pytest.fixture(scope="module")
def pictured(calm: tuple[str, Path]) -> tuple[str, Path]:
    """The same service, sent a picture of the camera as an edge sends it."""
    origin, folder = calm
    clip = cv2.VideoCapture(str(resolve("demo_lot") / "clips" / f"{CAMERA}.mp4"))
    _, frame = clip.read()
    clip.release()
    _, jpeg = cv2.imencode(".jpg", frame)
    url = f"{origin}/v1/sites/demo_lot/cameras/{CAMERA}/picture"
    httpx2.put(url, content=jpeg.tobytes(), params={"at": "2026-01-01T12:00:00Z"}).raise_for_status()
    return origin, folder


@pytest.fixture
def open_page(browser: Browser, pictured, console_faults: list[str]):
    """``open_page(**shape)``: the page with its picture; it must end without complaints."""
    contexts = []

    def opened(**shape) -> Page:
        context = browser.new_context(base_url=pictured[0], color_scheme="dark", **shape)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda one: console_faults.append(one.text) if one.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: console_faults.append(f"uncaught: {error}"))
        page.goto(f"/calibrate?site=demo_lot&camera={CAMERA}")
        expect(page.locator("#picture-told")).to_contain_text("Taken at", timeout=30_000)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert console_faults == []


@pytest.fixture
def desk(open_page) -> Iterator[Page]:
    return open_page(viewport={"width": 1600, "height": 1000})


def corners(n: int) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Corners of the plan that the camera sees well within its picture and range, far apart: their pixels and ground."""
    places = np.array([point for one in (*SITE.stalls, *SITE.zones) for point in one.ring_m])
    seen = TRUE.to_pixels(np.column_stack((places, np.zeros(len(places)))))
    inside = ((seen.points_px > 8) & (seen.points_px < np.array(TRUE.frame_px) - 8)).all(axis=1)
    near = np.hypot(*(places - TRUE.origin_m).T) < TRUE.range_m
    places, pixels = places[inside & near & seen.is_in_front], seen.points_px[inside & near & seen.is_in_front]
    chosen = [int(pixels[:, 1].argmax())]
    while len(chosen) < n:
        apart = np.min([np.hypot(*(pixels - pixels[one]).T) for one in chosen], axis=0)
        chosen.append(int(apart.argmax()))
    return [(tuple(pixels[one].tolist()), tuple(places[one].tolist())) for one in chosen]


def click(page: Page, selector: str, point: tuple[float, float]) -> None:
    x, y = page.locator(selector).evaluate(ON_SCREEN, list(point))
    page.mouse.click(x, y)


def click_near(page: Page, point: tuple[float, float]) -> None:
    """As a person marks a pixel of the picture: zoom in on it, click, and show all again."""
    page.mouse.move(*page.locator("#picture").evaluate(ON_SCREEN, list(point)))
    whole = page.locator("#picture").get_attribute("viewBox")
    page.mouse.wheel(0, -1_300)
    expect(page.locator("#picture")).not_to_have_attribute("viewBox", whole)
    click(page, "#picture", point)
    page.locator("#picture").focus()
    page.keyboard.press("0")


def mark(page: Page, pairs, noise_px: float = 0.5) -> None:
    noise = np.random.default_rng(3).normal(0.0, noise_px, (len(pairs), 2))
    for (pixel, (east, north)), (dx, dy) in zip(pairs, noise, strict=True):
        click_near(page, (pixel[0] + dx, pixel[1] + dy))
        click(page, "#plan", (east, -north))


def saved(folder: Path) -> list[CameraCalibrated]:
    """Calibrations in the log; read in a thread, as playwright's event loop is that of this one."""
    found: list[CameraCalibrated] = []

    async def read() -> None:
        log = SqlLog.open(folder / "log.db", read_only=True)
        try:
            for one in await log.observations("demo_lot", limit=100_000):
                if isinstance(one.event.payload, CameraCalibrated):
                    found.append(one.event.payload)
        finally:
            await log.aclose()

    thread = threading.Thread(target=lambda: asyncio.run(read()))
    thread.start()
    thread.join()
    return found


def test_eight_pairs_marked_in_the_page_place_what_the_camera_sees_within_20_cm(desk: Page, pictured):
    mark(desk, corners(8))
    expect(desk.locator("#told")).to_contain_text("Lens and pose", timeout=30_000)
    expect(desk.locator("#told")).to_have_attribute("data-status", "done", timeout=30_000)
    expect(desk.locator("#pairs tbody tr")).to_have_count(8)
    assert desk.locator(".plan-overlay [data-kind=stall]").count() > 10
    if path := os.environ.get("CALIBRATE_SCREENSHOT_TO"):
        desk.screenshot(path=path)
    before = len(saved(pictured[1]))
    desk.get_by_label("Your name").fill("ann")
    desk.get_by_label("Reason").fill("a ladder hit it")
    desk.get_by_role("button", name="Save calibration").click()
    expect(desk.locator("#saved")).to_contain_text("Saved as observation", timeout=30_000)
    after = saved(pictured[1])
    assert len(after) == before + 1
    payload = after[-1]
    assert (payload.camera, payload.author, payload.reason) == (CAMERA, "ann", "a ladder hit it")
    assert isinstance(payload.geometry, Pinhole)
    pixels = np.stack(np.meshgrid(np.arange(10.0, 960, 20.0), np.arange(10.0, 540, 20.0)), -1).reshape(-1, 2)
    truth = TRUE.to_ground(pixels, np.ones_like(pixels))
    found = GroundCamera(payload.geometry, payload.frame_px, range_m=1e4).to_ground(pixels, np.ones_like(pixels))
    assert found.is_valid[truth.is_valid].all()
    off = np.hypot(*(found.points_m - truth.points_m)[truth.is_valid].T)
    assert np.quantile(off, 0.95) <= 0.2


def test_a_wrong_pair_is_marked_and_told_while_it_is_dragged(desk: Page):
    mark(desk, corners(8))
    expect(desk.locator("#told")).to_contain_text("Lens and pose", timeout=30_000)
    expect(desk.locator("#remarks [data-code=outlier]")).to_have_count(0)
    box = desk.locator("#picture [data-pair='5'] .mark-ring").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    desk.mouse.move(x, y)
    desk.mouse.down()
    desk.mouse.move(x + 30, y + 20, steps=4)
    desk.mouse.up()
    expect(desk.locator("#remarks [data-code=outlier]")).to_contain_text("Pair 5 does not fit", timeout=30_000)
    expect(desk.locator("#pairs tr[data-wrong] th")).to_have_text("5")
    desk.get_by_role("button", name="Undo").click()
    expect(desk.locator("#remarks [data-code=outlier]")).to_have_count(0, timeout=30_000)


def test_it_can_be_done_with_keys_alone(desk: Page):
    desk.get_by_role("button", name="Add a pair").focus()
    desk.keyboard.press("Enter")
    marker = desk.locator("#picture [data-pair='1']")
    expect(marker).to_be_focused()
    desk.keyboard.press("ArrowRight")
    desk.keyboard.press("Shift+ArrowDown")
    expect(marker).to_have_attribute("aria-label", "Pair 1, in the picture at 481.0, 280.0")
    desk.get_by_label("Pair 1, ground x, metres").fill("12.5")
    desk.keyboard.press("Tab")
    assert "at 12.50 m east" in desk.locator("#plan [data-pair='1']").get_attribute("aria-label")
    desk.locator("#plan [data-pair='1']").focus()
    desk.keyboard.press("Delete")
    expect(desk.locator("#pairs tbody tr")).to_have_count(0)


def test_a_point_of_the_picture_gets_its_ground_by_typing(desk: Page):
    for n, ((x, y), ground) in enumerate(corners(4), 1):
        click_near(desk, (x, y))
        desk.get_by_label(f"Pair {n}, ground x, metres").click()
        desk.keyboard.type(f"{ground[0]:.2f}")
        desk.keyboard.press("Tab")
        expect(desk.get_by_label(f"Pair {n}, ground x, metres")).to_have_value(f"{ground[0]:.2f}")
        desk.keyboard.type(f"{ground[1]:.2f}")
        desk.keyboard.press("Tab")
    expect(desk.locator("#plan [data-pair]")).to_have_count(4)
    expect(desk.locator("#told")).to_contain_text("Lens and pose", timeout=30_000)


def test_a_camera_that_is_not_there_is_said_and_no_other_is_shown(browser: Browser, pictured):
    with browser.new_context(base_url=pictured[0]) as context:
        page = context.new_page()
        page.goto("/calibrate?site=demo_lot&camera=nope")
        expect(page.locator("#told")).to_have_text("This site has no camera “nope”; choose one above.", timeout=30_000)


def test_a_line_is_drawn_and_counts(desk: Page):
    desk.get_by_role("button", name="Draw a straight line").click()
    for x in (100, 300, 500):
        click(desk, "#picture", (x, 400 + x / 50))
    desk.keyboard.press("Enter")
    expect(desk.locator("#lines li")).to_contain_text("Line 1, 3 points")
    expect(desk.locator("#pairs tbody tr")).to_have_count(0)


def test_marks_go_to_a_file_and_come_back(desk: Page, tmp_path: Path):
    mark(desk, corners(5))
    with desk.expect_download() as waiting:
        desk.get_by_role("button", name="Save marks to a file").click()
    path = tmp_path / "marks.json"
    waiting.value.save_as(path)
    assert len(json.loads(path.read_text())["pairs"]) == 5
    desk.get_by_role("button", name="Clear all").click()
    expect(desk.locator("#pairs tbody tr")).to_have_count(0)
    desk.locator("#marks-file").set_input_files(path)
    expect(desk.locator("#pairs tbody tr")).to_have_count(5)


def test_tables_of_pairs_and_of_lines_are_opened_as_the_command_reads_them_and_one_leaves_the_other(desk: Page, tmp_path: Path):
    pairs, lines = tmp_path / "pairs.csv", tmp_path / "lines.csv"
    rows = [f"{u},{v},{x},{y},corner" for (u, v), (x, y) in corners(6)]
    pairs.write_text("pixel_x,pixel_y,ground_x_m,ground_y_m,what\n" + "\n".join(rows), encoding="utf-8-sig")
    lines.write_text("line,pixel_x,pixel_y\n" + "\n".join(f"kerb,{x},{400 + x / 50}" for x in (100, 300, 500)) + "\n")
    desk.locator("#marks-file").set_input_files(pairs)
    expect(desk.locator("#pairs tbody tr")).to_have_count(6)
    desk.locator("#marks-file").set_input_files(lines)
    expect(desk.locator("#lines li")).to_contain_text("Line 1, 3 points")
    expect(desk.locator("#pairs tbody tr")).to_have_count(6)
    expect(desk.locator("#told")).to_contain_text("Lens and pose", timeout=30_000)
    desk.get_by_role("button", name="Undo").click()
    expect(desk.locator("#lines li")).to_have_count(0)
    pairs.write_text("pixel_x,pixel_y,ground_x_m,ground_y_m\n1,2,3,near\n")
    desk.locator("#marks-file").set_input_files(pairs)
    expect(desk.locator("#told")).to_have_text("Line 2 of the file: ground_y_m is “near”, which is no number.")
    expect(desk.locator("#pairs tbody tr")).to_have_count(6)


def test_a_phone_shows_it_within_its_width_and_text_is_readable(open_page, weak_text: str):
    phone = open_page(**PHONE)
    expect(phone.locator("#remarks li")).to_have_count(1, timeout=30_000)
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert phone.evaluate(weak_text) == []
    phone.emulate_media(color_scheme="light")
    assert phone.evaluate(weak_text) == []


def test_pairs_and_lines_are_set_with_keys_alone(desk: Page):
    told = desk.locator("#cross-told")
    desk.locator("#picture").focus()
    desk.keyboard.press("Enter")
    expect(told).to_have_text("Cross in the picture at 480.0, 270.0.")
    press(desk, "Shift+ArrowDown", "ArrowRight", "Alt+ArrowLeft")
    expect(told).to_have_text("Cross in the picture at 489.0, 370.0.")
    press(desk, "Enter")
    expect(told).to_have_text("Pair 1 in the picture at 489.0, 370.0; its place on the plan is next.")
    press(desk, "Enter")
    expect(told).to_have_text("A point is set here already; move the cross on.")
    expect(desk.locator("#pairs tbody tr")).to_have_count(1)
    desk.locator("#plan").focus()
    press(desk, "Enter", "ArrowLeft", "ArrowUp", "Alt+Enter")
    expect(told).to_contain_text("Pair 1 on the plan at")
    expect(told).to_contain_text("it is whole")
    expect(desk.get_by_label("Pair 1, ground x, metres")).not_to_have_value("")
    press(desk, "Backspace")
    expect(desk.get_by_label("Pair 1, ground x, metres")).to_have_value("")
    press(desk, "Escape")
    expect(desk.locator("#plan .cross")).to_be_hidden()
    desk.locator("#line").focus()
    press(desk, "Enter")  # the cross of the picture is shown: no other key is needed
    expect(desk.locator("#picture .cross")).to_be_visible()
    press(desk, "Enter", "ArrowRight", "Enter", "ArrowRight", "Enter", "ArrowRight", "Enter", "Backspace", "Enter", "Enter")
    expect(desk.locator("#lines li")).to_contain_text("Line 1, 4 points")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
