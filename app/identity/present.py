"""Whoever asked for long work, with the rights of the moment in which it is carried out."""

from app.core import clock
from app.core.db import Database
from app.core.errors import Forbidden
from app.identity import delegations, queries
from app.identity.actor import SYSTEM, Actor
from app.identity.authentication import api_key_from, user_from
from app.identity.models import api_key

_k = api_key.c


async def as_of_now(database: Database, asked_by: Actor) -> Actor:
    """Who asked, as that one is now; `asked_by` says who it was, and for whom it stood in.

    Raises `Forbidden` for a user who left, a key that was revoked or has expired, and `NotDelegated` when the
    days of standing in are over.
    """
    if asked_by.kind == "system" or asked_by.id is None:
        return SYSTEM
    now = clock.now()
    if asked_by.kind == "api_key":
        unexpired = _k.expires_at.is_(None) | (_k.expires_at > now)
        live = (_k.id == asked_by.id) & _k.revoked_at.is_(None) & unexpired
        row = await database.reading().first(queries.api_key_actor(live))
    else:
        row = await database.reading().first(queries.present_user(asked_by.id, clock.business_day(now)))
    if row is None:
        raise Forbidden("Whoever asked for this may not do it any more")
    if asked_by.kind == "api_key":
        return api_key_from(row)
    actor = user_from(row)
    if asked_by.on_behalf_of is None:
        return actor
    standing_in, _ = await delegations.stand_in(database, actor, asked_by.on_behalf_of, now)
    return standing_in
