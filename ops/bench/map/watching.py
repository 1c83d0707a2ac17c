"""A real browser in front of a page, for some seconds: frames, and what the page's own code takes of the main thread."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from twin.errors import MissingExtra

ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
VIEWPORT = {"width": 1440, "height": 900}
_FOLDER = Path(__file__).parent
_PATIENCE_MS = 90_000


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium that draws in software; raises MissingExtra."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise MissingExtra(
            "the bench of the map needs playwright; install the development extra: pip install -e .[dev]"
        ) from None
    if found is None:
        raise MissingExtra("the bench of the map needs a browser; install it with: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(ARGS))
        try:
            yield opened
        finally:
            opened.close()


def watched(browser: Any, url: str, seconds: float, ready: str | None = None, arg: Any = None) -> dict[str, Any]:
    """One turn: the page is opened, drawn for a while, and then measured.

    Args:
        ready: JavaScript that is true once the page shows what is measured.
    """
    context = browser.new_context(viewport=VIEWPORT, color_scheme="dark")
    try:
        page = context.new_page()
        page.add_init_script((_FOLDER / "probe.js").read_text())
        page.goto(url)
        if ready is not None:
            page.wait_for_function(ready, arg=arg, timeout=_PATIENCE_MS)
        page.wait_for_timeout(2_000)
        began_s, used_s = time.monotonic(), _browser_s()
        page.evaluate("probe.begin()")
        page.wait_for_timeout(seconds * 1_000)
        found = page.evaluate("probe.end()")
        took_s, used_s = time.monotonic() - began_s, _browser_s() - used_s
        size = page.evaluate(
            "(() => { const { width, height } = document.querySelector('canvas') ?? {}; return [width, height]; })()"
        )
    finally:
        context.close()
    browser_ms = round(used_s * 1_000 / max(1, len(found["frames"])), 2)
    return _told(found, took_s) | {"browser_ms_a_frame": browser_ms, "canvas_px": size}


def _told(found: dict[str, Any], took_s: float) -> dict[str, Any]:
    frames = found["frames"]
    gaps = sorted(b - a for a, b in pairwise(frames))
    n = max(1, len(frames))
    busy_ms = sum(found["frame_ms"]) + sum(found["message_ms"]) + found["other_ms"]
    return {
        "frames_s": round(len(frames) / took_s, 1),
        "gap_p95_ms": round(gaps[int(0.95 * (len(gaps) - 1))], 1) if gaps else None,
        "draw_ms": round(statistics.median(found["frame_ms"]), 2) if found["frame_ms"] else 0.0,
        "message_ms": round(statistics.median(found["message_ms"]), 2) if found["message_ms"] else 0.0,
        "messages_s": round(len(found["message_ms"]) / took_s, 1),
        "own_ms_a_frame": round(busy_ms / n, 2),
    }


def _browser_s() -> float:
    """Processor time of all of the browser's processes, which are below this one."""
    below, waiting, found = _children(), [os.getpid()], 0.0
    while waiting:
        for pid in below.get(waiting.pop(), ()):
            waiting.append(pid)
            with suppress(OSError):
                if b"chrom" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found += sum(map(int, _fields(pid)[11:13])) / os.sysconf("SC_CLK_TCK")
    return found


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.setdefault(int(_fields(int(path.name))[1]), []).append(int(path.name))
    return found


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
