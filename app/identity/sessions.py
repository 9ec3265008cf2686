"""Logging in, staying logged in, logging out."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from app.core import audit, clock, invalidation
from app.core.db import Database, ReadSession, Record, WriteSession
from app.core.errors import NotFound
from app.core.http.paging import Page
from app.core.settings import get_settings
from app.identity import passwords, queries, throttling, tokens
from app.identity.actor import Actor
from app.identity.errors import BadCredentials, InvalidToken, NoSession, RefreshTokenReused
from app.identity.models import auth_session, refresh_token, user_account
from app.identity.throttling import Attempt

KEPT_AFTER_END = timedelta(days=1)


async def log_in(
    database: Database, secret: str, *, username: str, password: str, address: str, correlation_id: str | None
) -> dict[str, Any]:
    """Open a session and return its first tokens.

    Takes the database, not a session: no connection is held while the password is checked. Raises
    `TooManyLogins`, and `BadCredentials` alike for an unknown or inactive user and a wrong password.
    """
    username = username.lower()
    attempt = Attempt.of(secret, username=username, address=address)
    await throttling.count_attempt(database, attempt)
    account = await database.reading().first(queries.credentials(username))
    right, stronger = await passwords.verify(password, account["password_hash"] if account else None)
    if account is None or not right or not account["active"]:
        raise BadCredentials
    async with database.transaction(correlation_id=correlation_id) as session:
        await _still_valid(session, account["id"], account["password_hash"])
        await throttling.forgive(session, attempt)
        if stronger is not None:
            hashed = update(user_account).where(user_account.c.id == account["id"])
            await session.execute(hashed.values(password_hash=stronger))
        return await _open(session, secret, account["id"])


async def refresh(session: WriteSession, secret: str, token: str) -> dict[str, Any]:
    """Exchange a refresh token for new tokens.

    A token that was exchanged before revokes its session: either its owner or a thief holds a copy.
    """
    presented = await session.first(queries.presented_refresh_token(tokens.fingerprint(token)))
    now = clock.now()
    if presented is None or presented["revoked_at"] is not None or not presented["active"]:
        raise InvalidToken
    if presented["used_at"] is not None:
        owner = Actor(kind="user", id=presented["user_id"], name="")
        await _revoke(session, owner, presented["session_id"], "session.refresh_token_reused")
        raise RefreshTokenReused
    if min(presented["expires_at"], presented["session_expires_at"]) <= now:
        raise InvalidToken
    await session.execute(update(refresh_token).where(refresh_token.c.id == presented["id"]).values(used_at=now))
    await session.execute(
        update(auth_session).where(auth_session.c.id == presented["session_id"]).values(last_used_at=now)
    )
    return await _tokens(session, secret, user_id=presented["user_id"], session_id=presented["session_id"])


async def log_out(session: WriteSession, actor: Actor) -> None:
    """End the actor's session: its tokens stop working at once, in every process."""
    if actor.session_id is None:
        raise NoSession
    await _revoke(session, actor, actor.session_id, "session.closed")


async def page_of(session: ReadSession, actor: Actor, user_id: UUID | None, page: Page) -> dict[str, Any]:
    """The live sessions of this user, the latest first; the one that asks says so."""

    def shown(row: Record) -> dict[str, Any]:
        return {**row, "current": row["id"] == actor.session_id}

    return await page.latest_first(session, queries.live_sessions(user_id, clock.now()), shown)


async def end(session: WriteSession, actor: Actor, user_id: UUID | None, session_id: UUID) -> None:
    """End a session of this user: its tokens stop working at once, in every process. Raises `NotFound`."""
    own = select(auth_session.c.revoked_at).where(auth_session.c.id == session_id, auth_session.c.user_id == user_id)
    row = await session.first(own.with_for_update())
    if row is None:
        raise NotFound
    if row["revoked_at"] is None:
        await _revoke(session, actor, session_id, "session.revoked")


async def revoke_all(session: WriteSession, user_id: UUID, *, but: UUID | None = None) -> None:
    """End every session of a user, but perhaps the one that asks for it. The caller announces and audits."""
    live = update(auth_session).where(auth_session.c.user_id == user_id, auth_session.c.revoked_at.is_(None))
    if but is not None:
        live = live.where(auth_session.c.id != but)
    await session.execute(live.values(revoked_at=clock.now()))


async def forget_ended(session: WriteSession) -> int:
    """Delete sessions, and with them their refresh tokens, that ended more than a day ago."""
    return await session.execute(delete(auth_session).where(auth_session.c.expires_at < clock.now() - KEPT_AFTER_END))


async def _still_valid(session: WriteSession, user_id: UUID, password_hash: str) -> None:
    """The password may have been changed, or the user deactivated, while it was being checked."""
    same = select(user_account.c.id).where(
        user_account.c.id == user_id, user_account.c.active, user_account.c.password_hash == password_hash
    )
    if await session.first(same.with_for_update()) is None:
        raise BadCredentials


async def _open(session: WriteSession, secret: str, user_id: UUID) -> dict[str, Any]:
    expires_at = clock.now() + timedelta(days=get_settings().refresh_token_days)
    opened = insert(auth_session).values(user_id=user_id, expires_at=expires_at).returning(auth_session.c.id)
    session_id = await session.scalar(opened)
    audit.record(session, Actor(kind="user", id=user_id, name=""), "session.opened", "session", session_id)
    return await _tokens(session, secret, user_id=user_id, session_id=session_id)


async def _tokens(session: WriteSession, secret: str, *, user_id: UUID, session_id: UUID) -> dict[str, Any]:
    """A new access token and the session's next refresh token, which ends with the session."""
    lifetime = timedelta(minutes=get_settings().access_token_minutes)
    refreshing = tokens.new_refresh_token()
    ends = select(auth_session.c.expires_at).where(auth_session.c.id == session_id).scalar_subquery()
    await session.execute(
        insert(refresh_token).values(session_id=session_id, token_hash=tokens.fingerprint(refreshing), expires_at=ends)
    )
    return {
        "access_token": tokens.issue_access_token(secret, user_id=user_id, session_id=session_id, lifetime=lifetime),
        "token_type": "bearer",
        "expires_in": int(lifetime.total_seconds()),
        "refresh_token": refreshing,
    }


async def _revoke(session: WriteSession, actor: Actor, session_id: UUID, action: str) -> None:
    revoking = update(auth_session).where(auth_session.c.id == session_id, auth_session.c.revoked_at.is_(None))
    await session.execute(revoking.values(revoked_at=clock.now()))
    audit.record(session, actor, action, "session", session_id)
    await invalidation.announce(session, "identity")
