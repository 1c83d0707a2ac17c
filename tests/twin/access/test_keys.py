"""Keys, tickets, rates and the store, each by itself."""

import hashlib
import os
import stat
import threading

import pytest

from twin.access.keys import Grant, KeyRecord, grant_of, is_secret_of, new_key, parse_key
from twin.access.opened import secret_in
from twin.access.rates import MOST_NAMES, RateLimits, Rates, name_of_address
from twin.access.store import AccessStore
from twin.access.tickets import LASTS_S, MOST, MOST_A_KEY, Tickets
from twin.errors import BadInput, Conflict, NotFound, Overloaded, RateLimited

NOON = 1_767_268_800_000_000


def record(number=1, **given):
    made = new_key(lambda n: bytes([number]) * n)
    told = {"id": made.id, "name": "n", "sites": ("lot",), "scopes": ("read",), "digest": made.digest, "made_at": NOON}
    return KeyRecord(**{**told, **given})


def test_a_key_is_an_id_and_256_bits_of_chance_and_only_a_hash_of_these_is_kept():
    asked = []
    made = new_key(lambda n: asked.append(n) or os.urandom(n))
    assert asked == [6, 32]
    key, secret = parse_key(made.text)
    assert (key, made.text.split("_")[0]) == (made.id, "twin")
    assert made.digest == hashlib.sha256(secret.encode()).digest()
    assert new_key(os.urandom).text != made.text


@pytest.mark.parametrize(
    "text", ["", "twin", "twin_0123456789ab", "twin_0123456789AB_" + "A" * 43, "twin_0123456789ab_" + "A" * 42]
)
def test_what_has_no_keys_form_is_none(text):
    assert parse_key(text) is None
    assert parse_key("twin_0123456789ab_" + "A" * 43 + "\n") is None


def test_no_secret_is_that_of_a_key_which_is_not_there():
    made = new_key(os.urandom)
    secret = parse_key(made.text)[1]
    assert is_secret_of(record(digest=made.digest), secret)
    assert not is_secret_of(record(digest=made.digest), secret[:-1])
    assert not is_secret_of(None, secret)


def test_a_grant_is_for_its_sites_and_scopes_and_admin_has_all_of_them():
    reader, admin = grant_of(record()), grant_of(record(scopes=("admin",)))
    anywhere = Grant(key="k", name="n", sites=("*",), scopes=("operate",))
    assert (reader.allows("read", "lot"), reader.allows("read", "lo"), reader.allows("search", "lot")) == (True, False, False)
    assert (admin.allows("ingest", "lot"), admin.allows("ingest", "elsewhere")) == (True, False)
    assert (reader.allows("read", None), admin.allows("operate", None), anywhere.allows("operate", None)) == (True, False, True)


def test_a_key_is_valid_until_it_is_revoked_or_has_expired():
    assert record().is_valid(NOON)
    assert not record(revoked_at=NOON).is_valid(NOON)
    assert record(expires_at=NOON).is_valid(NOON - 1)
    assert not record(expires_at=NOON).is_valid(NOON)


@pytest.fixture
def store(tmp_path):
    store = AccessStore.open(tmp_path / "new" / "access.db")
    yield store
    store.close()


def test_keys_are_kept_as_they_were_given_by_several_writers_at_once(store, tmp_path):
    beside = AccessStore.open(tmp_path / "new" / "access.db")
    given = [record(number, sites=("a", "b"), scopes=("ingest", "admin"), expires_at=NOON + 5) for number in range(1, 41)]
    writers = [
        threading.Thread(target=lambda one=one, some=some: [one.add_key(key) for key in some])
        for one, some in ((store, given[:20]), (beside, given[20:]))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert store.all_keys() == given
    beside.close()


def test_a_revoked_key_stands_no_more_and_stays_in_the_list(store):
    store.add_key(record())
    store.revoke(record().id, NOON + 7)
    store.revoke(record().id, NOON + 9)
    assert store.standing_keys() == []
    assert store.all_keys() == [record(revoked_at=NOON + 7)]
    with pytest.raises(NotFound, match="no key 'nonsense'"):
        store.revoke("nonsense", NOON)
    with pytest.raises(Conflict):
        store.add_key(record())


def test_the_file_and_the_secret_are_their_owners_alone(store, tmp_path):
    secret = secret_in(tmp_path / "s" / "session.secret", os.urandom)
    assert len(secret) == 32
    assert secret_in(tmp_path / "s" / "session.secret", os.urandom) == secret
    for file in (tmp_path / "new" / "access.db", tmp_path / "s" / "session.secret"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in (tmp_path / "s").iterdir()] == ["session.secret"]
    (tmp_path / "short").write_text("abcd")
    with pytest.raises(BadInput, match="holds 2 bytes, and 32 are needed"):
        secret_in(tmp_path / "short", os.urandom)


def test_what_is_no_database_is_told(tmp_path):
    (tmp_path / "access.db").write_text("this is no database, and longer than nothing" * 9)
    with pytest.raises(Overloaded, match="not a database"):
        AccessStore.open(tmp_path / "access.db")
    with pytest.raises(BadInput, match="cannot be used"):
        AccessStore.open("/proc/none/access.db")


def test_tickets_are_used_once_end_and_are_bounded():
    now = [NOON]
    tickets = Tickets(lambda: now[0], os.urandom)
    one = tickets.issue("k", "lot")
    assert (tickets.redeem(one, "lot"), tickets.redeem(one, "lot")) == ("k", None)
    other = tickets.issue("k", "lot")
    assert (tickets.redeem(other, "elsewhere"), tickets.redeem(other, "lot")) == (None, None)
    for number in range(MOST):
        tickets.issue(f"k{number // MOST_A_KEY}", "lot")
    assert len(tickets) == MOST
    with pytest.raises(Overloaded):
        tickets.issue("another", "lot")
    now[0] += LASTS_S * 1_000_000
    for _ in range(MOST_A_KEY):
        tickets.issue("k", "lot")
    with pytest.raises(Overloaded):
        tickets.issue("k", "lot")
    assert len(tickets) == MOST_A_KEY


def test_rates_remember_a_bounded_number_of_names_and_forget_what_they_kept_of_others():
    rates = Rates(RateLimits(failures_per_minute=2), lambda: NOON)
    for number in range(MOST_NAMES + 500):
        rates.charge("failures", f"address {number}")
    assert rates.n_names("failures") == MOST_NAMES
    limiter, _ = rates._limiter_by_kind["failures"]
    assert len(limiter.storage.events) == MOST_NAMES
    last = f"address {MOST_NAMES + 499}"
    rates.charge("failures", last)
    with pytest.raises(RateLimited):
        rates.charge("failures", last)


def test_an_ipv6_host_is_its_network():
    assert name_of_address("2001:db8:1:2:3::4") == name_of_address("2001:db8:1:2:ffff::1") != name_of_address("2001:db8:1:3::1")
    assert name_of_address("10.0.0.1") == "10.0.0.1"
