"""``twin demo``: the service in this process, an edge worker in another, over the same HTTP as a real one.

The worker plays the site's clips through the real path: decode, detect, track, embed. A simulated one reports without pictures.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from perception.clips import Clips
from perception.models import packaged
from perception.spool import locked
from site_models.load import resolve
from site_models.schema import Site
from twin.api.services import Services
from twin.errors import BadInput, Conflict, TwinError
from twin.events.ids import SiteId
from twin.log.sql.lock import WriterLock
from twin.main import load_sites, serve_sites
from twin.process import listen
from twin.settings import Settings
from twin.settings_check import check_settings

_STOP_S = 5.0


class Simulated(NamedTuple):
    """Traffic and sensors without pictures: what a demo runs on where decoding video is too much."""

    seed: int
    profile: str


class EdgeEnded(TwinError):
    """The edge worker ended by itself."""

    slug = "edge-ended"


def run_demo(
    settings: Settings,
    *,
    site: str,
    simulated: Simulated | None,
    seconds: float | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run the demo until a signal, or for some seconds; returns what came of it.

    Args:
        simulated: what to simulate; None plays the site's clips.

    A data folder that holds an earlier log is renamed first: its traffic has nothing to do with the new one's. Nothing is
    renamed before the settings are seen to be usable and the port is taken, nor while another process uses the folder.

    Raises:
        BadInput: the site has no clips to play, keys or a database are asked for, or the port is taken.
        Conflict: another process uses the data folder.
        TwinError: a part failed, or the edge worker ended by itself.
    """
    if settings.has_keys:
        raise BadInput("the demo is open to this machine and makes no keys; unset TWIN_ACCESS, or use `twin serve`")
    if settings.database_url is not None:
        raise BadInput("the demo keeps its log in a data folder of its own; unset TWIN_DATABASE_URL, or use `twin serve`")
    sites = load_sites([site])
    (name,) = sites
    if simulated is None:
        _check_clips(site, sites[name])
    summary: dict[str, Any] = {"schema": "twin.demo/1", "site": name}
    summary |= {"source": "clips"} if simulated is None else {"source": "simulated", **simulated._asdict()}

    async def beside(services: Services, url: str) -> None:
        say(f"the map of '{name}' is at {url}/?site={name}   (Ctrl-C ends the demo)")
        edge = await _start_edge(site, simulated, url, settings.data_dir / "spool")
        try:
            await asyncio.wait_for(edge.wait(), seconds)
            raise EdgeEnded(f"the edge worker ended with {edge.returncode}; see its messages above")
        except TimeoutError:
            pass
        finally:
            await _stop(edge)
            summary.update(url=url, seconds=seconds, **await _counts(services, name))

    check_settings(settings)
    with listen(settings.host, settings.port) as listener:
        if (kept := keep_earlier(settings.data_dir)) is not None:
            say(f"the earlier log in '{settings.data_dir}' is now in '{kept}'")
        asyncio.run(serve_sites(settings, sites, announce=lambda _: None, beside=beside, listener=listener))
    return summary


def keep_earlier(data_dir: Path) -> Path | None:
    """Rename a data folder that is not empty to ``NAME-1``, ``NAME-2``, …; returns the new name, or None.

    Raises:
        Conflict: another process writes its log, or an edge worker keeps its spool there; nothing is renamed.
    """
    if not data_dir.exists() or not any(data_dir.iterdir()):
        return None
    number = 1
    while (kept := data_dir.with_name(f"{data_dir.name}-{number}")).exists():
        number += 1
    with ExitStack() as held:  # until it has its new name, so that nobody begins to write meanwhile
        try:
            held.callback(WriterLock(data_dir / "log.db").release)
            if (spool := data_dir / "spool").is_dir():
                held.enter_context(locked(spool))
        except TwinError:
            raise Conflict(
                f"another process uses '{data_dir}', and would lose what it stores if the demo put that folder aside. Stop it,"
                " or give another --data-dir"
            ) from None
        data_dir.rename(kept)
    return kept


def _check_clips(folder: str, site: Site) -> None:
    """Fail before anything is started where the clips or the models that read them are missing."""
    try:
        Clips(resolve(folder) / "clips", site)
        packaged("detector")
    except TwinError as wrong:
        raise BadInput(
            f"the demo cannot play clips of '{site.name}': {wrong}. Without pictures: twin demo --simulated"
        ) from None


def edge_words(site: str, simulated: Simulated | None, url: str, spool: Path) -> list[str]:
    """What ``perceive`` is told. A demo's pictures show nobody, so they are sent too."""
    words = (
        ["run", "--clips", "--quiet", "--pictures"]
        if simulated is None
        else ["simulate", "--seed", str(simulated.seed), "--profile", simulated.profile]
    )
    return [*words, "--site", site, "--log", url, "--spool", str(spool)]


async def _start_edge(site: str, simulated: Simulated | None, url: str, spool: Path) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "perception.cli", *edge_words(site, simulated, url, spool)]
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
