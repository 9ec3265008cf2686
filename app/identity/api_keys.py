"""Keys for services: shown once, stored as a hash, with a list of permissions of their own."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import func, insert, update

from app.core import audit, clock, invalidation
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.identity import queries, rules, tokens
from app.identity.actor import Actor, permissions_from
from app.identity.errors import Escalation
from app.identity.models import api_key
from app.identity.permissions import check_known
from app.identity.schemas import ApiKeyIn, ApiKeyRotationIn


async def read(session: ReadSession, actor: Actor, api_key_id: UUID) -> Record:
    """The API key without its secret; `NotFound` for one the actor may not see."""
    row = await session.first(queries.api_keys_within(actor, "api_keys:read").where(api_key.c.id == api_key_id))
    if row is None:
        raise NotFound
    return row


async def create(session: WriteSession, actor: Actor, body: ApiKeyIn) -> dict[str, Any]:
    """A new key, for this one time with its secret. Raises `Escalation` for more than the actor has."""
    if body.unit_id is not None and not rules.reaches_unit(actor, "api_keys:write", body.unit_id):
        raise Forbidden.at("/body/unit_id", "Your api_keys:write does not reach this unit")
    if too_much := rules.beyond(actor, body.permissions, unit_id=body.unit_id):
        raise Escalation.by(too_much)
    check_known(body.permissions, pointer="/body/permissions")
    if body.expires_at is not None and body.expires_at <= clock.now():
        raise Invalid.at("/body/expires_at", "Choose an instant in the future, or none for a key that does not expire")
    prefix, key = tokens.new_api_key()
    values = {**body.model_dump(), "prefix": prefix, "created_by": actor.id}
    inserting = insert(api_key).values(**values, key_hash=tokens.fingerprint(key)).returning(api_key)
    try:
        row = await session.first(inserting)
    except asyncpg.ForeignKeyViolationError as error:
        raise Invalid.at("/body/unit_id", "There is no such unit") from error
    assert row is not None
    audit.record(session, actor, "api_key.created", "api_key", row["id"], after=values)
    return {**row, "key": key}


async def rotate(session: WriteSession, actor: Actor, api_key_id: UUID, body: ApiKeyRotationIn) -> dict[str, Any]:
    """The key with a new secret, for this one time; the old one works until its grace is over.

    A key that was replaced before ends now, whatever was left of its grace. Raises `Escalation` for a key that may do
    more than the actor, who has it in hand from now on, and `Conflict` for one that lets nobody in.
    """
    row = await _locked(session, actor, api_key_id)
    now = clock.now()
    if row["revoked_at"] is not None or (row["expires_at"] is not None and row["expires_at"] <= now):
        raise Conflict("The key was revoked or has expired; make another one")
    if too_much := rules.beyond(actor, permissions_from(row["permissions"]), unit_id=row["unit_id"]):
        raise Escalation.by(too_much)
    until = now + timedelta(hours=body.grace_hours)
    key = tokens.new_secret_of(row["prefix"])
    rotating = update(api_key).where(api_key.c.id == api_key_id)
    changed = await session.first(
        rotating.values(
            key_hash=tokens.fingerprint(key),
            previous_hash=api_key.c.key_hash,
            previous_expires_at=until,
            version=api_key.c.version + 1,
        ).returning(api_key)
    )
    assert changed is not None
    audit.record(session, actor, "api_key.rotated", "api_key", api_key_id, after={"previous_expires_at": until})
    await invalidation.announce(session, "identity")
    return {**changed, "key": key}


async def revoke(session: WriteSession, actor: Actor, api_key_id: UUID) -> None:
    """The key stops working at once; its row stays, for the audit."""
    row = await _locked(session, actor, api_key_id)
    if row["revoked_at"] is not None:
        return
    revoking = update(api_key).where(api_key.c.id == api_key_id)
    await session.execute(revoking.values(revoked_at=func.now(), version=api_key.c.version + 1))
    audit.record(session, actor, "api_key.revoked", "api_key", api_key_id, before={"prefix": row["prefix"]})
    await invalidation.announce(session, "identity")


async def _locked(session: WriteSession, actor: Actor, api_key_id: UUID) -> Record:
    reached = queries.api_keys_within(actor, "api_keys:write").where(api_key.c.id == api_key_id)
    row = await session.first(reached.with_for_update())
    if row is None:
        raise NotFound
    return row
