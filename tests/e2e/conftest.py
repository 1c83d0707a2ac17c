"""A real browser in front of the real service, with simulated traffic.

``E2E_URL`` drives a service that already runs instead; ``SCREENSHOT_TO`` is where the README's picture goes.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

START_S = 60.0
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
    with _demo(folder) as origin:
        yield origin


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
def bare_page(browser: Browser, service: str) -> Iterator[Page]:
    """A window at the service's origin that runs nothing by itself."""
    context = browser.new_context(base_url=service)
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
        page.wait_for_function("document.querySelectorAll('#world [data-vehicle]').length >= 3", timeout=90_000)
        page.wait_for_function("Number(document.querySelector('#time').max) >= 30", timeout=90_000)
        yield page
    finally:
        context.close()


def _fault(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text} ({message.location['url']})"


@contextmanager
def _demo(folder: Path) -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-m", "twin.cli", "demo", "--simulated", "--port", str(port), "--data-dir", str(folder / "var")]
    with (folder / "demo.log").open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ, "PYTHONWARNINGS": ""}
        )
        try:
            origin = f"http://127.0.0.1:{port}"
            _wait_until_healthy(origin, process, folder / "demo.log")
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
            pytest.fail(f"`twin demo` ended with {process.returncode}:\n{said.read_text()[-4000:]}")
        try:
            if httpx2.get(f"{origin}/healthz", timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    pytest.fail(f"`twin demo` was not healthy after {START_S:.0f} s:\n{said.read_text()[-4000:]}")


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
