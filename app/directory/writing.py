"""The job that writes a file of customers: along their ids, piece by piece, each a transaction with its checkpoint."""

import zlib
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, insert, select

from app.classification.definitions import IN
from app.classification.models import customer_class
from app.core import clock, csv, ndjson, work
from app.core.bounds import FileFormat
from app.core.db import Record
from app.core.jobs import Interrupted, JobContext
from app.customers.models import customer
from app.customers.queries import keep_all
from app.directory.exports import COLUMNS, FOUND, WRITTEN, found_by, members_of
from app.directory.files import KEPT, check
from app.directory.models import export, export_piece
from app.directory.queries import condition_of
from app.directory.schemas import ExportIn
from app.identity.actor import from_kept


async def run_export(context: JobContext) -> None:
    """The job: whoever takes it up goes on behind the last piece."""
    row = await work.take_up(context, export)
    if row is None:
        return
    with work.carried():
        await _Run(context, row).finish()


class _Run:
    """One file on its way through the customers."""

    def __init__(self, context: JobContext, row: Record) -> None:
        self.context = context
        self.database = context.database
        self.id: UUID = row["id"]
        self.asked = ExportIn.model_validate(row["asked"])
        self.actor = from_kept(row["actor"])
        self.position: UUID | None = row["position"]
        self.pieces: int = row["pieces"]
        self.total: int | None = row["total"]

    async def finish(self) -> None:
        """Whatever is left of it. Raises `Interrupted` when the worker stops, `Cancelled` when it shall."""
        rows, key, columns = await self._question()
        if self.total is None:
            counted = select(func.count()).select_from(rows.with_only_columns(key).subquery())
            self.total = int(await self.database.reading().scalar(counted))
        while True:
            rest = rows if self.position is None else rows.where(key > self.position)
            if await self._keep(rest.order_by(key).limit(csv.BLOCK), columns) < csv.BLOCK:
                break
            if self.context.stopping.is_set():
                raise Interrupted
        async with self.database.transaction() as session:
            await work.keep(
                session,
                export,
                self.id,
                export.c.pieces == self.pieces,
                status="completed",
                finished_at=func.now(),
                expires_at=clock.now() + KEPT,
            )

    async def _question(self) -> tuple[Select[Any], ColumnElement[UUID], tuple[str, ...]]:
        """The rows that were asked for, by what they are walked along, and their columns."""
        session = self.database.reading()
        await check(session, self.actor, self.asked)
        named = self.asked.class_ or (self.asked.segment and f"{self.asked.segment}:{IN}")
        if named:
            key, _, name = named.partition(":")
            return members_of(self.actor, key, name), customer_class.c.customer_id, COLUMNS
        conditions = [] if self.asked.where is None else [await condition_of(session, self.actor, self.asked.where)]
        return found_by(self.actor, *conditions), customer.c.id, FOUND

    async def _keep(self, rows: Select[Any], columns: tuple[str, ...]) -> int:
        """Write the next piece, in the transaction of its checkpoint; how many rows it has.

        Nobody in it is deleted before it is there to be withdrawn. Raises `Cancelled` when another worker was faster.
        """
        async with self.database.transaction() as session:
            await keep_all(session)
            found = await session.all(rows)
            ids = [row["customer_id"] for row in found]
            text = self._written(found, columns).encode()
            if ids:
                self.position = ids[-1]
            written = export.c.processed + len(ids)
            await work.keep(
                session,
                export,
                self.id,
                export.c.pieces == self.pieces,
                pieces=self.pieces + 1,
                position=self.position,
                processed=written,
                total=func.greatest(self.total, written),
                size=export.c.size + len(text),
            )
            data = zlib.compress(text, 1)
            await session.execute(
                insert(export_piece).values(
                    export_id=self.id, position=self.pieces, customer_ids=ids, data=data, **_ends(ids)
                )
            )
        self.pieces += 1
        return len(ids)

    def _written(self, found: list[Record], columns: tuple[str, ...]) -> str:
        if self.asked.format is FileFormat.NDJSON:
            return ndjson.block(columns, found, {"monetary": WRITTEN["monetary"]})
        header = "" if self.pieces else csv.lines([columns])
        return header + csv.block(columns, found, WRITTEN)


def _ends(ids: list[UUID]) -> dict[str, UUID]:
    return {"first_customer_id": ids[0], "last_customer_id": ids[-1]} if ids else {}
