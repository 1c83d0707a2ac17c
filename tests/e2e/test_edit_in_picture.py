"""The site editor on a camera's picture: what is drawn there lies on the ground where the twin has those pixels.

``EDIT_PICTURE_SCREENSHOT_TO`` is where the page's picture goes.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx2
import numpy as np
import pytest
from accessibility import faults
from playwright.sync_api import Browser, Page, expect

from site_models.load import load_site, resolve
from twin.spatial.camera import GroundCamera

pytestmark = pytest.mark.e2e

SITE = load_site(resolve("demo_lot"))
CAMERA, CALIBRATED = "aisle-2", "gate-out"
CAMERAS = {one.id: GroundCamera.of(one, SITE.levels[0]) for one in SITE.cameras}
SOUND = "The site is sound."
ON_SCREEN = """(element, [x, y]) => {
    const { x: left, y: top } = new DOMPoint(x, y).matrixTransform(element.getScreenCTM());
    return [left, top];
}"""


@pytest.fixture(scope="module")
def pictured(calm: tuple[str, Path]) -> str:
    """The service, sent the camera's picture as an edge sends it."""
    clip = cv2.VideoCapture(str(resolve("demo_lot") / "clips" / f"{CAMERA}.mp4"))
    _, frame = clip.read()
    clip.release()
    _, jpeg = cv2.imencode(".jpg", frame)
    url = f"{calm[0]}/v1/sites/demo_lot/cameras/{CAMERA}/picture"
    httpx2.put(url, content=jpeg.tobytes(), params={"at": "2026-01-01T12:00:00Z"}).raise_for_status()
    return calm[0]


