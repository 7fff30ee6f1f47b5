"""Small pieces that every repository needs: tables by row class, upsert, lists in a column."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel


def table(row: type[SQLModel]) -> Table:
    """Returns the Core table of a row class."""
    return cast("Table", row.__table__)  # type: ignore[attr-defined]  # set by table=True


def upsert(
    connection: Connection, into: Table, values: Mapping[str, Any], *, keep: Sequence[str] = ()
) -> None:
    """Inserts one row, or replaces the row with the same primary key.

    Args:
        connection: of the open transaction.
        into: the table.
        values: by column, the primary key included.
        keep: columns that stay as they are where the row exists.
    """
    statement = _insert(connection, into).values(**values)
    key = [column.name for column in into.primary_key]
    changed = {
        name: statement.excluded[name] for name in values if name not in key and name not in keep
    }
    if changed:
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed))
    else:
        connection.execute(statement.on_conflict_do_nothing(index_elements=key))


def insert_new(connection: Connection, into: Table, values: Mapping[str, Any]) -> bool:
    """Inserts one row unless its primary key is taken; returns whether it was inserted."""
    key = [column.name for column in into.primary_key]
    statement = (
        _insert(connection, into).values(**values).on_conflict_do_nothing(index_elements=key)
    )
    # Not kept for an INSERT unless asked for: psycopg's cursor is closed by then, and says -1.
    done = connection.execute(statement.execution_options(preserve_rowcount=True))
    return done.rowcount == 1


def add_to(
    connection: Connection,
    into: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    counter: str,
    last: str,
) -> None:
    """Inserts counting rows, or adds to the counters of the rows with the same primary keys.

    One statement, whatever it finds; each primary key at most once.
    """
    statement = _insert(connection, into).values(list(rows))
    key = [column.name for column in into.primary_key]
    changed = {
        counter: into.c[counter] + statement.excluded[counter],
        last: statement.excluded[last],
    }
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed))


def _insert(connection: Connection, into: Table) -> Any:
    if connection.dialect.name == "sqlite":
        return sqlite.insert(into)
    return postgresql.insert(into)


def join_list(values: Iterable[object]) -> str:
    """Returns a list of names or numbers as one text column."""
    return ",".join(str(value) for value in values)


def split_list(text: str) -> tuple[str, ...]:
    """Returns the list that `join_list` wrote."""
    return tuple(text.split(",")) if text else ()


def split_numbers(text: str) -> tuple[int, ...]:
    """Returns the list of numbers that `join_list` wrote."""
    return tuple(int(part) for part in split_list(text))
