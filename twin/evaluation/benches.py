"""Benchmarks of a checkout: each file or package in ``ops/bench`` with a ``run(repeats)`` is one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import twin
from twin.errors import BadInput

_FOLDER = Path(twin.__file__).resolve().parent.parent / "ops" / "bench"


def bench_names(folder: Path = _FOLDER) -> list[str]:
    """What can be measured here; empty outside of a checkout."""
    files = {path.stem: path for path in folder.glob("*.py")} | {
        path.parent.name: path for path in folder.glob("*/__init__.py")
    }
    return sorted(name for name, path in files.items() if "\ndef run(" in path.read_text(encoding="utf-8"))


def run_bench(name: str, repeats: int, folder: Path = _FOLDER) -> dict[str, Any]:
    """Measure; the answer follows the schema ``twin.bench/1``.

    Raises:
        BadInput: no such benchmark, or no checkout.
    """
    return module(name, folder).run(repeats)


def bench_text(name: str, report: Mapping[str, Any], folder: Path = _FOLDER) -> str:
    """A report for reading: as the benchmark's own ``text`` has it, else a line for each field."""
    own = getattr(module(name, folder), "text", None)
    fields = ("workload", "machine", "ours", "reference", "ratio", "repeats")
    return own(report) if own else "".join(f"{field}: {report[field]}\n" for field in fields)


def module(name: str, folder: Path = _FOLDER) -> ModuleType:
    """The benchmark of a name; raises BadInput."""
    names = bench_names(folder)
    if not names:
        raise BadInput(f"there are no benchmarks at '{folder}': they come with a checkout of the source, not with a package")
    if name not in names:
        raise BadInput(f"benchmark '{name}' is not known; use one of {', '.join(names)}")
    package = folder / name
    file = package / "__init__.py" if package.is_dir() else folder / f"{name}.py"
    inside = [str(package)] if package.is_dir() else None
    spec = importlib.util.spec_from_file_location(f"bench_{name}", file, submodule_search_locations=inside)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded  # its parts are found through it
    spec.loader.exec_module(loaded)
    return loaded
