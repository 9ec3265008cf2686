"""What is wrong, as SQL over a customer joined with what it is compared with: one pass finds everything of everybody.

Each join adds one row at most, found by a key or by what was grouped before: nobody is compared with everybody.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Numeric,
    Text,
    all_,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification.models import customer_metrics
from app.customers.document import READ_CONTACT, visible_to
from app.customers.models import custom_field, customer, customer_identity, region
from app.customers.references import EXTERNAL
from app.identity.actor import Actor
from app.identity.scopes import within_scope
from app.quality.rules import CONTACT, DAY, EMAIL, NUMBER, PHONE, SEPARATOR, Finding

MOST_LEVELS = 4
"""Of the tree: country, province, city, county."""
_c, _m, _f = customer.c, customer_metrics.c, custom_field.c


@dataclass(frozen=True, slots=True)
class Findings:
    """The customers with all that they are compared with, and what holds of whom something is wrong with."""

    source: FromClause
    conditions: dict[Finding, ColumnElement[bool]]


def findings(actor: Actor, stale_before: datetime) -> Findings:
    """Everything that can be wrong, as far as this actor may know of it.

    Stale is of whom nothing was written, bought or said since an instant.
    """
    phones, emails = (
        _shared(actor, lambda c: c.phone, "phones"),
        _shared(actor, lambda c: func.lower(c.email), "emails"),
    )
    known = select(customer_identity.c.customer_id).where(customer_identity.c.kind != EXTERNAL).distinct()
    reached = known.subquery("reached")
    named = customer_identity.alias("named")
    held = _held_phones(actor)
    company = customer.alias("company")
    astray = _astray()
    email = func.lower(_c.email)
    source = (
        customer.outerjoin(customer_metrics, _m.customer_id == _c.id)
        .outerjoin(reached, reached.c.customer_id == _c.id)
        .outerjoin(named, and_(named.c.kind == EXTERNAL, named.c.value == _c.name))
        .outerjoin(phones, phones.c.value == _c.phone)
        .outerjoin(emails, emails.c.value == email)
        .outerjoin(held, held.c.value == _c.phone)
        .outerjoin(company, company.c.id == _c.company_id)
        .outerjoin(astray, astray.c.region == _c.region)
    )
    last = func.greatest(_c.updated_at, _m.last_purchase_at, _m.last_interaction_at)
    found: dict[Finding, ColumnElement[bool]] = {
        Finding.MISSING_CONTACT: and_(_c.phone.is_(None), _c.email.is_(None), reached.c.customer_id.is_(None)),
        # Whoever was created for a reference of a file is named like it.
        Finding.MISSING_NAME: func.coalesce(named.c.customer_id == _c.id, literal(False)),
        Finding.MISSING_REGION: _c.region.is_(None),
        Finding.MISSING_SOURCE: _c.source.is_(None),
        Finding.MISSING_OWNER: _c.owner_id.is_(None),
        Finding.MISSING_CUSTOM: _lacks_required(),
        Finding.INVALID_PHONE: func.coalesce(_c.phone.op("!~")(PHONE), literal(False)),
        Finding.INVALID_EMAIL: func.coalesce(_c.email.op("!~")(EMAIL), literal(False)),
        Finding.INVALID_REGION: astray.c.region.is_not(None),
        Finding.INVALID_CUSTOM: and_(_c.custom != literal({}, _c.custom.type), _misfit()),
        Finding.STALE: last < stale_before,
        Finding.CONFLICTING_PHONE: phones.c.value.is_not(None),
        Finding.CONFLICTING_EMAIL: emails.c.value.is_not(None),
        Finding.CONFLICTING_IDENTITY: func.coalesce(held.c.customer_id != _c.id, literal(False)),
        Finding.CONFLICTING_COMPANY: and_(
            _c.company_id.is_not(None), or_(company.c.id.is_(None), company.c.kind != "company")
        ),
    }
    clear = visible_to(actor, READ_CONTACT)
    return Findings(source, {each: and_(clear, how) if each in CONTACT else how for each, how in found.items()})


def _shared(actor: Actor, value: Any, name: str) -> Any:
    """What several customers have, of those whose contact data the actor may read."""
    other = customer.alias(f"with_{name}")
    theirs = value(other.c)
    return (
        select(theirs.label("value"))
        .where(_clear(actor, other), theirs.is_not(None))
        .group_by(theirs)
        .having(func.count() > 1)
        .subquery(name)
    )


def _held_phones(actor: Actor) -> Any:
    """Whose identity each phone number is."""
    i, holder = customer_identity.c, customer.alias("holder")
    return (
        select(i.value, i.customer_id)
        .join(holder, holder.c.id == i.customer_id)
        .where(i.kind == "phone", _clear(actor, holder))
        .subquery("held")
    )


def _clear(actor: Actor, record: FromClause) -> ColumnElement[bool]:
    return within_scope(actor, READ_CONTACT, owner=record.c.owner_id, unit=record.c.unit_id)


def _astray() -> FromClause:
    """The customers' regions that are neither of the tree nor within one where it ends: below, any name will do.

    There are few of them, however many customers there are: each is looked for once.
    """
    other, around, within = customer.alias("with_regions"), region.alias("around"), region.alias("within")
    parts = func.string_to_array(other.c.region, "-", type_=ARRAY(Text))
    outer = [func.array_to_string(parts[1:most], "-") for most in range(1, MOST_LEVELS + 1)]
    ends = not_(select(within.c.code).where(within.c.parent == around.c.code).correlate(around).exists())
    known = select(around.c.code).where(around.c.code.in_(outer), or_(around.c.code == other.c.region, ends))
    some = select(other.c.region).where(other.c.region.is_not(None)).group_by(other.c.region)
    return some.having(not_(known.correlate(other).exists())).subquery("astray")


def _lacks_required() -> ColumnElement[bool]:
    """Whether a custom field has no value that everybody needs: the definition, or a file of customers, came later."""
    some = select(_f.key).where(_f.required).exists()  # asked once: most have none
    empty = func.coalesce(_c.custom.op("->>")(_f.key), "") == ""
    return and_(some, select(_f.key).where(_f.required, empty).correlate(customer).exists())


def _misfit() -> ColumnElement[bool]:
    """Whether a custom field holds what its definition does not take: that came, or changed, later."""
    value = _c.custom.op("->>")(_f.key)
    chosen = func.string_to_array(value, SEPARATOR, type_=ARRAY(Text))
    wrong = or_(
        and_(_f.type == "choice", value != all_(_f.options)),
        and_(_f.type == "multi_choice", not_(chosen.contained_by(_f.options))),
        and_(or_(_f.type == "number", _f.type == "money"), _outside(value)),
        and_(_f.type == "date", value.op("!~")(DAY)),
        and_(_f.type == "boolean", value != all_(literal(["true", "false"], ARRAY(Text)))),
    )
    found: ColumnElement[bool] = select(_f.key).where(_c.custom.has_key(_f.key), wrong).correlate(customer).exists()
    return found


def _outside(value: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether it is no number, or one below the least or above the most that the field takes."""
    number = cast(value, Numeric)
    beyond = or_(func.coalesce(number < _f.minimum, false()), func.coalesce(number > _f.maximum, false()))
    # In this order: what is no number cannot be compared with one.
    return case((value.op("!~")(NUMBER), true()), else_=beyond)
