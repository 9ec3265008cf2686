"""The rules of the layout that import contracts cannot say."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeGuard, get_args

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import ForeignKeyConstraint, UniqueConstraint

from app import features
from app.core.db import metadata
from app.core.http.routes import ReadSession, WriteSession
from app.identity.access import Access, Authenticated, Public, Requires
from app.main import create_app

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "app").rglob("*.py"))
PACKAGES = sorted(path for path in (ROOT / "app").iterdir() if (path / "__init__.py").exists())
MAX_LINES = 400
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc", "base"}
READS_A_CLOCK = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
}
WRITES = {"insert", "update", "delete"}
_WRITTEN = re.compile(
    r"(?i)\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|COPY)\s+(?:ONLY\s+)?\"?(\w+)"
)
OUTSIDE_THE_SERVICE = {"demo"}  # a command that uses the service
# Keyed by what it identifies: the one place where an external identity is unique.
KEYED_BY_IDENTITY = {"customer_identity"}
ROUTES = [route for feature in features.FEATURES for router in feature.routers for route in router.routes]
API_ROUTES = [route for route in ROUTES if isinstance(route, APIRoute)]
SESSIONS = [get_args(each)[1].dependency for each in (ReadSession, WriteSession)]


@lru_cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "app").parts
    return parts[0] if len(parts) > 1 else ""


def dependants_of(dependant: Dependant) -> Iterator[Dependant]:
    """The dependencies in the order in which FastAPI resolves them."""
    for each in dependant.dependencies:
        yield each
        yield from dependants_of(each)


def of_route(route: APIRoute) -> str:
    return f"{'/'.join(sorted(route.methods or ()))} {route.path}"


# ---- files and names -------------------------------------------------------------------------------------------------


def test_no_file_grows_to_400_lines() -> None:
    long = {name_of(path): lines for path in MODULES if (lines := path.read_text().count("\n")) >= MAX_LINES}
    assert not long


def test_no_test_and_no_migration_grows_over_400_lines() -> None:
    others = [path for folder in ("tests", "migrations") for path in (ROOT / folder).rglob("*.py")]
    long = {name_of(path): lines for path in others if (lines := path.read_text().count("\n")) > MAX_LINES}
    # The first migration is as it was released: one that ran somewhere is not touched again.
    assert long.keys() == {"migrations/versions/0001_foundation.py"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not [name_of(path) for path in MODULES if VAGUE & {path.stem, path.parent.name}]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_says_what_it_owns_announces_reacts_to_and_never_does(package: Path) -> None:
    said = ast.get_docstring(tree_of(package / "__init__.py")) or ""
    assert 3 <= len([line for line in said.splitlines() if line.strip()]) <= 7, said
    assert package.name in OUTSIDE_THE_SERVICE or "never" in said.lower()


@pytest.mark.parametrize("feature", [each for each in features.FEATURES if each.events], ids=lambda each: each.name)
def test_a_package_names_every_event_that_it_announces(feature: features.Feature) -> None:
    assert feature.events is not None
    classes = [each for _, each in inspect.getmembers(feature.events, inspect.isclass)]
    announced = {each.__name__ for each in classes if hasattr(each, "name") and hasattr(each, "stored")}
    named = {*re.findall(r"`(\w+)`", sys.modules[f"app.{feature.name}"].__doc__ or "")}
    assert announced - named == set()


def test_every_package_stands_in_the_list_of_features() -> None:
    listed = {feature.name for feature in features.FEATURES}
    assert {package.name for package in PACKAGES} == listed | OUTSIDE_THE_SERVICE


# ---- clock and commit ------------------------------------------------------------------------------------------------


def test_nobody_but_the_clock_asks_what_time_it_is() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        if path != ROOT / "app/core/clock.py"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name | ast.Attribute)
        and (_last_name(node.func.value), node.func.attr) in READS_A_CLOCK
    ]
    assert not found


def _last_name(node: ast.Name | ast.Attribute) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id


def test_nobody_commits_but_core() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        if package_of(path) != "core"
        for node in ast.walk(tree_of(path))
        if _commits(node)
    ]
    assert not found


def _commits(node: ast.AST) -> TypeGuard[ast.expr]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.search(r"(^|;)\s*(COMMIT|ROLLBACK|BEGIN)\s*(;|$)", node.value) is not None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in ("commit", "roll_back", "rollback")
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "commit"


# ---- tables and their owners -----------------------------------------------------------------------------------------


@lru_cache
def owners() -> dict[tuple[str, str], str]:
    """(module, variable) of each table to its name."""
    found = {}
    for path in MODULES:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in tree_of(path).body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Call)
                and isinstance(node.targets[0], ast.Name)
            ):
                call = node.value
                if (
                    isinstance(call.func, ast.Name)
                    and call.func.id == "Table"
                    and isinstance(call.args[0], ast.Constant)
                ):
                    found[module, node.targets[0].id] = str(call.args[0].value)
    return found


@lru_cache
def package_by_table() -> dict[str, str]:
    return {table: module.split(".")[1] for (module, _), table in owners().items()}


def test_every_table_of_the_metadata_belongs_to_a_package() -> None:
    assert set(metadata.tables) == set(package_by_table())


@pytest.mark.parametrize("path", [path for path in MODULES if package_of(path)], ids=name_of)
def test_a_package_writes_only_its_own_tables(path: Path) -> None:
    foreign = {table for table in _tables_written(path) if package_by_table()[table] != package_of(path)}
    assert not foreign


def test_the_walk_over_writes_sees_them() -> None:
    written = {table for path in MODULES for table in _tables_written(path)}
    # Only tables that other code fills (staging by COPY, rows written behind by name) may be missing here.
    assert {"customer", "customer_identity", "purchase", "customer_class", "class_change", "role"} <= written
    assert {"recalculation", "prediction"} <= written, "through core.work"


def _tables_written(path: Path) -> set[str]:
    tree = tree_of(path)
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    tables = {variable: table for (where, variable), table in owners().items() if where == module}
    writers = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                if (node.module, each.name) in owners():
                    tables[each.asname or each.name] = owners()[node.module, each.name]
                if node.module.startswith("sqlalchemy") and each.name in WRITES:
                    writers[each.asname or each.name] = each.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in tables:
            tables |= {target.id: tables[node.value.id] for target in node.targets if isinstance(target, ast.Name)}
    return {table for node in ast.walk(tree) for table in _written_by(node, tables, writers)}


def _written_by(node: ast.AST, tables: dict[str, str], writers: dict[str, str]) -> set[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {name for name in _WRITTEN.findall(node.value) if name in package_by_table()}
    if not isinstance(node, ast.Call):
        return set()
    if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", None) == "work":
        return {tables[each.id] for each in node.args if isinstance(each, ast.Name) and each.id in tables}
    target: ast.expr | None = node.args[0] if node.args else None
    if isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
        target = node.func.value  # table.insert()
    elif isinstance(node.func, ast.Attribute):
        if node.func.attr not in ("copy", "write_behind"):
            return set()
    elif not (isinstance(node.func, ast.Name) and node.func.id in writers):
        return set()
    return {tables[target.id]} if isinstance(target, ast.Name) and target.id in tables else set()


def customer_owned() -> list[str]:
    return sorted(
        table.name
        for table in metadata.tables.values()
        if any(
            isinstance(constraint, ForeignKeyConstraint) and constraint.referred_table.name == "customer"
            for constraint in table.constraints
        )
        or "customer_id" in table.columns
    )


@pytest.mark.parametrize("name", customer_owned())
def test_what_belongs_to_a_customer_is_keyed_by_the_customer_first(name: str) -> None:
    table = metadata.tables[name]
    unique = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    unique_columns = [list(each.columns.keys()) for each in unique] + [
        list(index.columns.keys()) for index in table.indexes if index.unique
    ]
    if name in KEYED_BY_IDENTITY:
        assert not table.columns["customer_id"].primary_key
        return
    assert next(iter(table.primary_key.columns.keys())) == "customer_id"
    assert all("customer_id" in columns for columns in unique_columns)


# ---- routes ----------------------------------------------------------------------------------------------------------


def test_every_route_of_the_application_comes_from_a_package() -> None:
    application = create_app(url="postgresql://nowhere", secret="a secret that only the tests know, long enough")
    served = {
        of_route(route) for route in application.routes if isinstance(route, APIRoute) and route.include_in_schema
    }
    assert served == {of_route(route) for route in API_ROUTES}


@pytest.mark.parametrize("route", API_ROUTES, ids=of_route)
def test_a_route_declares_who_may_call_it(route: APIRoute) -> None:
    declared = [each.call for each in dependants_of(route.dependant) if isinstance(each.call, Access)]
    assert len(declared) == 1, f"{of_route(route)} declares {declared or 'nothing'}"
    assert isinstance(declared[0], Public | Authenticated)
    assert not isinstance(declared[0], Requires) or ":" in declared[0].permission


@pytest.mark.parametrize("route", API_ROUTES, ids=of_route)
def test_the_caller_is_known_before_a_session_is_opened(route: APIRoute) -> None:
    calls = [each.call for each in dependants_of(route.dependant)]
    sessions = [n for n, call in enumerate(calls) if call in SESSIONS]
    if sessions and any(isinstance(call, Authenticated) for call in calls):
        assert next(n for n, call in enumerate(calls) if isinstance(call, Authenticated)) < min(sessions)


@pytest.mark.parametrize("route", API_ROUTES, ids=of_route)
def test_what_changes_something_runs_in_a_transaction_of_its_route(route: APIRoute) -> None:
    calls = [each.call for each in dependants_of(route.dependant)]
    if (route.methods or set()) <= {"GET", "HEAD"}:
        assert SESSIONS[1] not in calls, "a GET does not write"


def test_names_of_operations_are_unique() -> None:
    names = [route.unique_id for route in API_ROUTES]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in names)


@pytest.mark.parametrize("route", API_ROUTES, ids=of_route)
def test_a_route_declares_its_answer(route: APIRoute) -> None:
    assert route.response_model is not None or route.status_code == 204
    assert (route.endpoint.__doc__ or "").strip()
