"""``twin doctor``: what is well, what is not, and what to do."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from site_models.load import load_site, resolve
from twin.doctor import examined
from twin.errors import TwinError
from twin.log.clock import system_clock
from twin.log.sql.log import SqlLog
from twin.main import serve_sites
from twin.settings import Settings
from twin.site_versions import versions_in

ROOT = Path(__file__).parents[2]


def found(settings, *sites, clock=system_clock):
    return {one.name: one for one in examined(settings, sites, clock)}


@pytest.fixture
def settings(tmp_path):
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Settings(data_dir=tmp_path / "data", port=port)


def test_a_machine_that_can_serve_has_nothing_that_fails(settings):
    findings = found(settings, "demo_lot")
    assert {one.verdict for one in findings.values()} <= {"ok", "warn"}
    assert "5 cameras" in findings["site demo_lot"].words
    assert "first `twin serve` makes it" in findings["log"].words
    assert not settings.data_dir.exists()  # it looks, and changes nothing


def test_a_site_with_faults_fails_with_the_first_of_them(settings, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "site.toml").write_text("name = ")
    finding = found(settings, str(folder))[f"site {folder}"]
    assert finding.verdict == "fail"
    assert "site.toml" in finding.words
    assert "neither a folder nor a packaged site" in found(settings, "nosuch")["site nosuch"].words


def test_a_map_that_was_saved_and_is_not_served_is_told(settings):
    site = load_site(resolve("demo_lot"))
    assert found(settings, "demo_lot")["map of demo_lot"].verdict == "ok"
    versions = versions_in(settings.data_dir, "demo_lot")
    edited = replace(site, stalls=site.stalls[1:])
    versions.save(edited, at="2026-01-01T12:00:00Z", author="ann", reason="one less", changes=())
    finding, folder = found(settings, "demo_lot")["map of demo_lot"], versions.folder(1)
    assert finding.verdict == "warn"
    assert "version 1 is saved (by ann at 2026-01-01T12:00:00Z: one less) and not in force" in finding.words
    assert f"--site {folder}" in finding.words
    finding = found(settings, str(folder))["map of demo_lot"]
    assert (finding.verdict, finding.words) == ("ok", "version 1, the one saved last, is in force")
    (folder / "version.json").write_text("{")
    assert found(settings, "demo_lot")["map of demo_lot"].verdict == "warn"


def test_a_server_that_does_not_answer_fails_by_its_address(settings):
    with closing(socket.socket()) as nobody:  # bound and not listening: refuses
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        told = Settings(data_dir=settings.data_dir, port=settings.port, kafka_brokers=f"127.0.0.1:{port}")
        finding = found(told)["broker"]
    assert finding.verdict == "fail"
    assert f"127.0.0.1:{port}" in finding.words
    assert "TWIN_KAFKA_BROKERS" in finding.words


def test_a_port_with_something_else_on_it_fails(settings):
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", settings.port))
        other.listen()
        finding = found(settings)["service"]
    assert finding.verdict == "fail"
    assert "something else" in finding.words


def test_a_log_of_this_release_is_read_and_a_damaged_one_fails(settings):
    settings.data_dir.mkdir()
    asyncio.run(SqlLog.open(settings.data_dir / "log.db").aclose())
    reading = [sys.executable, "-m", "twin.cli", "doctor", "--data-dir", str(settings.data_dir), "--port", str(settings.port)]
    environ = {**os.environ, "PYTHONWARNINGS": ""}
    done = subprocess.run([*reading, "--json"], capture_output=True, text=True, cwd=ROOT, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    told = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert told["log"]["verdict"] == "ok"

    file = settings.data_dir / "log.db"
    file.write_bytes(b"no database at all" * 500)
    done = subprocess.run(reading, capture_output=True, text=True, cwd=ROOT, env=environ)
    assert done.returncode == 1
    assert "FAIL  log:" in done.stdout
    assert "Traceback" not in done.stderr


def test_keys_are_asked_for_before_anybody_else_can_reach_the_service(settings):
    assert found(settings)["access"].verdict == "ok"
    for_all = Settings(data_dir=settings.data_dir, port=settings.port, host="0.0.0.0")
    assert found(for_all)["access"].verdict == "fail"
    asking = Settings(data_dir=settings.data_dir, port=settings.port, host="0.0.0.0", access="keys")
    assert found(asking)["access"].verdict == "warn"
    assert "twin key create" in found(asking)["access"].words


def test_a_folder_that_cannot_hold_data_fails(settings, tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    told = Settings(data_dir=in_the_way / "data", port=settings.port)
    assert found(told)["data folder"].verdict == "fail"


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        ({"host": "name"}, "TWIN_HOST", "host 'name' is not an IP address"),
        ({"hosts": "not a host!!"}, "TWIN_HOSTS", "no name and no address"),
        ({"database_url": "postgresql://u@h:abc/x"}, "TWIN_DATABASE_URL", "the database URL cannot be read"),
        ({"database_url": "mysql://u@h/x"}, "TWIN_DATABASE_URL", "cannot be kept"),
        ({"webhook_allow": "not a host!!"}, "TWIN_WEBHOOK_ALLOW", "give HOST, HOST:PORT or a range"),
        ({"embedder": Path("/nope.onnx")}, "TWIN_EMBEDDER", "'/nope.onnx' does not exist"),
        ({"trusted_proxies": "foo bar"}, "TWIN_TRUSTED_PROXIES", "'foo bar' does not appear to be an IPv4 or IPv6 address"),
        ({"qdrant_url": "http://["}, "TWIN_QDRANT_URL", "is no address"),
    ],
)
def test_a_setting_that_serve_refuses_fails_with_the_words_of_serve(settings, given, name, words):
    told = replace(settings, **given)
    findings = found(told)
    assert [one.name for one in findings.values() if one.verdict == "fail"] == [name]
    assert words in findings[name].words
    if name == "TWIN_QDRANT_URL":  # where this is not installed, nobody reads it
        return
    with pytest.raises(TwinError) as refused:
        asyncio.run(serve_sites(told, {}, announce=lambda _: None, beside=at_once))
    assert str(refused.value) == findings[name].words


async def at_once(services, url):
    """For a service that ends as soon as it answers."""


def test_a_log_in_a_sqlite_file_that_is_named_by_a_url_is_no_server(settings, tmp_path):
    told = replace(settings, database_url=f"sqlite:///{tmp_path / 'x.db'}")
    findings = found(told)
    assert "database server" not in findings
    assert "first `twin serve` makes it" in findings["log"].words
    assert {one.verdict for one in findings.values()} <= {"ok", "warn"}
    asyncio.run(SqlLog.open(told.log_location).aclose())
    assert "can be read" in found(told)["log"].words


def test_an_address_that_is_not_this_machines_fails(settings):
    told = replace(settings, host="192.0.2.1", access="keys")  # of a network that there is none of
    assert "cannot be listened on" in found(told)["service"].words
    assert found(told)["service"].verdict == "fail"


def test_a_service_that_runs_is_found_and_what_is_wrong_with_it_told(settings):
    async def look(services, url):
        finding = (await asyncio.to_thread(found, settings))["service"]
        assert (finding.verdict, finding.words) == ("ok", f"runs at http://127.0.0.1:{settings.port}")

    asyncio.run(serve_sites(settings, {}, announce=lambda _: None, beside=look))
