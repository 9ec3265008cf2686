"""From a credential to the Actor: one statement, whatever the credential is."""

from datetime import datetime, timedelta
from hmac import compare_digest
from uuid import UUID

from sqlalchemy import or_, update

from app.core import clock
from app.core.db import Database, Record
from app.identity import external, queries, tokens
from app.identity.actor import Actor, permissions_from, widest
from app.identity.errors import InvalidToken
from app.identity.issuer import MAX_TOKEN_LENGTH, ExternalClaims, Issuer
from app.identity.models import api_key
from app.identity.permissions import of_oneself

USE_NOTED_EVERY = timedelta(minutes=1)


async def authenticate(
    database: Database, secret: str, credential: str, *, issuer: Issuer | None = None
) -> tuple[Actor, datetime]:
    """Who presents this access token or API key, and until when the answer may be remembered.

    Tokens may also be of the external issuer. Raises `InvalidToken` for everything unknown, altered, expired or
    revoked, and `Unavailable` while the issuer's keys are not known.
    """
    if not credential.isascii() or len(credential) > MAX_TOKEN_LENGTH:
        raise InvalidToken
    if issuer is not None and issuer.issued(credential):
        return await _by_external_token(database, await issuer.verify(credential))
    if len(credential) > tokens.MAX_CREDENTIAL_LENGTH:
        raise InvalidToken
    if credential.startswith(tokens.KEY_MARK):
        return await _by_api_key(database, credential)
    return await _by_access_token(database, secret, credential)


async def _by_access_token(database: Database, secret: str, token: str) -> tuple[Actor, datetime]:
    claims = tokens.read_access_token(secret, token)
    return await _of_session(database, claims.user_id, claims.session_id, claims.expires_at)


async def _by_external_token(database: Database, claims: ExternalClaims) -> tuple[Actor, datetime]:
    user_id, session_id = await external.session_of(database, claims)
    return await _of_session(database, user_id, session_id, claims.expires_at)


async def _of_session(
    database: Database, user_id: UUID, session_id: UUID, expires_at: datetime
) -> tuple[Actor, datetime]:
    now = clock.now()
    day = clock.business_day(now)
    row = await database.reading().first(queries.session_actor(session_id, user_id, now, day))
    if row is None:
        raise InvalidToken
    actor = user_from(row, session_id)
    tomorrow = clock.start_of_day(day + timedelta(days=1))  # one may be in other units then
    return actor, min(expires_at, row["expires_at"], tomorrow)


def user_from(row: Record, session_id: UUID | None = None) -> Actor:
    """The user whom `session_actor` or `present_user` found; of a customer's account, self-service is all there is."""
    permissions = widest(permissions_from(grant) for grant in row["grants"])
    return Actor(
        kind="user",
        id=row["id"],
        name=row["name"],
        permissions=of_oneself(permissions) if row["for_customer"] else permissions,
        unit_ids=queries.unit_ids_of(row),
        subtree_ids=tuple(row["subtree_ids"]),
        session_id=session_id,
        roles=tuple(row["roles"]),
    )


def api_key_from(row: Record) -> Actor:
    """The API key that `api_key_actor` found."""
    return Actor(
        kind="api_key",
        id=row["id"],
        name=row["name"],
        permissions=permissions_from(row["permissions"]),
        unit_ids=() if row["unit_id"] is None else (row["unit_id"],),
        subtree_ids=tuple(row["subtree_ids"]),
    )


async def _by_api_key(database: Database, key: str) -> tuple[Actor, datetime]:
    row = await database.reading().first(queries.api_key_actor(api_key.c.prefix == tokens.prefix_of(key)))
    now = clock.now()
    if row is None or row["revoked_at"] is not None:
        raise InvalidToken
    expires_at = _end_of(row, tokens.fingerprint(key))
    if expires_at is not None and expires_at <= now:
        raise InvalidToken
    await _note_use(database, row, now)
    actor = api_key_from(row)
    remembered_until = now + USE_NOTED_EVERY
    return actor, min(remembered_until, expires_at or remembered_until)


def _end_of(row: Record, presented: str) -> datetime | None:
    """When the presented secret of this API key ends, the present one or the one before; None is never."""
    own: datetime | None = row["expires_at"]
    if compare_digest(row["key_hash"], presented):
        return own
    if row["previous_hash"] is None or not compare_digest(row["previous_hash"], presented):
        raise InvalidToken
    replaced: datetime = row["previous_expires_at"]
    return replaced if own is None else min(own, replaced)


async def _note_use(database: Database, row: Record, now: datetime) -> None:
    if row["last_used_at"] is not None and row["last_used_at"] > now - USE_NOTED_EVERY:
        return
    stale = or_(api_key.c.last_used_at.is_(None), api_key.c.last_used_at <= now - USE_NOTED_EVERY)
    async with database.transaction() as session:
        await session.execute(update(api_key).where(api_key.c.id == row["id"], stale).values(last_used_at=now))