@pytest.fixture
def desk(browser: Browser, pictured: str, console_faults: list[str]) -> Iterator[Page]:
    context = browser.new_context(base_url=pictured, color_scheme="dark", viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    page.on("console", lambda one: console_faults.append(one.text) if one.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: console_faults.append(f"uncaught: {error}"))
    page.goto("/edit?site=demo_lot")
    expect(page.locator("#told")).to_have_text(SOUND, timeout=30_000)
    yield page
    context.close()
    assert console_faults == []


def look_through(page: Page, camera: str, said: str = "Taken at") -> None:
    page.locator("#view").select_option(camera)
    expect(page.locator("#picture-told")).to_contain_text(said, timeout=30_000)


def pixels_of(points, camera: str = CAMERA) -> np.ndarray:
    return CAMERAS[camera].to_pixels(np.column_stack((np.array(points, dtype=float), np.zeros(len(points))))).points_px


def ground_of(pixel, camera: str = CAMERA) -> np.ndarray:
    found = CAMERAS[camera].to_ground(np.array([pixel], dtype=float), np.ones((1, 2)))
    assert found.is_valid.all()
    return found.points_m[0]


def at(page: Page, pixel) -> list[float]:
    return page.locator("#picture").evaluate(ON_SCREEN, [float(one) for one in pixel])


def click(page: Page, pixel, *, exactly: bool = False) -> None:
    if exactly:
        page.keyboard.down("Alt")
    page.mouse.click(*at(page, pixel))
    if exactly:
        page.keyboard.up("Alt")


def nearest_stall():
    """The stall that the camera sees best."""
    frame = np.array(CAMERAS[CAMERA].frame_px)

    def lowest(one) -> float:
        pixels = pixels_of(one.ring_m)
        is_inside = ((pixels > 15) & (pixels < frame - 15)).all()
        return float(pixels[:, 1].max()) if is_inside else -1.0

    return max(SITE.stalls, key=lowest)


def corner_shown(page: Page, number: int) -> np.ndarray:
    told = page.locator(f"#picture ~ * [data-corner='{number}'], #picture [data-corner='{number}']").get_attribute("aria-label")
    east, north = told.split(" at ")[1].split(" m east, ")
    return np.array([float(east), float(north.removesuffix(" m north"))])


def test_a_stall_drawn_in_the_picture_lies_on_the_ground_where_it_was(desk: Page):
    stall = nearest_stall()
    desk.locator(f"#plan .shape[data-kind=stall][data-id='{stall.id}']").focus()
    desk.keyboard.press("Delete")
    expect(desk.locator("#changes li")).to_have_text([f"stall {stall.id} removed"], timeout=30_000)
    look_through(desk, CAMERA)
    expect(desk.locator("#plan")).to_be_hidden()
    desk.get_by_role("button", name="Stall", exact=True).click()
    for x, y in pixels_of(stall.ring_m):
        click(desk, (x + 2, y - 2))  # not quite: it snaps to its neighbours' corners
    desk.keyboard.press("Enter")
    expect(desk.locator("#chosen-title")).to_have_text("Stall stall-01")
    expect(desk.locator("#doing")).to_have_text("Stall stall-01 is drawn.")
    expect(desk.locator("#picture .handle:visible")).to_have_count(len(stall.ring_m))
    if path := os.environ.get("EDIT_PICTURE_SCREENSHOT_TO"):
        desk.mouse.move(5, 5)
        expect(desk.locator("#told")).to_have_attribute("data-status", "done")
        desk.screenshot(path=path, type="jpeg", quality=62)
    for number, corner in enumerate(stall.ring_m, 1):
        assert np.hypot(*(corner_shown(desk, number) - corner)) < 0.25
    shared = [point for one in SITE.stalls if one.id != stall.id for point in one.ring_m]
    n_snapped = sum(any(np.hypot(*(corner_shown(desk, n) - other)) < 0.006 for other in shared) for n in (1, 2, 3, 4))
    assert n_snapped >= 2


def test_a_corner_dragged_in_the_picture_is_the_ground_under_the_pointer_to_a_centimetre(desk: Page):
    stall = nearest_stall()
    look_through(desk, CAMERA)
    desk.locator(f"#picture .shape[data-id='{stall.id}']").focus()
    corner = pixels_of(stall.ring_m)[0]
    to = corner + np.array([11.0, 7.0])
    desk.mouse.move(*at(desk, corner))
    desk.mouse.down()
    desk.keyboard.down("Alt")
    desk.mouse.move(*at(desk, to), steps=4)
    desk.keyboard.up("Alt")
    desk.mouse.up()
    assert np.hypot(*(corner_shown(desk, 1) - ground_of(to))) < 0.01 + 0.005  # as it is told, in centimetres
    desk.get_by_role("button", name="Undo").click()
    assert np.hypot(*(corner_shown(desk, 1) - stall.ring_m[0])) < 0.006
    desk.locator("#view").select_option("")
    expect(desk.locator("#plan")).to_be_visible()
    expect(desk.locator("#picture")).to_have_count(0)


def test_what_shows_no_ground_or_too_far_ground_is_refused_in_words(desk: Page):
    look_through(desk, CAMERA)
    desk.get_by_role("button", name="Zone", exact=True).click()
    click(desk, (480, 12))
    expect(desk.locator("#doing")).to_contain_text("above the horizon")
    rows = np.arange(0.0, 540.0)
    valid = CAMERAS[CAMERA].to_ground(np.column_stack((np.full(540, 480.0), rows)), np.ones((540, 2))).is_valid
    click(desk, (480, rows[valid][0] - 3))
    expect(desk.locator("#doing")).to_contain_text("farther than the 45 m")
    assert desk.locator("#picture .draft-corner").count() == 0
    click(desk, (480, 500), exactly=True)
    expect(desk.locator("#picture .draft-corner")).to_have_count(1)


def test_a_shape_begun_in_a_picture_is_ended_on_the_plan(desk: Page):
    look_through(desk, CAMERA)
    desk.get_by_role("button", name="Lane", exact=True).click()
    click(desk, (480, 480), exactly=True)
    click(desk, (480, 420), exactly=True)
    desk.locator("#view").select_option("")
    expect(desk.locator("#plan .draft-corner")).to_have_count(2)
    desk.locator("#plan").focus()
    desk.keyboard.press("Enter")
    expect(desk.locator("#chosen-title")).to_have_text("Lane lane-01")
    for number, pixel in enumerate([(480, 480), (480, 420)], 1):
        told = desk.locator(f"#plan [data-corner='{number}']").get_attribute("aria-label")
        east, north = (float(one.split()[0]) for one in told.split(" at ")[1].split(", "))
        assert np.hypot(*(np.array([east, north]) - ground_of(pixel))) < 0.03  # half a screen pixel and the telling


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_picture_that_is_drawn_on_has_no_accessibility_fault(desk: Page, weak_text: str, scheme: str):
    desk.emulate_media(color_scheme=scheme)
    look_through(desk, CAMERA)
    desk.locator(f"#picture .shape[data-id='{nearest_stall().id}']").focus()
    desk.locator(".corners summary").click()
    desk.get_by_role("button", name="Zone", exact=True).click()
    click(desk, (480, 500), exactly=True)
    desk.locator("#keys-details summary").click()
    expect(desk.locator("#draft")).to_be_visible()
    assert faults(desk, weak_text) == []


def test_a_phone_shows_the_picture_and_its_tools_within_its_width(browser: Browser, pictured: str, weak_text: str):
    phone = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
    context = browser.new_context(base_url=pictured, color_scheme="light", **phone)
    page = context.new_page()
    page.goto("/edit?site=demo_lot")
    expect(page.locator("#told")).to_have_text(SOUND, timeout=30_000)
    look_through(page, CAMERA)
    page.get_by_role("button", name="Zone", exact=True).tap()
    page.locator("#picture").scroll_into_view_if_needed()
    page.touchscreen.tap(*at(page, (480, 500)))
    expect(page.locator("#doing")).to_contain_text("Corner 1 at")
    found = faults(page, weak_text)
    if path := os.environ.get("EDIT_PHONE_SCREENSHOT_TO"):
        page.screenshot(path=path, type="jpeg", quality=78)
    context.close()
    assert found == []


def test_a_still_of_ones_own_is_drawn_on_and_stays_in_the_browser(desk: Page, tmp_path: Path):
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), np.full((540, 960, 3), 90, dtype=np.uint8))
    look_through(desk, CAMERA)
    sent = []
    desk.on("request", lambda request: sent.append(request.url) if request.url.startswith("http") else None)
    desk.locator("#picture-file").set_input_files(still)
    expect(desk.locator("#picture-told")).to_contain_text("still.png; it stays in this browser. Placed as the site model has")
    assert desk.locator("#picture .frame-picture").get_attribute("href").startswith("blob:")
    assert sent == []
    other = tmp_path / "other.png"
    cv2.imwrite(str(other), np.full((500, 500, 3), 90, dtype=np.uint8))
    desk.locator("#picture-file").set_input_files(other)
    expect(desk.locator("#picture-told")).to_contain_text("another shape, so it is another view")


