"""Which account is whose: opened with an invitation, or taken from a user who is there, and closed again."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, insert, select

from app.core import audit, clock
from app.core.db import ReadSession, WriteSession
from app.core.errors import Conflict, Invalid, NotFound
from app.customers import service as customers
from app.customers.document import check_visible
from app.customers.models import customer
from app.identity import customer_accounts
from app.identity.actor import Actor
from app.identity.models import user_account
from app.mail import post
from app.self_service import letters
from app.self_service.models import customer_account
from app.self_service.oneself import stands
from app.self_service.schemas import AccountIn, AccountInvitationIn

READ = "customer_accounts:read"
WRITE = "customer_accounts:write"
_a = customer_account.c


class HasAccount(Conflict):
    type = "has-account"
    title = "This customer has an account; close it first"


class OfAnother(Conflict):
    type = "account-of-another"
    title = "This user is another customer's account"


async def read(session: ReadSession, actor: Actor, customer_id: UUID, permission: str = READ) -> dict[str, Any]:
    """The account that stands. Raises `NotFound`, also where there is none."""
    await check_visible(session, actor, customer_id, permission)
    row = await session.first(select(customer_account).where(_a.customer_id == customer_id, stands()))
    if row is None:
        raise NotFound("This customer has no account")
    return await _shown(session, dict(row))


async def open_(
    session: WriteSession, actor: Actor, customer_id: UUID, body: AccountIn, *, secret: str
) -> dict[str, Any]:
    """Open an account for the customer, with an invitation to it; or make a user who is there the customer's.

    Raises `NotFound`, `HasAccount`, `OfAnother`, `Invalid` for what cannot be sent, and as `customer_accounts` does.
    """
    record = await customers.locked(session, actor, customer_id, WRITE)
    if await session.first(select(_a.user_id).where(_a.customer_id == customer_id)) is not None:
        raise HasAccount
    if body.user_id is not None:
        await customer_accounts.take(session, actor, body.user_id)
        if await session.first(select(_a.customer_id).where(_a.user_id == body.user_id)) is not None:
            raise OfAnother
        user_id = body.user_id
    else:
        about = {"username": body.username, "name": record["name"], "email": record["email"]}
        user_id = (await customer_accounts.make(session, actor, **about))["id"]
    linking = insert(customer_account).values(customer_id=customer_id, user_id=user_id, linked_by=session.principal)
    row = await session.first(linking.returning(customer_account))
    assert row is not None
    audit.record(session, actor, "customer.account_opened", "customer", customer_id, after={"user_id": user_id})
    shown = await _shown(session, dict(row))
    return shown | ({} if body.user_id else await _invited(session, customer_id, user_id, body, secret=secret))


async def invite(
    session: WriteSession, actor: Actor, customer_id: UUID, body: AccountInvitationIn, *, secret: str
) -> dict[str, Any]:
    """Another invitation to the account, for who lost one or forgot the password. Raises `NotFound`, `Invalid`."""
    found = await read(session, actor, customer_id, WRITE)
    if not found["active"]:
        raise Invalid.at("/path/customer_id", "The account is deactivated; nobody can be invited to it")
    audit.record(session, actor, "customer.account_invited", "customer", customer_id, after=body.model_dump())
    return found | await _invited(session, customer_id, found["user_id"], body, secret=secret)


async def remove(session: WriteSession, actor: Actor, customer_id: UUID) -> None:
    """Close the account: nobody logs in to it any more, and the customer may get another. Raises `NotFound`."""
    await customers.locked(session, actor, customer_id, WRITE)
    gone = await session.all(
        delete(customer_account).where(_a.customer_id == customer_id).returning(customer_account.c.user_id)
    )
    if not gone:
        raise NotFound("This customer has no account")
    for row in gone:
        await customer_accounts.close(session, row["user_id"], who=actor)
        audit.record(
            session, actor, "customer.account_closed", "customer", customer_id, before={"user_id": row["user_id"]}
        )


async def forget(session: WriteSession, customer_id: UUID) -> None:
    """The customer is gone: so is what let it in, and whatever told who it was."""
    of_customer = delete(customer_account).where(_a.customer_id == customer_id)
    for row in await session.all(of_customer.returning(customer_account.c.user_id)):
        await customer_accounts.close(session, row["user_id"], forget=True)


async def _shown(session: ReadSession, row: dict[str, Any]) -> dict[str, Any]:
    user = await customer_accounts.of(session, row["user_id"])
    return row | {"username": user["username"], "active": user["active"], "invitation": None, "expires_at": None}


async def _invited(
    session: WriteSession, customer_id: UUID, user_id: UUID, body: AccountIn | AccountInvitationIn, *, secret: str
) -> dict[str, Any]:
    """The invitation, for whoever passes it on; or until when the one works that is sent to the customer."""
    expires_at = clock.now().replace(microsecond=0) + timedelta(days=body.days)
    if body.send is None:
        token = await customer_accounts.invitation(session, secret, user_id, expires_at)
        return {"invitation": token, "expires_at": expires_at}
    post.demand()
    if await session.scalar(select(customer.c.email).where(customer.c.id == customer_id)) is None:
        raise Invalid.at("/body/send", "No e-mail address of this customer is known: record one first")
    moment = await customer_accounts.moment(session, user_id)
    assert moment is not None, "an account that was opened or is active can be entered"
    await post.queue(session, letters.INVITATION, user_id=user_id, expires_at=expires_at, moment=moment)
    return {"invitation": None, "expires_at": expires_at}


def kept_of(customer_id: UUID) -> Select[Any]:
    """The users by whom the customer logs in; what they may log in with is a secret."""
    u = user_account.c
    shown = (u.id, u.username, u.name, u.email, u.active, u.created_at, u.updated_at)
    return select(*shown).join(customer_account, _a.user_id == u.id).where(_a.customer_id == customer_id)
