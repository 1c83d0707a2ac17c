"""The index is a projection: built again from the log it is the same."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from retrieval import folder as folders
from retrieval.folder import FolderLock, beside
from retrieval.index import Where
from retrieval.qdrant import QdrantIndex
from retrieval.rebuild import rebuild
from twin.cli import app
from twin.errors import Conflict, QuotaExceeded


@pytest.fixture
async def live(seen, searching, tmp_path):
    """Views of three cars, which the service's loop has put into the index in ``tmp_path``/search/street."""
    colours = ["red", "green", "blue"]
    await seen.log.append([seen.view(f"{colour}-{n}", colour, "west", n, shade=n) for n in range(4) for colour in colours])
    async with searching(seen.log, seen.keys) as search:
        await search.caught_up(seen.memory)
    return seen


async def contents(folder):
    index = await QdrantIndex.open(folder)
    names = [f"{colour}-{n}" for n in range(4) for colour in ("red", "green", "blue")]
    points = await index.points_of_many(names, limit=100, where=Where())
    assert await index.count() == len(points)
    cursor = await index.cursor()
    await index.aclose()
    return cursor, [(one.id, one.vector.tolist(), one.sighting) for one in points]


async def test_the_index_built_again_is_the_one_that_was_followed(live, tmp_path):
    folder = tmp_path / "search" / "street"
    before = await contents(folder)
    made = await rebuild(live.log, live.keys, folder, "street")
    assert (made.points, made.cursor, made.after) == (12, 12, 0)
    assert await contents(folder) == before
    shutil.rmtree(folder)
    await rebuild(live.log, live.keys, folder, "street")
    assert await contents(folder) == before
    assert sorted(one.name for one in folder.parent.iterdir()) == ["street", "street.lock"]


async def test_an_erased_tracklet_does_not_come_back(live, tmp_path):
    folder = tmp_path / "search" / "street"
    await live.keys.destroy("street", "red-2")
    assert (await rebuild(live.log, live.keys, folder, "street")).points == 11
    assert "red-2" not in {sighting.tracklet for _, _, sighting in (await contents(folder))[1]}


async def test_an_index_that_is_in_use_is_not_built_again(live, tmp_path):
    folder = tmp_path / "search" / "street"
    index = await QdrantIndex.open(folder)
    with pytest.raises(Conflict, match="street' is in use by another process; stop the service"):
        await rebuild(live.log, live.keys, folder, "street")
    with pytest.raises(Conflict, match="in use"):
        await QdrantIndex.open(folder)
    assert await index.count() == 12
    await index.aclose()


async def test_a_failure_in_the_middle_leaves_the_old_index(live, tmp_path, monkeypatch):
    folder = tmp_path / "search" / "street"
    before = await contents(folder)
    monkeypatch.setattr("retrieval.qdrant.LEAST_ROOM", 2**62)
    with pytest.raises(QuotaExceeded):
        await rebuild(live.log, live.keys, folder, "street")
    monkeypatch.undo()
    assert not beside(folder).exists()
    assert await contents(folder) == before


async def test_a_crash_before_it_is_complete_leaves_the_old_and_after_it_the_new_index(live, tmp_path):
    folder = tmp_path / "search" / "street"
    before = await contents(folder)
    for is_complete, is_moved in ((False, False), (True, False), (True, True)):
        other = await QdrantIndex.open(beside(folder))
        await other.upsert([], cursor=99)
        await other.aclose()
        if is_complete:
            (beside(folder) / folders._COMPLETE).touch()
        if is_moved:
            folder.rename(folder.with_name("street.old"))
        found = await contents(folder)
        assert found == ((99, []) if is_complete else before)
        assert not beside(folder).exists()
        assert not folder.with_name("street.old").exists()


def test_a_lock_is_free_again_once_it_is_released(tmp_path):
    lock = FolderLock(tmp_path / "street")
    lock.release()
    lock.release()
    FolderLock(tmp_path / "street").release()


def test_the_command_tells_what_it_built(tmp_path, monkeypatch):
    runner = CliRunner()
    site = ["--site", "demo_lot", "--data-dir", str(tmp_path)]
    assert runner.invoke(app, ["db", "upgrade", "--data-dir", str(tmp_path)]).exit_code == 0
    told = runner.invoke(app, ["rebuild", "search", *site, "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == {
        "schema": "twin.rebuild_search/1",
        "site": "demo_lot",
        "points": 0,
        "cursor": 0,
        "after": 0,
    }
    monkeypatch.setenv("TWIN_QDRANT_URL", "http://qdrant:6333")
    refused = runner.invoke(app, ["rebuild", "search", *site])
    assert "TWIN_QDRANT_URL is set" in str(refused.exception)
