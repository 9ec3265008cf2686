"""What becomes of the customers of a deleted scheme: they leave it, with a last line in their history."""

from sqlalchemy import ARRAY, Numeric, Text, cast, delete, insert, literal, select, update

from app.classification import overrides
from app.classification.models import class_change, customer_class, customer_metrics, segment_member
from app.classification.recalculate import ONE_AT_A_TIME
from app.core import clock
from app.core.db import WriteSession
from app.core.jobs import Interrupted, JobContext, alone
from app.customers.queries import keep_all

RETIRED = "retired"
CHUNK = 10_000


async def run_emptying(context: JobContext) -> None:
    """The job: after whatever recalculation still knew the scheme, a chunk at a time."""
    key, actor = context.payload["scheme"], context.payload["actor"]
    async with alone(context, ONE_AT_A_TIME):
        left = True
        while left:
            async with context.database.transaction(correlation_id=context.correlation_id) as session:
                left = await _take_some_out(session, key, actor) == CHUNK
            if left and context.stopping.is_set():
                raise Interrupted
        async with context.database.transaction() as session:
            await session.execute(delete(segment_member).where(segment_member.c.scheme == key))
            await overrides.end_all(session, key, actor)


async def _take_some_out(session: WriteSession, key: str, actor: str) -> int:
    await keep_all(session)
    k = customer_class.c
    some = select(k.customer_id).where(k.scheme == key).order_by(k.class_, k.customer_id)
    chosen = some.limit(CHUNK).with_for_update().cte("chosen")
    gone = (
        delete(customer_class)
        .where(k.scheme == key, k.customer_id.in_(select(chosen.c.customer_id)))
        .returning(k.customer_id, k.class_, k.version, k.breakpoints_id, k.score)
        .cte("gone")
    )
    m = customer_metrics.c
    forgotten = (
        update(customer_metrics)
        .values(decided=None)
        .where(m.customer_id.in_(select(gone.c.customer_id)), m.decided.is_not(None))
        .cte("forgotten")
    )
    now = literal(clock.business_now())
    values = {
        "customer_id": gone.c.customer_id,
        "scheme": literal(key, Text),
        "from_class": gone.c.class_,
        "at": now,
        "as_of": now,
        "version": gone.c.version,
        "breakpoints_id": gone.c.breakpoints_id,
        "inputs": cast(literal("{}", Text), ARRAY(Numeric)),
        "cause": literal(RETIRED, Text),
        "actor": literal(actor, Text),
        "correlation_id": literal(session.correlation_id, Text),
    }
    logged = insert(class_change).from_select(list(values), select(*values.values())).add_cte(forgotten)
    return await session.execute(logged)
