"""The cameras page in a real browser: pictures as an edge sends them, on a real service with traffic.

``PAGES_SCREENSHOTS_TO`` is the folder where the page's picture goes.
"""

import os
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import httpx2
import msgspec
import numpy as np
import pytest
from accessibility import faults
from playwright.sync_api import Browser, Locator, Page, expect

from site_models.load import load_site, resolve
from site_models.schema import Pinhole
from twin.access.keys import KeyRecord, new_key
from twin.access.store import AccessStore
from twin.log.clock import system_clock
from twin.spatial.camera import GroundCamera

pytestmark = pytest.mark.e2e

SITE = load_site(resolve("demo_lot"))
CAMERA = "aisle-1-east"
MODEL = next(one for one in SITE.cameras if one.id == CAMERA)
TRUE = GroundCamera.of(MODEL, SITE.levels[0])
FRAME = (960, 540)
BOX = (400.0, 240.0, 560.0, 340.0)
CAR = (BOX, (30, 30, 220))  # what the picture shows in the box: red, as blue, green, red
DESK = {"viewport": {"width": 1440, "height": 1000}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
AGE_S = 5.0  # what the page calls stale


def jpeg(*painted, size=(480, 270), ground=(150, 130, 110)) -> bytes:
    """A picture of half the frame's size with rectangles in it, as (box in the frame's pixels, colour)."""
    image = np.full((size[1], size[0], 3), ground, np.uint8)
    share = size[0] / FRAME[0]
    for box, colour in painted:
        x1, y1, x2, y2 = (round(edge * share) for edge in box)
        image[y1:y2, x1:x2] = colour
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def box(tracklet, box_px=BOX, **more) -> dict:
    return {"tracklet": tracklet, "kind": "car", "score": 0.93, "box_px": box_px, **more}


def put(origin: str, *boxes: dict, camera=CAMERA, picture: bytes | None = None, at=None, key=None) -> str:
    """Send a picture as an edge does; gives its time."""
    at = at or datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    seen = msgspec.json.encode({"frame_px": FRAME, "boxes": list(boxes)})
    httpx2.put(
        f"{origin}/v1/sites/demo_lot/cameras/{camera}/picture",
        params={"at": at},
        files={"picture": ("p.jpg", picture or jpeg(CAR), "image/jpeg"), "boxes": (None, seen, "application/json")},
        headers={} if key is None else {"authorization": f"Bearer {key}"},
        timeout=30,
    ).raise_for_status()
    return at


class Edge:
    """Sends the same picture with a new time every half second, until it is told to stop."""

    def __init__(self, origin: str, *boxes: dict, **given) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(origin, boxes, given))

    def __enter__(self) -> "Edge":
        self._thread.start()
        return self

    def __exit__(self, *failure) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self, origin, boxes, given) -> None:
        while not self._stopping.wait(0.5):
            put(origin, *boxes, **given)


@pytest.fixture(scope="module")
def named(service: str) -> tuple[str, str]:
    """A tracklet of the camera, and the vehicle on the site that the twin has for it."""
    root, deadline = f"{service}/v1/sites/demo_lot", time.monotonic() + 120
    while time.monotonic() < deadline:
        facts = httpx2.get(f"{root}/facts", params={"limit": 10_000}, timeout=60).json()["facts"]
        inside = {one["vehicle"]: one for one in httpx2.get(f"{root}/state", timeout=60).json()["vehicles"]}
        latest = {one["data"]["tracklet"]: one["data"]["vehicle"] for one in facts if one["type"] == "tracklet.assigned.v1"}
        parked = [item for item in latest.items() if item[1] in inside and inside[item[1]]["state"] == "parked"]
        if parked:
            return parked[-1]
        time.sleep(0.5)
    pytest.fail("no vehicle was parked in two minutes")


@pytest.fixture
def open_page(browser: Browser, service: str, console_faults: list[str]) -> Iterator:
    """``open_page(path, **shape)``: a window at the service; all must end without complaints."""
    contexts = []

    def opened(path=f"/cameras?site=demo_lot&camera={CAMERA}", **shape) -> Page:
        context = browser.new_context(base_url=service, **{"color_scheme": "dark", **DESK, **shape})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda one: console_faults.append(one.text) if one.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: console_faults.append(f"uncaught: {error}"))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert console_faults == []


