"""Makes the golden run of this release: ``python tests/golden/make.py OUT``. Run it once a release, never to mend a test.

``python tests/golden/make.py --refold`` records, beside each release's facts, which ones this fold version makes of its
observations; run it once a fold version, and read the differences that it prints.

Half a minute of ``demo_lot`` with default noise: its observations, the facts that this release's fold makes of them, and
the database that this release's service would have after it.
"""

import asyncio
import gzip
import shutil
import sys
from collections import Counter
from pathlib import Path

import msgspec

from perception.synthetic.run_files import write_run
from site_models.load import load_site, resolve
from twin.evaluation.event_files import read_observations
from twin.evaluation.fuse_run import fuse_run
from twin.evaluation.offline import FuseSummary, fuse
from twin.events.codec import micros, to_json, type_name
from twin.log.port import FoldCommit
from twin.log.sealing import SealingLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.log import SqlLog
from twin.rules.fold import FOLD_VERSION, Fold


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


def refold(release: Path) -> None:
    """Write facts.fold-VERSION.jsonl.gz, and say how many facts of each type there were and are."""
    facts = [
        *fuse(
            Fold(load_site(release / "site")),
            read_observations(release / "observations.jsonl.zst"),
            FuseSummary(),
            catches_up=False,
        )
    ]
    lines = b"".join(to_json(fact.event) + b"\n" for fact in facts)
    (release / f"facts.fold-{FOLD_VERSION}.jsonl.gz").write_bytes(gzip.compress(lines, mtime=0))
    stored = gzip.decompress((release / "facts.jsonl.gz").read_bytes()).splitlines()
    before = Counter(msgspec.json.decode(line)["type"] for line in stored)
    after = Counter(type_name(fact.event.payload) for fact in facts)
    for name in sorted(before | after):
        print(f"{release.name} {name}: {before[name]}, now {after[name]}")


if __name__ == "__main__":
    if sys.argv[1] == "--refold":
        for one in sorted(Path(__file__).parent.glob("v*")):
            refold(one)
    else:
        main(Path(sys.argv[1]))
