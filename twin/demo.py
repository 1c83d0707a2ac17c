"""``twin demo``: the service in this process, a simulated edge worker in another, over the same HTTP as a real one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twin.api.services import Services
from twin.errors import TwinError
from twin.events.ids import SiteId
from twin.main import load_sites, serve_sites
from twin.settings import Settings

_STOP_S = 5.0


class EdgeEnded(TwinError):
    """The simulated edge worker ended by itself."""

    slug = "edge-ended"


def run_demo(
    settings: Settings,
    *,
    site: str,
    seed: int,
    profile: str,
    seconds: float | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run the demo until a signal, or for some seconds; returns what came of it.

    A data folder that holds an earlier log is renamed first: its traffic has nothing to do with the new one's.

    Raises:
        TwinError: a part failed, or the simulated edge ended by itself.
    """
    sites = load_sites([site])
    (name,) = sites
    if (kept := keep_earlier(settings.data_dir)) is not None:
        say(f"the earlier log in '{settings.data_dir}' is now in '{kept}'")
    summary: dict[str, Any] = {"schema": "twin.demo/1", "site": name, "seed": seed, "profile": profile}

    async def beside(services: Services, url: str) -> None:
        say(f"the map of '{name}' is at {url}/?site={name}   (Ctrl-C ends the demo)")
        edge = await _start_edge(site, seed, profile, url, settings.data_dir / "spool")
        try:
            await asyncio.wait_for(edge.wait(), seconds)
            raise EdgeEnded(f"the simulated edge worker ended with {edge.returncode}; see its messages above")
        except TimeoutError:
            pass
        finally:
            await _stop(edge)
            summary.update(url=url, seconds=seconds, **await _counts(services, name))

    asyncio.run(serve_sites(settings, sites, announce=lambda _: None, beside=beside))
    return summary


def keep_earlier(data_dir: Path) -> Path | None:
    """Rename a data folder that is not empty to ``NAME-1``, ``NAME-2``, …; returns the new name, or None."""
    if not data_dir.exists() or not any(data_dir.iterdir()):
        return None
    number = 1
    while (kept := data_dir.with_name(f"{data_dir.name}-{number}")).exists():
        number += 1
    data_dir.rename(kept)
    return kept


async def _start_edge(site: str, seed: int, profile: str, url: str, spool: Path) -> asyncio.subprocess.Process:
    words = ["simulate", "--site", site, "--seed", str(seed), "--profile", profile, "--log", url, "--spool", str(spool)]
    command = [sys.executable, "-m", "perception.cli", *words]
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _counts(services: Services, name: SiteId) -> dict[str, Any]:
    heads = await services.log.heads(name)
    state = await services.timelines[name].state()
    return {
        "observations": heads.observations,
        "facts": heads.facts,
        "fold_lag": heads.observations - heads.cursor,
        "vehicles": len(state["vehicles"]),
        "counters": state["counters"],
        "at": state["at"],
    }
