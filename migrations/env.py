"""What Alembic runs: the revisions, on the connection and in the transaction that the caller holds."""

from alembic import context

from twin.log.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
