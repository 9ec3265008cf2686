"""Each use of a scope in a query is taken away, one after the other: a test of the collections must fail without it.

Found in the source: a new use is tried without being named. `make mutate` runs it, with `test_mutations.py`.
"""

import ast
import csv
import io
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import true

from app.customers import document
from app.directory import queries
from app.identity import scopes
from app.purchases import service as purchases
from tests.test_collections import PERMISSIONS, Drawing, Drawn, Gathered, agrees, gather
from tests.world import DEFINITIONS, company

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
    "app/governance/requests.py:permission",
    "app/interactions/queries.py:READ",
    "app/purchases/queries.py:'purchases:read'",
    "app/quality/queries.py:",
]
APART = {"found_by", "preview"}
"""Of exports that are jobs and of previews: not read page by page, and asked here by somebody with two scopes."""
CONDITION = {"not": {"tag": "nobody has this"}}
Site = tuple[str, int, int]


def _sites(*, apart: bool = False) -> dict[str, Site]:
    """The uses: the file, and where the call begins."""
    found = {}
    for file in {each.partition(":")[0] for each in ASKED}:
        tree = ast.parse((ROOT / file).read_text())
        functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
        calls = [call for each in functions if (each.name in APART) is apart for call in ast.walk(each)]
        for node in calls:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "visible_to":
                permission = ast.unparse(node.args[1]) if len(node.args) > 1 else ""
                if apart or f"{file}:{permission}" in ASKED:
                    found[f"{file}:{node.lineno}:{node.col_offset}"] = (str(ROOT / file), node.lineno, node.col_offset)
    return found


SITES = _sites()
SITES_APART = _sites(apart=True)


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
    with _without(monkeypatch, SITES[use]), pytest.raises(AssertionError):
        await agrees(gathered, _drawing(len(gathered.customers)))


async def test_previews_and_exports_count_and_hold_whom_every_scope_of_theirs_reaches(gathered: Gathered) -> None:
    assert len(SITES_APART) == 3
    await _apart(gathered)


@pytest.mark.parametrize("use", sorted(SITES_APART))
async def test_a_scope_that_a_preview_or_an_export_does_not_keep_is_missed(
    gathered: Gathered, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    with _without(monkeypatch, SITES_APART[use]), pytest.raises(AssertionError):
        await _apart(gathered)


async def _apart(gathered: Gathered) -> None:
    """Previews are held by each of their two scopes alone, and a file by the one of who asked for it."""
    size, service = len(gathered.customers), gathered.world.service
    assert size > 1, "there is somebody out of reach"
    for narrow, wide in (("customers:read", "segments:read"), ("segments:read", "customers:read")):
        user_id, token = await service.user({**DEFINITIONS, narrow: "own", wide: "all"})
        await service.fetch("UPDATE customer SET owner_id = NULL WHERE owner_id IS NOT NULL")
        await service.fetch("UPDATE customer SET owner_id = $2 WHERE id = $1", UUID(gathered.customers[0]), user_id)
        body: Any = {"when": CONDITION}
        shown = await service.send("POST", "/v1/segments/preview", token=token, body=body)
        assert shown.status == 200, shown.body
        assert (shown.json()["customers"], shown.json()["of"]) == (1, 1), narrow
        if narrow == "customers:read":
            body = {"where": CONDITION, "format": "csv"}
            asked = await service.send("POST", "/v1/exports", token=token, body=body)
            assert asked.status == 202, asked.body
            await service.run_jobs()
            file = await service.get(f"/v1/exports/{asked.json()['id']}/file", token)
            rows = csv.DictReader(io.StringIO(file.body.decode("utf-8-sig")))
            assert [row["customer_id"] for row in rows] == gathered.customers[:1]


@contextmanager
def _without(monkeypatch: pytest.MonkeyPatch, site: Site) -> Iterator[None]:
    """This one use reaches everybody; nothing that was prepared before or meanwhile is taken."""
    kept: Any = scopes.within_scope

    def within_scope(*args: Any, **options: Any) -> Any:
        return true() if _call(sys._getframe(2)) == site else kept(*args, **options)

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
        yield
    finally:
        for each in remembered:
            each.clear()


def _call(frame: FrameType) -> Site:
    """The call that the frame is in."""
    line, _, column, _ = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    return frame.f_code.co_filename, line or 0, column or 0