def test_a_picture_is_drawn_on_by_the_calibration_that_held_when_it_was_taken(desk: Page, pictured: str):
    name = "gate-in"
    camera, url = CAMERAS[name], f"{pictured}/v1/sites/demo_lot/cameras/{name}"
    pixels = np.array([[x, y] for x in (200.0, 480.0, 760.0) for y in (330.0, 400.0, 520.0)])
    truth = camera.to_ground(pixels, np.ones_like(pixels))
    places = zip(pixels[truth.is_valid].tolist(), truth.points_m[truth.is_valid].tolist(), strict=True)
    given = {
        "pairs": [{"pixel_px": pixel, "ground_m": ground} for pixel, ground in places],
        "author": "ann",
        "reason": "a test",
    }
    httpx2.post(f"{url}/calibration", json={**given, "id": "later", "at": "2026-01-01T13:00:00Z"}).raise_for_status()
    _, jpeg = cv2.imencode(".jpg", np.full((540, 960, 3), 90, dtype=np.uint8))
    httpx2.put(f"{url}/picture", content=jpeg.tobytes(), params={"at": "2026-01-01T12:59:59Z"}).raise_for_status()
    look_through(desk, name, "Placed as the site model has this camera")
    httpx2.put(f"{url}/picture", content=jpeg.tobytes(), params={"at": "2026-01-01T13:00:01Z"}).raise_for_status()
    desk.locator("#latest").click()
    expect(desk.locator("#picture-told")).to_contain_text("Placed by the calibration of ann")


def test_what_is_drawn_is_placed_by_the_cameras_last_calibration(desk: Page, pictured: str):
    camera = CAMERAS[CALIBRATED]
    pixels = np.array([[x, y] for x in (200.0, 480.0, 760.0) for y in (330.0, 400.0, 520.0)])
    truth = camera.to_ground(pixels, np.ones_like(pixels))
    pairs = [
        {"pixel_px": pixel, "ground_m": [east + 1.0, north]}  # as if the camera stood a metre farther east
        for pixel, (east, north) in zip(pixels[truth.is_valid].tolist(), truth.points_m[truth.is_valid].tolist(), strict=True)
    ]
    given = {"pairs": pairs, "lens": "keep", "id": "moved", "author": "ann", "reason": "a test", "at": "2026-01-01T12:00:00Z"}
    httpx2.post(f"{pictured}/v1/sites/demo_lot/cameras/{CALIBRATED}/calibration", json=given).raise_for_status()
    look_through(desk, CALIBRATED, "Placed by the calibration of ann")
    desk.get_by_role("button", name="Lane", exact=True).click()
    click(desk, (480, 400), exactly=True)
    told = desk.locator("#doing").text_content() or ""
    east, north = (float(one.split()[0]) for one in told.split(" at ")[1].split(", "))
    assert np.hypot(*(np.array([east, north]) - ground_of((480, 400), CALIBRATED) - (1.0, 0.0))) < 0.05
