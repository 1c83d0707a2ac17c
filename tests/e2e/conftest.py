"""A real browser in front of the real service, with simulated traffic.

``E2E_URL`` drives a service that already runs instead; ``SCREENSHOT_TO`` is where the README's picture goes, and
``EXPLORE_SCREENSHOT_TO`` that of the Explore page; ``PAGES_SCREENSHOTS_TO`` is the folder for those of the other pages.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from billed_day import SITE, keep_pictures
from while_used import WhileUsed

from site_models.load import resolve

START_S = 60.0
FILMED_S = 150.0
QUIET_S = 12.0  # longer than a camera takes to be told silent
FILMED_VEHICLES = 15
FILMING = ("aisle-1-east", "gate-in")
FOLDED_S = 4.0  # without a new fact
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


WHILE_USED = WhileUsed()


def pytest_collection_finish(session: pytest.Session) -> None:
    WHILE_USED.count(session.items)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    WHILE_USED.ended(item)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The system's browser; without one the tests are skipped, but in CI that is a failure."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    reason = "no chromium on this machine; install it with: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One browser a file: while playwright's own event loop lives, no asynchronous test can run in this process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_ARGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def service(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of a service whose site has had traffic for a while."""
    given = os.environ.get("E2E_URL")
    if given:
        yield given.rstrip("/")
        return
    folder = tmp_path_factory.mktemp("demo")
    with WHILE_USED.kept("service", _running(folder, "demo", "--simulated")) as origin:
        yield origin


