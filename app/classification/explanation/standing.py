"""What stood at an instant, and what was in force: the class, what waits, a person's override, version, breakpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    and_,
    any_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from app.classification.explanation.moving import State
from app.classification.models import (
    breakpoints,
    class_change,
    class_override,
    customer_class,
    customer_metrics,
    recalculation,
    scheme,
    scheme_version,
)
from app.classification.queries import as_class, override_columns
from app.classification.refresh import CUSTOMER_ID
from app.classification.schemes import Published, SchemeFailing, read_document
from app.core import clock
from app.core.db import Prepared, ReadSession, Record
from app.core.errors import NotFound
from app.core.settings import get_settings
from app.customers.models import customer
from app.purchases.queries import last_recorded_at


@dataclass(frozen=True, slots=True)
class Standing:
    """A scheme's class of a customer, and what decided then. `in_force` is false when nothing had come into force."""

    state: State
    pending: dict[str, Any] | None
    override: dict[str, Any] | None
    version: int
    document: Any
    fit_id: UUID | None
    fitted: dict[str, Any]
    fitted_as_of: datetime | None
    in_force: bool


@dataclass(frozen=True, slots=True)
class Situation:
    """What stands of several schemes, and the instant by which the customer is judged.

    `measured`: the metrics are those of the facts up to that instant, not the stored ones that decided. `past`: it
    lies behind; what came after it is not looked at.
    """

    of: dict[str, Standing]
    as_of: datetime
    measured: bool
    past: bool


async def find(
    session: ReadSession, found: Published, keys: Sequence[str], customer_id: UUID, as_of: datetime | None
) -> Situation:
    """The first key is the scheme to explain. Raises `NotFound` when the customer has not been measured yet."""
    now = clock.business_now()
    if as_of is not None and as_of < now:
        then = _given(await session.all(_then(keys, customer_id, as_of)))
        return Situation({row["key"]: _standing_then(row, found) for row in then}, as_of, True, True)
    params = {"keys": list(keys), "first_key": keys[:1], "customer_id": customer_id, "now": now}
    rows = list(_given(await session.all(_now(), params)))
    standing = {row["key"]: _standing(row, found, row["version"], found.schemes[row["key"]].document) for row in rows}
    if as_of is not None:
        return Situation(standing, as_of, True, False)
    # Until the next review time changes nothing: what was decided then is what would be decided now.
    is_due = rows[0]["next_review_at"] is not None and rows[0]["next_review_at"] <= now
    return Situation(standing, rows[0]["decided_as_of"] if is_due else now, False, False)


def _given(rows: Sequence[Record]) -> Sequence[Record]:
    if not rows:
        raise NotFound("This customer has not been measured yet; ask for a recalculation")
    return rows


def _standing(row: Record, found: Published, version: int, document: Any) -> Standing:
    shown = as_class({**row, "scheme": row["key"], "score": None}, found.evaluation)
    forced, pending = shown["override"], shown["pending"]
    state = State(
        row["class"],
        row["since"],
        (pending["class"], pending["on"]) if pending else None,
        forced is not None,
        forced["expires_at"] if forced else None,
    )
    return Standing(
        state,
        pending,
        forced,
        version,
        document,
        row["fit_id"],
        row["fitted"] or {},
        row["fitted_as_of"],
        row["in_force"],
    )


def _standing_then(row: Record, found: Published) -> Standing:
    document = read_document(row["document"])
    if isinstance(document, str):
        raise SchemeFailing(document)
    return _standing(row, found, row["version"], document)


def _wanted(given: ColumnElement[Any]) -> tuple[ColumnElement[bool], ColumnElement[Any]]:
    return scheme.c.key == any_(given), func.array_position(given, scheme.c.key)


def _override_at(customer_id: ColumnElement[Any], at: ColumnElement[Any]) -> ColumnElement[bool]:
    o = class_override.c
    contains = o.period.contains(at)
    return and_(
        o.customer_id == customer_id, o.scheme == scheme.c.key, or_(o.status == "active", o.status == "ended"), contains
    )


# ---- now -------------------------------------------------------------------------------------------------------------


