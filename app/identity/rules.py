"""Who may hand on what: nobody grants more than they hold, nor to where they do not reach."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from app.identity.actor import EVERYTHING, Actor, Scope


def reaches_unit(actor: Actor, permission: str, unit_id: UUID | None) -> bool:
    """Whether the permission reaches what lies in this unit; None is outside every unit."""
    scope = actor.scope(permission)
    if scope is Scope.ALL:
        return True
    if scope is Scope.SUBTREE:
        return unit_id in actor.subtree_ids
    return scope is Scope.UNIT and unit_id in actor.unit_ids


def may_grant(actor: Actor, permission: str, scope: Scope, *, unit_id: UUID | None) -> bool:
    """Whether the actor may give this permission to someone in this unit.

    The same word reaches different rows in different units, so a scope that is no wider than the actor's
    own is not enough: the unit must lie within the actor's reach, too.
    """
    held = actor.permissions.get(EVERYTHING) if permission == EVERYTHING else actor.scope(permission)
    if held is None or scope.breadth > held.breadth:
        return False
    if held is Scope.ALL or scope is Scope.OWN or unit_id is None:
        return True
    return unit_id in (actor.unit_ids if held is Scope.UNIT else actor.subtree_ids)


def may_grant_everywhere(actor: Actor, permission: str, scope: Scope) -> bool:
    """Whether the actor may put this permission into a role, whose holders can be in any unit."""
    held = actor.permissions.get(EVERYTHING) if permission == EVERYTHING else actor.scope(permission)
    return held is Scope.ALL or (scope is Scope.OWN and held is not None)


def beyond(actor: Actor, permissions: Mapping[str, Scope], *, unit_id: UUID | None) -> list[str]:
    """The permissions that the actor may not give to someone in this unit."""
    return sorted(name for name, scope in permissions.items() if not may_grant(actor, name, scope, unit_id=unit_id))


def beyond_in(actor: Actor, permissions: Mapping[str, Scope], unit_ids: Iterable[UUID | None]) -> list[str]:
    """The permissions that the actor may not give to someone who is in all of these units."""
    return sorted({name for unit_id in unit_ids for name in beyond(actor, permissions, unit_id=unit_id)})


def beyond_everywhere(actor: Actor, permissions: Mapping[str, Scope]) -> list[str]:
    """The permissions that the actor may not put into a role."""
    return sorted(name for name, scope in permissions.items() if not may_grant_everywhere(actor, name, scope))


def brought_up_to_date(held: Mapping[str, str], seeded: Mapping[str, str], preset: Mapping[str, str]) -> dict[str, str]:
    """What a preset role holds after seeding: the preset's word wherever nobody decided otherwise.

    A permission that is held (or not) as it was last seeded follows the preset; one that an administrator added, took
    away or gave another scope stays as it is.
    """
    new = {name: scope for name, scope in preset.items() if held.get(name) == seeded.get(name)}
    decided = {name: scope for name, scope in held.items() if scope != seeded.get(name)}
    return new | decided
