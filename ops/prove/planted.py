"""Whether the simulation would notice: bugs that were written without a look at what it checks, planted one at a time.

A run plants one bug of ``planted_bugs`` in a process of its own and simulates seeds until a promise is broken. A bug that no
seed brings to light refutes the simulation. Control: a bug that changes nothing, which must go unnoticed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from twin.errors import TwinError

from .outcome import Failure, Outcome
from .planted_bugs import BUGS
from .sim.world import run

RUNS = FULL_RUNS = len(BUGS)
_SEEDS = 60
_FIRST_SEED = 1_000
_LONGEST_CPU_S = 240  # of the processor: a slow run on a busy machine is not one that never ends
_LONGEST_WAIT_S = 3_600  # of the clock: a bug that waits uses no processor


def prove(runs: int, seed: int) -> Outcome:
    """Run n plants bug n, counted round and round."""
    failures: list[Failure] = []
    for number in range(seed, seed + runs):
        bug = BUGS[number % len(BUGS)]
        if _attempted(number % len(BUGS), _SEEDS) is None:
            failures.append(Failure(number, f"'{bug.name}' was not noticed in {_SEEDS} runs: {bug.what}"))
    unnoticed = _attempted(-1, 3) is None
    return Outcome(runs, failures, "a bug that changes nothing", int(unnoticed))


def attempt(number: int, n_seeds: int) -> str | None:
    """Plant a bug in this process (-1: none), and simulate; gives what was noticed."""
    if number >= 0:
        BUGS[number].plant()
    for seed in range(_FIRST_SEED, _FIRST_SEED + n_seeds):
        try:
            wrong = run(seed).wrong
        except TwinError as refusal:  # the service's own words; any other error may be the planting's
            wrong = str(refusal)
        if wrong is not None:
            return f"seed {seed}: {wrong}"
    return None


def _attempted(number: int, n_seeds: int) -> str | None:
    folder = Path(__file__).parent
    code = (
        "import json, resource; from pathlib import Path; from twin.evaluation.proofs import part; "
        f"resource.setrlimit(resource.RLIMIT_CPU, ({_LONGEST_CPU_S}, {2 * _LONGEST_CPU_S})); "
        f"print(json.dumps(part('planted', Path({str(folder)!r})).attempt({number}, {n_seeds})))"
    )
    run = [sys.executable, "-c", code]
    try:
        done = subprocess.run(
            run, check=False, capture_output=True, text=True, cwd=folder.parent.parent, timeout=_LONGEST_WAIT_S
        )
    except subprocess.TimeoutExpired:
        return "it waits for ever"
    if done.returncode == -signal.SIGXCPU:
        return "it never ends"
    done.check_returncode()
    return json.loads(done.stdout.splitlines()[-1])
