"""By which names the service may be asked, and that nobody frames its pages."""

import json

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from twin.access.hosts import Hosts, hosts_of
from twin.errors import BadInput
from twin.main import serve_sites
from twin.settings import Settings

OWN = ["localhost", "LOCALHOST:8600", "localhost.", "127.0.0.1", "127.0.0.1:8600", "127.9.9.9", "[::1]:8600", "[0:0::1]"]
OTHERS = ["evil.example", "evil.example:8600", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "[fe80::1]"]
ODD = ["", ":8600", "[::1", "[localhost]", "::1", "127.0.0.1:80:80", "anybody@localhost", "localhost/", "local host"]


@pytest.mark.parametrize("host", OWN)
async def test_where_access_is_open_this_machines_own_names_are_asked_for(serve, host):
    async with serve(hosts=Hosts()) as running:
        assert (await running.http.get("/v1/sites", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", [*OTHERS, *ODD])
async def test_a_website_whose_name_points_here_neither_reads_nor_writes(serve, host):
    # A browser gives such a page an Origin that is equal to its Host, so that comparing the two lets it in.
    page = {"host": host, "origin": f"http://{host}"}
    async with serve(hosts=Hosts()) as running:
        for path in ("/", "/v1/sites", "/metrics", "/static/api.js"):
            answer = await running.http.get(path, headers=page)
            assert (answer.status_code, answer.headers["content-type"]) == (421, "application/problem+json"), path
            assert "TWIN_HOSTS" in answer.json()["detail"]
            assert "x-request-id" in answer.headers
        assert (await running.http.post("/v1/sites/lot/observations", content=b"", headers=page)).status_code == 421


async def test_of_several_hosts_each_has_to_be_the_services(serve):
    async with serve(hosts=Hosts()) as running:
        several = [("host", "localhost"), ("host", "evil.example")]
        assert (await running.http.get("/v1/sites", headers=several)).status_code == 421


async def test_a_website_whose_name_points_here_does_not_watch(serve, listen):
    async with serve(hosts=Hosts()) as running, listen(running.app) as address:
        port = int(address.split(":")[1])
        here = {"host": "127.0.0.1", "port": port}
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(f"ws://evil.example:{port}/v1/sites/lot/live", origin=f"http://evil.example:{port}", **here):
                pass
        assert refusal.value.response.status_code == 421
        async with connect(f"ws://localhost:{port}/v1/sites/lot/live", origin=f"http://localhost:{port}", **here) as watcher:
            assert json.loads(await watcher.recv())["type"] == "snapshot"


@pytest.mark.parametrize(
    ("given", "statuses"),
    [
        ({}, {"127.0.0.1": 200, "evil.example": 421, "twin.example": 421}),
        ({"hosts": "twin.example"}, {"127.0.0.1": 200, "evil.example": 421, "twin.example": 200}),
        ({"access": "keys"}, {"127.0.0.1": 200, "evil.example": 200, "twin.example": 200}),
    ],
)
async def test_the_service_answers_by_the_hosts_of_its_settings(tmp_path, given, statuses):
    told = {}

    async def ask(services, url):
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as http:
            for host in statuses:
                told[host] = (await http.get("/healthz", headers={"host": host})).status_code

    settings = Settings(data_dir=tmp_path / "data", port=0, **given)
    await serve_sites(settings, {}, announce=lambda _: None, beside=ask)
    assert told == statuses


def test_hosts_are_those_that_are_named_and_the_one_that_is_listened_on():
    named = hosts_of("Twin.Example, 192.0.2.7,[2001:db8:0::7],2001:db8::8", listens_on="127.0.0.5", has_keys=True)
    for own in ("twin.example:443", "192.0.2.7", "[2001:db8::7]:8600", "[2001:db8::8]", "127.0.0.5", "localhost"):
        assert named.has(own), own
    for other in ("www.twin.example", "192.0.2.8", "[2001:db8::9]"):
        assert not named.has(other), other


def test_with_keys_any_host_is_asked_for_unless_hosts_are_named():
    assert hosts_of(None, listens_on="0.0.0.0", has_keys=True).has("twin.example")
    assert not hosts_of(None, listens_on="127.0.0.1", has_keys=False).has("twin.example")
    assert not hosts_of("other.example", listens_on="0.0.0.0", has_keys=True).has("twin.example")
    assert hosts_of("*", listens_on="127.0.0.1", has_keys=False).has("twin.example")


@pytest.mark.parametrize("wrong", ["not a host!!", "twin.example:8600", "https://twin.example", "[::1]:80", "*.example"])
def test_what_is_no_host_is_refused(wrong):
    with pytest.raises(BadInput, match="TWIN_HOSTS has"):
        hosts_of(f"good.example,{wrong}", listens_on="127.0.0.1", has_keys=False)


async def test_no_page_may_be_framed(serve):
    async with serve() as running:
        for path in ("/", "/explore", "/calibrate", "/docs", "/login", "/-/log", "/static/index.html"):
            headers = (await running.http.get(path)).headers
            assert headers["x-frame-options"] == "DENY", path
            assert headers["content-security-policy"] == "frame-ancestors 'none'", path
        assert "x-frame-options" not in (await running.http.get("/v1/sites")).headers
