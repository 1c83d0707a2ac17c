"""A side in a process of its own, so that its memory is its own: it fills itself, then answers probes when it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .peers import FaissFlat, FaissHnsw, Milvus
from .sides import Bare, Ours, Side
from .workload import chunks, probes

LIMIT, K = 200, 10
SIDES: Mapping[str, tuple[Any, str]] = {
    "ours": (Ours, "qdrant_edge"),
    "qdrant_edge": (Bare, "qdrant_edge"),
    "faiss_flat": (FaissFlat, "faiss"),
    "faiss_hnsw": (FaissHnsw, "faiss"),
    "milvus_lite": (Milvus, "milvus_lite"),
}
"""Each with the package that it needs."""


class Child:
    """The other end: starts it, and asks it."""

    def __init__(self, side: str, n: int, n_probes: int) -> None:
        code = (
            f"import sys; sys.path[:0] = {sys.path!r}; from twin.evaluation.benches import module; module('search');"
            " from bench_search.child import main; main(*sys.argv[1:])"
        )
        pipe, given = subprocess.PIPE, (side, str(n), str(n_probes))
        one = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen([sys.executable, "-c", code, *given], stdin=pipe, stdout=pipe, text=True, env=one)
        self.built: dict[str, float] = self._said()

    def round(self, *, is_filtered: bool) -> dict[str, Any]:
        """One answer for each probe: ``ms`` by the clock, ``cpu_ms`` by the processor, and the ``numbers`` of the nearest."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{int(is_filtered)}\n")
        self._process.stdin.flush()
        return self._said()

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()

    def _said(self) -> Any:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):  # libraries print as well
                return json.loads(line)
        raise RuntimeError(f"a side ended with {self._process.wait()}")


def main(name: str, n: str, n_probes: str) -> None:
    """What the process does, until its input ends."""
    with tempfile.TemporaryDirectory(prefix="bench-search-") as folder:
        side: Side = SIDES[name][0](Path(folder), int(n))
        asked, before_mb, built_s = probes(int(n), int(n_probes)), _resident_mb(), 0.0
        for views in chunks(int(n)):
            started_s = time.perf_counter()
            side.add(views)
            built_s += time.perf_counter() - started_s
        started_s = time.perf_counter()
        side.ready()
        built_s += time.perf_counter() - started_s
        for is_filtered in (False, True):
            side.search(asked[0], LIMIT, is_filtered=is_filtered)
        print(json.dumps({"build_s": round(built_s, 1), "memory_mb": round(_resident_mb() - before_mb)}), flush=True)
        for line in sys.stdin:
            took_ms, worked_ms, numbers = list[float](), list[float](), list[list[int]]()
            for probe in asked:
                started_s, worked_s = time.perf_counter(), time.process_time()
                answer = side.search(probe, LIMIT, is_filtered=line.strip() == "1")
                took_ms.append((time.perf_counter() - started_s) * 1_000)
                worked_ms.append((time.process_time() - worked_s) * 1_000)
                numbers.append(side.numbers(answer)[:K])
            print(json.dumps({"ms": took_ms, "cpu_ms": worked_ms, "numbers": numbers}), flush=True)
        sys.stdout.flush()
        os._exit(0)  # what a library does at its end is not measured, and may take long


def _resident_mb() -> float:
    resident = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(resident.split()[1]) / 1_024
