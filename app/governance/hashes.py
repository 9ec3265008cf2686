"""What a seal says, as SQL: the same expressions make it and prove it, so PostgreSQL alone can verify a chain."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, ScalarSelect, Text, case, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.core.audit import audit_event

FIRST = bytes(32)
"""What stands for the hash of the seal before the first."""

_KEPT = ("actor_kind", "actor_id", "action", "resource", "resource_id", "before", "after", "request_id")
_INSTANT: ColumnElement[str] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US'""")
_UTC: ColumnElement[str] = literal_column("'UTC'")
_UTF8: ColumnElement[str] = literal_column("'UTF8'")
_HEX: ColumnElement[str] = literal_column("'hex'")
_NOTHING: ColumnElement[Any] = literal_column("'[]'::jsonb")
_NO_BYTES: ColumnElement[bytes] = literal_column("''::bytea")


def of_seal(
    sequence: ColumnElement[Any],
    at: ColumnElement[Any],
    settled: ColumnElement[Any],
    previous: ColumnElement[Any],
    events: ScalarSelect[Any],
) -> ColumnElement[bytes]:
    """The hash of a seal: over the seal before, over itself, and over its events (see `of_events`)."""
    return _sha256(
        sequence,
        _instant(at),
        _instant(settled),
        func.encode(previous, _HEX),
        func.encode(func.coalesce(events, _NO_BYTES), _HEX),
    )


def of_events(under: ColumnElement[bool], *, of: FromClause | None = None) -> ScalarSelect[Any]:
    """The hashes of these events one after the other, by id; `of` is the table that the condition is about, too."""
    each = _of_event()
    together = select(func.string_agg(each, aggregate_order_by(_NO_BYTES, audit_event.c.id))).where(under)
    return (together if of is None else together.correlate(of)).scalar_subquery()


def _of_event() -> ColumnElement[bytes]:
    e = audit_event.c
    # One value more only where there is one: events from before delegations keep the hash that was sealed.
    behalf = case((e.on_behalf_of.is_not(None), func.jsonb_build_array(e.on_behalf_of)), else_=_NOTHING)
    return _sha256(e.id, _instant(e.at), *(e[name] for name in _KEPT), more=behalf)


def _sha256(*values: Any, more: ColumnElement[Any] | None = None) -> ColumnElement[bytes]:
    # As an array of JSON, so that no value can be moved from one field into the next; jsonb has one way to be written.
    array: ColumnElement[Any] = func.jsonb_build_array(*values)
    written = cast(array if more is None else array.op("||")(more), Text)
    hashed: ColumnElement[bytes] = func.sha256(func.convert_to(written, _UTF8))
    return hashed


def _instant(value: ColumnElement[Any]) -> ColumnElement[str]:
    # Not as PostgreSQL writes it by itself: that depends on the session's time zone.
    written: ColumnElement[str] = func.to_char(func.timezone(_UTC, value), _INSTANT)
    return written
