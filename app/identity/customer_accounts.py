"""Accounts of customers: made or taken for self-service, entered by an invitation, closed when nobody is to come in.

Whose account it is, is not known here. Whatever roles it holds, it may use self-service and nothing else (see
`permissions.of_oneself`). An invitation is computed and not kept: it names the account and a day, sealed with the
password of that moment, so that it works once.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update

from app.core import audit, clock, invalidation, lockbox
from app.core.db import Database, ReadSession, Record, WriteSession
from app.core.errors import Conflict, Problem
from app.identity import passwords, queries, sessions, users
from app.identity.actor import SYSTEM, Actor, permissions_from, widest
from app.identity.models import delegation, external_account, external_session, unit_membership, user_account
from app.identity.permissions import of_oneself
from app.identity.tokens import derived_key

ROLE = "customer"
_SEAL = 16
_CLAIMS = struct.Struct(">16sQ")
_u = user_account.c


class NoAccountOfACustomer(Conflict):
    type = "account-of-staff"
    title = "This user holds rights beyond self-service; make the customer an account of its own"


class BadInvitation(Problem):
    status = 410
    type = "bad-invitation"
    title = "This invitation has expired, was used, or was not copied whole; ask for another one"


async def make(
    session: WriteSession, actor: Actor, *, username: str | None, name: str, email: str | None
) -> dict[str, Any]:
    """A new account with the role `customer`, which nobody can log in to yet. Raises `UsernameTaken`."""
    roles = await session.all(queries.roles_of_keys([ROLE]))
    values = {"username": username or f"c-{secrets.token_hex(6)}", "name": name, "email": email, "for_customer": True}
    user_id = await users.insert_user(session, roles, password_hash=passwords.nobodys_hash(), **values)
    after = {**values, "unit_id": None, "roles": [row["key"] for row in roles]}
    audit.record(session, actor, "user.created", "user", user_id, after=after, personal=users.PERSONAL)
    return await of(session, user_id)


async def take(session: WriteSession, actor: Actor, user_id: UUID) -> dict[str, Any]:
    """A user who is there already becomes the account of a customer.

    Raises `NotFound`, `Escalation`, and `NoAccountOfACustomer` for one whose roles give more than self-service.
    """
    await users.locked(session, actor, user_id, None)
    grants = widest(permissions_from(row["permissions"]) for row in await session.all(queries.grants_of(user_id)))
    if of_oneself(grants) != grants:
        raise NoAccountOfACustomer
    await session.execute(_changed(user_id).values(for_customer=True, unit_id=None))
    await session.execute(delete(unit_membership).where(unit_membership.c.user_id == user_id))
    stands_in = (delegation.c.absent_id == user_id) | (delegation.c.delegate_id == user_id)
    await session.execute(delete(delegation).where(stands_in))
    audit.record(session, actor, "user.changed", "user", user_id, after={"for_customer": True})
    await invalidation.announce(session, "identity")
    return await of(session, user_id)


async def of(session: ReadSession, user_id: UUID) -> dict[str, Any]:
    """The account's id, username, whether one can log in to it, and whether somebody ever set a password."""
    row = await session.first(select(_u.id, _u.username, _u.active).where(_u.id == user_id))
    assert row is not None
    return dict(row)


async def close(session: WriteSession, user_id: UUID, *, who: Actor = SYSTEM, forget: bool = False) -> None:
    """Nobody logs in to the account any more; with `forget`, nothing in it tells whose it was."""
    values: dict[str, Any] = {"active": False}
    if forget:
        values |= {"username": f"closed-{user_id}", "name": "closed", "email": None}
        values["password_hash"] = passwords.nobodys_hash()
        await session.execute(delete(external_session).where(external_session.c.user_id == user_id))
        await session.execute(delete(external_account).where(external_account.c.user_id == user_id))
    await session.execute(_changed(user_id).values(values))
    await sessions.revoke_all(session, user_id)
    audit.record(session, who, "user.closed", "user", user_id, after={"forgotten": forget})
    await invalidation.announce(session, "identity")


def _changed(user_id: UUID) -> Any:
    return update(user_account).where(_u.id == user_id).values(version=_u.version + 1, updated_at=func.now())


# ---- invitations -----------------------------------------------------------------------------------------------------


async def invitation(session: ReadSession, secret: str, user_id: UUID, expires_at: datetime) -> str:
    """What lets somebody set the account's password, once, until that second."""
    stored = await session.scalar(select(_u.password_hash).where(_u.id == user_id))
    claims = _CLAIMS.pack(user_id.bytes, int(expires_at.timestamp()))
    return base64.urlsafe_b64encode(_seal(secret, claims, stored) + claims).decode().rstrip("=")


async def moment(session: ReadSession, user_id: UUID) -> str | None:
    """By which it is known whether a password was set since, which uses up invitations; None where nobody gets in."""
    stored = await session.scalar(select(_u.password_hash).where(_u.id == user_id, _u.active, _u.for_customer))
    return None if stored is None else lockbox.mark(stored, purpose="invitation")


async def accept(database: Database, secret: str, token: str, password: str, *, correlation_id: str | None) -> None:
    """Set the password of the account that the invitation names. Raises `BadInvitation`.

    Takes the database, not a session: no connection is held while the password is hashed.
    """
    invited = await _invited(database.reading(), secret, token)
    hashed = await passwords.hash_password(password)
    async with database.transaction(correlation_id=correlation_id, principal=f"user:{invited['id']}") as session:
        still = select(_u.id).where(_u.id == invited["id"], _u.active, _u.password_hash == invited["password_hash"])
        if await session.first(still.with_for_update()) is None:
            raise BadInvitation
        await session.execute(_changed(invited["id"]).values(password_hash=hashed))
        await sessions.revoke_all(session, invited["id"])
        account = Actor(kind="user", id=invited["id"], name="")
        audit.record(session, account, "user.invitation_accepted", "user", invited["id"])
        await invalidation.announce(session, "identity")


async def _invited(session: ReadSession, secret: str, token: str) -> Record:
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        user_id, expires = _CLAIMS.unpack(data[_SEAL:])
        expires_at = datetime.fromtimestamp(expires, UTC)
    except (binascii.Error, struct.error, ValueError, OverflowError, OSError) as error:
        raise BadInvitation from error
    named = select(_u.id, _u.password_hash).where(_u.id == UUID(bytes=user_id), _u.active, _u.for_customer)
    row = await session.first(named)
    genuine = _seal(secret, data[_SEAL:], "" if row is None else row["password_hash"])
    if row is None or not hmac.compare_digest(data[:_SEAL], genuine) or clock.now() >= expires_at:
        raise BadInvitation
    return row


def _seal(secret: str, claims: bytes, stored: str) -> bytes:
    return hmac.new(derived_key(secret, "invitation"), claims + stored.encode(), hashlib.sha256).digest()[:_SEAL]
