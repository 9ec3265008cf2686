"""What must hold of the audit trail, nothing of which under a seal was changed or moved, and of data requests."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, any_, cast, extract, func, literal_column, or_, select
from sqlalchemy import Uuid as UuidType

from app.core.audit import audit_event
from app.core.checks import Check, announced
from app.governance import hashes
from app.governance.events import DataRequestDecided, DataRequestReceived
from app.governance.models import audit_seal
from app.governance.requests import DECIDED, RECEIVED
from app.governance.sealing import MARGIN

_s, _e = audit_seal.c, audit_event.c
_seals = select(func.count()).select_from(audit_seal)
_named = select(_s.sequence.label("seal"), func.unnest(_s.events).label("event_id")).subquery()
_order = select(
    _s.sequence,
    _s.previous,
    func.lag(_s.sequence).over(order_by=_s.sequence).label("before"),
    func.lag(_s.hash).over(order_by=_s.sequence).label("hash_before"),
).subquery()
_FIRST: ColumnElement[bytes] = literal_column(f"'\\x{hashes.FIRST.hex()}'::bytea")


def _oldest_id(instant: Any) -> ColumnElement[Any]:
    """The least id that can have been made at an instant."""
    zero: ColumnElement[str] = literal_column("'0'")
    none: ColumnElement[int] = literal_column("0")
    milliseconds = cast(func.greatest(extract("epoch", instant), none) * literal_column("1000"), BigInteger)
    digits = func.lpad(func.to_hex(milliseconds), literal_column("12"), zero)
    return cast(func.rpad(digits, literal_column("32"), zero), UuidType)


_settled = select(func.max(_s.settled) - literal_column(f"interval '{MARGIN.total_seconds():.0f} s'")).scalar_subquery()

CHECKS = [
    announced(RECEIVED, DataRequestReceived.name, "data_request_id", "data request received"),
    announced(DECIDED, DataRequestDecided.name, "data_request_id", "data request decided"),
    Check(
        "what was audited and sealed is as it was",
        examined=_seals,
        violations=select(_s.sequence.label("seal"), _s.at)
        .where(
            _s.hash
            != hashes.of_seal(
                _s.sequence, _s.at, _s.settled, _s.previous, hashes.of_events(_e.id == any_(_s.events), of=audit_seal)
            )
        )
        .order_by(_s.sequence),
    ),
    Check(
        "every audit event that was sealed is there",
        examined=select(func.count()).select_from(_named),
        violations=select(_named)
        .where(~select(_e.id).where(_e.id == _named.c.event_id).exists())
        .order_by(_named.c.event_id),
    ),
    Check(
        "each seal of the audit trail follows the one before",
        examined=_seals,
        violations=select(_order.c.sequence.label("seal"))
        .where(
            or_(
                _order.c.sequence != func.coalesce(_order.c.before, literal_column("0")) + literal_column("1"),
                _order.c.previous != func.coalesce(_order.c.hash_before, _FIRST),
            )
        )
        .order_by(_order.c.sequence),
    ),
    Check(
        "no audit event was put behind a seal",
        examined=select(func.count()).select_from(audit_event),
        violations=select(_e.id.label("event_id"), _e.at)
        .where(_e.id < _oldest_id(_settled))
        .where(~select(_named.c.event_id).where(_named.c.event_id == _e.id).exists())
        .order_by(_e.id),
    ),
]