def drawn(page: Page, at: str) -> Page:
    """The page once it shows the picture of this time."""
    expect(page.locator("#large")).to_have_attribute("data-taken", at, timeout=30_000)
    expect(page.locator("#picture .frame-picture")).to_have_attribute("href", re.compile("^blob:"))
    return page


def on_screen(page: Page, point) -> tuple[float, float]:
    """Where a pixel of the frame lies in the window."""
    frame = page.locator("#picture").bounding_box()
    return frame["x"] + point[0] / FRAME[0] * frame["width"], frame["y"] + point[1] / FRAME[1] * frame["height"]


def edges(locator: Locator) -> list[float]:
    return locator.evaluate("(one) => { const b = one.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; }")


def colour_at(page: Page, point) -> np.ndarray:
    """Red, green, blue of the window where a pixel of the frame lies."""
    image = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    x, y = on_screen(page, point)
    return image[round(y), round(x), ::-1].astype(int)


def test_a_box_lies_on_what_the_picture_shows_however_small_the_picture_was_sent(open_page, service: str):
    page = drawn(open_page(), put(service, box("x:1:12", truncated=["left"]), box("x:1:13", (10.0, 100.0, 60.0, 150.0))))
    rect = page.locator("#picture [data-tracklet='x:1:12'] rect")
    wanted = [*on_screen(page, BOX[:2]), *on_screen(page, BOX[2:])]
    assert edges(rect) == pytest.approx(wanted, abs=1.5)
    contact = page.locator("#picture [data-tracklet='x:1:12'] .contact path")
    left, top, right, bottom = edges(contact)
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(on_screen(page, (480, 340)), abs=1.5)
    for name in ("Boxes", "Contact points", "Zones and stalls", "Lanes and portals"):
        page.get_by_label(name).uncheck()
    expect(rect).to_be_hidden()
    expect(contact).to_be_hidden()
    page.eval_on_selector("#picture .frame-picture", "(one) => { one.style.filter = 'none' }")  # grey after 5 s
    for x, y in ((406, 246), (554, 334)):
        assert np.abs(colour_at(page, (x, y)) - (220, 30, 30)).max() < 25, "inside of the box is the car"
    for x, y in ((394, 246), (566, 334), (480, 346)):
        assert np.abs(colour_at(page, (x, y)) - (110, 130, 150)).max() < 25, "outside of it is the ground"


def test_the_plan_is_drawn_where_the_camera_model_has_it(open_page, service: str):
    page = drawn(open_page(), put(service))
    expect(page.locator("#calibration")).to_have_text("Plan by the calibration of the site’s model")
    page.wait_for_selector(".frame-plan [data-kind=stall]", state="attached")
    assert n_as_projected(page, TRUE) >= 10


def n_as_projected(page: Page, camera: GroundCamera) -> int:
    """How many stalls lie wholly in the picture; each must be drawn where the camera has its corners."""
    told = page.locator(".frame-plan path").evaluate_all("(all) => all.map((one) => [one.dataset.id, one.getAttribute('d')])")
    n_compared = 0
    for stall in SITE.stalls:
        ring = np.array(stall.ring_m)
        seen = camera.to_pixels(np.column_stack((ring, np.zeros(len(ring)))))
        is_inside = ((seen.points_px > 1) & (seen.points_px < np.array(FRAME) - 1)).all() and seen.is_in_front.all()
        if not is_inside or (np.hypot(*(ring - camera.origin_m).T) > camera.range_m).any():
            continue
        text = " ".join(path for name, path in told if name == stall.id)
        points = np.array([[float(one) for one in pair.split()] for pair in re.findall(r"[ML]([^ML]+)", text)])
        assert all(np.abs(points - corner).max(axis=1).min() < 0.1 for corner in seen.points_px), stall.id
        n_compared += 1
    return n_compared


