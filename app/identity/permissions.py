"""The names of all permissions: whoever checks one declares it; a role can only hold what is declared."""

import re
from collections.abc import Mapping

from app.core.errors import FieldError, Invalid
from app.identity.actor import EVERYTHING, Scope

_NAME = re.compile(r"^[a-z][a-z_]{0,40}:[a-z][a-z_]{0,40}$")
_OF_ONESELF = "my_"
_known: set[str] = set()


def declare(name: str) -> str:
    """Make a permission known and return its name, such as `customers:read`."""
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not of the form resource:action")
    _known.add(name)
    return name


def known_permissions() -> frozenset[str]:
    """Every permission declared by the packages that are loaded."""
    return frozenset(_known)


def of_oneself(permissions: Mapping[str, Scope]) -> dict[str, Scope]:
    """Those of self-service: all that the account of a customer may hold, whatever its roles say."""
    return {name: scope for name, scope in permissions.items() if name.startswith(_OF_ONESELF)}


def check_known(permissions: Mapping[str, Scope], *, pointer: str) -> None:
    """Raises `Invalid` naming each permission that nobody declared, and a narrowed `*`."""
    wrong = [
        FieldError(_below(pointer, name), "There is no such permission; GET /v1/permissions lists them")
        for name in permissions
        if name != EVERYTHING and name not in _known
    ]
    if permissions.get(EVERYTHING, Scope.ALL) is not Scope.ALL:
        wrong.append(FieldError(_below(pointer, EVERYTHING), "Every permission (*) has the scope all"))
    if wrong:
        raise Invalid("Correct the permissions named in errors", errors=wrong)


def _below(pointer: str, name: str) -> str:
    return f"{pointer}/" + name[:100].replace("~", "~0").replace("/", "~1")
