"""The same request again gives the first answer again.

The answer is written behind, in the transaction whose effect it describes, under a unique key. So a repeated
request finds out at its end: it waits there for a twin that is still running, its own effects are rolled
back, and the first answer is sent. A request with a new key, which nearly all have, asks for nothing. Kept 24 hours.
"""

from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import Column, DateTime, Integer, Table, Text, bindparam, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import Prepared, WriteSession, metadata
from app.core.errors import Conflict, Problem
from app.core.jobs import JobContext, Schedule

KEPT = "24 hours"

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column(
        "path", Text, nullable=False, server_default="", comment="of the request: it names whom the answer is about"
    ),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column(
        "body",
        Text,
        comment="null when the answer held a secret, which is shown only once",
        info={"personal": "answer"},
    ),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
)

_stored = Prepared(
    select(
        idempotency_key.c.fingerprint, idempotency_key.c.status, idempotency_key.c.headers, idempotency_key.c.body
    ).where(
        idempotency_key.c.principal == bindparam("principal", type_=Text),
        idempotency_key.c.key == bindparam("key", type_=Text),
    )
)


class KeyReused(Problem):
    status = 422
    type = "idempotency-key-reused"
    title = "This Idempotency-Key belongs to another request; use a new key"


@dataclass(frozen=True, slots=True)
class Claim:
    """One request's hold on an idempotency key."""

    principal: str
    key: str
    path: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored answer, ready to be sent again."""

    status: int
    headers: dict[str, str]
    body: str


def is_repeated(error: asyncpg.UniqueViolationError) -> bool:
    """Whether the violated key is this table's: the request was answered before."""
    return bool(error.table_name == idempotency_key.name)


async def stored_answer(session: WriteSession, claim: Claim) -> Answer | None:
    """The first answer under this key; raises `KeyReused` when it answered another request."""
    row = await session.first(_stored, {"principal": claim.principal, "key": claim.key})
    if row is None:
        return None
    if row["fingerprint"] != claim.fingerprint:
        raise KeyReused
    if row["body"] is None:
        raise Conflict("This request was carried out before; its answer is not kept")
    return Answer(row["status"], row["headers"], row["body"])


def remember(session: WriteSession, claim: Claim, answer: Answer, *, secret: bool) -> None:
    """Keep the answer in the transaction that it describes."""
    session.write_behind(
        idempotency_key,
        principal=claim.principal,
        key=claim.key,
        path=claim.path,
        fingerprint=claim.fingerprint,
        status=answer.status,
        headers=answer.headers,
        body=None if secret else answer.body,
    )


async def forget_expired(session: WriteSession) -> int:
    """Delete the keys whose day is over."""
    return await session.execute(
        delete(idempotency_key).where(idempotency_key.c.created_at < func.now() - text(f"interval '{KEPT}'"))
    )


async def forget_answers_about(session: WriteSession, thing_id: UUID) -> None:
    """Drop the answers that name this thing; a repeated request is told that its answer is not kept."""
    k, named = idempotency_key.c, str(thing_id)
    names_it = or_(k.path.contains(named), k.body.contains(named))
    await session.execute(update(idempotency_key).where(names_it).values(body=None))


async def _forget(context: JobContext) -> None:
    async with context.database.transaction() as session:
        await forget_expired(session)


JOBS = {"idempotency.forget": _forget}
SCHEDULES = [Schedule("idempotency.forget", "7 * * * *")]
