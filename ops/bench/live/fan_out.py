"""From publishing a delta until each of many clients has it: ours and bare servers, in turns, on one machine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from twin.events.envelope import RecordedFact
from twin.feeds.channel import Channel
from twin.feeds.delta import difference
from twin.feeds.present import Present

from .server import Server
from .workload import Sizes, confirmed, moved, site

WARM_UP_S = 2.0


class Watched(NamedTuple):
    """What clients saw in one turn of a side.

    Attributes:
        server_us, clients_us: processor time a message and client.
    """

    ms: list[float]
    n_missed: int
    server_us: float
    clients_us: float


def measured(sides: list[str], wanted: Sizes, repeats: int) -> dict[str, Any]:
    """By side: milliseconds, processor, memory; each side's server idles while another's is measured."""
    with tempfile.TemporaryDirectory(prefix="bench-live-") as folder:
        payload = Path(folder) / "payload"
        payload.write_text(sample(wanted))
        servers = {side: Server(side, Path(folder), wanted.hz, wanted.moving, payload) for side in sides}
        try:
            turns: dict[str, list[Watched]] = {side: [] for side in sides}
            for number in range(repeats):
                for side in sides[number % len(sides) :] + sides[: number % len(sides)]:
                    turns[side].append(_watched(servers[side], wanted, Path(folder)))
            memory_mb = {side: round(server.resident_mb()) for side, server in servers.items()}
        finally:
            for server in servers.values():
                server.end()
    told = {side: _told(turns[side]) | {"memory_mb": memory_mb[side]} for side in sides}
    return {"sides": told, "payload_bytes": len(sample(wanted)) - 2}


def sample(wanted: Sizes) -> str:
    """A delta as ours would tell it, with SEQ for its number."""
    where = site()
    present = Present(where)
    facts = [*confirmed(where), *moved(where, 1, wanted.hz, wanted.moving), *moved(where, 2, wanted.hz, wanted.moving)]
    recorded = [RecordedFact(position=n, recorded_at=n, event=fact) for n, fact in enumerate(facts, 1)]
    present.take(recorded[: -wanted.moving])
    before = present.state()
    present.take(recorded[-wanted.moving :])
    channel = Channel("bench", before, n_ring=1, now_s=0.0)
    channel.seq = 99
    channel.publish(present.state(), difference(before, present.state()), 0.0)
    text = channel.since(99)
    assert text is not None
    return text.replace('"seq":100', '"seq":SEQ')


def _watched(server: Server, wanted: Sizes, folder: Path) -> Watched:
    out = folder / "watched.npz"
    given = (str(server.port), server.path, str(wanted.clients), str(wanted.seconds + WARM_UP_S), str(out))
    command = [sys.executable, str(Path(__file__).with_name("watchers.py")), *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        if child.stdout.readline() != b"ready\n":
            raise RuntimeError(f"clients of {server.side} could not connect; what the server said is {server.said()}")
        time.sleep(WARM_UP_S)
        begin_s, used_s = time.monotonic(), server.cpu_s()
        time.sleep(wanted.seconds * 0.95)
        end_s, used_s = time.monotonic(), server.cpu_s() - used_s
        if child.wait(60):
            raise RuntimeError(f"clients of {server.side} were cut off; what the server said is {server.said()}")
    with np.load(out) as saved:
        found = dict(saved)
    at_s = server.published()
    ms = [
        (received_s - at_s[int(seq)]) * 1_000
        for seq, received_s in found["rows"]
        if begin_s <= received_s < end_s and int(seq) in at_s
    ]
    if not ms:
        raise RuntimeError(f"{server.side} told its clients none of {len(at_s)} messages in time; it said {server.said()}")
    n_all = len(found["rows"])
    n_told = sum(begin_s <= one < end_s for one in at_s.values()) * wanted.clients
    return Watched(ms, int(found["n_gaps"]), used_s / max(1, n_told) * 1e6, float(found["cpu_s"]) / max(1, n_all) * 1e6)


def _told(turns: list[Watched]) -> dict[str, Any]:
    together = np.concatenate([turn.ms for turn in turns])
    p50, p95, p99 = (round(float(one), 1) for one in np.percentile(together, (50, 95, 99)))
    return {
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "p99_ms_by_turn": [round(float(np.percentile(turn.ms, 99)), 1) for turn in turns],
        "n_messages": len(together),
        "n_missed": sum(turn.n_missed for turn in turns),
        "server_us": round(float(np.median([turn.server_us for turn in turns])), 1),
        "clients_us": round(float(np.median([turn.clients_us for turn in turns])), 1),
    }


def summary(by_side: Mapping[str, Any], most_ratio: float) -> dict[str, Any]:
    """Ours against each."""
    ours = by_side["ours"]["p99_ms"]
    return {
        name: {"p99": round(ours / one["p99_ms"], 2), "is_met": ours <= most_ratio * one["p99_ms"]}
        for name, one in by_side.items()
        if name != "ours"
    }
