"""The tables of a run folder, read strictly: whoever wrote them, a fault is told with its file, column and row.

A table is ``NAME.parquet`` or ``NAME.csv`` with the columns of the formats in any order. Times are int64 microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from twin.errors import BadInput

NEVER = int(np.iinfo(np.int64).min)
"""A time or amount that is null."""

Column = NDArray[Any]
Table = Mapping[str, Column]

_PLACE = {"vehicle": "text", "t": "time", "level": "text?", "x_m": "number?", "y_m": "number?"}
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "tracks": {**_PLACE, "xx": "number?", "xy": "number?", "yy": "number?", "state": "text"},
    "sessions": {
        "session": "text",
        "vehicle": "text",
        "entry_t": "time?",
        "exit_t": "time?",
        "status": "text",
        "confidence": "number?",
        "amount_minor": "count?",
    },
    "truth": {**_PLACE, "heading_deg": "number?", "stall": "text?", "state": "text"},
    "visits": {"vehicle": "text", "entry_t": "time?", "exit_t": "time?", "plate": "text?"},
}
_OPTIONAL: Mapping[str, Mapping[str, str]] = {"visits": {"amount_minor": "count?"}}
_WORDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tracks": ("state", ("moving", "parked", "hidden", "left")),
    "truth": ("state", ("moving", "parked", "left")),
    "sessions": ("status", ("open", "closed", "orphan")),
}
_ARROW = {"text": pa.string(), "time": pa.int64(), "count": pa.int64(), "number": pa.float64()}
_KEYS: Mapping[str, tuple[str, ...]] = {
    "tracks": ("vehicle", "t"),
    "truth": ("vehicle", "t"),
    "sessions": ("session",),
    "visits": ("vehicle", "entry_t"),
}
_SOURCE: Mapping[str, str] = {
    "truth": "ground truth comes from twin simulate, or from your own labels",
    "visits": "the true stays come from twin simulate, or from your own list",
}


def has_table(run: Path, name: str) -> bool:
    """Whether the run has this table."""
    return _path(run, name) is not None


def read_table(run: Path, name: str) -> Table:
    """Columns by name; null times and counts are ``NEVER``, null numbers NaN, null text "".

    ``tracks`` and ``truth`` are sorted by vehicle and time.

    Raises:
        BadInput: the table is absent or cannot be read; a column is missing, unknown or of another type; a value is null, NaN
            or unknown where it may not be; a row is there twice.
    """
    path = _path(run, name)
    if path is None:
        source = _SOURCE.get(name, "twin fuse --out writes it")
        if (run / "facts.jsonl.partial").exists():
            source = "twin fuse did not get to its end there; run it again"
        raise BadInput(f"run '{run}' has neither {name}.parquet nor {name}.csv; {source}")
    optional = _OPTIONAL.get(name, {})
    table = _read(path, {**_COLUMNS[name], **optional})
    kinds = {**_COLUMNS[name], **{column: kind for column, kind in optional.items() if column in table.column_names}}
    columns = {column: _column(path, table, column, kind) for column, kind in kinds.items()}
    _check_words(path, name, columns)
    _check_once(path, _KEYS[name], columns)
    if name in ("tracks", "truth"):
        _check_places(path, columns)
        order = np.lexsort((columns["t"], columns["vehicle"]))
        columns = {column: values[order] for column, values in columns.items()}
    if name == "tracks":
        _check_covariances(path, columns)
    if name == "sessions":
        _check_stays(path, columns)
    return columns


def read_manifest(run: Path) -> Mapping[str, Any]:
    """``manifest.json``; empty where there is none.

    Raises:
        BadInput: the file is no manifest, or of another schema.
    """
    path = run / "manifest.json"
    if not path.exists():
        return {}
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError) as wrong:
        raise BadInput(f"'{path}' is no manifest: {wrong}; write the run again") from None
    if manifest.get("schema", "twin.run/1") != "twin.run/1":
        raise BadInput(f"'{path}' has schema '{manifest['schema']}'; this release reads 'twin.run/1'")
    return manifest


def _path(run: Path, name: str) -> Path | None:
    if not run.is_dir():
        raise BadInput(f"run folder '{run}' is not there; give a folder that twin fuse or twin simulate wrote")
    return next((path for ending in ("parquet", "csv") if (path := run / f"{name}.{ending}").exists()), None)


def _read(path: Path, known: Mapping[str, str]) -> Any:
    try:
        if path.suffix == ".csv":
            types = {column: _ARROW[kind.rstrip("?")] for column, kind in known.items()}
            options = pa_csv.ConvertOptions(column_types=types, null_values=["", "null"], strings_can_be_null=True)
            table = pa_csv.read_csv(path, convert_options=options)
        else:
            table = pq.read_table(path)
    except (pa.ArrowException, OSError) as wrong:
        raise BadInput(f"'{path}' cannot be read: {wrong}") from None
    unknown = [column for column in table.column_names if column not in known]
    if unknown:
        raise BadInput(f"'{path}' has the unknown column '{unknown[0]}'; its columns are {', '.join(known)}")
    return table


def _column(path: Path, table: Any, column: str, kind: str) -> Column:
    if table.column_names.count(column) != 1:
        raise BadInput(f"'{path}' has {table.column_names.count(column)} columns '{column}'; its columns: {table.column_names}")
    values, base = table.column(column), kind.rstrip("?")
    if not _fits(values.type, base):
        unit = ", microseconds UTC" if base == "time" else ""
        raise BadInput(f"column '{column}' of '{path}' is of type {values.type}, not {_ARROW[base]}{unit}; convert it")
    values = values.cast(_ARROW[base]).combine_chunks()
    if not kind.endswith("?") and values.null_count:
        row = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise BadInput(f"row {row + 1} of '{path}' has no {column}; every row needs one")
    if base == "text":
        return np.asarray(values.fill_null("").to_pylist(), dtype=str)
    return values.fill_null(float("nan") if base == "number" else NEVER).to_numpy(zero_copy_only=False)


def _fits(given: Any, base: str) -> bool:
    if pa.types.is_null(given):
        return True
    if base == "text":
        return pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_dictionary(given)
    return pa.types.is_integer(given) or (base == "number" and pa.types.is_floating(given))


def _check_words(path: Path, name: str, columns: Table) -> None:
    if name not in _WORDS:
        return
    column, known = _WORDS[name]
    wrong = np.flatnonzero(~np.isin(columns[column], known))
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(f"row {row + 1} of '{path}' has the {column} '{columns[column][row]}'; use one of {', '.join(known)}")


def _check_places(path: Path, columns: Table) -> None:
    needs_place = np.isin(columns["state"], ("moving", "parked"))
    for column in ("x_m", "y_m"):
        wrong = np.flatnonzero(needs_place & ~np.isfinite(columns[column]))
        if len(wrong):
            row = int(wrong[0])
            raise BadInput(
                f"row {row + 1} of '{path}' (vehicle '{columns['vehicle'][row]}', {columns['state'][row]}) has {column} "
                f"{columns[column][row]}; a position is needed unless the state is hidden or left"
            )


def _check_covariances(path: Path, columns: Table) -> None:
    xx, xy, yy = (columns[name] for name in ("xx", "xy", "yy"))
    n_given = sum(np.isfinite(one).astype(int) for one in (xx, xy, yy))
    with np.errstate(invalid="ignore"):
        is_definite = (xx > 0) & (xx * yy - xy * xy > 0)
    wrong = np.flatnonzero((n_given % 3 != 0) | ((n_given == 3) & ~is_definite))
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"'{path}': vehicle '{columns['vehicle'][row]}' at {columns['t'][row]} has the covariance "
            f"xx {xx[row]}, xy {xy[row]}, yy {yy[row]}, not positive definite; give all three, in square metres, or none"
        )


def _check_stays(path: Path, columns: Table) -> None:
    has_entry, has_exit, status = columns["entry_t"] != NEVER, columns["exit_t"] != NEVER, columns["status"]
    is_sound = (status == "open") & has_entry & ~has_exit
    is_sound |= (status == "closed") & has_entry & has_exit
    is_sound |= (status == "orphan") & ~has_entry & has_exit
    wrong = np.flatnonzero(~is_sound)
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"row {row + 1} of '{path}': session '{columns['session'][row]}' is {status[row]}, but has "
            f"{'an' if has_entry[row] else 'no'} entry and {'an' if has_exit[row] else 'no'} exit; "
            "open has an entry, closed both, orphan an exit"
        )


def _check_once(path: Path, keys: tuple[str, ...], columns: Table) -> None:
    order = np.lexsort(tuple(columns[key] for key in reversed(keys)))
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for key in keys:
        ordered = columns[key][order]
        same &= ordered[1:] == ordered[:-1]
    twice = np.flatnonzero(same)
    if len(twice):
        row = int(order[twice[0]])
        named = ", ".join(f"{key} {columns[key][row]}" for key in keys)
        raise BadInput(f"'{path}' has {len(twice)} rows twice, the first with {named}; keep one of each")
