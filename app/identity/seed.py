"""What must be there before anyone can log in: the preset roles, a root unit, a first administrator."""

import secrets

from sqlalchemy import and_, func, insert, not_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core import audit, invalidation
from app.core.db import WriteSession
from app.identity import users
from app.identity.actor import SYSTEM
from app.identity.models import org_unit, role, user_account
from app.identity.presets import PRESET_ROLES
from app.identity.queries import roles_of_keys

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
    user_id = await users.insert_user(session, roles, password=password, **account)
    audit.record(session, SYSTEM, "user.created", "user", user_id, after={**account, "roles": [users.ADMIN]})
    return password


async def _seed_roles(session: WriteSession) -> None:
    presets = [
        {"key": each.key, "title": each.title, "permissions": each.permissions, "preset": True} for each in PRESET_ROLES
    ]
    seeding = upsert(role).values(presets)
    given = seeding.excluded
    same = and_(role.c.title == given.title, role.c.permissions == given.permissions)
    seeding = seeding.on_conflict_do_update(
        index_elements=[role.c.key],
        set_={
            "title": given.title,
            "permissions": given.permissions,
            "version": role.c.version + 1,
            "updated_at": func.now(),
        },
        where=and_(role.c.preset, not_(role.c.edited), not_(same)),
    )
    rows = await session.all(seeding.returning(role.c.id, role.c.key, role.c.permissions))
    for row in rows:
        audit.record(session, SYSTEM, "role.seeded", "role", row["id"], after={"permissions": row["permissions"]})
    if rows:
        await invalidation.announce(session, "identity")