N_OF_EDGE = """(() => {
    const canvas = document.querySelector('[data-canvas=vehicles]');
    const probe = document.createElement('span');
    probe.style.color = 'var(--shown)';
    document.body.append(probe);
    const wanted = getComputedStyle(probe).color.match(/[0-9]+/g).map(Number);
    probe.remove();
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let n = 0;
    for (let i = 0; i < data.length; i += 4) {
        n += data[i + 3] > 200 && wanted.every((one, j) => Math.abs(one - data[i + j]) < 12);
    }
    return n;
})()"""
"""How many pixels of the vehicles' canvas have the colour of what the picture shows."""


def test_the_vehicle_of_a_box_is_named_and_stands_out_on_the_map(open_page, service: str, named: tuple[str, str]):
    tracklet, vehicle = named
    page = drawn(open_page(), put(service, box(tracklet), box("x:1:99", (100.0, 300.0, 200.0, 380.0), score=0.5)))
    known = page.locator(f"#picture [data-tracklet='{tracklet}']")
    expect(known).to_have_attribute("data-vehicle", vehicle)
    expect(known.locator(".box-label")).to_contain_text(f"car 93 % #{re.split('[:.]', tracklet)[-1]}")
    expect(known.locator(".box-name")).to_contain_text(vehicle[-6:])
    rows = page.locator("#seen tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text(vehicle)
    expect(rows.nth(0)).to_contain_text("93 %")
    expect(rows.nth(1)).to_contain_text("not named yet")
    page.wait_for_function(f"{N_OF_EDGE} > 20")
    page.mouse.click(*on_screen(page, (420, 330)))
    expect(page.locator(f"#vehicle-marks [data-vehicle='{vehicle}']")).to_have_attribute("aria-pressed", "true")
    expect(known).to_have_attribute("data-selected", "true")
    expect(page.locator("#about-it")).to_have_attribute("href", f"/vehicle?site=demo_lot&vehicle={vehicle}")
    page.mouse.click(*on_screen(page, (150, 340)))
    expect(page.locator("#about-it")).to_be_hidden()
    rows.get_by_role("button", name=vehicle).focus()
    page.keyboard.press("Enter")
    expect(known).to_have_attribute("data-selected", "true")


def test_the_ground_of_a_contact_point_is_marked_on_the_map(open_page, service: str):
    page = drawn(open_page(), put(service, box("x:1:12")))
    place = TRUE.to_ground(np.array([[480.0, 340.0]]), np.ones((1, 2))).points_m[0]
    mark = page.locator("#map-section .contacts [data-tracklet='x:1:12']")
    assert page.locator("[data-canvas=vehicles] ~ .contacts").count() == 1, "it lies over the vehicles"
    x, y = (float(one) for one in re.findall(r"-?[0-9.]+", mark.get_attribute("transform")))
    assert (x, -y) == pytest.approx(tuple(place), abs=0.01)
    footprint = page.locator(f"[data-camera-footprint='{CAMERA}']")
    assert footprint.evaluate("(one) => getComputedStyle(one).strokeOpacity") == "1"


def test_a_picture_that_gets_old_is_told_to_be_so_and_a_new_one_takes_its_place(open_page, service: str):
    page = drawn(open_page(), put(service, box("x:1:12")))
    expect(page.locator("#large")).to_have_attribute("data-status", "fresh")
    assert re.fullmatch(r"As of \d\d:\d\d:\d\d, \d s ago", page.inner_text("#taken"))
    contacts = page.locator("#map-section .contacts [data-tracklet]")
    expect(contacts).to_have_count(1)
    expect(page.locator("#large")).to_have_attribute("data-status", "stale", timeout=15_000)
    expect(contacts).to_have_count(0)
    expect(page.locator("#warning")).to_contain_text("this is not what is there now")
    expect(page.locator(f"#wall [data-camera={CAMERA}]")).to_have_attribute("data-status", "stale")
    drawn(page, put(service, box("x:1:14")))
    expect(page.locator("#large")).to_have_attribute("data-status", "fresh")
    expect(page.locator("#warning")).to_have_text("")
    expect(page.locator("#picture [data-tracklet]")).to_have_count(1)
    expect(page.locator("#picture [data-tracklet='x:1:14']")).to_have_count(1)


def test_a_camera_whose_clock_is_wrong_is_told_by_when_its_picture_came(open_page, service: str):
    page = open_page("/cameras?site=demo_lot&camera=aisle-2")
    drawn(page, put(service, camera="aisle-2", at="2020-01-01T12:00:00.000Z"))
    expect(page.locator("#taken")).to_have_text(re.compile(r"As of .* by the camera’s clock, arrived \d+ s ago"))


def test_a_camera_without_a_picture_says_so_and_how_to_get_one(open_page):
    page = open_page("/cameras?site=demo_lot&camera=gate-out")
    expect(page.locator("#taken")).to_have_text("No picture yet", timeout=30_000)
    expect(page.locator("#warning")).to_contain_text("--pictures")
    expect(page.locator("#wall [data-camera=gate-out]")).to_have_attribute("aria-current", "true")
    expect(page.locator("#seen .empty")).to_be_visible()


def test_cameras_are_chosen_by_keyboard_by_address_and_on_the_map(open_page, service: str):
    page = drawn(open_page(), put(service, box("x:1:12")))
    page.locator("#wall [data-camera=gate-in]").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Gate-in")).to_be_visible()
    expect(page).to_have_url(re.compile("camera=gate-in"))
    expect(page.locator("#picture [data-tracklet]")).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", name="Aisle-1-east")).to_be_visible()
    expect(page.locator("#picture [data-tracklet='x:1:12']")).to_have_count(1)
    expect(page.locator("#calibrate-it")).to_have_attribute("href", f"/calibrate?site=demo_lot&camera={CAMERA}")
    page.locator("#world a[data-camera='gate-out']").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Gate-out")).to_be_visible()


def test_a_camera_on_the_map_page_leads_to_what_it_sees(open_page):
    page = open_page("/?site=demo_lot")
    camera = page.locator(f"#world a[data-camera='{CAMERA}']")
    expect(camera).to_have_accessible_name(re.compile("See what it sees"), timeout=30_000)
    camera.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Aisle-1-east")).to_be_visible(timeout=30_000)


def test_requests_follow_one_another_at_most_a_round_a_second_and_none_while_hidden(open_page, service: str):
    page = open_page("about:blank")
    open_now, most_open, rounds = [], [0], []

    def began(request) -> None:
        if "/picture" in request.url:
            open_now.append(request)
            most_open[0] = max(most_open[0], len(open_now))
            if request.url.endswith("/pictures"):
                rounds.append(time.monotonic())

    def ended(request) -> None:
        if request in open_now:
            open_now.remove(request)

    page.on("request", began)
    page.on("requestfinished", ended)
    page.on("requestfailed", ended)
    with Edge(service, box("x:1:12")):
        page.goto(f"{service}/cameras?site=demo_lot&camera={CAMERA}")
        page.wait_for_function("() => document.querySelector('#large').dataset.status === 'fresh'", timeout=30_000)
        wait_until(page, lambda: len(rounds) >= 6)
    assert most_open[0] == 1
    assert (rounds[5] - rounds[0]) / 5 > 0.9
    page.evaluate(_HIDE, True)
    page.wait_for_timeout(1_500)  # a round that was on its way ends
    n_before = len(rounds)
    page.wait_for_timeout(3_000)
    assert len(rounds) == n_before
    page.evaluate(_HIDE, False)
    wait_until(page, lambda: len(rounds) > n_before)


def wait_until(page: Page, is_so) -> None:
    for _ in range(400):
        if is_so():
            return
        page.wait_for_timeout(100)
    pytest.fail("it did not come to that in 40 s")


def test_boxes_are_never_drawn_on_another_frames_picture(open_page):
    page = open_page("/static/favicon.svg")
    told = page.evaluate("""async () => {
        const { PictureWatch } = await import('/static/cameras/watch.js');
        const of = (n) => ({ camera: 'a', taken_at: `t${n}`, received_at: `r${n}`, boxes: [{ tracklet: `x${n}` }] });
        const lists = [of(1), of(2), of(3), of(5), of(5)]; // what is asked for first is older than the picture; then too new
        const pictures = ['t2', 't4', 't5'];
        const seen = [];
        await new Promise((done) => {
            const ask = {
                pictures: async () => ({ pictures: [lists.shift() ?? of(5)] }),
                picture: async () => ({ blob: null, takenAt: pictures.shift() }),
            };
            new PictureWatch(ask, {
                chosen: () => 'a',
                told: () => pictures.length === 0 && done(),
                picture: (one) => seen.push([one.taken_at, one.boxes[0].tracklet]),
                problem: (error) => error && seen.push(String(error)),
            }).start();
        });
        return seen;
    }""")
    assert told == [["t2", "x2"], ["t5", "x5"]]


def test_what_is_said_of_a_picture_is_what_its_age_and_its_camera_give(open_page):
    page = open_page("/static/favicon.svg")
    told = page.evaluate("""async () => {
        const { ageOf, warningOf } = await import('/static/cameras/age.js');
        const at = (seconds) => (seconds === null ? null : new Date(1e12 + 1000 * seconds).toISOString());
        const of = (taken, received) => ({ taken_at: at(taken), received_at: at(received), boxes: [] });
        const now = 1e12 + 100_000;
        const cases = [of(97, 97.5), of(94, 99), of(40, 97), of(3600, 93), of(null, null)];
        return cases.map((one) => [ageOf(one, now), warningOf(one, now, 'active'), warningOf(one, now, 'idle')]);
    }""")
    ages = [(age["status"], age["age_s"], age["isClockOff"]) for age, _, _ in told]
    assert ages == [("fresh", 3, False), ("stale", 6, False), ("fresh", 3, True), ("stale", 7, True), ("none", None, False)]
    assert [bool(active) for _, active, _ in told] == [False, True, False, True, True]
    assert "The camera is silent" in told[1][2]
    assert "silent" not in told[1][1]


def test_a_service_that_is_gone_is_told_while_the_last_picture_gets_old(open_page, service: str, console_faults: list[str]):
    page = drawn(open_page(), put(service, box("x:1:12")))
    page.route("**/pictures*", lambda route: route.abort())
    expect(page.locator("#told")).to_contain_text("cannot be reached", timeout=15_000)
    expect(page.locator("#large")).to_have_attribute("data-status", "stale", timeout=15_000)
    page.unroute("**/pictures*")
    expect(page.locator("#told")).to_have_text("", timeout=20_000)
    assert all("Failed to load resource" in one for one in console_faults)
    console_faults.clear()


def test_with_keys_it_opens_for_who_logged_in_and_shows_the_plan_of_a_calibration(browser: Browser, keyed):
    origin, folder = keyed
    store, made = AccessStore.open(folder / "access.db"), new_key(os.urandom)
    scopes = ("read", "ingest", "admin")
    store.add_key(
        KeyRecord(id=made.id, name="Ann", sites=("demo_lot",), scopes=scopes, digest=made.digest, made_at=system_clock())
    )
    assert httpx2.get(f"{origin}/v1/sites/demo_lot/pictures", timeout=30).status_code == 401
    at = put(origin, box("x:1:12"), key=made.text)
    moved = calibrated(origin, made.text, "2026-01-01T12:00:00Z")
    with browser.new_context(base_url=origin, **DESK) as context:
        page = context.new_page()
        page.goto("/cameras?site=demo_lot")
        expect(page).to_have_url(re.compile(re.escape(f"{origin}/login?next=%2Fcameras")))
        assert page.request.post("/v1/session", data={"key": made.text}).ok
        page.goto(f"/cameras?site=demo_lot&camera={CAMERA}")
        drawn(page, at)
        expect(page.locator("#calibration")).to_contain_text("by Ann", timeout=30_000)
        assert n_as_projected(page, moved) >= 10
    store.close()


def calibrated(origin: str, key: str, at: str) -> GroundCamera:
    """The camera half a metre higher, by an event of the log."""
    geometry = MODEL.geometry
    assert isinstance(geometry, Pinhole)
    x, y, z = geometry.position_m
    higher = msgspec.structs.replace(geometry, position_m=(x, y, z + 0.5))
    event = {
        "specversion": "1.0", "id": "c1", "source": "/desk", "type": "camera.calibrated.v1", "time": at, "site": "demo_lot",
        "device": "desk", "bootepoch": "1", "sequence": "1",
        "data": {
            "camera": CAMERA, "level": MODEL.level, "frame_px": FRAME, "geometry": msgspec.to_builtins(higher),
            "sigma_m": 0.1, "range_m": MODEL.range_m, "author": "Ann", "reason": "a new mast",
        },
    }  # fmt: skip
    url, headers = f"{origin}/v1/sites/demo_lot/observations", {"authorization": f"Bearer {key}"}
    httpx2.post(url, json=[event], headers=headers, timeout=30).raise_for_status()
    return GroundCamera(higher, FRAME, range_m=MODEL.range_m)


def test_what_a_real_worker_sees_is_drawn_and_named(browser: Browser, filming: str, console_faults: list[str], tmp_path: Path):
    camera = filmed_camera(filming)
    with browser.new_context(base_url=filming, color_scheme="light", viewport={"width": 1440, "height": 1150}) as context:
        page = context.new_page()
        page.on("console", lambda one: console_faults.append(one.text) if one.type in ("error", "warning") else None)
        page.goto(f"/cameras?site=demo_lot&camera={camera}")
        page.wait_for_function("document.querySelectorAll('#wall .card .frame-picture[href]').length >= 2", timeout=60_000)
        page.wait_for_function(_NAMED_ON_MAP, arg=3, timeout=90_000)
        picture = page.screenshot(type="jpeg", quality=60)
        boxes = page.locator("#picture .frame-box rect")
        inside = boxes.evaluate_all("(all) => all.map((one) => ['x', 'y', 'width', 'height'].map((n) => +one.getAttribute(n)))")
        for x, y, width, height in inside:
            assert -20 < x < x + width < FRAME[0] + 20
            assert -20 < y < y + height < FRAME[1] + 20
        path = Path(os.environ.get("PAGES_SCREENSHOTS_TO", tmp_path), "cameras.jpg")
        path.write_bytes(picture)
        assert 20_000 < len(picture) < 200_000
    assert console_faults == []


def filmed_camera(origin: str) -> str:
    """The camera in whose latest picture the most vehicles have a name; skips where the worker gets no processor."""
    root, began_s, came, counted = f"{origin}/v1/sites/demo_lot", time.monotonic(), set(), {}
    while time.monotonic() < began_s + 120:
        pictures = httpx2.get(f"{root}/pictures", timeout=60).json()["pictures"]
        came |= {(one["camera"], one["taken_at"]) for one in pictures if one["taken_at"]}
        counted = {one["camera"]: sum(box["vehicle"] is not None for box in one["boxes"] or ()) for one in pictures}
        if max(counted.values()) >= 4:
            return max(counted, key=lambda one: counted[one])
        time.sleep(0.3)
    if len(came) < 0.6 * 120:
        pytest.skip(f"this machine is too busy for two cameras at three frames a second: {len(came)} pictures in two minutes")
    return pytest.fail(f"of no picture four vehicles were named in two minutes: {counted}")


@pytest.mark.parametrize("shape", [{**DESK, "color_scheme": "dark"}, {**DESK, "color_scheme": "light"}, PHONE])
def test_it_has_no_serious_accessibility_fault_with_a_picture(open_page, service: str, named, weak_text: str, shape: dict):
    page = drawn(open_page(**shape), put(service, box(named[0]), box("x:1:12", (100.0, 300.0, 200.0, 380.0))))
    expect(page.locator("#seen tbody tr")).to_have_count(2)
    assert faults(page, weak_text) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# Whether so many vehicles are named in the picture and are on the map beside it.
_NAMED_ON_MAP = """(least) => [...document.querySelectorAll('#picture .frame-box[data-vehicle]')]
    .filter((one) => document.querySelector(`#vehicle-marks [data-vehicle="${one.dataset.vehicle}"]`)).length >= least"""

_HIDE = """(isHidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => isHidden });
    document.dispatchEvent(new Event('visibilitychange'));
}"""
