"""Each use of a scope in a query is taken away, one after the other: a test of the collections must fail without it.

Found in the source: a new use is tried without being named. `make mutate` runs it, with `test_mutations.py`.
"""

import ast
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import true

from app.customers import document
from app.directory import queries
from app.identity import scopes
from app.purchases import service as purchases
from tests.test_collections import PERMISSIONS, Drawing, Drawn, Gathered, agrees, gather
from tests.world import company

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[1]
# What decides of collections; the rest are writes, whose every route is asked in every place by test_access_matrix.
ASKED = [
    "app/classification/history.py:READ",
    "app/classification/overrides.py:READ",
    "app/classification/queries.py:READ",
    "app/customers/document.py:permission",
    "app/customers/tags.py:",
    "app/directory/exports.py:",
    "app/directory/queries.py:",
    "app/feedback/invitations.py:READ",
    "app/feedback/queries.py:READ",
    "app/feedback/scores.py:READ",
    "app/interactions/queries.py:READ",
    "app/purchases/queries.py:'purchases:read'",
    "app/quality/queries.py:",
]
ELSEWHERE = {"found_by", "preview"}
"""Of exports that are jobs and of previews: these are not collections that one reads page by page."""
Site = tuple[str, int, int]


def _sites() -> dict[str, Site]:
    """The uses: the file, and where the call begins."""
    found = {}
    for file in {each.partition(":")[0] for each in ASKED}:
        tree = ast.parse((ROOT / file).read_text())
        functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
        calls = [call for each in functions if each.name not in ELSEWHERE for call in ast.walk(each)]
        for node in calls:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "visible_to":
                permission = ast.unparse(node.args[1]) if len(node.args) > 1 else ""
                if f"{file}:{permission}" in ASKED:
                    found[f"{file}:{node.lineno}"] = (str(ROOT / file), node.lineno, node.col_offset)
    return found


SITES = _sites()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gathered() -> AsyncIterator[Gathered]:
    async with company() as world:
        yield await gather(world)


def _drawing(size: int) -> Drawing:
    """Two units, two people: each permission reaches the own unit, where two of the customers are."""
    scopes_held = dict.fromkeys(PERMISSIONS, "unit")
    people = (Drawn(0, [], scopes_held), Drawn(1, [], scopes_held))
    return Drawing([None, None], [(None, n % 3 if n % 3 < 2 else None) for n in range(size)], people, None)


async def test_nothing_is_missed_while_every_scope_is_kept(gathered: Gathered) -> None:
    await agrees(gathered, _drawing(len(gathered.customers)))


@pytest.mark.parametrize("use", sorted(SITES))
async def test_a_scope_that_a_collection_does_not_keep_is_missed(
    gathered: Gathered, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    kept: Any = scopes.within_scope

    def within_scope(*args: Any, **options: Any) -> Any:
        return true() if _call(sys._getframe(2)) == SITES[use] else kept(*args, **options)

    monkeypatch.setattr(document, "within_scope", within_scope)  # what `visible_to` calls
    remembered: tuple[dict[Any, Any], ...] = (
        document._selects,
        document._prepared,
        queries._prepared,
        purchases._insertions,
    )
    for each in remembered:
        each.clear()
    try:
        with pytest.raises(AssertionError):
            await agrees(gathered, _drawing(len(gathered.customers)))
    finally:
        for each in remembered:
            each.clear()


def _call(frame: FrameType) -> Site:
    """The call that the frame is in."""
    line, _, column, _ = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    return frame.f_code.co_filename, line or 0, column or 0
