"""What the presets decide a step before each threshold, on it, and a step after."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta

import httpx
import pytest

from app.core.db import Database
from tests.classification.deciding import decide, measured
from tests.classification.documents import PRESETS, document
from tests.classification.population import NOON, add, classes, recalculate

RunJobs = Callable[[], Awaitable[None]]


@pytest.mark.parametrize(
    ("recency", "tenure", "frequency_365d", "expected"),
    [
        (0, 0, 1, "new"),
        (0, 89, 9, "new"),
        (0, 90, 3, "returning"),
        (0, 91, 3, "returning"),
        (0, 90, 4, "loyal"),
        (89, 500, 5, "loyal"),
        (89, 500, 3, "returning"),
        (90, 500, 5, "none"),
        (91, 91, 5, "none"),
        (None, None, 0, "none"),
    ],
)
async def test_behaviour(
    database: Database, recency: int | None, tenure: int | None, frequency_365d: int, expected: str
) -> None:
    row = measured(recency=recency, tenure=tenure, frequency_365d=frequency_365d)
    assert await decide(database, document(PRESETS["behaviour"]), [row]) == [(expected, None)]


@pytest.mark.parametrize(
    ("purchases", "about_product", "about_service", "in_all", "expected"),
    [
        (0, 0, 0, 0, "unknown"),
        (1, 0, 0, 0, "product"),
        (0, 0, 0, 9, "unknown"),
        (0, 1, 0, 4, "product"),
        (0, 1, 0, 5, "unknown"),
        (0, 0, 1, 4, "service"),
        (0, 0, 1, 5, "unknown"),
        (1, 0, 1, 4, "mixed"),
        (1, 0, 1, 5, "product"),
        (0, 1, 1, 4, "mixed"),
        (0, 1, 3, 5, "service"),
    ],
)
async def test_need_is_told_from_interactions_and_purchases(
    database: Database, purchases: int, about_product: int, about_service: int, in_all: int, expected: str
) -> None:
    row = measured(
        frequency=purchases,
        recency=1 if purchases else None,
        interactions=in_all,
        product_interactions=about_product,
        service_interactions=about_service,
    )
    assert await decide(database, document(PRESETS["need"]), [row]) == [(expected, None)]


async def test_value_has_its_thresholds_at_70_and_40(database: Database) -> None:
    """Each part moves by one bin: 50/9 points, 30/9 points, 20/9 points."""
    edges = {name: [str(edge) for edge in range(1, 10)] for name in ("monetary_365d", "frequency_365d", "recency_days")}
    cells = {(7, 6, 5): "high", (7, 6, 4): "medium", (9, 6, 0): "high", (9, 5, 1): "medium"}
    cells |= {(3, 5, 3): "medium", (3, 5, 2): "low", (4, 4, 2): "medium", (4, 4, 1): "low"}
    rows = [
        measured(monetary_365d=spent + 1, frequency_365d=often + 1, recency=10 - ago) for spent, often, ago in cells
    ]
    found = await decide(database, document(PRESETS["value"]), rows, edges)
    points = [(50 * spent + 30 * often + 20 * ago) // 9 for spent, often, ago in cells]
    assert found == list(zip(cells.values(), points, strict=True))
    assert sorted(points) == [37, 37, 40, 40, 67, 68, 70, 70]


async def test_tier(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    today(NOON.date())
    people: dict[str, tuple[list[tuple[int, str]], str]] = {
        "best": ([(1, "900"), (20, "900"), (90, "900")], "vip"),
        "best, too early": ([(1, "900"), (20, "900"), (89, "900")], "potential"),
        "small": ([(90, "1")], "regular"),
        "small, too early": ([(89, "1")], "potential"),
        "never": ([], "potential"),
        **{f"other {n}": ([(300, "1")], "regular") for n in range(10)},
    }
    made = {name: await add(database, name, visits) for name, (visits, _) in people.items()}
    await recalculate(admin, run_jobs, refit=True)
    assert {name: (await classes(admin, made[name]))["tier"] for name in people} == {
        name: tier for name, (_, tier) in people.items()
    }
    assert (await classes(admin, made["best, too early"]))["value"] == "high"

    tagged = await admin.patch(f"/v1/customers/{made['never']}", json={"tags": ["contract"]})
    assert tagged.json()["classes"]["tier"] == "vip"
    await admin.patch(f"/v1/customers/{made['never']}", json={"tags": []})
    path = f"/v1/customers/{made['never']}/classes"
    standing = {each["scheme"]: each for each in (await admin.get(path)).json()["items"]}
    assert standing["tier"]["class"] == "vip"
    assert standing["tier"]["pending"]["class"] == "potential"
    assert standing["tier"]["pending"]["on"] == (NOON.date() + timedelta(days=90)).isoformat()


REGIONS = {
    "CN-11": "north",
    "CN-BJ": "north",
    "CN-15-0471": "north",
    "CN-21": "northeast",
    "CN-31": "east",
    "CN-37": "east",
    "CN-41": "central",
    "CN-46": "south",
    "CN-51": "southwest",
    "CN-65": "northwest",
    "CN-71": "hong_kong_macao_taiwan",
    "CN": "china",
    "CN-1": "china",
    "CN-111": "china",
    "US": "abroad",
    "CNX": "abroad",
    None: "unknown",
}


async def test_region(database: Database) -> None:
    async with database.connection() as connection:
        ids = [
            await connection.fetchval("INSERT INTO customer (name, region) VALUES ('x', $1) RETURNING id::text", region)
            for region in REGIONS
        ]
    assert ids == sorted(ids)
    found = await decide(database, document(PRESETS["region"]), [measured(customer_id=each) for each in ids])
    assert dict(zip(REGIONS, found, strict=True)) == {region: (name, None) for region, name in REGIONS.items()}
