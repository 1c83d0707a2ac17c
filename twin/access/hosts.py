"""By which names the service may be asked: where access is open, by those of its own machine alone.

A website may let its name point at 127.0.0.1 (DNS rebinding). A visitor's browser then takes this service for that website,
whose pages may read and write here: their ``Origin`` is the ``Host`` that they ask for. That name is not theirs to choose, and
tells the two apart. Where keys are asked for they get nowhere: no key and no cookie of this service is that website's. Pure.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from msgspec import Struct

from twin.errors import BadInput

_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_][a-z0-9_.-]{0,252}))(?::[0-9]{0,5})?")


class Hosts(Struct, frozen=True, kw_only=True):
    """Names and addresses that may be asked for beside those of loopback.

    Attributes:
        names: as ``host_in`` gives them; None: any.
    """

    names: frozenset[str] | None = frozenset()

    def has(self, header: str) -> bool:
        """Whether a request's ``Host`` is among them.

        >>> Hosts().has("localhost:8600"), Hosts().has("127.0.0.1.evil.example")
        (True, False)
        """
        if self.names is None:
            return True
        host = host_in(header)
        return host is not None and (host in self.names or host == "localhost" or _is_loopback(host))


def host_in(header: str) -> str | None:
    """The name, or the address in its usual form, of ``HOST`` or ``HOST:PORT``; None: neither can be read.

    >>> host_in("Twin.Example.:8600"), host_in("[0:0::1]:80"), host_in("a b")
    ('twin.example', '::1', None)
    """
    parts = _HOST.fullmatch(header.lower())
    if parts is None:
        return None
    if parts["v6"] is None:
        return parts["name"].removesuffix(".")
    try:
        return str(ip_address(parts["v6"]))
    except ValueError:
        return None


def hosts_of(text: str | None, *, listens_on: str, has_keys: bool) -> Hosts:
    """``TWIN_HOSTS``: names and addresses, separated by commas, beside those of loopback and the one that is listened on.

    Args:
        text: ``*``: any name; None: any where keys are asked for, else none.

    Raises:
        BadInput: something else is in it.
    """
    if text is None:
        text = "*" if has_keys else ""
    given = [one.strip() for one in text.split(",") if one.strip()]
    if "*" in given:
        return Hosts(names=None)
    return Hosts(names=frozenset(map(_named, [*given, listens_on])))


def _named(text: str) -> str:
    bare = text.strip("[]")
    try:
        return str(ip_address(bare))
    except ValueError:
        name = host_in(text)
        if name is None or ":" in text:
            raise BadInput(
                f"TWIN_HOSTS has '{text[:80]}', which is no name and no address; give them without ports, by commas, or *"
            ) from None
        return name


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
