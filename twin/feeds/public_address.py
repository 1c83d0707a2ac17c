"""Which IP addresses are of the public internet: pure.

The tables are IANA's special-purpose registries (RFC 6890 and its successors), written down here rather than asked of
``ipaddress``, whose ``is_global`` says other things from one Python release to the next.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import cast

Address = IPv4Address | IPv6Address

_V4 = {
    "0.0.0.0/8": "unspecified",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "of a carrier's NAT",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved for protocols",
    "192.0.2.0/24": "for documentation",
    "192.31.196.0/24": "of AS112",
    "192.52.193.0/24": "of multicast tunnels",
    "192.88.99.0/24": "a 6to4 relay",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "of AS112",
    "198.18.0.0/15": "for benchmarks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
_V6 = {
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::/96": "an IPv4-compatible address",
    "::ffff:0:0/96": "an IPv4-mapped address",
    "::ffff:0:0:0/96": "an IPv4-translated address",
    "64:ff9b:1::/48": "of a local NAT64",
    "100::/64": "discarded",
    "2001::/32": "a Teredo tunnel",
    "2001::/23": "reserved for protocols",
    "2001:db8::/32": "for documentation",
    "2002::/16": "a 6to4 tunnel",
    "2620:4f:8000::/48": "of AS112",
    "3fff::/20": "for documentation",
    "5f00::/16": "of segment routing",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_KINDS = {ip_network(text): kind for text, kind in {**_V4, **_V6}.items()}
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_LOW_32 = 0xFFFF_FFFF


def not_public(address: Address) -> str | None:
    """What kind of address it is, where it is not of the public internet.

    >>> not_public(ip_address("10.1.2.3"))
    'private'
    >>> not_public(ip_address("2606:4700::1111"))
    """
    for network, kind in _KINDS.items():
        if address.version == network.version and address in network:
            return kind
    return _hidden_v4(address) if isinstance(address, IPv6Address) else None


def read_address(text: str) -> Address | None:
    """An address as resolvers write it; None for anything else, such as one with a zone."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def _hidden_v4(address: IPv6Address) -> str | None:
    """What an IPv6 address leads to by the IPv4 address in it, or that it is of no range that is handed out."""
    inside = IPv4Address(int(address) & _LOW_32)
    if address in _NAT64:
        return _inside("a NAT64 address", inside)
    if address not in _GLOBAL_V6:
        return "reserved"
    if (int(address) >> 32) & _LOW_32 in _ISATAP:
        return _inside("an ISATAP address", inside)
    return None


def _inside(what: str, inside: IPv4Address) -> str | None:
    kind = not_public(inside)
    return None if kind is None else f"{what} of {inside}, which is {kind}"


def networks_of(text: str) -> IPv4Network | IPv6Network:
    """A range such as 10.0.0.0/8; raises ValueError."""
    return cast("IPv4Network | IPv6Network", ip_network(text))
