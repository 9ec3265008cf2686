"""Roles: named lists of permissions. They belong to the whole company, so changing one needs the scope all."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg
from sqlalchemy import delete, exists, func, insert, select, update

from app.core import audit, invalidation
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Forbidden, NotFound
from app.core.http.etag import check_version
from app.identity import rules
from app.identity.actor import EVERYTHING, Actor, Scope, permissions_from
from app.identity.errors import Escalation, PresetRole, RoleInUse, RoleKeyTaken
from app.identity.models import role, user_role
from app.identity.permissions import check_known
from app.identity.schemas import RoleIn, RolePatch


async def read(session: ReadSession, role_id: UUID) -> Record:
    """The role; raises `NotFound`."""
    row = await session.first(select(role).where(role.c.id == role_id))
    if row is None:
        raise NotFound
    return row


async def create(session: WriteSession, actor: Actor, body: RoleIn) -> Record:
    """A new role. Raises `Escalation` when it would hold more than the actor does."""
    _check_may_put(actor, body.permissions)
    check_known(body.permissions, pointer="/body/permissions")
    values = body.model_dump()
    try:
        row = await session.first(insert(role).values(values).returning(role))
    except asyncpg.UniqueViolationError as error:
        raise RoleKeyTaken from error
    assert row is not None
    audit.record(session, actor, "role.created", "role", row["id"], after=values)
    return row


async def change(
    session: WriteSession, actor: Actor, role_id: UUID, body: RolePatch, *, expected: int | None
) -> Record:
    """Change the fields that are given; who holds the role has its new permissions at once."""
    before = await _locked(session, actor, role_id, expected)
    was, becomes = audit.changed(before, body.model_dump(exclude_unset=True))
    if not becomes:
        return before
    if "permissions" in becomes:
        if before["preset"] and EVERYTHING in before["permissions"]:
            raise PresetRole
        _check_may_put(actor, body.permissions)
        # What it holds already may belong to a package that is not installed.
        new = {name: scope for name, scope in body.permissions.items() if name not in before["permissions"]}
        check_known(new, pointer="/body/permissions")
    versioned = {**becomes, "edited": True, "version": role.c.version + 1, "updated_at": func.now()}
    row = await session.first(update(role).where(role.c.id == role_id).values(versioned).returning(role))
    assert row is not None
    audit.record(session, actor, "role.changed", "role", role_id, before=was, after=becomes)
    await invalidation.announce(session, "identity")
    return row


async def remove(session: WriteSession, actor: Actor, role_id: UUID, *, expected: int | None) -> None:
    """Delete a role that nobody holds."""
    before = await _locked(session, actor, role_id, expected)
    if before["preset"]:
        raise PresetRole
    if await session.scalar(select(exists().where(user_role.c.role_id == role_id))):
        raise RoleInUse
    await session.execute(delete(role).where(role.c.id == role_id))
    gone = {name: before[name] for name in ("key", "title", "permissions")}
    audit.record(session, actor, "role.deleted", "role", role_id, before=gone)


async def _locked(session: WriteSession, actor: Actor, role_id: UUID, expected: int | None) -> Record:
    row = await session.first(select(role).where(role.c.id == role_id).with_for_update())
    if row is None:
        raise NotFound
    check_version(row["version"], expected)
    _check_may_put(actor, permissions_from(row["permissions"]))
    return row


def _check_may_put(actor: Actor, permissions: Mapping[str, Scope]) -> None:
    if actor.scope("roles:write") is not Scope.ALL:
        raise Forbidden("Roles belong to the whole company: changing them needs roles:write with the scope all")
    if too_much := rules.beyond_everywhere(actor, permissions):
        raise Escalation.by(too_much)
