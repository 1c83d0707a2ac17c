"""Tables as CSV, RFC 4180, for spreadsheets and programs."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "text/csv"
_RUN = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would take for a formula


async def csv_file(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """An answer that a browser saves under a name; None is an empty cell. A thread makes its ``rows`` and writes it."""
    text = await asyncio.to_thread(csv_text, columns, rows)
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(text, media_type=MEDIA_TYPE, headers=headers)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The table; a text that a spreadsheet would run is marked as text."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(one) for one in row] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_RUN) else value
