"""What must be there before anyone can log in: the preset roles, a root unit, a first administrator."""

import secrets
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.base import Executable

from app.core import audit, invalidation
from app.core.db import WriteSession
from app.identity import passwords, users
from app.identity.actor import SYSTEM
from app.identity.models import org_unit, role, user_account
from app.identity.presets import PRESET_ROLES
from app.identity.queries import roles_of_keys
from app.identity.rules import brought_up_to_date

ROOT_UNIT = "Company"
OPERATOR_MIN_LENGTH = 8
_SEED_LOCK = 0x5354_5241_5441_0002


class WeakPassword(ValueError):
    """The password that was set from outside is too short to start with."""


async def seed(session: WriteSession, *, admin_password: str | None) -> str | None:
    """Make what is missing; running it again changes nothing.

    Returns the first administrator's password when one was made now, to be shown once. Without
    `admin_password` it is random.
    """
    # Several processes of a new installation may start at the same moment.
    await session.execute(select(func.pg_advisory_xact_lock(_SEED_LOCK)))
    await _seed_roles(session)
    unit_id = await session.scalar(select(org_unit.c.id).order_by(org_unit.c.id).limit(1))
    if unit_id is None:
        unit_id = await session.scalar(insert(org_unit).values(name=ROOT_UNIT).returning(org_unit.c.id))
        audit.record(session, SYSTEM, "unit.created", "unit", unit_id, after={"name": ROOT_UNIT, "parent_id": None})
    if await session.first(select(user_account.c.id).limit(1)) is not None:
        return None
    if admin_password is not None and len(admin_password) < OPERATOR_MIN_LENGTH:
        raise WeakPassword(f"The administrator's password needs {OPERATOR_MIN_LENGTH} characters or more")
    password = admin_password or secrets.token_urlsafe(12)
    account = {"username": users.ADMIN, "name": "Administrator", "unit_id": unit_id}
    roles = await session.all(roles_of_keys([users.ADMIN]))
    hashed = await passwords.hash_password(password)
    user_id = await users.insert_user(session, roles, password_hash=hashed, **account)
    audit.record(session, SYSTEM, "user.created", "user", user_id, after={**account, "roles": [users.ADMIN]})
    return password


async def _seed_roles(session: WriteSession) -> None:
    """Make the preset roles; what is new in them is added to those that an administrator edited, too."""
    stored = await session.all(select(role).where(role.c.preset).order_by(role.c.id).with_for_update())
    there = {row["key"]: row for row in stored}
    written = []
    for preset in PRESET_ROLES:
        given: dict[str, Any] = {"permissions": dict(preset.permissions), "seeded": dict(preset.permissions)}
        row = there.get(preset.key)
        if row is None:
            making = upsert(role).values(key=preset.key, title=preset.title, preset=True, **given)
            seeding: Executable = making.on_conflict_do_nothing().returning(role.c.id)
        else:
            # Of a role that was edited before anyone wrote down what it had been seeded with, all is the editor's word.
            seeded = given["seeded"] if row["seeded"] is None else row["seeded"]
            given["permissions"] = brought_up_to_date(row["permissions"], seeded, given["seeded"])
            given["title"] = row["title"] if row["edited"] else preset.title
            if all(row[name] == value for name, value in given.items()):
                continue
            changing = update(role).where(role.c.id == row["id"])
            versioned = {**given, "version": role.c.version + 1, "updated_at": func.now()}
            seeding = changing.values(versioned).returning(role.c.id)
        if (role_id := await session.scalar(seeding)) is not None:
            written.append(role_id)
            audit.record(session, SYSTEM, "role.seeded", "role", role_id, after={"permissions": given["permissions"]})
    if written:
        await invalidation.announce(session, "identity")
