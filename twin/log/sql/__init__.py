"""The logs in a SQL database: SQLite embedded, PostgreSQL by configuration."""

from twin.log.sql.keys import SqlKeyRing as SqlKeyRing
from twin.log.sql.log import SqlLog as SqlLog
from twin.log.sql.migrate import upgrade as upgrade
