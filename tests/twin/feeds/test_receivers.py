"""Requests over real sockets: to the address that was checked, under the name that was given."""

from __future__ import annotations

import asyncio
import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from twin.evaluation.proofs import part
from twin.feeds.receiver_address import allowed_of
from twin.feeds.receivers import Receivers

LOOPBACK = allowed_of("127.0.0.0/8")


@pytest.fixture
def certificate(tmp_path):
    """A server's context for ``hooks.test``, and a client's that trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "both.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


def answering(*answers):
    """A resolver that gives these in turn, and how often it was asked."""
    asked = []

    async def resolve(host, port):
        asked.append(host)
        return list(answers[min(len(asked), len(answers)) - 1])

    return resolve, asked


async def post(receivers, url, body=b"{}"):
    receiver = receivers.open(url, n_at_once=1)
    try:
        return await receiver.post(body, {"webhook-id": "e1"})
    finally:
        await receiver.aclose()


async def test_the_connection_goes_to_the_checked_address_and_tls_and_host_keep_the_name(certificate, receiver):
    server, client = certificate
    names = []
    server.sni_callback = lambda socket, name, context: names.append(name)
    resolve, asked = answering(["127.0.0.1"], ["10.0.0.1"])
    async with receiver.listening(tls=server) as address:
        port = address.rsplit(":", 1)[1]
        answer = await post(Receivers(LOOPBACK, resolve=resolve, tls=client), f"https://hooks.test:{port}/in")
    assert (answer.status, answer.error) == (200, "")
    assert receiver.requests[0].headers["host"] == f"hooks.test:{port}"
    assert (names, asked) == (["hooks.test"], ["hooks.test"])  # asked once: there is nothing to rebind in between


async def test_a_certificate_of_another_name_is_a_failure(certificate, receiver):
    server, client = certificate
    resolve, _ = answering(["127.0.0.1"])
    async with receiver.listening(tls=server) as address:
        port = address.rsplit(":", 1)[1]
        answer = await post(Receivers(LOOPBACK, resolve=resolve, tls=client), f"https://other.test:{port}/in")
    assert answer.status is None
    assert "certificate" in answer.error.lower()
    assert receiver.requests == []


async def test_a_name_that_is_bound_anew_between_two_requests_is_refused_at_the_second(receiver):
    resolve, _ = answering(["127.0.0.1"], ["127.0.0.1", "10.0.0.1"])
    async with receiver.listening() as address:
        receivers = Receivers(LOOPBACK, resolve=resolve)
        one = receivers.open(f"http://hooks.test:{address.rsplit(':', 1)[1]}/", n_at_once=1)
        first = await one.post(b"{}", {"webhook-id": "e1"})
        second = await one.post(b"{}", {"webhook-id": "e2"})
        await one.aclose()
    assert (first.status, second.status, len(receiver.requests)) == (200, None, 1)
    assert "has an address that is not public but private" in second.error


async def test_the_next_address_is_tried_where_nobody_answers_at_the_first(receiver):
    resolve, _ = answering(["127.0.0.99", "127.0.0.1"])
    async with receiver.listening() as address:
        answer = await post(Receivers(LOOPBACK, resolve=resolve), f"http://hooks.test:{address.rsplit(':', 1)[1]}/")
    assert answer.status == 200


async def test_proxies_of_the_environment_are_not_asked(receiver, monkeypatch):
    proxy = part("receiver").Receiver()
    async with receiver.listening() as address, proxy.listening() as elsewhere:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://{elsewhere}")
        assert (await post(Receivers(LOOPBACK), f"http://{address}/")).status == 200
    assert (proxy.n_connections, receiver.n_connections) == (0, 1)


async def test_a_connection_is_used_again(receiver):
    async with receiver.listening() as address:
        one = Receivers(LOOPBACK).open(f"http://{address}/", n_at_once=4)
        for n in range(5):
            assert (await one.post(b"{}", {"webhook-id": f"e{n}"})).status == 200
        await one.aclose()
    assert (len(receiver.requests), receiver.n_connections) == (5, 1)


async def test_a_name_that_has_no_address_and_one_that_nobody_answers_for_are_told():
    async def nowhere(host, port):
        raise OSError(-2, "Name or service not known")

    answer = await post(Receivers(LOOPBACK, resolve=nowhere), "http://hooks.test/")
    assert "the name 'hooks.test' could not be resolved" in answer.error

    async def never(host, port):
        await asyncio.sleep(60)

    answer = await post(Receivers(LOOPBACK, resolve=never, timeout_s=0.1), "http://hooks.test/")
    assert (answer.status, answer.error) == (None, "no answer within 0.1 s")


async def test_an_answer_that_is_no_http_is_a_failure():
    async def accept(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 smtp.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await post(Receivers(LOOPBACK), f"http://127.0.0.1:{port}/")
    assert answer.status is None
    assert answer.error.startswith("RemoteProtocolError")


async def test_a_status_counts_even_where_its_body_never_ends(receiver, reaction):
    receiver.react = lambda one: reaction(200, {"content-length": "1000000"}, b"x")
    async with receiver.listening() as address:
        answer = await post(Receivers(LOOPBACK, timeout_s=0.2), f"http://{address}/")
    assert (answer.status, answer.error) == (200, "")
