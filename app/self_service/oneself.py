"""Whose account acts, and the one way in which self-service asks lower packages: about that customer only."""

from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import ColumnElement, select

from app.core.db import ReadSession
from app.core.errors import Forbidden
from app.identity.actor import Actor, Scope
from app.self_service.models import customer_account

CHANNEL = "self_service"
SOURCE = "self-service"
_a = customer_account.c


class NoCustomer(Forbidden):
    type = "no-customer"
    title = "This is for the accounts of customers, and yours is none"


class AccountSetAside(Forbidden):
    type = "account-set-aside"
    title = "Your two records were made one; use the account that you had first"


@dataclass(frozen=True, slots=True)
class Oneself:
    """A customer's account, and the customer."""

    account: Actor
    customer_id: UUID

    def may(self, *permissions: str) -> Actor:
        """The account with these permissions, to be asked about `customer_id` and nobody else."""
        return replace(self.account, permissions=dict.fromkeys(permissions, Scope.ALL))


def stands() -> ColumnElement[bool]:
    """Whether no account of the same customer was made before."""
    other = customer_account.alias("other")
    earlier = (other.c.linked_at < _a.linked_at) | (
        (other.c.linked_at == _a.linked_at) & (other.c.user_id < _a.user_id)
    )
    return ~select(other.c.user_id).where(other.c.customer_id == _a.customer_id, earlier).exists()


async def find(session: ReadSession, actor: Actor) -> Oneself:
    """The customer whose account acts. Raises `NoCustomer`, `AccountSetAside`."""
    own = select(_a.customer_id, stands().label("stands")).where(_a.user_id == actor.id)
    row = await session.first(own) if actor.kind == "user" and actor.on_behalf_of is None else None
    if row is None:
        raise NoCustomer
    if not row["stands"]:
        raise AccountSetAside
    return Oneself(actor, row["customer_id"])
