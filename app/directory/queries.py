"""Customers by filter or predicate, a page at a time. Every statement starts from what the actor may see."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, bindparam, case, cast, func, literal, select, tuple_
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification.definitions import Fact
from app.classification.facts import FactSource
from app.classification.measurements import source_of
from app.classification.metrics import METRICS, metric_type
from app.classification.models import customer_class, customer_metrics
from app.classification.schemes import current
from app.core import clock
from app.core.db import Prepared, ReadSession, Statement
from app.core.errors import Forbidden, Invalid
from app.core.http.paging import Page
from app.core.predicates import AllOf, AnyOf, ClassIs, HasEvents, Node, NotOf, Op, compare, to_sql
from app.core.settings import get_settings
from app.customers.contacts import normal_identity
from app.customers.document import READ_CONTACT, documents, shape_for, visible_to
from app.customers.fields import field
from app.customers.models import customer, customer_identity
from app.customers.seen import looked_up, looked_up_first, sees_few
from app.directory.schemas import Sort
from app.identity.actor import Actor
from app.identity.scopes import scope_params

READ = "customers:read"

# Ids are made in order of time, so sorting by creation is sorting by the primary key.
SORT_KEYS: dict[str, tuple[ColumnElement[Any], ...]] = {
    "created_at": (customer.c.id,),
    "updated_at": (customer.c.updated_at, customer.c.id),
    "name": (customer.c.name, customer.c.id),
}

CONTACT_FIELDS = {"phone": customer.c.phone, "email": customer.c.email}


# ---- the flat list ---------------------------------------------------------------------------------------------------


def _identity_is() -> ColumnElement[bool]:
    i = customer_identity.c
    kind, value = bindparam("identity_kind", type_=Text), bindparam("identity_value", type_=Text)
    return customer.c.id == select(i.customer_id).where(i.kind == kind, i.value == value).scalar_subquery()


def _in_class(*more: ColumnElement[bool]) -> ColumnElement[bool]:
    k = customer_class.c
    scheme, name = bindparam("class_scheme", type_=Text), bindparam("class_name", type_=Text)
    return (
        select(k.customer_id)
        .where(k.customer_id == customer.c.id, k.scheme == scheme, k.class_ == name, *more)
        .correlate(customer)
        .exists()
    )


def _within_region() -> ColumnElement[bool]:
    # The bounds are parameters of their own: joined in SQL, they would be joined again for every row looked at.
    region, first, end = (bindparam(name, type_=Text) for name in ("region", "region_first", "region_end"))
    below = customer.c.region.bool_op("~>=~")(first) & customer.c.region.bool_op("~<~")(end)
    return (customer.c.region == region) | below


FILTERS: dict[str, ColumnElement[bool]] = {
    "owner": customer.c.owner_id == bindparam("owner", type_=UuidType),
    "unit": customer.c.unit_id == bindparam("unit", type_=UuidType),
    "region": _within_region(),
    "tag": customer.c.tags.contains(bindparam("tag", type_=ARRAY(Text))),
    "text": func.lower(customer.c.name).like(bindparam("text", type_=Text), escape="\\"),
    "class": _in_class(),
    "identity": _identity_is(),
}

_prepared: dict[tuple[Any, ...], Prepared] = {}


class Found(NamedTuple):
    """A page of customers as JSON text, and who is on it."""

    content: str
    customers: list[UUID]


async def page_of_customers(
    session: ReadSession, actor: Actor, page: Page, *, filters: Mapping[str, Any], sort: Sort, total: bool
) -> Found:
    """A page as JSON text. Raises `Invalid` for an unknown scheme or class, `Forbidden` for contact data."""
    params = await _filter_params(session, actor, filters)
    scope = [sort, sorted(params.items(), key=lambda item: item[0])]
    after = page.after(scope)
    few = await sees_few(session, actor, READ)
    shape = (*shape_for(actor), few, frozenset(filters), sort, after is None)
    statement = _prepared.get(shape)
    if statement is None:
        conditions = _conditions(actor, filters, _filters_beyond(sort) if after else FILTERS)
        if few:
            conditions.append(looked_up(actor, READ, customer.c.id))
        statement = _prepared[shape] = Prepared(_sorted(actor, sort, conditions, after is not None))
    params |= scope_params(actor) | _position_params(sort, after) | {"rows": page.limit + 1}
    count = await _count(session, actor, _conditions(actor, filters), params) if total else None
    return await _page(session, statement, params, page, sort, scope, count)


def _filters_beyond(sort: Sort) -> dict[str, ColumnElement[bool]]:
    """The filters of a page that is not the first.

    In order of ids, classes are read in that order too. That those of customers beyond the cursor stand beyond it,
    PostgreSQL does not conclude: it is said, or a deep page walks over all classes before it.
    """
    if sort.lstrip("-") != "created_at":
        return FILTERS
    return FILTERS | {"class": _in_class(_beyond(sort, (customer_class.c.customer_id,)))}


def _conditions(
    actor: Actor, filters: Iterable[str], known: Mapping[str, ColumnElement[bool]] = FILTERS
) -> list[ColumnElement[bool]]:
    """What the filters ask. An identity finds only customers whose identities the actor sees unmasked."""
    conditions = [known[name] for name in filters]
    return [*conditions, visible_to(actor, READ_CONTACT)] if "identity" in filters else conditions


async def _filter_params(session: ReadSession, actor: Actor, filters: Mapping[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, value in filters.items():
        if name == "class":
            params["class_scheme"], params["class_name"] = await known_class(session, value)
        elif name == "identity":
            if not actor.may(READ_CONTACT):
                raise Forbidden(f"Identities are masked for you; filtering by them needs {READ_CONTACT}")
            params["identity_kind"], params["identity_value"] = _identity(value)
        elif name == "text":
            escaped = value.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            params["text"] = f"%{escaped}%"
        elif name == "region":
            # `~` sorts after every character a region code has: the range is everything below the code.
            params |= {"region": value, "region_first": f"{value}-", "region_end": f"{value}-~"}
        elif name == "tag":
            params["tag"] = [value]
        else:
            params[name] = value
    return params


def _identity(given: str) -> tuple[str, str]:
    kind, _, value = given.partition(":")
    try:
        return kind, normal_identity(kind, value, get_settings().phone_region)
    except ValueError as error:
        raise Invalid.at("/query/identity", str(error)) from error


async def known_class(session: ReadSession, value: str, pointer: str = "/query/class") -> tuple[str, str]:
    key, _, name = value.partition(":")
    each = (await current(session)).schemes.get(key)
    if each is None:
        raise Invalid.at(pointer, f"there is no scheme {key}")
    if name not in each.document.class_names:
        known = ", ".join(each.document.class_names)
        raise Invalid.at(pointer, f"{key} has no class {name}; it has: {known}")
    return key, name


def _sorted(actor: Actor, sort: Sort, conditions: list[ColumnElement[bool]], continued: bool) -> Select[Any]:
    keys = SORT_KEYS[sort.lstrip("-")]
    descending = sort.startswith("-")
    statement = documents(actor).add_columns(*(key.label(f"key_{n}") for n, key in enumerate(keys)))
    statement = statement.where(*conditions).limit(bindparam("rows", type_=customer.c.version.type))
    if continued:
        statement = statement.where(_beyond(sort, keys))
    return statement.order_by(*(key.desc() if descending else key for key in keys))


def _beyond(sort: Sort, keys: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
    """After the cursor, in the order of the sort."""
    after = tuple_(*(bindparam(f"after_{n}", type_=key.type) for n, key in enumerate(keys)))
    return tuple_(*keys) < after if sort.startswith("-") else tuple_(*keys) > after


def _position_params(sort: Sort, after: list[Any] | None) -> dict[str, Any]:
    if after is None:
        return {}
    *first, last = after
    values: list[Any] = [*first, UUID(last)]
    if sort.lstrip("-") == "updated_at":
        values[0] = datetime.fromisoformat(values[0])
    return {f"after_{n}": value for n, value in enumerate(values)}


async def _count(
    session: ReadSession, actor: Actor, conditions: list[ColumnElement[bool]], params: dict[str, Any]
) -> int:
    statement = select(func.count()).select_from(customer).where(visible_to(actor), *conditions)
    return int(await session.scalar(Prepared(statement), params))


async def _page(
    session: ReadSession,
    statement: Statement,
    params: dict[str, Any],
    page: Page,
    sort: Sort,
    scope: Any,
    total: int | None,
) -> Found:
    """The rows' documents are JSON already: they are joined, not parsed."""
    rows = await session.all(statement, params)
    shown = rows[: page.limit]
    keys = range(len(SORT_KEYS[sort.lstrip("-")]))
    last = [_text(shown[-1][f"key_{n}"]) for n in keys] if shown else []
    cursor = page.next_cursor(rows, last, scope)
    items = ",".join(row["document"] for row in shown)
    content = '{"items":[%s],"next_cursor":%s,"total":%s}' % (  # noqa: UP031  braces would need doubling
        items,
        "null" if cursor is None else f'"{cursor}"',
        "null" if total is None else total,
    )
    return Found(content, [row["id"] for row in shown])


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


