"""Where a webhook may send to: its URL, read strictly, and the addresses that its name has. Pure.

A URL is read once, here, and its parts go to the connection as they are: two parsers that read one URL differently are how
such checks are passed by. Addresses are checked before every request, and the connection is made to one of those
(``twin.feeds.receivers``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from msgspec import Struct

from twin.errors import BadInput, Forbidden
from twin.feeds.public_address import networks_of, not_public, read_address

_LONGEST = 2_000
_DEFAULT_PORT = {"https": 443, "http": 80}
_FIRST_FREE_PORT = 1024
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)")
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ODD = re.compile(r"[^\x21-\x7e]|[\\<>\"^`{|}]")


class Target(Struct, frozen=True, kw_only=True):
    """An endpoint's URL in its parts, as they are sent.

    Attributes:
        host: a name in lower case, or an address without brackets.
        authority: for the header ``host``.
        path: with the query.
    """

    scheme: str
    host: str
    port: int
    authority: str
    path: str


class Allowed(Struct, frozen=True, kw_only=True):
    """Receivers that a webhook may reach though they are not public, or not behind TLS.

    Attributes:
        hosts: (host, port); None: any port.
        networks: addresses.
    """

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def has_host(self, target: Target) -> bool:
        """Whether a receiver is named."""
        return not self.hosts.isdisjoint({(target.host, None), (target.host, target.port)})


def allowed_of(text: str | None) -> Allowed:
    """``TWIN_WEBHOOK_ALLOW``: hosts, hosts with ports and ranges of addresses, separated by commas; raises BadInput.

    >>> sorted(allowed_of("bills.internal:8080,10.0.0.0/8").hosts)
    [('bills.internal', 8080)]
    """
    hosts, networks = set[tuple[str, int | None]](), list[IPv4Network | IPv6Network]()
    for one in filter(None, (part.strip() for part in (text or "").split(","))):
        try:
            if "/" in one:
                networks.append(networks_of(one))
            else:
                hosts.add(_host_and_port(one.lower()))
        except ValueError as wrong:
            raise BadInput(
                f"TWIN_WEBHOOK_ALLOW has '{one[:80]}': {wrong}; give HOST, HOST:PORT or a range such as 10.0.0.0/8, by commas"
            ) from None
    return Allowed(hosts=frozenset(hosts), networks=tuple(networks))


def target_of(url: str) -> Target:
    """Read an endpoint's URL.

    Raises:
        BadInput: it is no URL of a receiver, or one that others may read differently.
    """
    try:
        return _target(url)
    except ValueError as wrong:
        raise BadInput(f"a webhook cannot send to '{url[:200]}': {wrong}") from None


def check_addresses(target: Target, addresses: Sequence[str], allowed: Allowed) -> None:
    """Raise Forbidden unless every address of the receiver's name may be reached; one that may not is enough to refuse all."""
    if allowed.has_host(target):
        return
    if not addresses:
        raise Forbidden(f"'{target.host}' has no address, so that a webhook cannot send to it; mend its name's records")
    are_allowed = [_is_allowed(target, text, allowed) for text in addresses]
    if all(are_allowed):
        return
    if target.scheme != "https":
        raise Forbidden(f"a webhook sends over https, and '{target.host}' is to be reached over http; {_remedy(target)}")
    if "." not in target.host and ":" not in target.host:
        raise Forbidden(f"'{target.host}' is a name of this network alone; {_remedy(target)}")
    if target.port != _DEFAULT_PORT["https"] and target.port < _FIRST_FREE_PORT:
        raise Forbidden(f"port {target.port} of '{target.host}' is another service's; use 443 or one from 1024 on")


def _is_allowed(target: Target, text: str, allowed: Allowed) -> bool:
    """Whether the address is among those allowed; raises Forbidden where it is not public either.

    The address itself is not told: whoever may put webhooks need not be who may look up names inside.
    """
    address = read_address(text)
    if address is None:
        raise Forbidden(f"'{target.host}' has the address '{text[:60]}', which a webhook does not send to")
    if any(address.version == one.version and address in one for one in allowed.networks):
        return True
    if (kind := not_public(address)) is not None:
        raise Forbidden(f"'{target.host}' has an address that is not public but {kind}; {_remedy(target)}")
    return False


def _remedy(target: Target) -> str:
    return f"whoever runs the service may allow it: TWIN_WEBHOOK_ALLOW={target.authority}"


def _target(url: str) -> Target:
    if len(url) > _LONGEST:
        raise ValueError(f"it has {len(url)} characters; the most is {_LONGEST}")
    if odd := _ODD.search(url):
        raise ValueError(f"it has {odd[0]!r}; write it in ASCII, names as xn--…, and the rest percent-encoded")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError("it is not of the form https://HOST/PATH without a fragment")
    scheme, authority = parts["scheme"].lower(), parts["authority"].lower()
    if scheme not in _DEFAULT_PORT:
        raise ValueError(f"'{scheme}' is no scheme of a webhook; use https")
    if "@" in authority:
        raise ValueError("it names a user; requests are signed instead, so leave that out")
    if "%" in authority:
        raise ValueError("its host is percent-encoded or has a zone; write it plainly")
    host, given = _host_and_port(authority)
    port = _DEFAULT_PORT[scheme] if given is None else given
    path = parts["target"] if parts["target"].startswith("/") else "/" + parts["target"]
    return Target(scheme=scheme, host=host, port=port, authority=authority, path=path)


def _host_and_port(authority: str) -> tuple[str, int | None]:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError(f"'{authority[:80]}' is no HOST or HOST:PORT")
    port = None if parts["port"] is None else int(parts["port"])
    if port is not None and not 0 < port < 65_536:
        raise ValueError(f"port {port} cannot be; give 1 to 65535")
    return _host(parts["v6"], parts["name"]), port


def _host(v6: str | None, name: str) -> str:
    if v6 is not None:
        if read_address(v6) is None or ":" not in v6:
            raise ValueError(f"'[{v6}]' is no IPv6 address")
        return v6
    if read_address(name) is None and _NUMBER.fullmatch(name.rsplit(".", 1)[-1]):
        raise ValueError(f"'{name}' is a number that some read as an address; write four decimal numbers")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ValueError(f"'{name[:80]}' is no host name")
    return name
