"""Proofs of a checkout: each promise's is a module of ``ops/prove`` with ``RUNS``, ``FULL_RUNS`` and ``prove(runs, seed)``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from msgspec import Struct

import twin
from twin.errors import BadInput

_FOLDER = Path(twin.__file__).resolve().parent.parent / "ops" / "prove"
_PACKAGE = "twin_prove"
_MOST_TOLD = 20


class Control(Struct, frozen=True, kw_only=True):
    """The same proof of a system that lacks what holds the promise."""

    name: str
    violations: int


class Replay(Struct, frozen=True, kw_only=True):
    """A run that refuted the promise, and the line that runs it again."""

    seed: int
    replay: str
    what: str


class Proof(Struct, frozen=True, kw_only=True):
    """What ``twin prove`` prints of one promise."""

    schema: Literal["twin.prove/1"] = "twin.prove/1"
    promise: str
    runs: int
    seed: int
    seconds: float
    violations: int
    control: Control
    failures: tuple[Replay, ...]
    ok: bool

    @property
    def exit_code(self) -> int:
        """0 held; 1 violated; 2 the control passed, so the proof is broken."""
        return 1 if self.violations else 0 if self.control.violations else 2


def promises(folder: Path = _FOLDER) -> list[str]:
    """What can be proved here; empty outside of a checkout."""
    found = (path.stem.upper() for path in folder.glob("*.py") if "\ndef prove(" in path.read_text(encoding="utf-8"))
    return sorted(found, key=lambda name: (len(name), name))


def prove(promise: str, runs: int | None, seed: int, *, is_full: bool = False, folder: Path = _FOLDER) -> Proof:
    """Try to refute a promise.

    Args:
        runs: None: a short proof, or at the figure of the guarantee where ``is_full``.

    Raises:
        BadInput: no such proof, or no checkout.
    """
    name = promise.upper()
    proof = module(name, folder)
    n_runs = runs if runs is not None else proof.FULL_RUNS if is_full else proof.RUNS
    started = time.monotonic()
    outcome: Any = proof.prove(n_runs, seed)
    failures = tuple(
        Replay(seed=one.seed, replay=f"twin prove {name} --runs 1 --seed {one.seed}", what=one.what)
        for one in outcome.failures[:_MOST_TOLD]
    )
    return Proof(
        promise=name,
        runs=outcome.runs,
        seed=seed,
        seconds=round(time.monotonic() - started, 1),
        violations=len(outcome.failures),
        control=Control(name=outcome.control, violations=outcome.control_failures),
        failures=failures,
        ok=not outcome.failures and outcome.control_failures > 0,
    )


def module(promise: str, folder: Path = _FOLDER) -> ModuleType:
    """The proof of a promise; raises BadInput."""
    names = promises(folder)
    if not names:
        raise BadInput(f"there are no proofs at '{folder}': they come with a checkout of the source, not with a package")
    if promise not in names:
        raise BadInput(f"promise '{promise}' has no proof here; use one of {', '.join(names)}")
    return part(promise.lower(), folder)


def part(name: str, folder: Path = _FOLDER) -> ModuleType:
    """A module of the proofs, such as the servers that they start."""
    if _PACKAGE not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{_PACKAGE}.{name}")