# ---- search by predicate tree ----------------------------------------------------------------------------------------


class CustomerResolver:
    """Resolves a predicate's names against the customer, its metrics, its classes and its tags."""

    def __init__(self, actor: Actor, class_names: Mapping[str, list[str]]) -> None:
        self._actor = actor
        self._class_names = class_names
        self._source = source_of(customer_metrics, clock.business_day(clock.business_now()))

    def metric(self, name: str, pointer: str) -> ColumnElement[Any]:
        if name not in METRICS:
            raise Invalid.at(pointer, f"there is no metric {name}; there are: {', '.join(METRICS)}")
        return cast(METRICS[name].expression(self._source), metric_type(name))

    def field(self, name: str, pointer: str) -> ColumnElement[Any]:
        if name in CONTACT_FIELDS:
            if not self._actor.may(READ_CONTACT):
                raise Forbidden(f"{name} is masked for you; searching by it needs {READ_CONTACT}")
            # Of a customer whose contact data is masked nothing can be found out by asking, either.
            return case((visible_to(self._actor, READ_CONTACT), CONTACT_FIELDS[name]))
        return field(name, pointer=pointer)

    def class_is(self, leaf: ClassIs, pointer: str) -> ColumnElement[bool]:
        if leaf.scheme not in self._class_names:
            known = ", ".join(self._class_names)
            raise Invalid.at(f"{pointer}/class", f"there is no scheme {leaf.scheme}; there are: {known}")
        k = customer_class.c
        stands = select(k.class_).where(k.customer_id == customer.c.id, k.scheme == leaf.scheme).correlate(customer)
        if leaf.op in (Op.EQ, Op.IN):
            return stands.where(compare(k.class_, leaf.op, leaf.value, pointer)).exists()
        return compare(stands.scalar_subquery(), leaf.op, leaf.value, pointer)

    def tagged(self, tag: str) -> ColumnElement[bool]:
        return customer.c.tags.contains([tag])

    def events(self, leaf: HasEvents, pointer: str) -> ColumnElement[int]:
        return FactSource(customer.c.id, customer, literal(clock.business_now())).column(Fact.of_events(leaf), pointer)

    def breakpoint(self, name: str, pointer: str) -> ColumnElement[Any]:
        raise Invalid.at(pointer, "a search compares with values, not with breakpoints")


