"""Personal data, told by its columns: which of them hold some, and what stands there once a person is erased."""

from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Table, Text, cast, literal, null, update
from sqlalchemy.sql.schema import DefaultClause

from app.core.db import WriteSession

ERASED = "erased"
"""Stands where a text must."""


def columns_of(table: Table) -> list[Column[Any]]:
    """The columns whose `info` says what kind of personal data they hold."""
    return [column for column in table.columns if column.info.get("personal")]


def blanks(table: Table) -> dict[str, ColumnElement[Any]]:
    """What each of these columns holds of somebody who is erased: nothing, or what its type calls empty."""
    return {column.key: _blank(column) for column in columns_of(table)}


def _blank(column: Column[Any]) -> ColumnElement[Any]:
    if column.nullable:
        return null()
    if isinstance(column.server_default, DefaultClause):
        return cast(literal(column.server_default.arg, Text), column.type)
    return literal(ERASED, Text)


async def blank(session: WriteSession, table: Table, customer_id: UUID) -> None:
    """Empty these columns in every row of the customer; the rows stay."""
    await session.execute(update(table).where(table.c.customer_id == customer_id).values(blanks(table)))
