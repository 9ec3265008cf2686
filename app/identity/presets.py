"""The roles that every company starts with. Data: the names belong to the packages that declare them."""

from dataclasses import dataclass

from app.identity.actor import EVERYTHING, Scope

_OWN, _UNIT, _SUBTREE, _ALL = Scope.OWN, Scope.UNIT, Scope.SUBTREE, Scope.ALL


@dataclass(frozen=True, slots=True)
class PresetRole:
    """A role as it comes with the service; a company may edit it."""

    key: str
    title: str
    permissions: dict[str, Scope]


_DEFINITIONS = {"schemes:read": _ALL, "roles:read": _ALL, "exchange_rates:read": _ALL}

PRESET_ROLES = (
    PresetRole("admin", "Administrator", {EVERYTHING: _ALL}),
    PresetRole(
        "executive",
        "Executive",
        {
            **_DEFINITIONS,
            "customers:read": _ALL,
            "customers:read_contact": _ALL,
            "consents:read": _ALL,
            "notes:read": _ALL,
            "purchases:read": _ALL,
            "classes:read": _ALL,
            "segments:read": _ALL,
            "classes:propose_override": _ALL,
            "classes:override": _ALL,
            "recalculations:read": _ALL,
            "predictions:read": _ALL,
            "simulations:read": _ALL,
            "simulations:write": _ALL,
            "schemes:publish": _ALL,
            "imports:read": _ALL,
            "users:read": _ALL,
            "units:read": _ALL,
            "audit:read": _ALL,
            "jobs:read": _ALL,
        },
    ),
    PresetRole(
        "department_manager",
        "Department manager",
        {
            **_DEFINITIONS,
            "customers:read": _SUBTREE,
            "customers:read_contact": _SUBTREE,
            "customers:write": _SUBTREE,
            "consents:read": _SUBTREE,
            "consents:write": _SUBTREE,
            "notes:read": _SUBTREE,
            "notes:write": _SUBTREE,
            "customers:delete": _SUBTREE,
            "purchases:read": _SUBTREE,
            "purchases:write": _SUBTREE,
            "purchases:delete": _SUBTREE,
            "classes:read": _SUBTREE,
            "segments:read": _SUBTREE,
            "segments:write": _SUBTREE,
            "classes:propose_override": _SUBTREE,
            "classes:override": _SUBTREE,
            "recalculations:read": _ALL,
            "predictions:read": _ALL,
            "simulations:read": _SUBTREE,
            "simulations:write": _SUBTREE,
            "users:read": _SUBTREE,
            "users:write": _SUBTREE,
            "units:read": _SUBTREE,
            "units:write": _SUBTREE,
        },
    ),
    PresetRole(
        "team_lead",
        "Team lead",
        {
            **_DEFINITIONS,
            "customers:read": _UNIT,
            "customers:read_contact": _UNIT,
            "customers:write": _UNIT,
            "consents:read": _UNIT,
            "consents:write": _UNIT,
            "notes:read": _UNIT,
            "notes:write": _UNIT,
            "purchases:read": _UNIT,
            "purchases:write": _UNIT,
            "classes:read": _UNIT,
            "segments:read": _UNIT,
            "segments:write": _UNIT,
            "classes:propose_override": _UNIT,
            "users:read": _UNIT,
            "units:read": _UNIT,
        },
    ),
    PresetRole(
        "sales",
        "Sales",
        {
            "schemes:read": _ALL,
            "customers:read": _OWN,
            "customers:read_contact": _OWN,
            "customers:write": _OWN,
            "consents:read": _OWN,
            "consents:write": _OWN,
            "notes:read": _OWN,
            "notes:write": _OWN,
            "purchases:read": _OWN,
            "purchases:write": _OWN,
            "classes:read": _OWN,
            "segments:read": _OWN,
            "segments:write": _OWN,
            "classes:propose_override": _OWN,
        },
    ),
    PresetRole(
        "service",
        "Service",
        {
            "schemes:read": _ALL,
            "customers:read": _UNIT,
            "customers:read_contact": _UNIT,
            "customers:write": _UNIT,
            "consents:read": _UNIT,
            "consents:write": _UNIT,
            "notes:read": _UNIT,
            "notes:write": _UNIT,
            "purchases:read": _UNIT,
            "classes:read": _UNIT,
            "segments:read": _UNIT,
        },
    ),
    PresetRole(
        "marketing",
        "Marketing",
        {
            "schemes:read": _ALL,
            "customers:read": _ALL,
            "consents:read": _ALL,
            "tags:write": _ALL,
            "purchases:read": _ALL,
            "classes:read": _ALL,
            "segments:read": _ALL,
            "segments:write": _ALL,
            "recalculations:read": _ALL,
            "predictions:read": _ALL,
            "simulations:read": _ALL,
            "simulations:write": _ALL,
        },
    ),
    PresetRole(
        "analyst",
        "Analyst",
        {
            **_DEFINITIONS,
            "customers:read": _ALL,
            "purchases:read": _ALL,
            "classes:read": _ALL,
            "schemes:write": _ALL,
            "segments:read": _ALL,
            "segments:write": _ALL,
            "recalculations:read": _ALL,
            "predictions:read": _ALL,
            "simulations:read": _ALL,
            "simulations:write": _ALL,
            "imports:read": _ALL,
            "users:read": _ALL,
            "units:read": _ALL,
            "audit:read": _ALL,
            "jobs:read": _ALL,
        },
    ),
    PresetRole("customer", "Customer", {}),
)
