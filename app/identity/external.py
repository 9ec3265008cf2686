"""People of an external issuer: made when they first come, and given the roles that the issuer's newest token names."""

import hashlib
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core import audit, invalidation
from app.core.db import Database, Record, WriteSession
from app.core.errors import Forbidden
from app.core.settings import get_settings
from app.identity import passwords, queries, tokens
from app.identity.actor import SYSTEM, Actor
from app.identity.errors import InvalidToken
from app.identity.issuer import ExternalClaims
from app.identity.models import auth_session, external_account, external_session, user_account, user_role
from app.identity.schemas import Email, Username

PERSONAL = frozenset({"username", "name", "email"})
_username: TypeAdapter[str] = TypeAdapter(Username)
_email: TypeAdapter[str] = TypeAdapter(Email)


async def session_of(database: Database, claims: ExternalClaims) -> tuple[UUID, UUID]:
    """The user and the session for which these claims stand; both are made, and roles changed, if need be.

    A session here is a log-in at the issuer (`sid`), or the one token: it is listed and ended as any other. Raises
    `InvalidToken` for an inactive user, and `Forbidden` for somebody new without a role here.
    """
    known = await database.reading().first(_known(claims))
    if known is None or not _is_current(known, claims):
        async with database.transaction() as session:
            await session.execute(select(func.pg_advisory_xact_lock(_lock_of(claims))))
            return await _entered(session, claims)
    return known["user_id"], known["session_id"]


def _known(claims: ExternalClaims) -> Select[Any]:
    key = tokens.fingerprint(claims.session)
    opened = (external_session.c.user_id == external_account.c.user_id) & (external_session.c.key == key)
    return (
        select(
            external_account.c.user_id,
            external_account.c.claimed_at,
            user_account.c.active,
            queries.role_keys.label("roles"),
            external_session.c.session_id,
            auth_session.c.expires_at,
        )
        .select_from(
            external_account.join(user_account, user_account.c.id == external_account.c.user_id)
            .outerjoin(external_session, opened)
            .outerjoin(auth_session, auth_session.c.id == external_session.c.session_id)
        )
        .where(external_account.c.issuer == claims.issuer, external_account.c.subject == claims.subject)
    )


def _is_current(known: Record, claims: ExternalClaims) -> bool:
    """Whether nothing is to be written. An older token than the newest that was seen says nothing about roles."""
    says_nothing_new = known["claimed_at"] >= claims.issued_at or tuple(known["roles"]) == claims.roles
    return says_nothing_new and known["session_id"] is not None and known["expires_at"] >= claims.expires_at


async def _entered(session: WriteSession, claims: ExternalClaims) -> tuple[UUID, UUID]:
    known = await session.first(_known(claims))
    if known is None:
        user_id = await _provision(session, claims)
        return user_id, await _open(session, user_id, claims)
    user_id = known["user_id"]
    if not known["active"]:
        raise InvalidToken
    if claims.issued_at > known["claimed_at"]:
        await _follow(session, user_id, list(known["roles"]), claims)
    if known["session_id"] is None:
        return user_id, await _open(session, user_id, claims)
    # Also of a session that was ended, so that it is remembered for as long as the issuer renews it.
    prolonged = update(auth_session).where(auth_session.c.id == known["session_id"])
    latest = func.greatest(auth_session.c.expires_at, claims.expires_at)
    await session.execute(prolonged.values(expires_at=latest, last_used_at=func.now()))
    return user_id, known["session_id"]


async def _provision(session: WriteSession, claims: ExternalClaims) -> UUID:
    """A user of her own: never one who is here already, whatever name or e-mail address the issuer claims."""
    roles = await session.all(queries.roles_of_keys(list(claims.roles)))
    if not roles:
        raise Forbidden("The issuer gives you no role here; ask whoever gives out roles there")
    values = {
        "name": claims.name or claims.username or "somebody of the issuer",
        "email": _valid(_email, claims.email),
        "unit_id": get_settings().oidc_unit_id,
        "password_hash": passwords.nobodys_hash(),
    }
    wanted = _valid(_username, claims.username)
    user_id: UUID | None = None if wanted is None else await session.scalar(_inserted(wanted, values))
    if user_id is None:
        of_subject = hashlib.sha256(f"{claims.issuer} {claims.subject}".encode()).hexdigest()
        user_id = await session.scalar(_inserted(f"external-{of_subject[:32]}", values))
    if user_id is None:
        raise InvalidToken
    await session.execute(
        insert(external_account).values(
            issuer=claims.issuer, subject=claims.subject, user_id=user_id, claimed_at=claims.issued_at
        )
    )
    await session.execute(insert(user_role).values([{"user_id": user_id, "role_id": each["id"]} for each in roles]))
    row = await session.first(queries.every_user().where(user_account.c.id == user_id))
    assert row is not None
    after = {name: row[name] for name in ("username", "name", "email", "unit_id", "roles")}
    audit.record(session, SYSTEM, "user.provisioned", "user", user_id, after=after, personal=PERSONAL)
    return user_id


def _valid(form: TypeAdapter[str], value: str | None) -> str | None:
    try:
        return form.validate_python(value)
    except ValidationError:
        return None


def _inserted(username: str, values: dict[str, Any]) -> Any:
    making = upsert(user_account).values(username=username, **values)
    return making.on_conflict_do_nothing(index_elements=["username"]).returning(user_account.c.id)


async def _follow(session: WriteSession, user_id: UUID, held: list[str], claims: ExternalClaims) -> None:
    """Give the user the roles of these claims, and no other."""
    newest = update(external_account).where(
        external_account.c.issuer == claims.issuer, external_account.c.subject == claims.subject
    )
    await session.execute(newest.values(claimed_at=claims.issued_at))
    roles = await session.all(queries.roles_of_keys(list(claims.roles)))
    given = sorted(each["key"] for each in roles)
    if given == held:
        return
    await session.execute(delete(user_role).where(user_role.c.user_id == user_id))
    if roles:
        await session.execute(insert(user_role).values([{"user_id": user_id, "role_id": each["id"]} for each in roles]))
    versioned = update(user_account).where(user_account.c.id == user_id)
    await session.execute(versioned.values(version=user_account.c.version + 1, updated_at=func.now()))
    audit.record(session, SYSTEM, "user.roles_claimed", "user", user_id, before={"roles": held}, after={"roles": given})
    await invalidation.announce(session, "identity")


async def _open(session: WriteSession, user_id: UUID, claims: ExternalClaims) -> UUID:
    opened = insert(auth_session).values(user_id=user_id, expires_at=claims.expires_at).returning(auth_session.c.id)
    session_id: UUID = await session.scalar(opened)
    key = tokens.fingerprint(claims.session)
    await session.execute(insert(external_session).values(user_id=user_id, key=key, session_id=session_id))
    audit.record(session, Actor(kind="user", id=user_id, name=""), "session.opened", "session", session_id)
    return session_id


def _lock_of(claims: ExternalClaims) -> int:
    digest = hashlib.sha256(f"external account {claims.issuer} {claims.subject}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
