"""A delta to 2,000 clients, ten times a second: ours beside bare servers that send the same text to as many; and what 500
clients that never read do to ingest.

Each server is one process: uvicorn and granian with a queue a client, uvicorn with a loop over its clients, and plain sockets
as the floor. Clients are one process of plain sockets, the same for all. `BENCH_LIVE_CLIENTS` (2000), `_HZ` (10), `_SECONDS`
(10, of a turn), `_STALLED` (500), `_MOVING` (1 vehicle a tick), `_SIDES` and `_PARTS` (fan_out,ingest) make it smaller.
"""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from twin.errors import BadInput

from . import fan_out, ingest
from .server import MODULES
from .workload import sizes

MOST_RATIO = 1.3
_PARTS = ("fan_out", "ingest")


def run(repeats: int = 5) -> dict[str, Any]:
    """Measure; milliseconds over all repeats together."""
    wanted, sides, parts = sizes(), _named("SIDES", list(MODULES)), _named("PARTS", list(_PARTS))
    _allow_files(wanted.clients)
    there = [name for name in MODULES if (name in sides or name == "ours") and (name != "granian" or find_spec("granian"))]
    told = fan_out.measured(there, wanted, repeats) if "fan_out" in parts else {"sides": {"ours": {}}, "payload_bytes": 0}
    stalled = ingest.measured(wanted, repeats) if "ingest" in parts else {}
    by_side = told["sides"]
    return {
        "schema": "twin.bench/1",
        "workload": f"{wanted.clients} clients x {wanted.hz:g} Hz, deltas of {told['payload_bytes']} bytes; goal p99 of"
        f" {MOST_RATIO} x bare; {wanted.stalled} stalled clients beside 50 appends/s, goal p99 of {ingest.MOST_MORE:.0%}"
        f" or {ingest.MOST_MORE_MS:g} ms more",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, load {os.getloadavg()[0]:.1f}",
        "ours": {**by_side["ours"], **({"ingest": stalled} if stalled else {})},
        "reference": {name: one for name, one in by_side.items() if name != "ours"},
        "ratio": fan_out.summary(by_side, MOST_RATIO) if "fan_out" in parts else {},
        "repeats": repeats,
    }


def text(report: Mapping[str, Any]) -> str:
    """The report as Markdown tables."""
    lines = [f"{report['workload']}; {report['machine']}; {report['repeats']} repeats", ""]
    if report["ratio"]:
        lines += ["| side | p50 / p95 / p99 ms | p99 by turn | ours to it | missed | server, clients µs a message | MB |"]
        lines += ["|---|---:|---|---:|---:|---:|---:|"]
        for name, one in {"ours": report["ours"], **report["reference"]}.items():
            ratio = report["ratio"].get(name, {}).get("p99", "")
            lines.append(
                f"| {name} | {one['p50_ms']} / {one['p95_ms']} / {one['p99_ms']} | {one['p99_ms_by_turn']} | {ratio}"
                f" | {one['n_missed']} | {one['server_us']}, {one['clients_us']} | {one['memory_mb']} |"
            )
    if (stalled := report["ours"].get("ingest")) is not None:
        lines += ["", "| stalled clients | append p50 / p99 ms | MB |", "|---|---:|---:|"]
        for name in ("without", "with"):
            lines.append(f"| {name} | {stalled[name]['p50_ms']} / {stalled[name]['p99_ms']} | {stalled[name]['memory_mb']} |")
        more = f"p99 {stalled['p99_more_ms']} ms more, is met: {stalled['is_met']}"
        lines += ["", f"{more}; closed and back {stalled['n_came_back']} times"]
    return "\n".join(lines) + "\n"


def _named(name: str, known: list[str]) -> list[str]:
    asked = os.environ.get(f"BENCH_LIVE_{name}", ",".join(known)).split(",")
    if wrong := [one for one in asked if one not in known]:
        raise BadInput(f"BENCH_LIVE_{name} has {wrong}; there are {', '.join(known)}")
    return asked


def _allow_files(n_clients: int) -> None:
    """Each client is a file of its process and of the server's; raises BadInput."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = n_clients + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BadInput(f"{n_clients} clients need {needed} open files, and {hard} are allowed; raise `ulimit -n`")
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
