"""Where a log is not what was written."""

from __future__ import annotations

from msgspec import Struct

from twin.log.chain import LogName


class Fault(Struct, frozen=True, kw_only=True):
    """Positions ``first`` to ``last`` of a log are not what was written there."""

    log: LogName
    first: int
    last: int
    what: str
