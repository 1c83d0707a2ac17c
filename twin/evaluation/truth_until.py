"""The truth of the beginning of a run, as tables of a run of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from twin.evaluation.run_tables import NEVER, Column, Table, has_table, read_table
from twin.events.ids import SECOND, Micros

TRUTH, VISITS = "truth.parquet", "visits.parquet"


def write_truth_until(run: Path, out: Path, seconds: float | None, shift_us: Micros = 0) -> Micros | None:
    """Write ``truth`` and ``visits`` of the first seconds; stays that end later are open.

    Args:
        seconds: None: all of it.
        shift_us: added to every time.

    Returns:
        The last moment that is in them; None where all is.

    Raises:
        BadInput: a table is absent or faulty.
    """
    truth = read_table(run, "truth")
    until_at = None if seconds is None or not len(truth["t"]) else int(truth["t"].min()) + round(seconds * SECOND)
    if until_at is not None:
        kept = truth["t"] <= until_at
        truth = {name: values[kept] for name, values in truth.items()}
        truth = _held_until(truth, until_at)
    _write(out / TRUTH, {**truth, "t": truth["t"] + shift_us})
    if has_table(run, "visits"):
        _write(out / VISITS, _visits(read_table(run, "visits"), until_at, shift_us))
    return None if until_at is None else until_at + shift_us


def _held_until(truth: Table, until_at: Micros) -> dict[str, Column]:
    """With each vehicle's last row said again at the end, so that the period is as long."""
    is_last = np.append(truth["vehicle"][1:] != truth["vehicle"][:-1], True)
    is_last &= (truth["state"] != "left") & (truth["t"] < until_at)
    rows = np.concatenate([np.arange(len(is_last)), np.flatnonzero(is_last)])
    held = {name: values[rows] for name, values in truth.items()}
    held["t"] = held["t"].copy()
    held["t"][len(is_last) :] = until_at
    return held


def _visits(visits: Table, until_at: Micros | None, shift_us: Micros) -> dict[str, Column]:
    entry_t, exit_t = visits["entry_t"], visits["exit_t"]
    if until_at is not None:
        visits = {name: values[entry_t <= until_at] for name, values in visits.items()}
        entry_t, exit_t = visits["entry_t"], visits["exit_t"]
        exit_t = np.where(exit_t > until_at, NEVER, exit_t)
        if "amount_minor" in visits:
            visits = {**visits, "amount_minor": np.where(exit_t == NEVER, NEVER, visits["amount_minor"])}
    ends = {"entry_t": entry_t, "exit_t": exit_t}
    return {**visits, **{name: np.where(values == NEVER, NEVER, values + shift_us) for name, values in ends.items()}}


def _write(path: Path, table: Table) -> None:
    pq.write_table(pa.table({name: _column(values) for name, values in table.items()}), path)


def _column(values: Column) -> Any:
    if values.dtype.kind == "U":
        return pa.array([value or None for value in values.tolist()], pa.string())
    if values.dtype.kind == "f":
        return pa.array(values, pa.float64(), mask=np.isnan(values))
    return pa.array(values, pa.int64(), mask=values == NEVER)
