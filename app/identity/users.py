"""People who log in: making, changing, deactivating them, and their passwords."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import delete, func, insert, select, update

from app.core import audit, clock, invalidation
from app.core.db import Database, ReadSession, Record, WriteSession
from app.core.errors import FieldError, Forbidden, Invalid, NotFound
from app.core.http.etag import check_version
from app.core.http.paging import Page
from app.identity import passwords, queries, rules, sessions, throttling
from app.identity.actor import Actor, Scope, permissions_from, widest
from app.identity.errors import Escalation, InvalidToken, LastAdministrator, NoSession, UsernameTaken
from app.identity.models import role, user_account, user_role
from app.identity.schemas import UserIn, UserPatch
from app.identity.throttling import Attempt

ADMIN = "admin"
PERSONAL = frozenset({"username", "name", "email"})


async def read(session: ReadSession, actor: Actor, user_id: UUID) -> Record:
    """The user; `NotFound` for one the actor may not see."""
    shown = queries.users_shown(actor, "users:read", clock.business_day(clock.now()))
    row = await session.first(shown.where(user_account.c.id == user_id))
    if row is None:
        raise NotFound
    return row


async def create(session: WriteSession, actor: Actor, body: UserIn) -> Record:
    """A new user. Raises `Escalation` for roles that give more than the actor has."""
    _check_unit(actor, body.unit_id)
    roles = await _roles(session, body.roles)
    _check_grant(actor, roles, body.unit_id)
    values = body.model_dump(include={"username", "name", "email", "unit_id"})
    hashed = await passwords.hash_password(body.password)
    user_id = await insert_user(session, roles, password_hash=hashed, **values)
    audit.record(
        session, actor, "user.created", "user", user_id, after={**values, "roles": body.roles}, personal=PERSONAL
    )
    return await _row(session, user_id)


async def insert_user(session: WriteSession, roles: list[Record], **values: Any) -> UUID:
    """Store a user with these roles; raises `UsernameTaken`."""
    inserting = insert(user_account).values(**values).returning(user_account.c.id)
    try:
        user_id: UUID = await session.scalar(inserting)
    except asyncpg.UniqueViolationError as error:
        raise UsernameTaken from error
    except asyncpg.ForeignKeyViolationError as error:
        raise Invalid.at("/body/unit_id", "There is no such unit") from error
    await _hold(session, user_id, roles)
    return user_id


async def change(
    session: WriteSession, actor: Actor, user_id: UUID, body: UserPatch, *, expected: int | None
) -> Record:
    """Change the fields that are given.

    Raises `Escalation` when the user has, or would get, rights beyond the actor's: whoever sets a
    password can become that user.
    """
    before = await locked(session, actor, user_id, expected)
    given = body.model_dump(exclude_unset=True)
    password = given.pop("password", None)
    after = {name: before[name] for name in ("name", "email", "unit_id", "active", "roles")} | given
    if set(after["roles"]) == set(before["roles"]):
        after["roles"] = before["roles"]
    was, becomes = audit.changed(before, after)
    if not becomes and password is None:
        return before
    if "unit_id" in becomes:
        check_not_oneself(actor, user_id)
        _check_unit(actor, after["unit_id"])
    roles = await _roles(session, after["roles"])
    grants = widest(permissions_from(each["permissions"]) for each in roles)
    await _check_beyond(session, actor, grants, user_id, after["unit_id"])
    if ADMIN in before["roles"] and before["active"] and not (after["active"] and ADMIN in after["roles"]):
        await _check_not_last_administrator(session, user_id)
    values = {name: value for name, value in becomes.items() if name != "roles"}
    if password is not None:
        values["password_hash"] = await passwords.hash_password(password)
        becomes["password"] = "changed"  # noqa: S105  that it did, not to what
    await _update(session, user_id, values)
    if "roles" in becomes:
        await session.execute(delete(user_role).where(user_role.c.user_id == user_id))
        await _hold(session, user_id, roles)
    if password is not None or not after["active"]:
        await sessions.revoke_all(session, user_id)
    audit.record(session, actor, "user.changed", "user", user_id, before=was, after=becomes, personal=PERSONAL)
    await invalidation.announce(session, "identity")
    return await _row(session, user_id)


async def deactivate(session: WriteSession, actor: Actor, user_id: UUID, *, expected: int | None) -> None:
    """The user can no longer log in; what she did keeps her name."""
    await change(session, actor, user_id, UserPatch(active=False), expected=expected)


async def page_of_sessions(session: ReadSession, actor: Actor, user_id: UUID, page: Page) -> dict[str, Any]:
    """Where the user is logged in, the latest first; `NotFound` for a user whom the actor may not see."""
    await read(session, actor, user_id)
    return await sessions.page_of(session, actor, user_id, page)


async def end_session(session: WriteSession, actor: Actor, user_id: UUID, session_id: UUID) -> None:
    """Log the user out of one session. Raises `Escalation` for a user with rights beyond the actor's."""
    await locked(session, actor, user_id, None)
    await sessions.end(session, actor, user_id, session_id)


