"""G6: the same observation log, fold version and configuration give the same facts and state hash anywhere.

A run folds one site-day in several processes, with other hash seeds, other numbers of threads, another BLAS kernel, and SIMD
extensions of the processor turned off; with kernels compiled for this processor, for any of its kind, and not compiled at all;
in each also from five snapshots on the way. All must tell the same digest. Control: a fold whose facts of one observation come
in the order of a set.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from twin.events.codec import to_json
from twin.events.envelope import FactEvent, Recorded, RecordedObservation
from twin.rules.fold import Fold

from .outcome import Outcome, tried
from .site_day import PROOF_SITE, site_day

RUNS, FULL_RUNS = 1, 200
_SNAPSHOTS, _SECONDS = 5, 60
_MACHINES = (
    {"PYTHONHASHSEED": "0"},
    {"PYTHONHASHSEED": "1", "OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1", "NUMBA_DISABLE_JIT": "1"},
    {
        "PYTHONHASHSEED": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
    },
)
_CHILD = "from twin.evaluation.proofs import module; module('G6').tell(*sys.argv[1:])"


def prove(runs: int, seed: int) -> Outcome:
    """A run is a site-day, folded six times in each of three processes."""
    failures = tried(range(seed, seed + runs), lambda one: _refuted(one, "as it is"))
    control = tried(range(seed, seed + 1), lambda one: _refuted(one, "by sets"))
    return Outcome(runs, failures, "a fold whose facts come in the order of a set", len(control))


def _refuted(seed: int, how: str) -> str | None:
    told = [_told(seed, how, machine) for machine in _MACHINES]
    for machine, digests in zip(_MACHINES, told, strict=True):
        if len(set(digests)) > 1 or digests[0] != told[0][0]:
            return f"with {machine}: {digests}, with {_MACHINES[0]}: {told[0]}"
    return None


def _told(seed: int, how: str, machine: dict[str, str]) -> list[str]:
    command = (sys.executable, "-W", "ignore", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {_CHILD}", str(seed), how)
    done = subprocess.run(command, env=os.environ | machine, capture_output=True, text=True, check=True)
    return done.stdout.split()


def tell(seed: str, how: str) -> None:
    """What a process does: a digest of facts and state for each fold."""
    observations = [
        Recorded(position=position, recorded_at=0, event=event)
        for position, event in enumerate(site_day(int(seed), _SECONDS), 1)
    ]
    every = -(-len(observations) // (_SNAPSHOTS + 1))
    fold, is_by_sets = Fold(PROOF_SITE), how == "by sets"
    straight = _Folding(fold, fold.initial(), is_by_sets=is_by_sets)
    snapshots: list[tuple[int, bytes, Any]] = []
    for number, recorded in enumerate(observations):
        if number and number % every == 0 and not is_by_sets:
            snapshots.append((number, fold.pack(straight.state), straight.digest.copy()))
        straight.step(recorded)
    print(straight.told())  # noqa: T201
    for number, body, digest in snapshots:
        resumed = _Folding(fold, fold.unpack(body), digest, is_by_sets=is_by_sets)
        for recorded in observations[number:]:
            resumed.step(recorded)
        print(resumed.told())  # noqa: T201


@dataclass
class _Folding:
    fold: Fold
    state: Any
    digest: Any = None
    is_by_sets: bool = False

    def step(self, recorded: RecordedObservation) -> None:
        """Fold one, and take its facts into the digest."""
        self.digest = self.digest or hashlib.blake2b(digest_size=16)
        self.state, facts = self.fold.step(self.state, recorded, getattr(recorded.event.payload, "personal", None))
        for text in self._ordered(facts):
            self.digest.update(text)

    def told(self) -> str:
        """Of facts and state."""
        state = hashlib.blake2b(self.fold.pack(self.state), digest_size=8).hexdigest()
        return f"{self.digest.hexdigest()}:{state}"

    def _ordered(self, facts: tuple[FactEvent, ...]) -> list[bytes]:
        texts = list(map(to_json, facts))
        return list(set(texts)) if self.is_by_sets else texts
