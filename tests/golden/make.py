"""Makes the golden run of this release: ``python tests/golden/make.py OUT``. Run it once a release, never to mend a test.

Half a minute of ``demo_lot`` with default noise: its observations, the facts that this release's fold makes of them, and
the database that this release's service would have after it.
"""

import asyncio
import gzip
import shutil
import sys
from pathlib import Path

from perception.synthetic.run_files import write_run
from site_models.load import load_site, resolve
from twin.evaluation.event_files import read_observations
from twin.evaluation.fuse_run import fuse_run
from twin.events.codec import micros
from twin.log.port import FoldCommit
from twin.log.sealing import SealingLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.log import SqlLog
from twin.rules.fold import Fold


async def store(folder: Path, database: Path) -> None:
    """The same observations through the log, folded and committed as the service does it."""
    site = load_site(resolve("demo_lot"))
    sql = SqlLog.open(database, clock=iter(range(1_767_225_600_000_000, 2**62)).__next__)
    log, fold = SealingLog(sql, SqlKeyRing(sql)), Fold(site)
    events = list(read_observations(folder / "observations.jsonl.zst"))
    await log.append(events)
    token = await log.acquire(site.name, "golden")
    state, facts = fold.initial(), []
    for recorded, event in zip(await log.observations(site.name, limit=len(events)), events, strict=True):
        state, made = fold.step(state, recorded, getattr(event.payload, "personal", None))
        facts += made
    await log.commit(FoldCommit(token=token, after=0, cursor=len(events), facts=tuple(facts)))
    await log.aclose()


def main(folder: Path) -> None:
    """Write observations.jsonl.zst, facts.jsonl.gz, twin.db.gz and the site as it was."""
    site = load_site(resolve("demo_lot"))
    write_run(site, "default", 1, 30 / 3600, folder, micros("2026-01-05T06:00:00Z"))
    fuse_run(site, folder / "observations.jsonl.zst", folder)
    asyncio.run(store(folder, folder / "twin.db"))
    for name in ("facts.jsonl", "twin.db"):
        with (folder / name).open("rb") as plain, gzip.GzipFile(folder / f"{name}.gz", "wb", mtime=0) as packed:
            shutil.copyfileobj(plain, packed)
    kept = {"observations.jsonl.zst", "facts.jsonl.gz", "twin.db.gz"}
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()
    shutil.copytree(resolve("demo_lot"), folder / "site")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
