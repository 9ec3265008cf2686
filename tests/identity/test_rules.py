from uuid import UUID

import pytest

from app.identity.actor import SYSTEM, Actor, Scope, widest
from app.identity.rules import brought_up_to_date, may_grant, may_grant_everywhere, reaches_unit

HERE, BELOW, ELSEWHERE = UUID(int=1), UUID(int=2), UUID(int=3)


def holding(scope: Scope | None, permission: str = "users:write") -> Actor:
    permissions = {} if scope is None else {permission: scope}
    return Actor("user", UUID(int=9), "", permissions, unit_ids=(HERE,), subtree_ids=(HERE, BELOW))


@pytest.mark.parametrize(
    ("scope", "reached"),
    [
        (None, []),
        (Scope.OWN, []),
        (Scope.UNIT, [HERE]),
        (Scope.SUBTREE, [HERE, BELOW]),
        (Scope.ALL, [HERE, BELOW, ELSEWHERE, None]),
    ],
)
def test_a_scope_reaches_its_units_and_no_others(scope: Scope | None, reached: list[UUID | None]) -> None:
    actor = holding(scope)
    assert [unit for unit in (HERE, BELOW, ELSEWHERE, None) if reaches_unit(actor, "users:write", unit)] == reached


@pytest.mark.parametrize(
    ("held", "given", "unit_id", "allowed"),
    [
        (None, Scope.OWN, HERE, False),
        (Scope.OWN, Scope.OWN, ELSEWHERE, True),
        (Scope.OWN, Scope.UNIT, HERE, False),
        (Scope.UNIT, Scope.UNIT, HERE, True),
        (Scope.UNIT, Scope.UNIT, BELOW, False),
        (Scope.UNIT, Scope.SUBTREE, HERE, False),
        (Scope.SUBTREE, Scope.SUBTREE, BELOW, True),
        (Scope.SUBTREE, Scope.SUBTREE, ELSEWHERE, False),
        (Scope.SUBTREE, Scope.SUBTREE, None, True),
        (Scope.SUBTREE, Scope.ALL, HERE, False),
        (Scope.ALL, Scope.ALL, ELSEWHERE, True),
    ],
)
def test_nobody_grants_more_than_they_hold_there(
    held: Scope | None, given: Scope, unit_id: UUID | None, allowed: bool
) -> None:
    assert may_grant(holding(held), "users:write", given, unit_id=unit_id) is allowed


def test_every_permission_can_only_be_handed_on_by_who_holds_every_permission() -> None:
    everyone_elses = holding(Scope.ALL)
    assert not may_grant(everyone_elses, "*", Scope.ALL, unit_id=None)
    assert may_grant(SYSTEM, "*", Scope.ALL, unit_id=None)
    assert not may_grant_everywhere(everyone_elses, "*", Scope.ALL)


def test_a_role_reaches_other_units_so_it_takes_the_scope_all_to_fill_it() -> None:
    assert not may_grant_everywhere(holding(Scope.SUBTREE), "users:write", Scope.UNIT)
    assert may_grant_everywhere(holding(Scope.SUBTREE), "users:write", Scope.OWN)
    assert may_grant_everywhere(holding(Scope.ALL), "users:write", Scope.UNIT)


def test_the_wildcard_gives_every_permission_with_the_scope_all() -> None:
    assert SYSTEM.scope("whatever:comes") is Scope.ALL
    assert not holding(Scope.ALL).may("whatever:comes")


def test_several_roles_give_the_widest_scope_of_each_permission() -> None:
    one = {"users:read": Scope.OWN, "roles:read": Scope.ALL}
    other = {"users:read": Scope.SUBTREE}
    assert widest([one, other]) == {"users:read": Scope.SUBTREE, "roles:read": Scope.ALL}


@pytest.mark.parametrize(
    ("seeded", "held", "preset", "becomes"),
    [
        (None, None, "own", "own"),  # new in this release
        ("own", "own", "unit", "unit"),  # nobody touched it
        ("own", "own", None, None),  # the preset no longer has it
        ("own", None, "own", None),  # the administrator took it away
        ("own", None, "unit", None),
        ("own", "all", "own", "all"),  # the administrator widened it
        ("own", "all", "unit", "all"),
        ("own", "all", None, "all"),
        (None, "all", None, "all"),  # the administrator added it
        (None, "all", "own", "all"),
    ],
)
def test_seeding_follows_the_preset_wherever_nobody_decided_otherwise(
    seeded: str | None, held: str | None, preset: str | None, becomes: str | None
) -> None:
    def permissions(scope: str | None) -> dict[str, str]:
        return {"users:read": "unit"} | ({} if scope is None else {"cases:read": scope})

    found = brought_up_to_date(permissions(held), permissions(seeded), permissions(preset))
    assert found == permissions(becomes)
