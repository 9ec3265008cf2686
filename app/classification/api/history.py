"""Routes of what classes are and were across customers: counts, movement, changes."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Path, Query

from app.classification import history, queries, schemes
from app.classification.schemas.history import ChangePage, MovementMatrix, MoverPage
from app.classification.schemas.schemes import ClassCounts
from app.core.bounds import Code, Instant, Key, PastInstant
from app.core.errors import Invalid
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, router
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(tag="Classification")

CanReadClasses = Annotated[Actor, Depends(Requires("classes:read"))]
SchemeKey = Annotated[Key, Path(description="scheme key, such as abc")]
From = Annotated[PastInstant, Query(alias="from", description="an instant with its zone")]
To = Annotated[PastInstant, Query(alias="to", description="a later instant with its zone")]
Cause = Literal["event", "clock", "refit", "publish", "override", "correction", "request", "import", "retired", "merge"]
Move = Literal["entered", "left", "stayed", "moved"]


@routes.get("/schemes/{key}/classes", response_model=ClassCounts)
async def count_classes(
    actor: CanReadClasses,
    session: ReadSession,
    key: SchemeKey,
    as_of: Annotated[PastInstant | None, Query(description="an instant with its zone; now when left out")] = None,
) -> object:
    """Customers and revenue of each class, now or at an instant, among the customers you may see; best class first."""
    each = await schemes.get(session, key)
    if as_of is None:
        items = await queries.classes_summary(session, actor, key)
    else:
        items = await history.classes_summary_at(session, actor, key, as_of)
    order = {name: n for n, name in enumerate(each.document.class_names)}
    return {"items": sorted(items, key=lambda item: (order.get(item["class"], len(order)), item["class"]))}


@routes.get("/schemes/{key}/movement", response_model=MovementMatrix)
async def read_movement(actor: CanReadClasses, session: ReadSession, key: SchemeKey, begin: From, end: To) -> object:
    """How many customers went from which class to which between two instants, and their revenue."""
    _check_order(begin, end)
    return await history.movement(session, actor, await schemes.get(session, key), begin=begin, end=end)


@routes.get("/schemes/{key}/movement/customers", response_model=MoverPage)
async def list_movers(
    actor: CanReadClasses,
    session: ReadSession,
    page: Paging,
    key: SchemeKey,
    begin: From,
    end: To,
    from_class: Annotated[Code | None, Query(description="the class at `from`")] = None,
    to_class: Annotated[Code | None, Query(description="the class at `to`")] = None,
    move: Annotated[Move | None, Query(description="`entered` had no class before, `left` has none after")] = None,
) -> object:
    """The customers behind a cell of the movement matrix."""
    _check_order(begin, end)
    await schemes.get(session, key)
    return await history.movers(
        session, actor, key, page, begin=begin, end=end, from_class=from_class, to_class=to_class, kind=move
    )


def _check_order(begin: datetime, end: datetime) -> None:
    if begin > end:
        raise Invalid.at("/query/to", "this instant lies before `from`")


@routes.get("/schemes/{key}/changes", response_model=ChangePage)
async def list_scheme_changes(
    actor: CanReadClasses,
    session: ReadSession,
    page: Paging,
    key: SchemeKey,
    cause: Annotated[Cause | None, Query(description="why the class was decided anew")] = None,
    since: Annotated[Instant | None, Query(description="the first instant, with its zone")] = None,
    until: Annotated[Instant | None, Query(description="the instant before which changes lie, with its zone")] = None,
) -> object:
    """Changes of class among the customers you may see, the latest first, each with its reason."""
    await schemes.get(session, key)
    return await history.changes_in(session, actor, key, page, cause=cause, since=since, until=until)
