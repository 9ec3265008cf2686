"""Who acts, and what that one may do: pure values, no SQL, no HTTP."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

EVERYTHING = "*"


class Scope(StrEnum):
    """Whose rows a permission reaches. A customer is reached through its owner, its unit, or both."""

    OWN = "own"
    UNIT = "unit"
    SUBTREE = "subtree"
    ALL = "all"

    @property
    def breadth(self) -> int:
        return _BREADTH[self]


_BREADTH = {scope: breadth for breadth, scope in enumerate(Scope)}


@dataclass(frozen=True, slots=True)
class Actor:
    """A user, an API key or the system, with its permissions resolved.

    `unit_ids` are the actor's own units, `subtree_ids` these and all units below them. The permission
    `*`, always with the scope all, stands for every permission there is or will be. Whoever stands in for an absent
    user has that one's permissions and units, and keeps the own `id`: what is done carries the name of who does it.
    """

    kind: str
    id: UUID | None
    name: str
    permissions: Mapping[str, Scope] = field(default_factory=dict)
    unit_ids: tuple[UUID, ...] = ()
    subtree_ids: tuple[UUID, ...] = ()
    session_id: UUID | None = None
    roles: tuple[str, ...] = ()
    on_behalf_of: UUID | None = None

    @property
    def owner_id(self) -> UUID | None:
        """Whose rows are own ones: those of the absent user for whom the actor stands in, or the actor's."""
        return self.on_behalf_of or self.id

    def scope(self, permission: str) -> Scope | None:
        """How far the permission reaches; None without it."""
        return self.permissions.get(EVERYTHING) or self.permissions.get(permission)

    def may(self, permission: str) -> bool:
        return self.scope(permission) is not None


SYSTEM = Actor(kind="system", id=None, name="system", permissions={EVERYTHING: Scope.ALL})


def widest(grants: Iterable[Mapping[str, Scope]]) -> dict[str, Scope]:
    """Several roles' permissions together: the widest scope of each."""
    together: dict[str, Scope] = {}
    for grant in grants:
        for permission, scope in grant.items():
            held = together.get(permission)
            if held is None or scope.breadth > held.breadth:
                together[permission] = scope
    return together


def as_kept(actor: Actor) -> dict[str, Any]:
    """Whose rights long work has, to be kept with it. Without the name: it may change."""
    return {
        "kind": actor.kind,
        "id": actor.id,
        "permissions": dict(actor.permissions),
        "unit_ids": actor.unit_ids,
        "subtree_ids": actor.subtree_ids,
        "on_behalf_of": actor.on_behalf_of,
    }


def from_kept(kept: Mapping[str, Any]) -> Actor:
    """Who asked for the work, with the rights of that moment."""
    return Actor(
        kind=kept["kind"],
        id=UUID(kept["id"]) if kept["id"] else None,
        name=kept["kind"],
        permissions=permissions_from(kept["permissions"]),
        unit_ids=tuple(map(UUID, kept["unit_ids"])),
        subtree_ids=tuple(map(UUID, kept["subtree_ids"])),
        on_behalf_of=UUID(absent) if (absent := kept.get("on_behalf_of")) else None,
    )


def permissions_from(stored: Mapping[str, str]) -> dict[str, Scope]:
    """Permissions as the database keeps them, as values."""
    return {permission: Scope(scope) for permission, scope in stored.items()}
