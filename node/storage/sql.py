"""Small pieces that every repository needs: tables by row class, upsert, lists in a column."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types


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
        values: by column, the primary key included; values, and no expressions.
        keep: columns that stay as they are where the row exists.
    """
    statement = _upsert(connection.dialect.name, into, tuple(values), tuple(keep))
    connection.execute(statement, dict(values))


def upsert_all(connection: Connection, into: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Does what `upsert` does for many rows with the same columns, in one go."""
    if rows:
        statement = _upsert(connection.dialect.name, into, tuple(rows[0]), ())
        connection.execute(statement, [dict(row) for row in rows])


def insert_new(connection: Connection, into: Table, values: Mapping[str, Any]) -> bool:
    """Inserts one row unless its primary key is taken; returns whether it was inserted."""
    statement = _insert_new(connection.dialect.name, into, tuple(values))
    return connection.execute(statement, dict(values)).rowcount == 1


def insert_many(
    connection: Connection, into: Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Inserts rows of plain values, at a third of what SQLAlchemy's own way costs for each.

    Args:
        connection: of the open transaction.
        into: the table.
        names: of its columns; the others become null, not what a row class says.
        rows: the values of each, in that order, of types that both drivers take as they are.
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(insert_text("sqlite", into, names), list(rows))
        return
    # One statement over a column each: the server is not asked anew for each row.
    columns = tuple([row[place] for row in rows] for place in range(len(names)))
    connection.exec_driver_sql(_insert_columns(into, names), columns)


def insert_one(connection: Connection, into: Table, values: Mapping[str, Any]) -> None:
    """Inserts one row of plain values, as `insert_many` inserts many.

    A body goes to PostgreSQL as the bytes that it is, and not spelled as text twice as long.
    """
    dialect = connection.dialect.name
    query = insert_text(dialect, into, tuple(values))
    connection.exec_driver_sql(query, tuple(values.values()))


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
    names = tuple(rows[0])
    statement = _add_to(connection.dialect.name, into, names, len(rows), (counter, last))
    values = {f"{name}_{at}": row[name] for at, row in enumerate(rows) for name in names}
    connection.execute(statement, values)


# To build a statement takes ten times as long as to execute it, so these are built once for each
# table and its columns: there are a few dozen of them.
@lru_cache(maxsize=256)
def _upsert(dialect: str, into: Table, names: tuple[str, ...], keep: tuple[str, ...]) -> Any:
    statement = _insert(dialect, into).values({name: bindparam(name) for name in names})
    key = [column.name for column in into.primary_key]
    changed = {
        name: statement.excluded[name] for name in names if name not in key and name not in keep
    }
    if changed:
        return statement.on_conflict_do_update(index_elements=key, set_=changed)
    return statement.on_conflict_do_nothing(index_elements=key)


@lru_cache(maxsize=256)
def _insert_new(dialect: str, into: Table, names: tuple[str, ...]) -> Any:
    key = [column.name for column in into.primary_key]
    statement = _insert(dialect, into).values({name: bindparam(name) for name in names})
    # Not kept for an INSERT unless asked for: psycopg's cursor is closed by then, and says -1.
    statement = statement.execution_options(preserve_rowcount=True)
    return statement.on_conflict_do_nothing(index_elements=key)


@lru_cache(maxsize=256)
def _add_to(
    dialect: str, into: Table, names: tuple[str, ...], count: int, changing: tuple[str, str]
) -> Any:
    counter, last = changing
    statement = _insert(dialect, into).values(
        [{name: bindparam(f"{name}_{at}") for name in names} for at in range(count)]
    )
    key = [column.name for column in into.primary_key]
    changed = {
        counter: into.c[counter] + statement.excluded[counter],
        last: statement.excluded[last],
    }
    return statement.on_conflict_do_update(index_elements=key, set_=changed)


@lru_cache(maxsize=16)
def _insert_columns(into: Table, names: tuple[str, ...]) -> str:
    """Returns what psycopg executes to insert rows that are given as one list for each column."""
    types = [into.c[name].type.compile(dialect=_POSTGRESQL) for name in names]
    marks = ", ".join(f"%b::{one}[]" for one in types)
    columns = ", ".join(into.c[name].name for name in names)
    return f"INSERT INTO {into.name} ({columns}) SELECT * FROM unnest({marks})"  # noqa: S608  # our own names


@lru_cache(maxsize=16)
def insert_text(dialect: str, into: Table, names: tuple[str, ...]) -> str:
    """Returns what a driver executes to insert these columns of a row, its values by place."""
    marks = ", ".join(["?" if dialect == "sqlite" else "%b"] * len(names))
    columns = ", ".join(into.c[name].name for name in names)
    return f"INSERT INTO {into.name} ({columns}) VALUES ({marks})"  # noqa: S608  # our own names


def _insert(dialect: str, into: Table) -> Any:
    return sqlite.insert(into) if dialect == "sqlite" else postgresql.insert(into)


def join_list(values: Iterable[object]) -> str:
    """Returns a list of names or numbers as one text column."""
    return ",".join(str(value) for value in values)


def split_list(text: str) -> tuple[str, ...]:
    """Returns the list that `join_list` wrote."""
    return tuple(text.split(",")) if text else ()


def split_numbers(text: str) -> tuple[int, ...]:
    """Returns the list of numbers that `join_list` wrote."""
    return tuple(int(part) for part in split_list(text))
