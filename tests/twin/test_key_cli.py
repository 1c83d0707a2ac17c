"""Keys, made and revoked by the command beside a service that runs."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from twin.access.keys import parse_key
from twin.access.store import AccessStore
from twin.cli import app
from twin.errors import BadInput, NotFound

ROOT = Path(__file__).parents[2]
SITE = "/v1/sites/demo_lot/state"


def twin(folder, *words, expect=0):
    command = [sys.executable, "-m", "twin.cli", *words, "--data-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def served(folder, *words):
    """The address of a service that asks for keys."""
    command = [
        sys.executable,
        "-m",
        "twin.cli",
        "serve",
        "--site",
        "demo_lot",
        "--port",
        "0",
        "--data-dir",
        str(folder),
        *words,
    ]
    # Its own TWIN_API_KEY is that of programs in the same shell.
    environ = {**os.environ, "TWIN_ACCESS": "keys", "TWIN_API_KEY": "of another program", "PYTHONWARNINGS": ""}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environ)
    try:
        for line in process.stderr:
            if line.startswith("demo_lot: http"):
                yield line.split(": ", 1)[1].strip().replace("0.0.0.0", "127.0.0.1")
                break
        else:
            pytest.fail("the service ended")
    finally:
        process.terminate()
        process.communicate(timeout=30)


def recorded(folder):
    store = AccessStore.open(folder / "access.db")
    try:
        return store.audit_page("demo_lot", after=0, limit=100)
    finally:
        store.close()


def status(url, key=None):
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx2.get(url, headers=headers, timeout=10).status_code


def until(url, key, wanted, seconds=5):
    deadline = time.monotonic() + seconds
    while (found := status(url, key)) != wanted and time.monotonic() < deadline:
        pass
    return found


def test_a_key_made_and_revoked_beside_a_service_counts_within_seconds(tmp_path):
    with served(tmp_path, "--host", "0.0.0.0") as url:
        assert status(f"{url}/healthz") == 200
        assert status(url + SITE) == 401
        key = twin(
            tmp_path, "key", "create", "--site", "demo_lot", "--scope", "read,operate", "--name", "a test"
        ).stdout.strip()
        assert until(url + SITE, key, 200) == 200
        assert status(f"{url}/v1/sites/demo_lot/audit", key) == 403
        (told,) = json.loads(twin(tmp_path, "key", "list", "--json").stdout)["keys"]
        assert (told["id"], told["state"], told["name"]) == (parse_key(key)[0], "valid", "a test")
        assert told["scopes"] == ["read", "operate"]
        assert told["used_at"] is not None
        decision = {
            "id": "d",
            "decision": "waive",
            "author": "Ann",
            "reason": "r",
            "at": "2026-01-01T12:00:00Z",
            "session": "p",
        }
        for host, told_of in (("127.0.0.1", "203.0.113.9"), ("127.0.0.2", "127.0.0.2")):  # the first is a trusted proxy's
            transport = httpx2.HTTPTransport(local_address=host)
            with httpx2.Client(transport=transport, headers={"authorization": f"Bearer {key}"}) as http:
                where, forwarded = f"{url}/v1/sites/demo_lot/decisions", {"x-forwarded-for": "203.0.113.9"}
                http.post(where, json=decision, headers=forwarded).raise_for_status()
            assert recorded(tmp_path)[-1].address == told_of
        twin(tmp_path, "key", "revoke", told["id"])
        assert until(url + SITE, key, 401) == 401
    files = [one for one in tmp_path.iterdir() if one.is_file()]
    secret = parse_key(key)[1].encode()
    assert {"access.db", "session.secret"} <= {one.name for one in files}
    assert all(secret not in one.read_bytes() for one in files)


def test_a_key_is_listed_with_what_it_is_for_and_what_became_of_it(tmp_path):
    made = twin(tmp_path, "key", "create", "--site", "a,b", "--scope", "admin", "--expires-days", "2", "--json")
    told = json.loads(made.stdout)
    assert parse_key(told["key"])[0] == told["id"]
    twin(tmp_path, "key", "create", "--site", "*", "--scope", "read")
    twin(tmp_path, "key", "revoke", told["id"])
    first, second = twin(tmp_path, "key", "list").stdout.splitlines()
    assert first.startswith(f"{told['id']}  revoked  a,b  admin  made ")
    assert "  valid  *  read  made " in second
    assert parse_key(told["key"])[1] not in first


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--site", "lot", "--scope", "write"), "there is no scope 'write'"),
        (("--site", "*,lot", "--scope", "read"), r"'\*' alone for every site"),
        (("--site", " ,", "--scope", "read"), "name them"),
        (("--site", "lot", "--scope", ""), "name them"),
    ],
)
def test_a_key_for_what_is_not_is_refused(tmp_path, words, told):
    with pytest.raises(BadInput, match=told):
        app(["key", "create", *words, "--data-dir", str(tmp_path)], standalone_mode=False)
    with pytest.raises(NotFound, match="there is no key 'x'"):
        app(["key", "revoke", "x", "--data-dir", str(tmp_path)], standalone_mode=False)


def test_a_service_that_others_can_reach_asks_for_keys_or_does_not_start(tmp_path):
    told = twin(tmp_path, "serve", "--site", "demo_lot", "--host", "0.0.0.0", "--port", "0", expect=1)
    assert "twin key create" in told.stderr