async def change_own_password(
    database: Database, actor: Actor, attempt: Attempt, *, current: str, new: str, correlation_id: str | None
) -> None:
    """Change the password of whoever asks; every other session of hers ends.

    Counted like a login, so that a stolen access token is no way to guess the password.
    """
    if actor.kind != "user" or actor.id is None:
        raise NoSession
    await throttling.count_attempt(database, attempt)
    own = select(user_account.c.password_hash).where(user_account.c.id == actor.id)
    stored = await database.reading().scalar(own)
    right, _ = await passwords.verify(current, stored)
    if not right:
        raise Forbidden.at("/body/current_password", "This is not your current password")
    hashed = await passwords.hash_password(new)
    async with database.transaction(correlation_id=correlation_id) as session:
        if await session.first(own.where(user_account.c.password_hash == stored).with_for_update()) is None:
            raise InvalidToken
        await _update(session, actor.id, {"password_hash": hashed})
        await sessions.revoke_all(session, actor.id, but=actor.session_id)
        await throttling.forgive(session, attempt)
        audit.record(session, actor, "user.password_changed", "user", actor.id)
        await invalidation.announce(session, "identity")


async def locked(session: WriteSession, actor: Actor, user_id: UUID, expected: int | None) -> Record:
    """The user, held until the transaction ends; raises `NotFound`, and `Escalation` for one with rights beyond."""
    reached = queries.users_within(actor, "users:write").where(user_account.c.id == user_id)
    row = await session.first(reached.with_for_update(of=user_account))
    if row is None:
        raise NotFound
    check_version(row["version"], expected)
    await check_beyond(session, actor, row)
    return row


async def check_beyond(session: ReadSession, actor: Actor, user: Record) -> None:
    """Raises `Escalation` for a user whose rights reach further than the actor's."""
    grants = await session.all(queries.grants_of(user["id"]))
    held = widest(permissions_from(grant["permissions"]) for grant in grants)
    await _check_beyond(session, actor, held, user["id"], user["unit_id"])


def check_not_oneself(actor: Actor, user_id: UUID) -> None:
    """Raises when people say themselves in which units they are: who is somewhere for a week could stay forever."""
    if actor.id == user_id and actor.scope("users:write") is not Scope.ALL:
        raise Forbidden("Somebody else must say in which units you are")


async def _update(session: WriteSession, user_id: UUID, values: dict[str, Any]) -> None:
    changing = update(user_account).where(user_account.c.id == user_id)
    versioned = {**values, "version": user_account.c.version + 1, "updated_at": func.now()}
    try:
        await session.execute(changing.values(versioned))
    except asyncpg.ForeignKeyViolationError as error:
        raise Invalid.at("/body/unit_id", "There is no such unit") from error


async def _roles(session: WriteSession, keys: list[str]) -> list[Record]:
    rows = await session.all(queries.roles_of_keys(keys))
    known = {row["key"] for row in rows}
    unknown = [
        FieldError(f"/body/roles/{n}", "There is no such role") for n, key in enumerate(keys) if key not in known
    ]
    if unknown:
        raise Invalid("Correct the roles named in errors", errors=unknown)
    return rows


async def _hold(session: WriteSession, user_id: UUID, roles: list[Record]) -> None:
    if roles:
        holding = [{"user_id": user_id, "role_id": each["id"]} for each in roles]
        await session.execute(insert(user_role).values(holding))


def _check_unit(actor: Actor, unit_id: UUID | None) -> None:
    if not rules.reaches_unit(actor, "users:write", unit_id):
        raise Forbidden.at("/body/unit_id", "Your users:write does not reach this unit")


async def _check_beyond(
    session: ReadSession, actor: Actor, permissions: Mapping[str, Scope], user_id: UUID, unit_id: UUID | None
) -> None:
    """Raises `Escalation` when these would reach further than the actor in the user's home or any further unit."""
    further = await session.all(queries.units_from(user_id, clock.business_day(clock.now())))
    if too_much := rules.beyond_in(actor, permissions, [unit_id, *(row["unit_id"] for row in further)]):
        raise Escalation.by(too_much)


def _check_grant(actor: Actor, roles: list[Record], unit_id: UUID | None) -> None:
    grants = widest(permissions_from(each["permissions"]) for each in roles)
    if too_much := rules.beyond(actor, grants, unit_id=unit_id):
        raise Escalation.by(too_much)


async def _check_not_last_administrator(session: WriteSession, user_id: UUID) -> None:
    # Two administrators deactivating each other must not both find the other one still there.
    await session.first(select(role.c.id).where(role.c.key == ADMIN).with_for_update(key_share=True))
    if await session.first(queries.other_active_holder(ADMIN, than=user_id)) is None:
        raise LastAdministrator


async def _row(session: WriteSession, user_id: UUID) -> Record:
    row = await session.first(queries.every_user().where(user_account.c.id == user_id))
    assert row is not None
    return row
