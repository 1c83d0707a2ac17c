"""The receiver's secret beside the real service: whenever it is killed, it comes to have one that the service signs with."""

import asyncio

import httpx2
import pytest
from sqlalchemy import update

from ops.examples.database import opened
from ops.examples.receiver import schema, secrets
from tests.system.conftest import free_port


@pytest.mark.timeout(200)
async def test_a_receiver_that_was_killed_while_it_was_told_its_secret_gets_another_one(
    processes, port, wait_healthy, tmp_path, monkeypatch
):
    monkeypatch.setenv("TWIN_WEBHOOK_ALLOW", "127.0.0.0/8")
    url, database = f"http://127.0.0.1:{port}", f"sqlite:///{tmp_path / 'received.db'}"
    serve = ("twin.cli", "serve", "--site", "demo_lot", "--data-dir", str(tmp_path / "data"), "--port", str(port))
    service = processes.spawn(*serve, name="service")
    await asyncio.to_thread(wait_healthy, url, service)
    of_twin = ("--url", url, "--site", "demo_lot", "--database", database)
    runs = ("ops.examples.receiver", "run", *of_twin, "--port", str(free_port()))
    async with httpx2.AsyncClient(base_url=f"{url}/v1/sites/demo_lot/webhooks/received", timeout=60) as webhook:
        receiver = processes.spawn(*runs, name="receiver")
        await until_signed(webhook, processes)

        await asyncio.to_thread(processes.command, "ops.examples.receiver", "rotate", *of_twin, "--overlap", "0")
        await until_signed(webhook, processes)

        for is_first in (False, True):  # of two secrets, or of the only one
            receiver.kill()
            receiver.wait()
            engine = opened(database, schema.metadata)
            with engine.begin() as connection:
                n_known = len(secrets.accepted(connection, "received", 0))
                newest = max(row.n for row in connection.execute(schema.secrets.select()))
                lost = update(schema.secrets).values(secret=None)
                connection.execute(lost if is_first else lost.where(schema.secrets.c.n == newest))
            engine.dispose()
            assert n_known >= 1
            receiver = processes.spawn(*runs, name="receiver")
            await until_signed(webhook, processes)


async def until_signed(webhook, processes) -> None:
    """Until the service says that what it signed was taken."""
    said = None
    try:
        async with asyncio.timeout(45):
            while True:
                answer = await webhook.post("/test")
                if answer.is_success and (said := answer.json())["outcome"] == "delivered":
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{said}: {processes.errors('receiver')}") from None
