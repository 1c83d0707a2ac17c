"""Where SUMO's programs are; the package brings them, and nothing is imported before it is needed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

from twin.errors import MissingExtra, TwinError

_SHOWN = 2000  # last characters of what a program complained about


class SumoFailed(TwinError):
    """One of SUMO's programs ended with an error; the message holds what it said."""

    slug = "sumo-failed"


def program(name: str) -> Path:
    """The path of 'sumo' or 'netconvert'.

    Raises:
        MissingExtra: eclipse-sumo is not installed.
    """
    return _home() / "bin" / (f"{name}.exe" if os.name == "nt" else name)


def environment() -> dict[str, str]:
    """The environment that the programs run in: they look for their schemas under SUMO_HOME."""
    return {**os.environ, "SUMO_HOME": str(_home())}


def complete(name: str, arguments: list[str]) -> None:
    """Run a program to its end.

    Raises:
        MissingExtra: eclipse-sumo is not installed.
        SumoFailed: it ended with an error.
    """
    done = subprocess.run([program(name), *arguments], capture_output=True, text=True, check=False, env=environment())
    if done.returncode != 0:
        raise failed(name, done.returncode, done.stderr)


def failed(name: str, status: int, complaint: str) -> SumoFailed:
    """The error for a program that ended with a status."""
    return SumoFailed(f"{name} ended with status {status}: {complaint.strip()[-_SHOWN:] or 'no message'}")


def _home() -> Path:
    found = importlib.util.find_spec("sumo")
    if found is None or found.origin is None or not (Path(found.origin).parent / "bin").is_dir():
        raise MissingExtra("traffic 'sumo' needs eclipse-sumo; install spatial-twin[sumo] or use --traffic own")
    return Path(found.origin).parent