@lru_cache
def _now() -> Prepared:
    """What stands, and the instant as of which it was decided last.

    A class that was confirmed is not written again, so its row does not know that instant: it is that of the
    latest recalculation of everybody, which may lie in the past, unless the customer's facts came after it.
    """
    k, m = customer_class.c, customer_metrics.c
    wanted, position = _wanted(bindparam("keys", type_=ARRAY(Text)))
    whole = _latest_of_everybody()
    facts_known_at = func.greatest(customer.c.created_at, last_recorded_at(m.customer_id))
    decided_as_of = case(
        (whole.c.ended_at >= facts_known_at, whole.c.as_of), else_=func.greatest(k.as_of, m.as_of, breakpoints.c.as_of)
    )
    return Prepared(
        select(
            scheme.c.key,
            scheme.c.version,
            k.class_,
            k.since,
            k.pending_class,
            k.pending_on,
            *override_columns(),
            breakpoints.c.id.label("fit_id"),
            breakpoints.c["values"].label("fitted"),
            breakpoints.c.as_of.label("fitted_as_of"),
            m.next_review_at,
            decided_as_of.label("decided_as_of"),
            true().label("in_force"),
        )
        .select_from(customer_metrics)
        .join(customer, customer.c.id == m.customer_id)
        .join(scheme, wanted)
        .outerjoin(customer_class, (k.customer_id == m.customer_id) & (k.scheme == scheme.c.key))
        .outerjoin(breakpoints, breakpoints.c.id == scheme.c.breakpoints_id)
        .outerjoin(class_override, _override_at(CUSTOMER_ID, bindparam("now", type_=DateTime(timezone=True))))
        .outerjoin(whole, literal(True))
        .where(m.customer_id == CUSTOMER_ID)
        .order_by(position)
    )


def _latest_of_everybody() -> Any:
    """The latest recalculation of everybody in this scheme that has come to this customer."""
    r = recalculation.c
    came_by = or_(r.status == "completed", (r.phase == "classes") & (r.position >= CUSTOMER_ID))
    return (
        select(r.as_of, func.coalesce(r.finished_at, func.now()).label("ended_at"))
        .where(r.scope == "all", r.schemes.contains(bindparam("first_key", type_=ARRAY(Text))), came_by)
        .order_by(r.started_at.desc())
        .limit(1)
        .subquery("whole")
    )


# ---- then ------------------------------------------------------------------------------------------------------------


def _then(keys: Sequence[str], customer_id: UUID, at: datetime) -> Select[Any]:
    """What stood at a past instant by the history, and what was in force; the first there ever was if nothing was.

    Versions and breakpoints remember when they really came into force. Where the business clock is shifted, that says
    nothing about business time: there the customer's own history names the version, and breakpoints count from the
    instant as of which they were fitted.
    """
    shifted = get_settings().today is not None
    wanted, position = _wanted(literal(list(keys), ARRAY(Text)))
    changed, version = _change_before(customer_id, at), scheme_version.alias("version_then")
    v = version.c
    in_force = _version_then(changed, at, shifted=shifted)
    first = select(func.min(scheme_version.c.version)).where(
        scheme_version.c.scheme == scheme.c.key, scheme_version.c.status != "draft"
    )
    fit = _fit_then(v.version, at, shifted=shifted)
    return (
        select(
            scheme.c.key,
            v.version,
            v.document,
            changed.c.class_.label("class"),
            changed.c.since,
            literal(None, Text).label("pending_class"),
            literal(None, Text).label("pending_on"),
            *override_columns(),
            fit.c.id.label("fit_id"),
            fit.c.fitted,
            fit.c.as_of.label("fitted_as_of"),
            and_(in_force.is_not(None), func.coalesce(fit.c.in_force, true())).label("in_force"),
        )
        .select_from(customer_metrics)
        .join(scheme, wanted)
        .outerjoin(changed, true())
        .join(version, and_(v.scheme == scheme.c.key, v.version == func.coalesce(in_force, first.scalar_subquery())))
        .outerjoin(fit, true())
        .outerjoin(class_override, _override_at(literal(customer_id), literal(at, DateTime(timezone=True))))
        .where(customer_metrics.c.customer_id == customer_id)
        .order_by(position)
    )


def _change_before(customer_id: UUID, at: datetime) -> Any:
    h = class_change.c
    return (
        select(h.to_class.label("class_"), h.at.label("since"), h.version)
        .where(h.customer_id == customer_id, h.scheme == scheme.c.key, h.at <= at)
        .order_by(h.at.desc(), h.id.desc())
        .limit(1)
        .lateral("changed")
    )


def _version_then(changed: Any, at: datetime, *, shifted: bool) -> ColumnElement[Any]:
    if shifted:
        return func.coalesce(changed.c.version, case((scheme.c.version > 0, scheme.c.version)))
    v, r = scheme_version.c, recalculation.c
    # A version that was returned to says only when it was published last; its publications say when before.
    again = select(func.max(r.finished_at)).where(
        r.publishes == v.version, r.schemes[1] == v.scheme, r.status == "completed", r.finished_at <= at
    )
    since = func.greatest(case((v.published_at <= at, v.published_at)), again.scalar_subquery())
    found = select(v.version).where(v.scheme == scheme.c.key, since.is_not(None))
    return found.order_by(since.desc()).limit(1).scalar_subquery()


def _fit_then(version: ColumnElement[Any], at: datetime, *, shifted: bool) -> Any:
    b = breakpoints.c
    since = b.as_of if shifted else b.fitted_at
    was = since <= at
    return (
        select(b.id, b["values"].label("fitted"), b.as_of, was.label("in_force"))
        .where(b.scheme == scheme.c.key, b.version == version)
        .order_by(was.desc(), case((was, since)).desc(), since)
        .limit(1)
        .lateral("fit")
    )
