"""Each use of a scope that a route of one customer meets is taken away: a test must fail without it.

Which routes meet which use is watched, not named. The matrix misses most of them for one of their routes; those that
decide of something else than whether the customer is reached are taken out of a copy of the source, for tests of their
own. `make mutate` runs this, too.
"""

import linecache
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import true

from app.customers import document
from app.directory import queries, timeline
from app.identity import scopes
from app.purchases import service as purchases
from tests.test_access_matrix import test_a_route_of_a_customer_reaches_as_far_as_the_scope as of_a_customer
from tests.test_scope_mutations import ROOT, Site, _call
from tests.world import OF_A_CUSTOMER, World, company

pytestmark = pytest.mark.slow

ROUTES = sorted(OF_A_CUSTOMER)
COPIED = ("app", "migrations", "tests", "pyproject.toml", "alembic.ini")
ANYBODY = '__import__("sqlalchemy").true()'


@dataclass(frozen=True, slots=True)
class Use:
    """A use in the source, and the tests that must fail without it."""

    file: str
    text: str
    tests: str
    call: str = "visible_to("

    def taken_away(self) -> str:
        """The text without it."""
        start = self.text.index(self.call)
        end = self.text.index(")", start) + 1
        return self.text[:start] + ANYBODY + self.text[end:]


APART = {
    "masks": Use("customers/document.py", "clear = visible_to(actor, READ_CONTACT)", "test_masking.py"),
    "where one may put": Use(
        "customers/service.py", "customer.c.id == customer_id, visible_to(actor, WRITE)", "customers/test_reach.py"
    ),
    "who survived": Use("customers/merging/queries.py", ".where(visible_to(actor))", "customers/test_merging.py"),
    "names of people": Use(
        "customers/people.py",
        "customer.c.id == t.person_id, visible_to(actor)",
        "customers/test_parts.py",
    ),
    "who decides": Use(
        "classification/overrides.py",
        "visible_to(actor, OVERRIDE)",
        "classification/test_overrides.py",
    ),
    "both of a pair": Use(
        "customers/duplicates/queries.py", "and_(visible_to(actor, permission), other)", "customers/test_duplicates.py"
    ),
    "purchases": Use("purchases/queries.py", '.where(visible_to(actor, "purchases:read"))', "test_collections.py"),
    "members": Use(
        "customers/queries.py", "ARRAY(UuidType))), visible_to(actor, permission)", "classification/test_groups.py"
    ),
    "an entry's customer": Use("directory/timeline.py", "visible_to(reader, _READ),", "directory/test_timeline.py"),
    "an entry": Use("directory/timeline.py", "visible_to(reader, part.permission),", "directory/test_timeline.py"),
    "whose purchases": Use(
        "classification/portraits/groups.py", "visible_to(actor, READ_PURCHASES)", "classification/test_portraits.py"
    ),
    "who is portrayed": Use(
        "classification/portraits/groups.py",
        ".where(visible_to(actor, permission))",
        "classification/test_portraits.py",
    ),
    "where one may transfer": Use(
        "customers/transfers.py", "those, visible_to(actor, TRANSFER)", "customers/test_transfers.py"
    ),
}
"""Met by a route of one customer."""

