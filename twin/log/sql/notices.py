"""PostgreSQL tells every process what was committed: wake-ups across processes."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from twin.events.ids import SiteId
from twin.log.tail import Topic, Wakeups

_CHANNEL = "twin_log"
_LOOK_UP_S = 0.5  # for the end
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0

_logger = logging.getLogger(__name__)


def announce(connection: Connection, topics: Iterable[Topic]) -> None:
    """Tell every listening process, once the transaction commits."""
    with closing(connection.connection.cursor()) as cursor:
        for log, site in sorted(topics):
            cursor.execute("select pg_notify(%s, %s)", (_CHANNEL, json.dumps([log, site])))


class Notices:
    """Listens on a connection of its own, from construction to ``close``.

    Where the connection breaks, followers still look by themselves every half second, and it is opened again after 0.5 to 30 s.
    """

    def __init__(self, url: URL, wakeups: Wakeups) -> None:
        self._conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._wakeups = wakeups
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-notices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and its connection. Blocks for up to a second."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        import psycopg

        wait_s = _FIRST_WAIT_S
        while not self._closing.is_set():
            try:
                with psycopg.connect(self._conninfo, autocommit=True) as connection:
                    connection.execute(f"listen {_CHANNEL}")
                    wait_s = _FIRST_WAIT_S
                    self._listen(connection)
            except psycopg.OperationalError as broken:
                _logger.warning("notices of the log broke off, again in %.1f s: %s", wait_s, str(broken).strip())
                self._closing.wait(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _listen(self, connection: Any) -> None:
        while not self._closing.is_set():
            for notice in connection.notifies(timeout=_LOOK_UP_S):
                log, site = json.loads(notice.payload)
                self._wakeups.wake([(log, SiteId(site))])
                if self._closing.is_set():
                    return
