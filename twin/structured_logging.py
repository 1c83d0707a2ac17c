"""What the process says of itself, on standard error: a line a record, as text for people or as JSON for collectors.

``logger.info("…", extra={"site": site})`` puts fields beside the message; what a request caused has its id in ``request``.
"""

from __future__ import annotations

import logging
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
    """Time, level, logger and message on one line, fields as ``name=value`` behind it."""

    def format(self, record: logging.LogRecord) -> str:
        """A traceback follows on lines of its own."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_rfc3339(record.created)} {record.levelname} {record.name}: {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
    request = _request.get()
    return given | ({"request": request} if request is not None else {})


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
