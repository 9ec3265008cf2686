"""Letters of self-service, each written from what stands when it is sent; what it lets in with is computed then."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from app.core import local
from app.core.db import ReadSession
from app.core.settings import get_settings
from app.customers.models import customer
from app.identity import customer_accounts
from app.mail.letters import Letter, written
from app.self_service import changes
from app.self_service.models import customer_account
from app.self_service.oneself import stands

INVITATION = "account_invitation"
TEXTS = Path(__file__).parent / "texts"
_a, _c = customer_account.c, customer.c


async def invitation(session: ReadSession, about: Mapping[str, str]) -> Letter | None:
    """What lets the customer in; None once a password was set, and of an account that is closed or set aside."""
    user_id, expires_at = UUID(about["user_id"]), datetime.fromisoformat(about["expires_at"])
    whose = select(_c.name, _c.email, _c.language).join(customer_account, _a.customer_id == _c.id)
    row = await session.first(whose.where(_a.user_id == user_id, _c.email.is_not(None), stands()))
    if row is None or await customer_accounts.moment(session, user_id) != about["moment"]:
        return None
    settings = get_settings()
    token = await customer_accounts.invitation(session, local.secret_key(settings), user_id, expires_at)
    page = settings.invitation_url
    # Behind a #, it is sent to no server, and so stands in no log of one.
    link = None if page is None else f"{page}#invitation={token}"
    values = {"name": row["name"], "link": link, "token": token}
    return written(TEXTS, INVITATION, to=row["email"], known_language=row["language"], until=expires_at, **values)


async def code(session: ReadSession, about: Mapping[str, str]) -> Letter | None:
    """The code that confirms another address, sent there. Nothing in it is the customer's own words."""
    secret = local.secret_key(get_settings())
    change = await changes.open_change(session, UUID(about["customer_id"]), UUID(about["change_id"]), secret=secret)
    if change is None:
        return None
    return written(
        *(TEXTS, changes.CODE),
        to=change["value"],
        known_language=change["language"],
        until=change["expires_at"],
        code=change["code"],
    )


LETTERS = {INVITATION: invitation, changes.CODE: code}
