"""Alembic revisions of the SQL log. ``twin.log.sql.upgrade`` runs them; there is no alembic.ini.

A revision that was released is never edited. A new one spells its changes out instead of using the tables in
``twin.log.sql.schema``, which go on changing.
"""
