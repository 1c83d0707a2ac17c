"""Ways to make a webhook reach an address that is not public: URLs, and names whose answers change."""

from __future__ import annotations

import random
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple, cast

PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")


class Case(NamedTuple):
    """A URL, and its name's addresses each time that it is asked for; the last hold on. None: what the C library says."""

    what: str
    url: str
    answers: tuple[tuple[str, ...], ...] | None = None


_V4 = (
    *("0.0.0.0", "0.0.0.1", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.1.2.3"),
    *("127.255.255.254", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.254", "192.0.0.8", "192.0.2.1"),
    *("192.88.99.1", "192.168.0.1", "192.168.255.254", "198.18.0.1", "198.19.255.254", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
)
_V6 = (
    *("::", "::1", "0:0:0:0:0:0:0:1", "0000::0001", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"),
    *("::127.0.0.1", "::7f00:1", "::8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3"),
    *("64:ff9b::a9fe:a9fe", "64:ff9b::192.168.1.1", "64:ff9b:1::1", "64:ff9b:1::8.8.8.8", "100::1", "2001::1"),
    *("2001:0:53aa:64c::80ff:fffe", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1"),
    *("2002:a9fe:a9fe::", "2620:4f:8000::1", "3fff::1", "4000::1", "5f00::1", "a000::1", "fc00::1", "fd00:ec2::254"),
    *(
        "fe80::1",
        "febf::1",
        "fec0::1",
        "feff::1",
        "ff00::1",
        "ff02::1",
        "2a00:1450::5efe:10.0.0.1",
        "2a00:1450::200:5efe:127.0.0.1",
    ),
)
_NUMBERS = (
    *("127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7f.0x0.0x0.0x1", "0x7f.1", "0177.0.0.1", "0177.1"),
    *("017700000001", "127.0.0.01", "127.0.0.0x1", "127.0.0.1.", "0x7F000001", "0", "0x0", "00", "0.0", "0.0.0"),
    *("167772161", "0xa000001", "012.0.0.1", "10.1", "3232235777", "0xc0a80101", "0300.0250.1.1", "192.168.257"),
    *("2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "4294967295", "0xffffffff", "1.0x7f000001", "x.0x"),
    *("127.0.0.1.5", "256.0.0.1", "1.2.3.4.5", "127.0.0.-1", "1e3", "127.0.0.1e0"),
)
_TRICKS = (
    *("https://example.com@127.0.0.1:{port}/", "https://user:pass@127.0.0.1:{port}/", "https://@127.0.0.1:{port}/"),
    *("https://127.0.0.1:{port}#@example.com/", "https://127.0.0.1:{port}\\@example.com/", "https://example.com\\@127.0.0.1/"),
    *("https://127.0.0.1:{port}?@example.com/", "https://127.0.0.1:{port}/\\example.com", "https:\\\\127.0.0.1:{port}\\"),
    *(
        "https:127.0.0.1:{port}/",
        "https:/127.0.0.1:{port}/",
        "https:///127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
        "127.0.0.1:{port}",
    ),
    *("https://127.0.0.1%3a{port}/", "https://%31%32%37.0.0.1:{port}/", "https://127%2e0%2e0%2e1:{port}/"),
    *("https://127.0.0.1:{port}%00.example.com/", "https://127.0.0.1\x00.example.com:{port}/", "https://127.0.0.1\t:{port}/"),
    *("https://exa\nmple.com:{port}/", "https://127.0.0.1:{port}/\r\nhost: example.com", " https://127.0.0.1:{port}/"),
    *(
        "https://１２７.０.０.１:{port}/",
        "https://127。0。0。1:{port}/",
        "https://①②⑦.⓪.⓪.①:{port}/",
        "https://ｌｏｃａｌｈｏｓｔ:{port}/",
    ),
    *("https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/", "https://loca\u00adlhost:{port}/", "https://127．0．0．1:{port}/", "https://[::①]:{port}/"),
    *("https://localhost:{port}/", "https://LOCALHOST:{port}/", "https://localhost.:{port}/", "http://localhost:{port}/"),
    *("https://[::1]:{port}/", "https://[::1%25lo]:{port}/", "https://[::1%lo]:{port}/", "https://[fe80::1%25eth0]:{port}/"),
    *(
        "https://[127.0.0.1]:{port}/",
        "https://[::1:{port}/",
        "https://::1:{port}/",
        "https://[v1.::1]:{port}/",
        "https://[]:{port}/",
    ),
    *(
        "http://127.0.0.1:{port}/",
        "HTTP://127.0.0.1:{port}/",
        "ftp://127.0.0.1:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/_x",
    ),
    *(
        "dict://127.0.0.1:{port}/x",
        "ws://127.0.0.1:{port}/",
        "unix:///var/run/docker.sock",
        "javascript:alert(1)",
        "data:,x",
        "",
    ),
    *("https://127.0.0.1:{port}:443/", "https://127.0.0.1:0/", "https://127.0.0.1:99999/", "https://127.0.0.1:+{port}/"),
    *("https://127.0.0.1:{port}junk/", "https://127.0.0.1:/", "https:// 127.0.0.1:{port}/", "https://.127.0.0.1:{port}/"),
    *("https://127.0.0.1:{port};example.com/", "https://127.0.0.1:{port},example.com/", "https://{{127.0.0.1}}:{port}/"),
)
_NAMES = ("metadata.google.internal", "localtest.me", "127.0.0.1.nip.io", "intranet", "printer.local", "xn--80ak6aa92e.com")
_PORTS = ("0", "1", "21", "22", "23", "25", "53", "80", "110", "135", "139", "445", "465", "587", "993", "1023")
_NETWORKS = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4", "::/96", "::ffff:0:0/96", "64:ff9b::7f00:0/104", "64:ff9b:1::/48", "100::/64", "2001::/23"),
    *("2001:db8::/32", "2002::/16", "3fff::/20", "4000::/2", "8000::/2", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
)


def cases(seed: int, port: int) -> list[Case]:
    """All of them; a seed draws the addresses in each range. ``port`` is where something listens that nobody may reach."""
    draw = random.Random(f"ssrf {seed}")
    literal = [Case("address", f"https://{one}:{port}/") for one in _V4]
    literal += [Case("IPv6 address", f"https://[{one}]:{port}/") for one in _V6]
    literal += [Case("number", f"https://{one}:{port}/in") for one in _NUMBERS]
    literal += [Case("trick", one.format(port=port)) for one in _TRICKS]
    named = [Case("name", f"https://{name}:{port}/", (("127.0.0.1",),)) for name in _NAMES]
    ports = [Case("port", f"https://hooks.example:{one}/", ((PUBLIC[0],),)) for one in _PORTS]
    plain = [Case("plain http", f"http://hooks.example:{port}/", ((one,),)) for one in PUBLIC]
    return [*literal, *named, *ports, *plain, *(case for one in _NETWORKS for case in _of_network(one, draw, port))]


def _of_network(text: str, draw: random.Random, port: int) -> list[Case]:
    """A name with an address in a range: alone, beside public ones, and after public ones (DNS rebinding)."""
    network = cast("IPv4Network | IPv6Network", ip_network(text))
    inside = str(network[draw.randrange(network.num_addresses)])
    url, public = f"https://hooks.example:{port}/{text}", draw.choice(PUBLIC)
    return [
        Case("name", url, ((inside,),)),
        Case("mixed answer", url, ((public, inside),)),
        Case("mixed answer", url, ((inside, *PUBLIC),)),
        Case("rebinding at once", url, ((public,), (inside,))),
        Case("rebinding in between", url, ((public,), (public,), (inside,))),
        Case("rebinding later", url, ((public,), (public,), (public,), (inside,))),
    ]
