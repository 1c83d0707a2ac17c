"""Runs on disk, made once: a stamp says of what, and whoever changes that makes them again."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from perception.synthetic.demand import Demand
from perception.synthetic.run_files import write_run
from twin.evaluation.fuse_run import fuse_run
from twin.events.codec import micros

from .scenes import Case

START = "2026-01-05T06:00:00Z"
ROOT = Path(__file__).resolve().parents[3]
SIMULATED_BY = ("perception/synthetic", "site_models", "twin/events", "twin/spatial")
FUSED_BY = (
    *("twin/fusion", "twin/rules", "twin/spatial", "twin/events", "site_models"),
    *("twin/evaluation/offline.py", "twin/evaluation/run_directory.py"),
)


def simulated(case: Case, out: Path) -> Path:
    """The case's run folder with observations and truth, simulated where that was not done yet; its site is ``site`` in it."""
    run = out / case.name
    if is_stamped(run / "simulated.json", (of := _print_of(SIMULATED_BY, [case.name, *_texts(case.folder)]))):
        return run
    demand = None if case.stay_minutes is None else Demand(stay_median_s=60 * case.stay_minutes)
    started = time.monotonic()
    chosen: dict[str, Any] = {"traffic": case.traffic, "demand": demand, "plates": case.plates}
    write_run(case.site, case.profile, case.seed, case.hours, run, micros(START), **chosen)
    if not (run / "site").exists():
        (run / "site").symlink_to(case.folder.resolve(), target_is_directory=True)
    stamp(run / "simulated.json", of, started)
    say(f"{run.name}: simulated in {time.monotonic() - started:.0f} s")
    return run


def fused(case: Case, run: Path) -> Path:
    """The run, with facts, tracks and sessions: fused where this code has not done that yet."""

    def fuse() -> dict[str, Any]:
        return fuse_run(case.site, run / "observations.jsonl.zst", run)

    concluded(run, run / "fused.json", code_print(FUSED_BY), fuse)
    return run


def concluded(run: Path, mark: Path, of: str, conclude: Callable[[], dict[str, Any]]) -> None:
    """Let ``conclude`` write what follows from the run's observations, unless the stamp says that it has."""
    of = f"{of} {json.loads((run / 'simulated.json').read_bytes())['of']}" if (run / "simulated.json").exists() else of
    if is_stamped(mark, of):
        return
    mark.unlink(missing_ok=True)
    started = time.monotonic()
    summary = conclude()
    stamp(mark, of, started)
    name = run.name if mark.parent == run else f"{run.name}, {mark.parent.name}"
    say(f"{name}: {summary['observations']} observations concluded in {time.monotonic() - started:.0f} s")


def code_print(parts: Iterable[str]) -> str:
    """A digest of the sources under these folders and files of the checkout."""
    return _print_of(parts, ())


def is_stamped(mark: Path, of: str) -> bool:
    """Whether what stands beside the stamp was made of this."""
    return mark.exists() and json.loads(mark.read_bytes())["of"] == of


def stamp(mark: Path, of: str, started_s: float) -> None:
    """Say that it is finished, and of what it was made. Written last: what was interrupted has none."""
    mark.write_text(json.dumps({"of": of, "seconds": round(time.monotonic() - started_s, 1)}) + "\n")


def say(text: str) -> None:
    """A line about the progress."""
    print(text, file=sys.stderr, flush=True)


def _print_of(parts: Iterable[str], texts: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        path = ROOT / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()


def _texts(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if path.is_file()]
