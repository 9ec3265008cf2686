"""RFM: named segments over a grid, by the population's edges or fixed ones, and the eight-class model."""

from itertools import product
from typing import Any

import pytest

from app.classification.definitions import CODES
from app.core.db import Database
from tests.classification.deciding import decide, measured
from tests.classification.documents import PRESETS, changed, document, refusals

# R (rows 1 to 5) by F (columns 1 to 5), as the definitions give them.
GRID = {
    1: ["hibernating", "hibernating", "at_risk", "at_risk", "cant_lose"],
    2: ["hibernating", "hibernating", "at_risk", "at_risk", "cant_lose"],
    3: ["about_to_sleep", "about_to_sleep", "need_attention", "loyal_customers", "loyal_customers"],
    4: ["promising", "potential_loyalists", "potential_loyalists", "loyal_customers", "loyal_customers"],
    5: ["new_customers", "potential_loyalists", "potential_loyalists", "champions", "champions"],
}
EIGHT = {code: f"c{code}" for code in CODES}


def segments(*named: tuple[str, dict[str, list[int]]], **more: Any) -> Any:
    return changed(
        "rfm", bins=3, titles={}, segments=[{"class": name, "cells": [cells]} for name, cells in named], **more
    )


def cells(r: list[int], f: list[int], **m: list[int]) -> dict[str, list[int]]:
    return {"r": r, "f": f, **m}


ALL = [1, 3]
WHOLE = ("a", cells(ALL, ALL))
FIXED = {"recency": ["30", "90"], "frequency": ["1", "4"], "monetary": ["100", "1000"]}


def test_the_named_segments_take_each_cell_as_defined() -> None:
    preset: Any = document(PRESETS["rfm"])
    assert {r: [preset.segment_of(r, f) for f in range(1, 6)] for r in range(1, 6)} == GRID


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (segments(("a", cells(ALL, [1, 2]))), "every (R, F) cell exactly once; not covered: R1F3, R2F3, R3F3"),
        (segments(WHOLE, ("b", cells([2, 2], [3, 3]))), "covered twice: R2F3"),
        (segments(("a", cells([1, 4], ALL))), "outside the grid: R4F1, R4F2, R4F3"),
        (segments(("a", cells([3, 1], ALL))), "not covered: R1F1, R1F2"),
        (
            segments(("a", cells(ALL, [1, 2])), ("b", cells([1, 1], [2, 3]))),
            "not covered: R2F3, R3F3; covered twice: R1F2",
        ),
        (
            segments(("a", cells(ALL, ALL, m=[1, 2])), ("b", cells([2, 3], ALL, m=[3, 3]))),
            "every (R, F, M) cell exactly once; not covered: R1F1M3, R1F2M3, R1F3M3",
        ),
        (segments(WHOLE, ("b", cells([1, 1], [2, 2], m=[3, 3]))), "covered twice: R1F2M3"),
        (segments(("a", cells([1, 1], [1, 1], m=[1, 1]))), "R2F2M1 and 14 more"),
    ],
)
def test_a_map_that_is_no_partition_names_its_cells(given: Any, message: str) -> None:
    assert message in refusals(given)["/segments"]


@pytest.mark.parametrize(
    ("given", "pointer", "message"),
    [
        (segments(("a", cells([0, 3], ALL))), "/segments/0/cells/0/r/0", "greater than or equal to 1"),
        (segments(("a", cells(ALL, [1, 6]))), "/segments/0/cells/0/f/1", "less than or equal to 5"),
        (changed("rfm", segments=[]), "/segments", "at least 1"),
        (changed("rfm", bins=4), "/bins", "3 or 5"),
        (changed("rfm", monetary="frequency"), "/monetary", "three different metrics"),
        (
            segments(WHOLE, edges={**FIXED, "monetary": ["1", "1"]}),
            "/edges/monetary",
            "3 bins need 2 edges, each above",
        ),
        (segments(WHOLE, edges={**FIXED, "recency": ["1", "2", "3"]}), "/edges/recency", "3 bins need 2 edges"),
        (changed("rfm", edges=FIXED), "/edges/recency", "5 bins need 4 edges"),
        ({"kind": "rfm8", "classes": {"111": "best"}}, "/classes", "at least 8"),
        ({"kind": "rfm8", "classes": {**EIGHT, "112": "c"}}, "/classes/112/[key]", "pattern"),
        ({"kind": "rfm8", "classes": EIGHT, "recency": "monetary"}, "/monetary", "three different metrics"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(given: Any, pointer: str, message: str) -> None:
    found = refusals(given)
    assert message in found[pointer], found


async def test_fixed_edges_need_no_population(database: Database) -> None:
    by_recency = [("lost", cells([1, 1], ALL)), ("quiet", cells([2, 2], ALL)), ("active", cells([3, 3], ALL))]
    given = document(segments(*by_recency, edges=FIXED))
    assert given.breakpoint_paths == {}
    rows = [measured(recency=days, frequency=1, monetary="100") for days in (29, 30, 31, 89, 90, 91)] + [measured()]
    assert await decide(database, given, rows) == [
        ("active", 311),
        ("active", 311),
        ("quiet", 211),
        ("quiet", 211),
        ("quiet", 211),
        ("lost", 111),
        (None, None),
    ]
    steps = [measured(recency=0, frequency=n, monetary=m) for n, m in ((1, "100.0001"), (2, "1000"), (5, "1000.0001"))]
    assert [score for _, score in await decide(database, given, steps)] == [312, 322, 333]


async def test_a_map_over_all_three_scores_finds_each_cell(database: Database) -> None:
    named = [(f"r{r}f{f}m{m}", cells([r, r], [f, f], m=[m, m])) for r, f, m in product((1, 2, 3), (1, 2, 3), (1, 2, 3))]
    given: Any = document(segments(*reversed(named), edges=FIXED))
    assert given.segment_of(2, 1, 3) == "r2f1m3"
    rows = [
        measured(recency={1: 100, 2: 60, 3: 1}[r], frequency={1: 1, 2: 3, 3: 9}[f], monetary={1: 5, 2: 500, 3: 5000}[m])
        for r, f, m in product((1, 2, 3), (1, 2, 3), (1, 2, 3))
    ]
    found = await decide(database, given, rows)
    assert found == [(name, int(name[1] + name[3] + name[5])) for name, _ in named]


async def test_high_and_low_turn_at_the_mean(database: Database) -> None:
    given = document({"kind": "rfm8", "classes": EIGHT})
    assert given.class_names == [f"c{code}" for code in ("111", "101", "011", "001", "110", "100", "010", "000")]
    means = {"recency_days": "10", "frequency": "2.5", "monetary": "99.9999"}
    rows = [
        measured(recency=r, frequency=f, monetary=m) for r in (9, 10, 11) for f in (2, 3) for m in ("99.9999", "100")
    ]
    codes = [
        f"{int(r <= 10)}{int(f > 2.5)}{int(m == '100')}"
        for r in (9, 10, 11)
        for f in (2, 3)
        for m in ("99.9999", "100")
    ]
    assert await decide(database, given, rows, means) == [(f"c{code}", int(code)) for code in codes]
    assert await decide(database, given, [measured(), measured(recency=1)], dict.fromkeys(means)) == [(None, None)] * 2
    assert given.read_score(11) == {"r": 0, "f": 1, "m": 1}
