"""Which endpoints a webhook may send to: URLs, addresses, and what whoever runs the service allows."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import BadInput, Forbidden
from twin.feeds.public_address import not_public, read_address
from twin.feeds.receiver_address import allowed_of, check_addresses, target_of

NOBODY = allowed_of(None)
PUBLIC = "93.184.215.14"
NAT64 = ip_network("64:ff9b::/96")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", None),
        ("100.63.255.255", None),
        ("100.64.0.0", "of a carrier's NAT"),
        ("169.254.169.254", "link-local"),
        ("223.255.255.255", None),
        ("224.0.0.0", "multicast"),
        ("255.255.255.255", "reserved"),
        ("8.8.8.8", None),
        ("2606:4700:4700::1111", None),
        ("2001:200::1", None),
        ("2001:1ff::1", "reserved for protocols"),
        ("::ffff:8.8.8.8", "an IPv4-mapped address"),
        ("64:ff9b::8.8.8.8", None),
        ("64:ff9b::10.0.0.1", "a NAT64 address of 10.0.0.1, which is private"),
        ("2a00:1450::5efe:10.0.0.1", "an ISATAP address of 10.0.0.1, which is private"),
        ("2a00:1450::5efe:8.8.8.8", None),
        ("4000::1", "reserved"),
    ],
)
def test_an_address_is_public_or_of_a_kind_that_is_named(address, kind):
    assert not_public(ip_address(address)) == kind


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_python_knows_to_be_no_address_of_the_internet_is_none_here(address):
    # Not the other way round: its tables lack some ranges, and differ between its releases.
    if not address.is_global and address not in NAT64:
        assert not_public(address) is not None


@pytest.mark.parametrize("text", ["fe80::1%eth0", "127.1", "010.0.0.1", "0x7f.0.0.1", "", "hooks.example"])
def test_only_plain_addresses_are_read_as_such(text):
    assert read_address(text) is None


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://hooks.example", "hooks.example", 443, "/"),
        ("HTTPS://Hooks.Example:8443/In?K=1&u=//x@y", "hooks.example", 8443, "/In?K=1&u=//x@y"),
        ("https://hooks.example?k", "hooks.example", 443, "/?k"),
        ("http://[2606:4700::1111]:8080/a%20b", "2606:4700::1111", 8080, "/a%20b"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/"),
        ("http://93.184.215.14/", "93.184.215.14", 80, "/"),
        ("https://a_b.example-2.example/", "a_b.example-2.example", 443, "/"),
    ],
)
def test_a_url_is_read_into_its_parts(url, host, port, path):
    target = target_of(url)
    assert (target.host, target.port, target.path) == (host, port, path)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://u:p@hooks.example/", "names a user"),
        ("https://hooks.example/#x", "without a fragment"),
        ("https://bücher.example/", "write it in ASCII"),
        ("https://hooks.example/a b", "write it in ASCII"),
        ("https://hooks.example\\@evil.example/", "write it in ASCII"),
        ("gopher://hooks.example/", "no scheme of a webhook"),
        ("https://2130706433/", "is a number that some read as an address"),
        ("https://0x7f.1/", "is a number that some read"),
        ("https://[fe80::1%25eth0]/", "has a zone"),
        ("https://[127.0.0.1]/", "no IPv6 address"),
        ("https://hooks.example:0/", "port 0 cannot be"),
        ("https://hooks.example:65536/", "port 65536 cannot be"),
        ("https://hooks.example:/", "no HOST or HOST:PORT"),
        ("https://hooks.example./", "no host name|a number that some read"),
        ("https://-a.example/", "no host name"),
        ("https:///x", "no HOST"),
        ("hooks.example", "not of the form https"),
        ("https://hooks.example/" + "x" * 2_000, "the most is 2000"),
    ],
)
def test_a_url_that_others_may_read_differently_is_refused_with_its_reason(url, words):
    with pytest.raises(BadInput, match=words):
        target_of(url)


@pytest.mark.parametrize(
    ("url", "addresses", "words"),
    [
        ("https://hooks.example/", [], "has no address"),
        ("https://hooks.example/", ["10.0.0.1"], "not public but private; .*TWIN_WEBHOOK_ALLOW=hooks.example$"),
        ("https://hooks.example/", [PUBLIC, "::1"], "has an address that is not public but loopback"),
        ("https://hooks.example/", [PUBLIC, "fe80::1%2"], "has the address 'fe80::1%2'"),
        ("http://hooks.example/", [PUBLIC], "sends over https"),
        ("https://hooks.example:25/", [PUBLIC], "port 25 of 'hooks.example' is another service's"),
        ("https://intranet/", [PUBLIC], "a name of this network alone"),
    ],
)
def test_a_receiver_is_refused_for_any_address_that_is_not_public(url, addresses, words):
    with pytest.raises(Forbidden, match=words):
        check_addresses(target_of(url), addresses, NOBODY)


@pytest.mark.parametrize("url", ["https://hooks.example/", "https://hooks.example:8443/", "https://93.184.215.14/"])
def test_a_public_receiver_behind_tls_is_let_through(url):
    check_addresses(target_of(url), [PUBLIC, "2606:4700:4700::1111"], NOBODY)


@pytest.mark.parametrize(
    ("allow", "url", "address", "is_allowed"),
    [
        ("bills.internal", "http://bills.internal:8080/", "10.0.0.1", True),
        ("bills.internal:8080", "http://bills.internal:8080/", "10.0.0.1", True),
        ("bills.internal:8080", "http://bills.internal:8081/", "10.0.0.1", False),
        ("bills.internal", "http://bills.internal.evil.example/", "10.0.0.1", False),
        ("10.0.0.0/8, fd00::/8", "http://bills/", "10.9.9.9", True),
        ("10.0.0.0/8, fd00::/8", "http://bills/", "fd00::7", True),
        ("10.0.0.0/8", "http://bills/", "127.0.0.1", False),
        ("10.0.0.0/8", "http://hooks.example/", PUBLIC, False),
        ("[::1]:9000", "http://[::1]:9000/", "::1", True),
        ("Bills.Internal", "http://bills.internal/", "10.0.0.1", True),
    ],
)
def test_whoever_runs_the_service_may_allow_hosts_and_ranges(allow, url, address, is_allowed):
    if is_allowed:
        check_addresses(target_of(url), [address], allowed_of(allow))
    else:
        with pytest.raises(Forbidden):
            check_addresses(target_of(url), [address], allowed_of(allow))


def test_a_name_with_an_allowed_address_and_a_public_one_is_not_sent_to_in_the_clear():
    with pytest.raises(Forbidden, match="over https"):
        check_addresses(target_of("http://hooks.example/"), ["10.0.0.1", PUBLIC], allowed_of("10.0.0.0/8"))


@pytest.mark.parametrize("allow", ["10.0.0.1/8", "a b", "https://bills.internal", "bills.internal:x", "127.1"])
def test_a_setting_that_cannot_be_read_is_told(allow):
    with pytest.raises(BadInput, match="TWIN_WEBHOOK_ALLOW has"):
        allowed_of(allow)
