"""The programs on the pages run as they stand, but for the address and the site's name."""

import asyncio
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from twin.events.facts import GateDecided

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "ops" / "docs"
NODE = ["node", "--experimental-websocket"]  # which newer ones need not be told


def program(page: str, language: str = "python") -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    return found


def has_websockets_in_node() -> bool:
    return (
        shutil.which("node") is not None
        and b"function" in subprocess.run([*NODE, "-p", "typeof WebSocket"], capture_output=True).stdout
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """``async with run(page, address) as process``: the page's program, in a folder of its own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    @asynccontextmanager
    async def running(page, address, *changes, language="python"):
        text = program(page, language)
        assert "127.0.0.1:8600" in text
        assert "demo_lot" in text
        file = tmp_path / {"python": "program.py", "js": "program.mjs"}[language]
        for before, after in (("127.0.0.1:8600", address), ("demo_lot", "lot"), *changes):
            text = text.replace(before, after)
        file.write_text(text)
        command = [sys.executable, "-u"] if language == "python" else NODE
        process = await asyncio.create_subprocess_exec(
            *command, str(file), cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            yield process
            if process.returncode is not None:
                pytest.fail((await process.stderr.read()).decode())
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return running


def bills(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "bills.db")) as database:
        return [stay for (stay,) in database.execute("select stay from bills")]


async def until_billed(folder: Path, count: int, process) -> None:
    async with asyncio.timeout(60):
        while process.returncode is None:
            try:
                if len(bills(folder)) >= count:
                    return
            except sqlite3.OperationalError:
                pass  # it has not made its tables yet
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("page", [path.relative_to(DOCS).as_posix() for path in DOCS.glob("**/*.md")])
def test_every_program_on_a_page_is_whole(page):
    for text in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        compile(text, page, "exec")


async def test_the_biller_bills_each_stay_once_also_when_it_is_killed(serve, listen, story, run, tmp_path):
    stays = [
        event
        for n in range(1, 21)
        for event in (
            story.event(2 * n - 1, story.opened(f"p{n}", f"v{n}")),
            story.event(2 * n, story.closed(f"p{n}", f"v{n}")),
        )
    ]
    async with serve(stays) as running, listen(running.app) as address:
        async with run("subscriptions.md", address) as process:
            await until_billed(tmp_path, 1, process)
        replay = {"after": "0", "until": "40"}
        subscription = "/v1/sites/lot/subscriptions/billing"
        assert (await running.http.post(f"{subscription}/replay", json=replay)).is_success
        async with run("subscriptions.md", address) as process:
            await until_billed(tmp_path, 20, process)
            async with asyncio.timeout(60):
                while (await running.http.get(subscription)).json()["acknowledged_to"] != "40":
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
    assert sorted(bills(tmp_path)) == sorted(f"p{n}" for n in range(1, 21))


async def test_the_receiver_bills_each_stay_once_also_when_it_is_killed(serve, listen, story, run, tmp_path, monkeypatch):
    monkeypatch.setattr("twin.feeds.webhooks.PAUSES_S", (0.5,))
    monkeypatch.setattr("twin.feeds.webhooks.MOST_ATTEMPTS", 100)
    monkeypatch.setattr("twin.feeds.subscriptions._LOOK_EVERY_S", 0.05)
    stays = [story.event(n, story.closed(f"p{n}", f"v{n}")) for n in range(1, 21)]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    webhook = "/v1/sites/lot/webhooks/bills"
    async with serve(stays) as running, listen(running.app) as address:
        async with run("webhooks.md", address, ("8700", str(port))) as process:
            await until_billed(tmp_path, 1, process)
        await running.http.post(f"{webhook}/replay", json={"after": "0", "until": "20"})
        async with run("webhooks.md", address, ("8700", str(port))) as process:
            await until_billed(tmp_path, 20, process)
            async with asyncio.timeout(60):
                while (await running.http.get(webhook)).json()["acknowledged_to"] != "20":
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
    assert sorted(bills(tmp_path)) == sorted(f"p{n}" for n in range(1, 21))


async def test_the_barrier_is_raised_once_for_what_is_open_and_in_time(serve, listen, story, run):
    def decided(n, answer, expires_at, portal="exit"):
        return GateDecided(
            decision=f"d{n}",
            portal=portal,
            answer=answer,
            reasons=("nothing_due",),
            confidence=1.0,
            expires_at=expires_at,
            as_of_at=None,
            asked="0" * 32,
        )

    soon, past = (round((time.time() + by) * 1_000_000) for by in (3600, -1))
    facts = [
        story.event(1, decided(1, "refuse", soon)),
        story.event(2, decided(2, "open", past)),
        story.event(3, decided(3, "open", soon, portal="entry")),
        story.event(4, decided(4, "open", soon)),
    ]
    async with serve(facts) as running, listen(running.app) as address:
        made = {"types": ["gate.decided.v1"], "after": "0"}
        assert (await running.http.put("/v1/sites/lot/subscriptions/barrier-exit", json=made)).is_success
        async with run("gates.md", address) as process, asyncio.timeout(60):
            assert await process.stdout.readline() == b"up: d4\n"


async def told(process, position: int) -> bytes:
    """The line that tells a position."""
    while not (line := await process.stdout.readline()).startswith(b"position %d:" % position):
        assert line, await process.stderr.read()
    return line.partition(b": ")[2]


@pytest.mark.parametrize("language", ["python", "js"])
async def test_the_watcher_goes_on_where_it_was_when_the_service_was_away(serve, listen, story, run, language):
    if language == "js" and not has_websockets_in_node():
        pytest.skip("no node with WebSocket")
    async with serve(story.events(story.confirmed(), story.stall(state="free"))) as running, asyncio.timeout(60):
        before = listen(running.app)
        address = await before.__aenter__()
        async with run("live.md", address, language=language) as process:
            assert await told(process, 2) == b"1 vehicles, 1 stalls free\n"
            await story.add(running.log, [story.event(3, story.stall("s2", "free"), at=3)])
            assert await told(process, 3) == b"1 vehicles, 2 stalls free\n"
            await before.__aexit__(None, None, None)
            await story.add(running.log, [story.event(4, story.left(), at=4)])
            await story.add(running.log, [story.event(5, story.stall("s2", "occupied"), at=5)])
            while running.hub.position < 5:  # noqa: ASYNC110 - it has no event for a test
                await asyncio.sleep(0.01)
            async with listen(running.app, port=int(address.split(":")[1])):
                assert await told(process, 5) == b"0 vehicles, 1 stalls free\n"
