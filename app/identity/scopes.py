"""A permission's scope as an SQL condition: the one translation from who asks to which rows."""

from typing import Any

from sqlalchemy import ColumnElement, any_, bindparam, false, true
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.identity.actor import Actor, Scope


def within_scope(
    actor: Actor, permission: str, *, owner: ColumnElement[Any], unit: ColumnElement[Any]
) -> ColumnElement[bool]:
    """True for rows whose owner or unit the actor's permission reaches; false for all without the permission.

    Its parameters carry names, so that a statement prepared for one scope serves every actor of that scope
    (see `scope_params`).
    """
    scope = actor.scope(permission)
    if scope is None:
        return false()
    if scope is Scope.ALL:
        return true()
    # Never null, so that it can be negated, and yet a plain comparison, so that an index finds the rows.
    actor_id = bindparam("actor_id", actor.owner_id, UuidType)
    owned = (owner == actor_id) & owner.is_not(None) & actor_id.is_not(None)
    if scope is Scope.OWN:
        return owned
    name = f"actor_{scope}_ids"
    units = any_(bindparam(name, scope_params(actor)[name], ARRAY(UuidType)))
    return owned | ((unit == units) & unit.is_not(None))


def scope_params(actor: Actor) -> dict[str, Any]:
    """The values of `within_scope`'s parameters for this actor."""
    return {
        "actor_id": actor.owner_id,
        "actor_unit_ids": list(actor.unit_ids),
        "actor_subtree_ids": list(actor.subtree_ids),
    }
