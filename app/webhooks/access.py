"""Events are of everybody: whoever may see a part of the customers only may not have them."""

from app.core.errors import Forbidden
from app.identity.actor import Actor, Scope


def everywhere(actor: Actor, permission: str) -> None:
    """Raises `Forbidden` unless the permission reaches all."""
    if actor.scope(permission) is not Scope.ALL:
        raise Forbidden(f"This needs the permission {permission} with the scope all: events are of every customer")
