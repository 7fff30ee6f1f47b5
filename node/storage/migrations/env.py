"""Alembic's entry: runs the migrations on the connection that `Store.migrate` hands over."""

from alembic import context
from sqlmodel import SQLModel

from node.storage import rows

assert rows.StatementRow.__tablename__  # importing the rows is what registers the tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
