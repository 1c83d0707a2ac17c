"""``twin refuse``: the past fused again, with what came too late for it."""

from __future__ import annotations

import asyncio
import getpass
from typing import Annotated, Any

import typer

from twin.commands import AsJson, DataDir, SiteName, micros_of, print_json, say, with_logs
from twin.errors import FoldMismatch, NotFound
from twin.events.codec import rfc3339

From = Annotated[str, typer.Option("--from", help="Fuse again what was seen from then on; RFC 3339.")]
Reason = Annotated[str, typer.Option("--reason", help="Kept in the log.")]
AskOnly = Annotated[bool, typer.Option("--ask-only", help="Only log the request: a running service answers it.")]


def refuse(
    site: SiteName,
    from_: From,
    reason: Reason = "late data",
    ask_only: AskOnly = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Fuse again from a time on, with what came too late, and add facts for what differs; nothing that was said changes."""
    from_at = micros_of(from_, "--from")

    async def ask(logs: Any, model: Any) -> dict[str, Any]:
        from twin.events.envelope import DeviceKey, ObservationEvent
        from twin.events.ids import DeviceId
        from twin.events.observations import RefuseRequested
        from twin.log.clock import system_clock
        from twin.refusal import base_of
        from twin.rules.fold import Fold

        log, fold = logs.log, Fold(model)
        before = await log.heads(model.name)
        if not before.observations:
            raise NotFound(f"the log holds no observations of site '{model.name}'; name a site that `twin log verify` lists")
        await check_fold(log, fold, from_at)
        await base_of(log, fold, before=before.observations + 1, from_at=from_at)
        now = system_clock()
        key = DeviceKey(device=DeviceId("twin-refuse"), boot_epoch=now, sequence=1)
        payload = RefuseRequested(from_at=from_at, author=getpass.getuser(), reason=reason)
        await log.append([ObservationEvent(site=model.name, key=key, occurred_at=now, payload=payload)])
        if not ask_only:
            await _answered(logs, fold)
        after = await log.heads(model.name)
        facts = await log.facts(model.name, after=before.facts, limit=max(1, after.facts - before.facts))
        return {
            "site": model.name,
            "request": before.observations + 1,
            "facts": after.facts - before.facts,
            "superseded": sum(len(fact.event.supersedes) for fact in facts),
        }

    told = with_logs(site, data_dir, ask, read_only=False)
    if as_json:
        print_json({"schema": "twin.refuse/1", "answered": not ask_only, **told})
    if ask_only:
        say(f"{told['site']}: request {told['request']} is logged; the service answers it when it comes to it")
    else:
        say(f"{told['site']}: {told['facts']} facts were added, which supersede {told['superseded']}")


async def check_fold(log: Any, fold: Any, from_at: int) -> None:
    """Raise FoldMismatch where another fold version said what was so from then on: a fold compares with its own words."""
    from twin.projections.moment import FOREVER

    first = await log.facts_between(fold.site.name, after_at=from_at, until_at=FOREVER, until_position=2**62, limit=1)
    if first and first[0].event.fold_version != fold.version:
        raise FoldMismatch(
            f"the facts of site '{fold.site.name}' of {rfc3339(first[0].event.occurred_at)} were made by fold version "
            f"{first[0].event.fold_version}, this is {fold.version}, which can only fuse again what it fused: they stay as "
            "they are. Ask for a later --from, or run the release that made them; to see what this one makes of the "
            "observations without their looks, which are sealed, "
            f"`twin log tail --site {fold.site.name} --no-follow > seen.jsonl` and "
            f"`twin fuse --site {fold.site.name} --observations seen.jsonl --out RUN`"
        )


async def _answered(logs: Any, fold: Any) -> None:
    """Fold what is logged, the request last, and end."""
    from functools import partial

    from twin.opened_maps import begin
    from twin.service import FusionWorker

    begins = partial(begin, logs, fold.site)
    worker = FusionWorker(logs.log, logs.keys, fold, worker_id="refuse", clock_ticks=False, begins=begins)
    head = (await logs.log.heads(fold.site.name)).observations
    running = asyncio.create_task(worker.run())
    while not running.done() and worker.cursor < head:  # noqa: ASYNC110 - the worker has no event for it
        await asyncio.sleep(0.01)
    worker.stop()
    await running
