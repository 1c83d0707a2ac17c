"""What the process says of itself, on standard error: a line a record, as text for people or as JSON for collectors.

``logger.info("…", extra={"site": site})`` puts fields beside the message; what a request caused has its id in ``request``.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

LogFormat = Literal["text", "json"]

_request: ContextVar[str | None] = ContextVar("request", default=None)
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLOURED = "color_message"  # uvicorn's second form of a message, with a terminal's codes
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_APART = re.compile(r"[\s=\"]")
_QUIET = ("httpx2", "httpcore2", "websockets", "uvicorn.access", "aiokafka", "alembic", "PIL")


@contextmanager
def of_request(name: str) -> Iterator[None]:
    """What is logged inside, also by what is awaited there, has this request's id."""
    token = _request.set(name)
    try:
        yield
    finally:
        _request.reset(token)


def set_up_logging(level: str, form: LogFormat) -> None:
    """Send records of this level and above to standard error, in place of what was set up before.

    Libraries that tell of every request or frame are heard from WARNING on.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the record's own fields and what broke, if something did."""

    def format(self, record: logging.LogRecord) -> str:
        """Never raises: a field that JSON has no form for is told as text."""
        told: dict[str, Any] = {
            "time": _rfc3339(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told, enc_hook=str).decode()


class TextLines(logging.Formatter):
    """Time, level, logger and message on one line, fields as ``name=value`` behind it.

    What comes from outside can neither begin a line of its own nor send codes to a terminal, nor pass for another field:
    control characters are written as Python writes them, and values with blanks, ``=`` or quotes in quotes.
    """

    def format(self, record: logging.LogRecord) -> str:
        """A traceback follows on lines of its own, which are set in: no line of it can pass for a record."""
        fields = "".join(f" {_shown(name)}={_shown(_apart(str(value)))}" for name, value in _fields(record).items())
        line = f"{_rfc3339(record.created)} {record.levelname} {record.name}: {_shown(record.getMessage())}{fields}"
        if not record.exc_info:
            return line
        return "\n".join((line, *(f"    {_shown(one)}" for one in self.formatException(record.exc_info).split("\n"))))


def _shown(text: str) -> str:
    r"""Text without what controls a terminal or ends a line.

    >>> _shown("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    """
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _apart(value: str) -> str:
    """A field's value, so that it cannot be read as two.

    >>> _apart("/v1/sites"), _apart("/x status=200")
    ('/v1/sites', '"/x status=200"')
    """
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if _APART.search(value) else value


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD and name != _COLOURED}
    request = _request.get()
    return given | ({"request": request} if request is not None else {})


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
