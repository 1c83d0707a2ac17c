"""A backup made under load is a whole log of one moment, and is restored nowhere but where there is none."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from sqlalchemy import LargeBinary, literal, select, type_coerce, update

from twin.errors import BadInput, Conflict, DamagedLog, NotFound
from twin.feeds.subscriptions import Subscriptions
from twin.log.backup import CROPS, DATABASE, MANIFEST, make_backup, restore_backup
from twin.log.chain import heads_in
from twin.log.port import FoldCommit
from twin.log.sql import SqlKeyRing, SqlLog, schema
from twin.log.sql.packing import unpacked
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.log.sql.verify import verify
from twin.log.sql.webhooks import SqlWebhooks
from twin.log.subscriptions import Filter
from twin.log.webhooks import Webhook


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request, tmp_path):
    """``places(name)``: where a log of this name is kept."""
    if request.param == "sqlite":
        return lambda name: tmp_path / name / "log.db"
    server = request.getfixturevalue("postgresql_server")
    return lambda name: server.database(f"{name}{abs(hash(tmp_path)) % 10**12}")


async def filled(location, make, n=40):
    log = SqlLog.open(location)
    await log.append(make.observations(n))
    token = await log.acquire("lot", "w")
    first = make.fact(1)
    facts = (first, make.fact(2, supersedes=[first.id]))
    await log.commit(FoldCommit(token=token, after=0, cursor=n, facts=facts))
    return log


async def stored(log):
    return await log.observations("lot", limit=10_000), await log.facts("lot"), await log.heads("lot"), await log.chain("lot")


async def test_a_restored_log_is_the_one_that_was_backed_up_and_goes_on(places, make, tmp_path):
    log = await filled(places("old"), make)
    keys = SqlKeyRing(log)
    sealed = await keys.encrypt("lot", "t1", b"plate", (b"context",))
    make_backup(places("old"), None, tmp_path / "backup")
    kept = await stored(log)
    await log.append(make.observations(5))
    await log.aclose()
    restore_backup(tmp_path / "backup", places("new"), tmp_path / "data" / CROPS)
    log = SqlLog.open(places("new"))
    assert await stored(log) == kept
    assert await SqlKeyRing(log).decrypt("lot", "t1", sealed, (b"context",)) == b"plate"
    assert (await log.append(make.observations(1)))[0].position == 41
    assert (await log.read(verify, "lot")).faults == ()
    await log.aclose()


async def test_a_restored_subscription_goes_on_where_it_stood_and_nobody_holds_a_lease(places, lot, make, tmp_path):
    log = await filled(places("old"), make)
    subscriptions = Subscriptions(log, SqlSubscriptions(log), lot)
    await subscriptions.put("billing", Filter(), after=0)
    lease = await subscriptions.lease("billing", consumer="c1")
    await subscriptions.acknowledge("billing", lease.number, [1])
    make_backup(places("old"), None, tmp_path / "backup")
    await log.aclose()
    restored = restore_backup(tmp_path / "backup", places("new"), tmp_path / "data" / CROPS)
    (told,) = restored.subscriptions
    assert (told.site, told.name, told.acknowledged_to, told.head) == ("lot", "billing", 1, 2)
    log = SqlLog.open(places("new"))
    again = await Subscriptions(log, SqlSubscriptions(log), lot).lease("billing")
    assert [one.fact.position for one in again.handed] == [2]
    await log.aclose()


async def test_a_backup_under_load_is_a_whole_log_of_one_moment(places, make, tmp_path):
    log = await filled(places("old"), make)
    done = asyncio.Event()

    async def load():
        while not done.is_set():
            await log.append(make.observations(20))

    loading = asyncio.create_task(load())
    manifest = await asyncio.to_thread(make_backup, places("old"), None, tmp_path / "backup")
    done.set()
    await loading
    await log.aclose()
    restore_backup(tmp_path / "backup", places("new"), tmp_path / "data" / CROPS)
    log = SqlLog.open(places("new"), read_only=True)
    n = (await log.heads("lot")).observations
    assert n == manifest.chain.sites["lot"].observations.position
    assert [one.position for one in await log.observations("lot", limit=100_000)] == list(range(1, n + 1))
    await log.aclose()


async def test_a_log_is_moved_from_one_database_to_the_other(make, tmp_path, postgresql_server):
    name = f"moved{abs(hash(tmp_path)) % 10**12}"
    url = postgresql_server.database(name)
    log = await filled(tmp_path / "log.db", make)
    kept = await stored(log)
    await log.aclose()
    make_backup(tmp_path / "log.db", None, tmp_path / "backup")
    restore_backup(tmp_path / "backup", url, tmp_path / "data" / CROPS)
    with pytest.raises(Conflict, match="holds a log already"):
        restore_backup(tmp_path / "backup", url, tmp_path / "data" / CROPS)
    log = SqlLog.open(url, read_only=True)
    assert await stored(log) == kept
    await log.aclose()


LOGS = (schema.observations, schema.facts)


async def mixed(location, make):
    """A log of which every second payload is plain, as releases before 0007 wrote them, and the others are packed."""
    log = await filled(location, make)
    evidence = tuple(f"{number:032x}" for number in range(4))
    facts = tuple(replace(one, payload=replace(one.payload, evidence=evidence)) for one in map(make.left, range(41, 45)))
    await log.append(make.observations(20))
    await log.commit(FoldCommit(token=await log.acquire("lot", "w"), after=40, cursor=60, facts=facts))

    def unpack(transaction):
        for table in LOGS:
            for position, payload in enumerate(payloads(transaction.connection, table), 1):
                if position % 2:
                    plain = update(table).values(payload=literal(unpacked(payload), LargeBinary))
                    transaction.connection.execute(plain.where(table.c.position == position))

    await log.write(unpack, "lot")
    return log


def payloads(connection, table):
    """As they are stored, in order."""
    return connection.scalars(select(type_coerce(table.c.payload, LargeBinary)).order_by(table.c.position)).all()


async def test_a_log_of_plain_and_packed_payloads_is_restored_as_it_was(places, make, tmp_path):
    log = await mixed(places("old"), make)
    kept, rows = await stored(log), [await log.read(payloads, table) for table in LOGS]
    assert [{one[0] < 0x80 for one in of} for of in rows] == [{True, False}] * 2
    await log.aclose()
    manifest = make_backup(places("old"), None, tmp_path / "backup")
    restore_backup(tmp_path / "backup", tmp_path / "new" / "log.db", tmp_path / "new" / CROPS)
    log = SqlLog.open(tmp_path / "new" / "log.db")
    assert await stored(log) == kept
    assert [await log.read(payloads, table) for table in LOGS] == rows
    assert (await log.read(verify, "lot", heads_in(manifest.chain)["lot"])).faults == ()
    assert (await log.append(make.observations(1)))[0].position == 61
    assert (await log.read(verify, "lot")).faults == ()
    await log.aclose()


@pytest.fixture
async def backup(make, tmp_path):
    await (await filled(tmp_path / "log.db", make)).aclose()
    crops = tmp_path / CROPS / "lot" / "ab"
    crops.mkdir(parents=True)
    (crops / "abcd").write_bytes(b"sealed")
    (crops / "half.tmp").write_bytes(b"sea")
    make_backup(tmp_path / "log.db", tmp_path / CROPS, tmp_path / "backup")
    return tmp_path / "backup"


async def test_crops_come_along_whole(backup, tmp_path):
    manifest = restore_backup(backup, tmp_path / "new" / "log.db", tmp_path / "new" / CROPS).manifest
    assert manifest.n_crops == 1
    files = [path for path in (tmp_path / "new" / CROPS).rglob("*") if path.is_file()]
    assert [(path.name, path.read_bytes()) for path in files] == [("abcd", b"sealed")]


async def test_only_the_owner_can_read_a_backup_and_what_is_restored(backup, tmp_path):
    restore_backup(backup, tmp_path / "new" / "log.db", tmp_path / "new" / CROPS)
    for path in (backup / DATABASE, tmp_path / "new" / "log.db"):
        assert path.stat().st_mode & 0o077 == 0
    assert backup.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [CROPS, "log.db"]


async def test_a_damaged_backup_is_not_restored(backup, tmp_path):
    body = bytearray((backup / DATABASE).read_bytes())
    body[len(body) // 2] ^= 1
    (backup / DATABASE).write_bytes(body)
    with pytest.raises(DamagedLog, match="SHA-256"):
        restore_backup(backup, tmp_path / "new" / "log.db", tmp_path / "new" / CROPS)
    assert not (tmp_path / "new" / "log.db").exists()


async def test_a_backup_whose_manifest_says_otherwise_is_not_restored(backup, tmp_path):
    text = (backup / MANIFEST).read_text()
    (backup / MANIFEST).write_text(text.replace('"position": 40', '"position": 41'))
    with pytest.raises(DamagedLog, match="observations 41 to 41 of site 'lot': gone"):
        restore_backup(backup, tmp_path / "new" / "log.db", tmp_path / "new" / CROPS)
    assert not (tmp_path / "new" / "log.db").exists()


async def test_a_backup_of_a_damaged_log_is_not_made(make, tmp_path):
    import sqlite3
    from contextlib import closing

    await (await filled(tmp_path / "log.db", make)).aclose()
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection, connection:
        connection.execute("update facts set cause = 7 where position = 1")
    with pytest.raises(DamagedLog, match="facts 1 to"):
        make_backup(tmp_path / "log.db", None, tmp_path / "backup")
    assert sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name) == []


@pytest.mark.parametrize(
    ("manifest", "error"), [(None, NotFound), (b"{}", BadInput), (b'{"schema":"twin.backup/2"}', BadInput)]
)
def test_a_folder_that_is_no_backup_is_refused(tmp_path, manifest, error):
    if manifest is not None:
        (tmp_path / MANIFEST).write_bytes(manifest)
    with pytest.raises(error):
        restore_backup(tmp_path, tmp_path / "new" / "log.db", tmp_path / "new" / CROPS)


async def test_a_restored_webhook_is_paused_since_its_endpoint_may_still_be_sent_to(places, make, tmp_path):
    log = await filled(places("old"), make)
    for name, state in (("bills", "active"), ("audit", "disabled")):
        webhook = Webhook(site="lot", name=name, url="https://hooks.example/", created_at=1, secrets=(), state=state)
        await SqlWebhooks(log).change("lot", name, lambda _, kept=webhook: (kept, None))
    make_backup(places("old"), None, tmp_path / "backup")
    assert {one.name: one.state for one in await SqlWebhooks(log).all("lot")} == {"bills": "active", "audit": "disabled"}
    await log.aclose()
    restore_backup(tmp_path / "backup", places("new"), tmp_path / "data" / CROPS)
    log = SqlLog.open(places("new"))
    audit, bills = await SqlWebhooks(log).all("lot")
    assert (audit.state, bills.state) == ("disabled", "paused")
    assert "restored from a backup" in bills.reason
    await log.aclose()
