"""How Alembic runs here: on the connection, and in the transaction, that it was handed."""

from alembic import context

from devices.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,  # Alembic has it off for SQLite, which can
)
with context.begin_transaction():  # the caller's own transaction goes on
    context.run_migrations()
