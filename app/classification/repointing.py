"""What becomes of classes when their customer is merged into another, and what is decided anew.

What was measured and decided of the merged customer waits until the merge is undone. Its history stays under its own
id, closed by a change into no class. The survivor is measured and decided with all facts, as if they had been its own.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Numeric,
    Text,
    and_,
    any_,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import distinct_on

from app.classification.models import (
    class_change,
    class_override,
    customer_class,
    customer_metrics,
    dirty_customer,
    scheme,
    segment_member,
    simulation_move,
)
from app.core import clock
from app.core.db import WriteSession
from app.customers.merging.places import Moves, Place, SetAside, Stays

MERGED = "merge"
_h, _k = class_change.c, customer_class.c

PLACES: list[Place] = [
    SetAside(customer_metrics),
    SetAside(customer_class, key=("scheme",)),
    SetAside(dirty_customer),
    Stays(class_change),
    Stays(simulation_move),
    Moves(segment_member, key=("scheme",), clashes=lambda mine, theirs: mine.c.scheme == theirs.c.scheme),
    # What was overridden once is history, and stays; what is in force or waits applies to the survivor.
    Moves(
        class_override,
        only=lambda mine: mine.c.status.in_(("proposed", "active")),
        clashes=lambda mine, theirs: and_(
            mine.c.scheme == theirs.c.scheme,
            or_(
                mine.c.period.overlaps(theirs.c.period),
                and_(mine.c.status == "proposed", theirs.c.status == "proposed"),
            ),
        ),
    ),
]


async def follow_history(session: WriteSession, customer_ids: Sequence[UUID]) -> None:
    """Write down how these customers' classes differ from what their histories say: what merging took or put back."""
    those = any_(literal(list(customer_ids), ARRAY(UuidType)))
    retired = select(scheme.c.key).where(scheme.c.retired_at.is_not(None))
    await session.execute(delete(customer_class).where(_k.customer_id == those, _k.scheme.in_(retired)))
    await session.execute(update(customer_metrics).where(customer_metrics.c.customer_id == those).values(decided=None))
    last = (
        select(_h.customer_id, _h.scheme, _h.to_class, _h.version, _h.breakpoints_id)
        .ext(distinct_on(_h.customer_id, _h.scheme))
        .where(_h.customer_id == those)
        .order_by(_h.customer_id, _h.scheme, _h.id.desc())
        .subquery("last")
    )
    stands = select(customer_class).where(_k.customer_id == those).subquery("stands")
    s, t = last.c, stands.c
    now = literal(clock.business_now())
    values: dict[str, ColumnElement[Any]] = {
        "customer_id": func.coalesce(t.customer_id, s.customer_id),
        "scheme": func.coalesce(t.scheme, s.scheme),
        "from_class": s.to_class,
        "to_class": t.class_,
        "at": now,
        "as_of": now,
        "version": func.coalesce(t.version, s.version),
        "breakpoints_id": case((t.version.is_(None), s.breakpoints_id), else_=t.breakpoints_id),
        "score": t.score,
        "inputs": cast(literal("{}", Text), ARRAY(Numeric)),
        "cause": literal(MERGED, Text),
        "actor": literal(session.principal, Text),
        "correlation_id": literal(session.correlation_id, Text),
    }
    both = last.join(stands, and_(t.customer_id == s.customer_id, t.scheme == s.scheme), full=True)
    differing = select(*values.values()).select_from(both).where(s.to_class.is_distinct_from(t.class_))
    await session.execute(insert(class_change).from_select(list(values), differing))
