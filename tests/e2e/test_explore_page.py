"""The Explore page in a real browser, over a service that has filmed vehicles, compared with what the API answers."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import cv2
import httpx2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Response, expect

from site_models.load import resolve

pytestmark = pytest.mark.e2e

SEARCH = "/v1/sites/demo_lot/search"
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
FRAME_WITH_CAR = 60
LOADED = "(selector) => [...document.querySelectorAll(selector)].every((one) => one.naturalWidth > 0)"
LINKED_TIMES = "(all) => all.map((one) => new URL(one.href).searchParams.get('at'))"
TRANSFER = """(files) => {
    const transfer = new DataTransfer();
    for (const [bytes, name, type] of files) transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
    return transfer;
}"""


@pytest.fixture
def explore(browser: Browser, filmed: str, console_faults: list[str]) -> Iterator[Page]:
    """The page, not asked anything yet; it must end without complaints."""
    with _opened(browser, filmed, console_faults, viewport={"width": 1440, "height": 900}) as page:
        yield page
    assert console_faults == []


@pytest.fixture
def explore_on_phone(browser: Browser, filmed: str, console_faults: list[str]) -> Iterator[Page]:
    with _opened(browser, filmed, console_faults, **PHONE) as page:
        yield page
    assert console_faults == []


@pytest.fixture(scope="module")
def tracklets(filmed: str, comparable: Callable[[str], list[str]]) -> list[str]:
    """Sightings that the twin took for vehicles."""
    return comparable(filmed)


@pytest.fixture
def tracklet(tracklets: list[str]) -> str:
    return tracklets[0]


@pytest.fixture(scope="module")
def ask(filmed: str) -> Callable[..., dict]:
    """``ask(tracklet=…)`` or ``ask(picture, …)``: what the API answers."""

    def asked(picture: bytes | None = None, **query) -> dict:
        if picture is None:
            return httpx2.get(filmed + SEARCH, params=query, timeout=60).json()
        return httpx2.post(filmed + SEARCH, params=query, content=picture, timeout=60).json()

    return asked


def test_a_dropped_picture_ranks_vehicles_as_the_api_does(explore: Page, ask):
    picture = frame("gate-in")
    drop(explore, (picture, "gate.jpg", "image/jpeg"))
    found(explore)
    told = ask(picture, limit=10)
    assert rows(explore) == [(one["vehicle"], one["probability"]) for one in told["hits"]]
    assert f"{told['n_found']} vehicles found" in explore.inner_text("#told")
    best, row = told["hits"][0], explore.locator(".hits > .hit").first
    assert row.locator(".reasons li").all_inner_texts() == best["reasons"]
    assert row.locator(".sighting").count() == len(best["sightings"])
    explore.wait_for_function(
        "[...document.querySelectorAll('.hits .hit:first-child img')].every((one) => one.naturalWidth > 0)"
    )


def test_the_vehicle_found_in_a_picture_is_framed_where_the_api_says(explore: Page, ask):
    picture = frame("gate-in")
    drop(explore, (picture, "gate.jpg", "image/jpeg"))
    found(explore)
    told = ask(picture)["pictures"][0]
    (x1, y1, x2, y2), (width, height) = told["box_px"], told["size_px"]
    image, box = explore.locator(".framed img").bounding_box(), explore.locator(".found-box").bounding_box()
    assert image is not None
    assert box is not None
    scale = image["width"] / width
    drawn = [box["x"] - image["x"], box["y"] - image["y"], box["width"], box["height"]]
    assert drawn == pytest.approx([x1 * scale, y1 * image["height"] / height, (x2 - x1) * scale, (y2 - y1) * scale], abs=1.5)
    expect(explore.locator(".probe-pictures figcaption")).to_contain_text(f"found in the picture of {width} × {height}")


def test_several_pictures_are_asked_as_one_vehicle(explore: Page):
    drop(explore, (frame("gate-in"), "one.jpg", "image/jpeg"))
    found(explore)
    with explore.expect_response(is_search) as answer:
        drop(explore, (frame("gate-in", FRAME_WITH_CAR + 3), "two.jpg", "image/jpeg"))
    assert len(answer.value.json()["pictures"]) == 2
    found(explore)
    expect(explore.locator(".probe-pictures figcaption")).to_have_count(2)
    with explore.expect_response(is_search) as answer:
        explore.get_by_role("button", name="Remove one.jpg").click()
    assert len(answer.value.json()["pictures"]) == 1


def test_a_pasted_picture_is_searched(explore: Page):
    transfer = explore.evaluate_handle(TRANSFER, [[list(frame("gate-in")), "pasted.jpg", "image/jpeg"]])
    explore.evaluate("(data) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }))", transfer)
    found(explore)
    assert rows(explore)


def test_a_picture_without_a_vehicle_is_answered_in_the_services_words(explore: Page, ask, console_faults: list[str]):
    wall = bytes(cv2.imencode(".png", np.full((480, 640, 3), 90, np.uint8))[1])
    drop(explore, (wall, "wall.png", "image/png"))
    expect(explore.locator("#results")).to_have_attribute("data-search", "problem", timeout=30_000)
    assert explore.inner_text("#told") == ask(wall)["detail"]
    refused(console_faults)
    explore.get_by_label("The whole picture is the vehicle").check()
    found(explore)
    expect(explore.locator(".probe-pictures figcaption")).to_contain_text("All of the picture")


@pytest.mark.parametrize(
    ("content", "name", "kind", "words"),
    [
        (b"", "empty.jpg", "image/jpeg", "empty.jpg is empty (0 bytes)"),
        (b"%PDF-1.7", "bill.pdf", "application/pdf", "bill.pdf is application/pdf, not a picture"),
        (b"no picture at all", "words.jpg", "image/jpeg", "the picture of 17 bytes cannot be used"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "script.svg", "image/svg+xml", "cannot be used"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(explore: Page, console_faults: list[str], content, name, kind, words):
    drop(explore, (content, name, kind))
    expect(explore.locator("#results")).to_have_attribute("data-search", "problem", timeout=30_000)
    assert words in explore.inner_text("#told")
    refused(console_faults)


def test_more_like_a_sighting_asks_for_it_and_back_returns(explore: Page, ask, tracklet: str):
    ask_for(explore, tracklet)
    assert rows(explore) == [(one["vehicle"], one["probability"]) for one in ask(tracklet=tracklet, limit=10)["hits"]]
    other = explore.locator(f".sighting:not([data-tracklet='{tracklet}'])").first
    wanted = other.get_attribute("data-tracklet")
    other.locator(".more-like").click()
    found(explore)
    assert asked_of(explore)["tracklet"] == [wanted]
    expect(explore.locator("[data-probe]")).to_have_attribute("data-probe", str(wanted))
    explore.wait_for_function("document.querySelector('[data-probe] img').naturalWidth > 0")
    explore.go_back()
    expect(explore.locator("[data-probe]")).to_have_attribute("data-probe", tracklet)


def test_an_unknown_sighting_is_answered_in_the_services_words(explore: Page, ask, console_faults: list[str]):
    explore.goto("/explore?site=demo_lot&tracklet=nobody")
    expect(explore.locator("#told.problem")).to_have_text(ask(tracklet="nobody")["detail"])
    refused(console_faults)


def test_conditions_that_nothing_fulfils_are_named(explore: Page, tracklet: str):
    ask_for(explore, tracklet)
    with explore.expect_response(is_search):
        explore.get_by_label("Bus").check()
    expect(explore.locator("#told")).to_have_text("Nothing was found with kind bus. Take a condition away to see more.")
    expect(explore.locator("#chosen")).to_be_hidden()
    explore.get_by_role("button", name="Clear all").click()
    expect(explore.locator("#told")).to_contain_text("vehicles found")


def test_a_shared_address_asks_the_same_again(explore: Page, ask, tracklet: str):
    ask_for(explore, tracklet)
    for name in ("Car", "Gate-in", "Gate-out"):
        with explore.expect_response(is_search):
            explore.get_by_label(name, exact=True).check()
    with explore.expect_response(is_search):
        explore.get_by_label("Until").fill("2099-01-31T14:03:20")
    found(explore)
    asked, before = {name: values[0] for name, values in asked_of(explore).items()}, rows(explore)
    assert (asked["kind"], asked["camera"]) == ("car", "gate-in,gate-out")
    assert before == [(one["vehicle"], one["probability"]) for one in ask(**without(asked, "site"), limit=10)["hits"]]
    assert before
    link = explore.url
    explore.goto("about:blank")
    explore.goto(link)
    found(explore)
    assert rows(explore) == before
    assert explore.get_by_label("Gate-out", exact=True).is_checked()
    assert explore.input_value("[name=until]").startswith("2099-01-31T14:03:20")
    assert explore.url == link


def test_a_wrong_condition_is_answered_in_the_services_words(explore: Page, ask, tracklet: str, console_faults: list[str]):
    explore.goto(f"/explore?site=demo_lot&tracklet={tracklet}&zone=nowhere")
    expect(explore.locator("#told.problem")).to_have_text(ask(tracklet=tracklet, zone="nowhere")["detail"])
    refused(console_faults)


def test_evidence_shifts_probabilities_and_leaves_nobody_out(explore: Page, ask, tracklet: str):
    ask_for(explore, tracklet)
    n_found = ask(tracklet=tracklet)["n_found"]
    with explore.expect_response(is_search) as answer:
        explore.get_by_label("Near camera").select_option("gate-out")
    assert answer.value.json()["near"]["camera"] == "gate-out"
    expect(explore.locator("#near")).to_contain_text("gate-out")
    expect(explore.locator("#told")).to_contain_text(f"{n_found} vehicles found")


def test_the_next_page_follows_the_first_without_repeats(explore: Page, ask, tracklet: str):
    ask_for(explore, tracklet)
    n_found = ask(tracklet=tracklet)["n_found"]
    assert len(rows(explore)) == 10
    explore.get_by_role("button", name="Show more vehicles").click()
    expect(explore.locator(".hits > .hit")).to_have_count(min(20, n_found))
    names = [vehicle for vehicle, _ in rows(explore)]
    assert len(set(names)) == len(names)
    assert explore.evaluate("document.activeElement.textContent") == names[10]


def test_a_next_page_that_fails_leaves_the_first(explore: Page, tracklet: str, console_faults: list[str]):
    ask_for(explore, tracklet)
    problem = {"title": "Overloaded", "status": 503, "detail": "busy; ask again"}
    explore.route(
        "**/search?*skip=10", lambda route: route.fulfill(status=503, json=problem, content_type="application/problem+json")
    )
    explore.get_by_role("button", name="Show more vehicles").click()
    expect(explore.locator("#told.problem")).to_have_text("busy; ask again")
    assert len(rows(explore)) == 10
    refused(console_faults)


def test_pictures_are_sent_again_for_their_next_page(explore: Page):
    drop(explore, (frame("gate-in"), "gate.jpg", "image/jpeg"))
    found(explore)
    explore.get_by_role("button", name="Show more vehicles").click()
    expect(explore.locator(".hits > .hit").nth(10)).to_be_visible()


def test_a_chosen_vehicles_way_and_passages_are_shown_in_order(explore: Page, filmed: str, tracklet: str):
    ask_for(explore, tracklet)
    explore.locator(".hit-name").nth(1).click()
    vehicle = rows(explore)[1][0]
    expect(explore.locator("#chosen")).to_have_attribute("data-chosen", vehicle)
    assert asked_of(explore)["vehicle"] == [vehicle]
    told = httpx2.get(f"{filmed}/v1/sites/demo_lot/vehicles/{vehicle}", timeout=30).json()
    passages = explore.locator("[data-passage]").evaluate_all("all => all.map((one) => one.dataset.passage)")
    assert sorted(passages) == sorted({one["tracklet"] for one in told["sightings"]})
    links = explore.locator("[data-passage] a").evaluate_all(
        "all => all.map((one) => new URL(one.href).searchParams.get('at'))"
    )
    assert links == sorted(links)
    n_places = sum("position_m" in one["data"] and "level" in one["data"] for one in told["history"])
    assert explore.get_attribute("#map", "data-trail") == str(n_places)
    assert explore.locator(".way-mark").count() > 0


def test_that_moment_opens_the_map_there_with_the_vehicle_chosen(explore: Page, tracklet: str):
    ask_for(explore, tracklet)
    vehicle = rows(explore)[0][0]
    link = explore.locator(".moment-link").first
    at = parse_qs(urlsplit(str(link.get_attribute("href"))).query)["at"][0]
    link.click()
    expect(explore.locator("#map-section")).to_have_attribute("data-at", at)
    expect(explore.locator(f"[data-details='vehicle:{vehicle}']")).to_be_visible()


def test_the_map_page_leads_to_explore_and_back(explore: Page, tracklet: str):
    ask_for(explore, tracklet)
    vehicle = rows(explore)[0][0]
    explore.get_by_role("link", name="Map", exact=True).click()
    explore.wait_for_selector("#connection[data-status=live]")
    explore.goto(f"/?site=demo_lot&vehicle={vehicle}")
    explore.locator("#details .tags a").first.click()
    found(explore)
    assert "tracklet" in asked_of(explore)
    explore.get_by_role("link", name="Map", exact=True).click()
    explore.get_by_role("link", name="Explore", exact=True).click()
    expect(explore.locator("#results")).to_have_attribute("data-search", "empty")


def test_the_picture_search_beside_the_map_ranks_the_same(explore: Page, ask):
    picture = frame("gate-in")
    explore.goto("/?site=demo_lot")
    explore.wait_for_selector("#connection[data-status=live]")
    explore.click("#tab-pictures")
    transfer = explore.evaluate_handle(TRANSFER, [[list(picture), "gate.jpg", "image/jpeg"]])
    explore.dispatch_event("#pictures .drop", "drop", {"dataTransfer": transfer})
    expect(explore.locator("#pictures")).to_have_attribute("data-search", "done", timeout=30_000)
    told = ask(picture, limit=12)["hits"]
    assert rows(explore, "#pictures .hit") == [(one["vehicle"], one["probability"]) for one in told]
    best = explore.locator("#pictures .hit").first
    assert best.locator(".reasons li").all_inner_texts() == told[0]["reasons"]
    best.locator(".hit-name").click()
    expect(explore.locator("#map-section")).to_have_attribute("data-at", told[0]["sightings"][0]["at"])
    explore.click("#tab-pictures")
    best.locator(".like").click()
    found(explore)
    assert asked_of(explore)["tracklet"] == [told[0]["sightings"][0]["tracklet"]]


def test_results_are_worked_by_keys(explore: Page, tracklet: str):
    ask_for(explore, tracklet)
    explore.locator(".hit-name").first.focus()
    explore.keyboard.press("ArrowDown")
    explore.keyboard.press("ArrowDown")
    vehicle = explore.evaluate("document.activeElement.textContent")
    assert vehicle == rows(explore)[2][0]
    explore.keyboard.press("Enter")
    expect(explore.locator("#chosen")).to_have_attribute("data-chosen", vehicle)
    assert explore.evaluate("document.activeElement.closest('#chosen') !== null")


def test_sightings_of_nobody_known_are_apart(explore: Page, ask, tracklets: list[str]):
    answers = {one: ask(tracklet=one, limit=10) for one in tracklets}
    tracklet, told = max(answers.items(), key=lambda one: len(one[1]["unassigned"]))
    ask_for(explore, tracklet)
    drawn = explore.locator("[data-stray]").evaluate_all("all => all.map((one) => one.dataset.stray)")
    assert drawn == [one["tracklets"][0] for one in told["unassigned"]]
    assert explore.locator("#strays").is_visible() == bool(told["unassigned"])


def test_a_crop_that_the_service_gives_no_more_is_a_placeholder(explore: Page, tracklet: str, console_faults: list[str]):
    explore.route("**/crops/*", lambda route: route.fulfill(status=410))
    ask_for(explore, tracklet)
    expect(explore.locator(".hits > .hit").first.locator(".hit-best .no-crop")).to_be_visible()
    explore.wait_for_load_state("networkidle")  # the other crops are refused a moment later
    explore.goto("about:blank")
    assert all("410" in fault for fault in console_faults)
    console_faults.clear()


def test_sightings_without_pictures_have_placeholders(browser: Browser, service: str, comparable, console_faults: list[str]):
    tracklet = comparable(service)[0]
    with _opened(browser, service, console_faults, viewport={"width": 1440, "height": 900}) as page:
        ask_for(page, tracklet)
        assert page.locator(".sighting").count() == page.locator(".sighting .no-crop").count() > 0
    assert console_faults == []


def test_the_page_offers_what_the_api_knows(explore: Page, filmed: str):
    document = httpx2.get(f"{filmed}/openapi.json", timeout=30).json()
    parameters = document["paths"]["/v1/sites/{site}/search"]["get"]["parameters"]
    about = {one["name"]: one.get("description", "") for one in parameters}
    for name in ("kind", "colour"):
        offered = explore.locator(f"[name={name}]").evaluate_all("all => all.map((one) => one.value)")
        assert about[name].endswith(f": {', '.join(offered)}.")


def test_a_phone_shows_everything_without_sideways_scrolling(explore_on_phone: Page, tracklet: str):
    ask_for(explore_on_phone, tracklet)
    expect(explore_on_phone.locator("#chosen[data-chosen] #map")).to_be_attached()
    explore_on_phone.get_by_text("Conditions", exact=True).tap()
    expect(explore_on_phone.locator("[name=zone]")).to_be_visible()
    assert explore_on_phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert explore_on_phone.evaluate("document.querySelector('#world').getBoundingClientRect().width") > 100


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_background(explore: Page, theme: str, tracklet: str, weak_text: str):
    ask_for(explore, tracklet)
    if explore.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") != (theme == "dark"):
        explore.click("#theme")
    assert explore.evaluate(weak_text) == [], f"contrast under 4.5 in the {theme} theme"


def test_the_picture_of_the_docs_shows_ranked_vehicles(explore: Page, tmp_path: Path):
    picture = Path(os.environ.get("EXPLORE_SCREENSHOT_TO", tmp_path / "explore.png"))
    explore.set_viewport_size({"width": 1180, "height": 700})
    explore.click("#theme")
    drop(explore, (frame("gate-in"), "gate.jpg", "image/jpeg"))
    found(explore)
    explore.wait_for_selector("#chosen[data-chosen]")
    explore.wait_for_function(LOADED, arg=".hits .hit:nth-child(-n+2) :is(.hit-best, .strip li:nth-child(-n+3)) img")
    with Image.open(io.BytesIO(explore.screenshot())) as drawn:
        drawn.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE).save(picture, optimize=True)
    assert 20_000 < picture.stat().st_size < 300_000


@contextmanager
def _opened(browser: Browser, origin: str, faults: list[str], **shape) -> Iterator[Page]:
    context = browser.new_context(base_url=origin, color_scheme="dark", **shape)
    try:
        page = context.new_page()
        page.on("console", lambda one: faults.append(f"{one.type}: {one.text}") if one.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(f"uncaught: {error}"))
        page.goto("/explore?site=demo_lot")
        expect(page.locator("#results")).to_have_attribute("data-search", "empty")
        yield page
    finally:
        context.close()


def frame(camera: str, number: int = FRAME_WITH_CAR) -> bytes:
    """A picture of a camera's clip as JPEG; one of gate-in's, ten seconds in, shows a car."""
    film = cv2.VideoCapture(str(resolve("demo_lot") / "clips" / f"{camera}.mp4"))
    film.set(cv2.CAP_PROP_POS_FRAMES, number)
    is_read, pixels = film.read()
    film.release()
    assert is_read
    return bytes(cv2.imencode(".jpg", pixels)[1])


def drop(page: Page, *files: tuple[bytes, str, str]) -> None:
    """Drop files on the page's area, as a person does from a folder."""
    dropped = page.evaluate_handle(TRANSFER, [[list(content), name, kind] for content, name, kind in files])
    page.dispatch_event("#probe .drop", "drop", {"dataTransfer": dropped})


def ask_for(page: Page, tracklet: str) -> None:
    page.goto(f"/explore?site=demo_lot&tracklet={tracklet}")
    found(page)


def found(page: Page) -> None:
    """Until the page shows an answer, whatever it has asked."""
    expect(page.locator("#results")).to_have_attribute("data-search", "done", timeout=30_000)


def is_search(answer: Response) -> bool:
    return SEARCH in answer.url


def rows(page: Page, selector: str = ".hits > .hit") -> list[tuple[str, float]]:
    """Vehicles and their probabilities as drawn."""
    drawn = page.locator(selector).evaluate_all("all => all.map((one) => [one.dataset.hit, Number(one.dataset.probability)])")
    return [tuple(one) for one in drawn]


def asked_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def without(query: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in query.items() if key != name}


def refused(console_faults: list[str]) -> None:
    """The browser itself reports a refused request; nothing else may be reported."""
    assert all("Failed to load resource" in fault for fault in console_faults)
    console_faults.clear()
