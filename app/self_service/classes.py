"""Which classes customers get to see, and one's own with what is missing to the next."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from app.classification import catalogue, explain, queries, schemes
from app.classification.engine import Scheme
from app.core import audit
from app.core.db import ReadSession, WriteSession
from app.core.errors import Conflict, NotFound
from app.core.languages import Language
from app.identity.actor import Actor
from app.self_service import oneself
from app.self_service.models import shown_scheme
from app.self_service.oneself import Oneself

READ = "my_classes:read"
SCHEMES_READ = "schemes:read"
SHOW = catalogue.PUBLISH
MOST = 10
"""Each is explained when a customer asks."""
UPWARDS = ("up", "earlier_rule")
_s = shown_scheme.c


class ShownEnough(Conflict):
    type = "shown-schemes"
    title = f"Customers see {MOST} schemes at most; take another one back first"


# ---- which are shown -------------------------------------------------------------------------------------------------


async def shown(session: ReadSession) -> dict[str, Any]:
    """The schemes whose classes customers see, by key."""
    return {"items": [dict(row) for row in await session.all(select(shown_scheme).order_by(_s.scheme))]}


async def show(session: WriteSession, actor: Actor, key: str) -> dict[str, Any]:
    """Let customers see their classes of a published scheme. Raises `Forbidden`, `NotFound`, `ShownEnough`."""
    catalogue.check_may_define(actor, SHOW)
    await schemes.get(session, key)
    putting = upsert(shown_scheme).values(scheme=key, shown_by=session.principal).on_conflict_do_nothing()
    if await session.execute(putting):
        if len((await shown(session))["items"]) > MOST:
            raise ShownEnough
        audit.record(session, actor, "scheme.shown_to_customers", "scheme", key)
    row = await session.first(select(shown_scheme).where(_s.scheme == key))
    assert row is not None
    return dict(row)


async def hide(session: WriteSession, actor: Actor, key: str) -> None:
    """Customers do not see this scheme's classes any more. Raises `Forbidden`, `NotFound`."""
    catalogue.check_may_define(actor, SHOW)
    if not await session.execute(delete(shown_scheme).where(_s.scheme == key)):
        raise NotFound(f"Customers do not see {key}")
    audit.record(session, actor, "scheme.hidden_from_customers", "scheme", key)


# ---- one's own -------------------------------------------------------------------------------------------------------


async def own(session: ReadSession, actor: Actor, language: Language) -> dict[str, Any]:
    """One's class in each scheme that is shown, and the way to the next. Raises `NoCustomer`."""
    me = await oneself.find(session, actor)
    keys = {row["scheme"] for row in (await shown(session))["items"]}
    in_force = (await schemes.current(session)).schemes
    return {"items": [await _own(session, me, each, language) for key, each in in_force.items() if key in keys]}


async def _own(session: ReadSession, me: Oneself, each: Scheme, language: Language) -> dict[str, Any]:
    about = {"scheme": each.key, "title": each.title, "next": []}
    try:
        told = await explain.explain(session, each, me.customer_id, None, language)
    except (NotFound, schemes.SchemeFailing):
        # Not measured yet, or not to be evaluated at present: the class stands as it was, unexplained.
        found = await queries.classes_of(session, me.customer_id, each.key)
        stands = found[0] if found else {"class": None, "since": None, "pending": None}
        return {**about, "sentence": None, **{name: stands[name] for name in ("class", "since", "pending")}}
    upwards = [step for step in told["next"] if step["direction"] in UPWARDS]
    return {**about, **{name: told[name] for name in ("class", "since", "pending", "sentence")}, "next": upwards}