@pytest.fixture(scope="session")
def calm(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The origin of a service that no camera sends anything to, and its data folder."""
    folder = tmp_path_factory.mktemp("calm")
    with WHILE_USED.kept("calm", _running(folder, "serve", "--site", "demo_lot")) as origin:
        yield origin, folder / "var"


@pytest.fixture(scope="session")
def filmed(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of a service with pictures of vehicles: cameras filmed for a while, and then nothing happens any more."""
    folder = tmp_path_factory.mktemp("filmed")
    with _running(folder, "demo") as origin:
        _wait_until_filmed(origin)
    with WHILE_USED.kept("filmed", _running(folder, "serve", "--site", "demo_lot")) as origin:
        _wait_until_filmed(origin)
        _wait_until_quiet(origin)
        yield origin


@pytest.fixture(scope="module")
def filming(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of a service to which a real worker sends what it sees in the site's clips, three frames a second.

    Of two cameras, as looking takes a processor; for the documentation's picture, of all.
    """
    folder = tmp_path_factory.mktemp("filming")
    site = resolve("demo_lot")
    if not os.environ.get("PAGES_SCREENSHOTS_TO"):
        site = shutil.copytree(site, folder / "site")
        clips = site / "clips" / "clips.toml"
        kept = [one for one in clips.read_text().splitlines() if ".mp4" not in one or any(name in one for name in FILMING)]
        clips.write_text("\n".join(kept))
    with _running(folder, "serve", "--site", str(site)) as origin:
        words = ("run", "--clips", "--site", str(site), "--log", origin, "--fps", "3", "--pictures", "--quiet")
        with (folder / "worker.log").open("wb") as said:
            command = [sys.executable, "-m", "perception.cli", *words, "--spool", str(folder / "spool")]
            worker = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield origin
            assert worker.poll() is None, (folder / "worker.log").read_text()
        finally:
            worker.terminate()
            try:
                worker.wait(timeout=30)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


@pytest.fixture(scope="session")
def keyed(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The origin of a service that asks for keys, and its data folder; each test makes the keys that it uses."""
    folder = tmp_path_factory.mktemp("keyed")
    with WHILE_USED.kept("keyed", _running(folder, "serve", "--site", "demo_lot", TWIN_ACCESS="keys")) as origin:
        yield origin, folder / "var"


@pytest.fixture(scope="session")
def day_folder(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated day in a log that nobody has folded; see ``billed_day.py``."""
    folder = tmp_path_factory.mktemp("billed")
    script = Path(__file__).with_name("billed_day.py")
    # Not here: while playwright's event loop lives, none can run in this process.
    environ = {**os.environ, "PYTHONWARNINGS": "", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, str(script), str(folder)], check=True, env=environ)
    return folder


@pytest.fixture(scope="session")
def billed(day_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of a service that has folded the day; nothing happens any more, and nobody decides anything."""
    with WHILE_USED.kept("billed", _billed(day_folder, tmp_path_factory.mktemp("read"))) as origin:
        yield origin


@pytest.fixture(scope="module")
def reviewed(day_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same for this file alone, which may decide what it likes."""
    with _billed(day_folder, tmp_path_factory.mktemp("reviewed")) as origin:
        yield origin


@pytest.fixture(scope="module")
def hooked(day_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The origin of a service with the day's facts that asks for keys and sends webhooks to this machine; its data folder."""
    folder = tmp_path_factory.mktemp("hooked")
    shutil.copytree(day_folder / "var", folder / "var")
    words = ("serve", "--site", str(day_folder / "site"))
    with _running(folder, *words, TWIN_ACCESS="keys", TWIN_WEBHOOK_ALLOW="127.0.0.1") as origin:
        yield origin, folder / "var"


@pytest.fixture
def sheet(browser: Browser, billed: str, console_faults: list[str]) -> Iterator[Page]:
    """A desk's window at the day's service, nothing opened yet; it must end without complaints."""
    with _blank(browser, billed, console_faults, viewport={"width": 1440, "height": 900}) as page:
        yield page
    assert console_faults == []


@pytest.fixture
def desk(browser: Browser, reviewed: str, console_faults: list[str]) -> Iterator[Page]:
    """The same at the service where things may be decided."""
    with _blank(browser, reviewed, console_faults, viewport={"width": 1440, "height": 900}) as page:
        yield page
    assert console_faults == []


@pytest.fixture(scope="session")
def comparable() -> Callable[[str], list[str]]:
    """``comparable(origin)``: tracklets that were taken for vehicles and can be searched with, once there are any."""
    return _comparable


@pytest.fixture
def console_faults() -> list[str]:
    """What pages complained of; a test that provokes a complaint takes it out."""
    return []


@pytest.fixture
def page(browser: Browser, service: str, console_faults: list[str]) -> Iterator[Page]:
    """A desk's browser window, connected, with three vehicles and half a minute of past; it must end without complaints."""
    with _window(browser, service, console_faults, viewport={"width": 1440, "height": 900}) as page:
        yield page
    assert console_faults == []


@pytest.fixture
def weak_text() -> str:
    """JavaScript that lists the page's texts whose contrast is under 4.5."""
    return _WEAK_TEXT


@pytest.fixture
def bare_page(browser: Browser, calm: tuple[str, Path]) -> Iterator[Page]:
    """A window at a service's origin that runs nothing by itself."""
    context = browser.new_context(base_url=calm[0])
    page = context.new_page()
    page.goto("/static/favicon.svg")
    yield page
    context.close()


@pytest.fixture
def phone(browser: Browser, service: str, console_faults: list[str]) -> Iterator[Page]:
    """The same on a phone."""
    shape = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
    with _window(browser, service, console_faults, **shape) as page:
        yield page
    assert console_faults == []


@contextmanager
def _window(browser: Browser, origin: str, faults: list[str], **shape) -> Iterator[Page]:
    context = browser.new_context(base_url=origin, color_scheme="dark", **shape)
    try:
        page = context.new_page()
        page.on("console", lambda message: faults.append(_fault(message)) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(f"uncaught: {error}"))
        page.goto("/")
        page.wait_for_selector("#connection[data-status=live]")
        page.wait_for_function("document.querySelectorAll('#vehicle-marks [data-vehicle]').length >= 3", timeout=90_000)
        page.wait_for_function("Number(document.querySelector('#time').max) >= 30", timeout=90_000)
        yield page
    finally:
        context.close()


@contextmanager
def _blank(browser: Browser, origin: str, faults: list[str], **shape) -> Iterator[Page]:
    context = browser.new_context(base_url=origin, **{"color_scheme": "dark", **shape})
    try:
        page = context.new_page()
        page.on("console", lambda message: faults.append(_fault(message)) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(f"uncaught: {error}"))
        yield page
    finally:
        context.close()


@contextmanager
def _billed(day: Path, folder: Path) -> Iterator[str]:
    shutil.copytree(day / "var", folder / "var")
    with _running(folder, "serve", "--site", str(day / "site")) as origin:
        keep_pictures(day, origin)
        _wait_until_folded(origin)
        yield origin


def _wait_until_folded(origin: str) -> None:
    """Until all of the day is concluded, and its views can be asked for."""
    root, deadline = f"{origin}/v1/sites/{SITE}", time.monotonic() + FILMED_S
    head, since = None, time.monotonic()
    while time.monotonic() < deadline:
        facts = httpx2.get(f"{root}/facts", params={"limit": 1}, timeout=30).json()
        views = httpx2.get(f"{root}/search/views", params={"tracklet": "exit.1.78"}, timeout=30).json()["views"]
        if facts["head"] != head or not views:
            head, since = facts["head"], time.monotonic()
        elif head != "0" and time.monotonic() - since >= FOLDED_S:
            return
        time.sleep(0.3)
    pytest.fail(f"the day was not folded in {FILMED_S:.0f} s")


def _fault(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text} ({message.location['url']})"


@contextmanager
def _running(folder: Path, *words: str, **environ: str) -> Iterator[str]:
    port, said = _free_port(), folder / f"{words[0]}.log"
    command = [sys.executable, "-m", "twin.cli", *words, "--port", str(port), "--data-dir", str(folder / "var")]
    with said.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ, "PYTHONWARNINGS": "", **environ}
        )
        try:
            origin = f"http://127.0.0.1:{port}"
            _wait_until_healthy(origin, process, said)
            yield origin
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_healthy(origin: str, process: subprocess.Popen, said: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the service ended with {process.returncode}:\n{said.read_text()[-4000:]}")
        try:
            if httpx2.get(f"{origin}/healthz", timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the service was not healthy after {START_S:.0f} s:\n{said.read_text()[-4000:]}")


def _wait_until_filmed(origin: str) -> None:
    """Until enough vehicles are ranked for a sighting."""
    deadline = time.monotonic() + FILMED_S
    while time.monotonic() < deadline:
        if any(_search(origin, one).get("n_found", 0) >= FILMED_VEHICLES for one in _assigned(origin)[:3]):
            return
        time.sleep(1.0)
    pytest.fail(f"fewer than {FILMED_VEHICLES} vehicles were filmed in {FILMED_S:.0f} s")


def _comparable(origin: str) -> list[str]:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if found := [one for one in _assigned(origin)[:12] if "hits" in _search(origin, one)]:
            return found
        time.sleep(0.5)
    pytest.fail(f"no sighting could be searched with in {START_S:.0f} s")


def _assigned(origin: str) -> list[str]:
    """The first tracklets that the twin took for vehicles."""
    facts = httpx2.get(f"{origin}/v1/sites/demo_lot/facts", timeout=30).raise_for_status().json()["facts"]
    return list(dict.fromkeys(one["data"]["tracklet"] for one in facts if one["type"] == "tracklet.assigned.v1"))


def _wait_until_quiet(origin: str) -> None:
    """Until no fact comes any more: the service still concludes what the last frames said, and that cameras fell silent."""
    tracklet, deadline = _assigned(origin)[0], time.monotonic() + FILMED_S
    head, since = None, time.monotonic()
    while time.monotonic() < deadline:
        now = _search(origin, tracklet).get("known_at")
        if now != head:
            head, since = now, time.monotonic()
        elif time.monotonic() - since >= QUIET_S:
            return
        time.sleep(0.5)
    pytest.fail(f"facts still came after {FILMED_S:.0f} s without frames")


def _search(origin: str, tracklet: str) -> dict:
    return httpx2.get(f"{origin}/v1/sites/demo_lot/search", params={"tracklet": tracklet}, timeout=60).json()


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# WCAG 2 contrast of every visible text of the page outside the map's drawing, colours resolved through a canvas.
_WEAK_TEXT = """() => {
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
        .getContext('2d', { willReadFrequently: true });
    const rgba = (colour) => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (rgb) => rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const groundOf = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const [r, g, b, a] = rgba(getComputedStyle(one).backgroundColor);
            if (a === 255) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const weak = [];
    for (const element of document.querySelectorAll('body *:not(svg, svg *)')) {
        const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join('');
        if (!text || !element.checkVisibility() || element.closest('.unseen, .skip, :disabled')) continue;
        const [a, b] = [rgba(getComputedStyle(element).color).slice(0, 3), groundOf(element)].map(luminance);
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) weak.push(`${contrast.toFixed(2)} ${element.tagName} ${text.slice(0, 40)}`);
    }
    return weak;
}"""