def _check_classes(node: Node, class_names: Mapping[str, list[str]], pointer: str) -> None:
    """Raises `Invalid` for a class that its scheme does not have: no customer would ever be found by it."""
    match node:
        case AllOf() | AnyOf():
            name = "all" if isinstance(node, AllOf) else "any"
            for n, part in enumerate(node.parts):
                _check_classes(part, class_names, f"{pointer}/{name}/{n}")
        case NotOf():
            _check_classes(node.part, class_names, f"{pointer}/not")
        case ClassIs(scheme=scheme, op=Op.EQ | Op.NE | Op.IN | Op.NOT_IN, value=value) if scheme in class_names:
            known = class_names[scheme]
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str) and each not in known:
                    raise Invalid.at(f"{pointer}/value", f"{scheme} has no class {each}; it has: {', '.join(known)}")


async def _class_names(session: ReadSession) -> dict[str, list[str]]:
    """The classes of each scheme. Those that cannot be evaluated included: their classes stand."""
    return {key: each.document.class_names for key, each in (await current(session)).schemes.items()}


# Left out by the planner where no metric is asked for; an inner join where one is.
measured = customer.outerjoin(customer_metrics, customer_metrics.c.customer_id == customer.c.id)


async def condition_of(session: ReadSession, actor: Actor, where: Node) -> ColumnElement[bool]:
    """The predicate over `measured`, as far as the actor may ask. Raises `Invalid` and `Forbidden` naming the part."""
    names = await _class_names(session)
    _check_classes(where, names, "/body/where")
    return to_sql(where, CustomerResolver(actor, names), "/body/where")


async def search_customers(
    session: ReadSession, actor: Actor, page: Page, *, where: Node, asked: Any, sort: Sort, total: bool
) -> Found:
    """A page of the customers for whom the predicate holds, as JSON text. `asked` binds the cursor to the question."""
    condition = await condition_of(session, actor, where)
    after = page.after(asked)
    few = await looked_up_first(session, actor, READ, customer.c.id)
    statement = _sorted(actor, sort, [condition, *few], after is not None).select_from(measured)
    params = scope_params(actor) | _position_params(sort, after) | {"rows": page.limit + 1}
    count = None
    if total:
        counting = select(func.count()).select_from(measured).where(visible_to(actor), condition)
        count = int(await session.scalar(counting))
    return await _page(session, statement, params, page, sort, asked, count)


async def preview(session: ReadSession, actor: Actor, permission: str, when: Node) -> dict[str, Any]:
    """For how many the condition holds, among the customers whom this permission reaches and the one to read them.

    Two counts, and no row is looked at for both: the condition stays one that indexes and several processes can answer.
    """
    condition = to_sql(when, CustomerResolver(actor, await _class_names(session)), "/body/when")
    seen = [visible_to(actor, permission), visible_to(actor)]
    count = select(func.count())
    customers = int(await session.scalar(count.select_from(measured).where(*seen, condition)))
    of = int(await session.scalar(count.select_from(customer).where(*seen)))
    return {"customers": customers, "of": of, "share": round(customers / of, 6) if of else 0.0}
