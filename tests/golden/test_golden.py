"""Every release's golden run is read, folded and upgraded by this one."""

import gzip
import shutil
from pathlib import Path

import msgspec
import pytest

from site_models.load import load_site
from twin.evaluation.event_files import read_observations
from twin.evaluation.offline import FuseSummary, fuse
from twin.events.codec import to_json
from twin.log.sealing import personal_of
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.log import SqlLog
from twin.log.sql.verify import verify
from twin.projections.naive import replay
from twin.projections.timeline import Timeline
from twin.rules.fold import FOLD_VERSION, Fold

RELEASES = sorted(path for path in Path(__file__).parent.iterdir() if path.is_dir() and path.name.startswith("v"))


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request) -> Path:
    return request.param


@pytest.fixture
def site(release):
    return load_site(release / "site")


@pytest.fixture
def golden_facts(release) -> list[dict]:
    with gzip.open(release / "facts.jsonl.gz") as lines:
        return [msgspec.json.decode(line) for line in lines]


def test_a_releases_observations_fold_to_its_facts_or_to_those_recorded_of_this_fold_version(release, site, golden_facts):
    facts = [*fuse(Fold(site), read_observations(release / "observations.jsonl.zst"), FuseSummary(), catches_up=False)]
    assert facts
    if golden_facts[0]["foldversion"] == FOLD_VERSION:
        assert [msgspec.json.decode(to_json(fact)) for fact in facts] == golden_facts
        return
    recorded = gzip.decompress((release / f"facts.fold-{FOLD_VERSION}.jsonl.gz").read_bytes()).splitlines()
    assert [to_json(fact.event) for fact in facts] == recorded


async def test_a_releases_database_opens_and_is_read_as_its_facts(release, site, golden_facts, tmp_path):
    database = tmp_path / "twin.db"
    with gzip.open(release / "twin.db.gz") as packed, database.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    log = SqlLog.open(database, upgrade=True)
    try:
        stored = [msgspec.json.decode(to_json(fact)) for fact in await log.facts(site.name, limit=100_000)]
        told_apart = ("recordedtime", "position")
        assert [{k: v for k, v in one.items() if k not in told_apart} for one in stored] == [
            {k: v for k, v in one.items() if k not in told_apart} for one in golden_facts
        ]
        assert await Timeline(log, site).state() == await replay(log, site)
        keys = SqlKeyRing(log)
        opened = [await personal_of(keys, one.event) for one in await log.observations(site.name, limit=100_000)]
        assert any(personal is not None and personal.embedding for personal in opened)
        assert (await log.read(verify, site.name)).faults == ()
    finally:
        await log.aclose()