ELSEWHERE = {
    "users": Use(
        "identity/queries.py",
        "every_user().where(within_scope(actor, permission, owner=user_account.c.id, unit=user_account.c.unit_id)",
        "identity/test_users.py",
        "within_scope(",
    ),
    "users shown": Use(
        "identity/queries.py",
        "home = within_scope(actor, permission, owner=user_account.c.id, unit=user_account.c.unit_id)",
        "identity/test_memberships.py",
        "within_scope(",
    ),
    "who is in a unit": Use(
        "identity/queries.py",
        "_holds(day), _units_reached(actor, permission, m.unit_id)",
        "identity/test_memberships.py",
        "_units_reached(",
    ),
    "delegations": Use(
        "identity/queries.py",
        "reached = within_scope(actor, permission, owner=user_account.c.id, unit=user_account.c.unit_id)",
        "identity/test_delegations.py",
        "within_scope(",
    ),
    "units": Use(
        "identity/queries.py",
        "select(tree).where(_units_reached(actor, permission, tree.c.id)",
        "identity/test_units.py",
        "_units_reached(",
    ),
    "API keys": Use(
        "identity/queries.py",
        "within_scope(actor, permission, owner=api_key.c.created_by, unit=api_key.c.unit_id)",
        "identity/test_api_keys.py",
        "within_scope(",
    ),
    "an import": Use(
        "imports/queries.py", "imports.c.id == import_id, visible_to(actor, permission)", "imports/test_imports_api.py"
    ),
    "imports": Use("imports/queries.py", "_shown.where(visible_to(actor))", "imports/test_imports_api.py"),
    "who is merged": Use(
        "customers/merging/merge.py", ".where(wanted, visible_to(actor, PERMISSION))", "customers/test_merging.py"
    ),
    "merges": Use("customers/merging/queries.py", ".where(visible_to(actor, PERMISSION))", "customers/test_merging.py"),
    "whose a reference is": Use(
        "customers/references.py",
        "select(i.value, i.customer_id, visible_to(actor, permission))",
        "customers/test_importing_customers.py",
    ),
    "whose an identity is": Use(
        "customers/references.py", ".where(visible_to(actor, permission))", "purchases/test_batches.py"
    ),
    "a company": Use("customers/service.py", "is_company, visible_to(actor)", "customers/test_customers.py"),
    "a batch of interactions": Use(
        "interactions/batch.py", "visible_to(anybody, WRITE)", "interactions/test_batches.py"
    ),
    "simulations": Use(
        "classification/movers.py", "visible_to(actor, READ), visible_to", "classification/test_simulation_runs.py"
    ),
    "who would move": Use(
        "classification/movers.py", "visible_to(actor, READ_CUSTOMERS))", "classification/test_simulation_runs.py"
    ),
    "masks in files": Use("directory/exports.py", "contact(visible_to(actor, READ_CONTACT))", "test_masking.py"),
    "identities one may look for": Use(
        "directory/queries.py", "[*conditions, visible_to(actor, READ_CONTACT)]", "test_masking.py"
    ),
    "contacts one may search by": Use(
        "directory/queries.py", "case((visible_to(self._actor, READ_CONTACT)", "test_masking.py"
    ),
    "whom a transfer of many means": Use(
        "directory/moving.py",
        "conditions = [visible_to(actor, TRANSFER), *self._from()]",
        "directory/test_transfers_of_many.py",
    ),
    "by what a transfer of many asks": Use(
        "directory/moving.py", "conditions += [visible_to(actor), await", "directory/test_transfers_of_many.py"
    ),
    "where a transfer of many leads": Use(
        "directory/moving.py",
        "return within_scope(actor, TRANSFER, owner=owner_id, unit=unit_id)",
        "directory/test_transfers_of_many.py",
        "within_scope(",
    ),
}
"""Met by the others: of those that no other mutation run takes away."""


@pytest.mark.parametrize("name", sorted(APART | ELSEWHERE))
def test_a_use_of_another_kind_is_missed_by_tests_of_its_own(name: str, tmp_path: Path) -> None:
    use = (APART | ELSEWHERE)[name]
    for each in COPIED:
        source = ROOT / each
        if source.is_dir():
            shutil.copytree(source, tmp_path / each, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / each)
    file = tmp_path / "app" / use.file
    kept = file.read_text()
    assert kept.count(use.text) == 1
    file.write_text(kept.replace(use.text, use.taken_away()))
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:xdist", "-m", "not slow", f"tests/{use.tests}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "STRATA_"))}
    environment["PYTHONPATH"] = str(tmp_path)
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout[-2000:]
    assert " failed" in ended.stdout


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with company() as made:
        yield made


@contextmanager
def _watched(monkeypatch: pytest.MonkeyPatch, seen: Callable[[Site], bool]) -> Iterator[None]:
    """Every use is told; where `seen` says so, it reaches everybody. Nothing prepared before or meanwhile is taken."""
    kept: Any = scopes.within_scope

    def within_scope(*args: Any, **options: Any) -> Any:
        return true() if seen(_call(sys._getframe(2))) else kept(*args, **options)

    _forget()
    with monkeypatch.context() as patch:
        patch.setattr(document, "within_scope", within_scope)  # what `visible_to` calls
        yield
    _forget()


def _forget() -> None:
    for each in (document._selects, document._prepared, queries._prepared, purchases._insertions):
        each.clear()
    timeline._statement.cache_clear()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_scope_that_a_route_of_one_customer_does_not_keep_is_missed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: dict[Site, list[str]] = {}
    for name in ROUTES:
        uses: set[Site] = set()

        def note(site: Site, uses: set[Site] = uses) -> bool:
            uses.add(site)
            return False

        with _watched(monkeypatch, note):
            await of_a_customer(world, name, "own")
        for use in uses:
            met.setdefault(use, []).append(name)
    assert len(met) > len(APART), "the uses are not seen"
    apart = [use for use in met if _apart(use)]
    assert len(apart) == len(APART), "what is named is not met"
    for use in met.keys() - apart:
        assert await _is_missed(world, monkeypatch, use, met[use]), f"{use}: met by {met[use]}"


def _apart(use: Site) -> bool:
    line = linecache.getline(use[0], use[1])
    return any(use[0] == str(ROOT / "app" / each.file) and each.text in line for each in APART.values())


async def _is_missed(world: World, monkeypatch: pytest.MonkeyPatch, use: Site, names: list[str]) -> bool:
    for name in names:
        with _watched(monkeypatch, lambda site: site == use):
            try:
                await of_a_customer(world, name, "own")
            except AssertionError:
                return True
    return False
