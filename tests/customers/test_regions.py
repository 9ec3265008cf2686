"""The tree of regions: what is in it, what lies within what, and that seeding it again changes nothing."""

from collections import Counter

import httpx
import pytest

from app.core.db import Database
from app.customers.regions import tree
from app.customers.regions.published import CHINA, PROVINCES, places
from tests.conftest import MakeUser
from tests.customers.customers import create

PATH = "/v1/regions"
PLACES = places()
BY_CODE = {place.code: place for place in PLACES}


def test_the_tree_is_whole() -> None:
    levels = Counter(place.level for place in PLACES)
    assert len(BY_CODE) == len(PLACES)
    assert (levels["country"], levels["province"]) == (249, 34)
    assert levels["city"] > 300
    assert levels["county"] > 2_800
    assert {f"{CHINA}-{digits}" for digits in PROVINCES} == {p.code for p in PLACES if p.level == "province"}


def test_whatever_lies_within_a_region_begins_with_its_code_and_comes_after_it() -> None:
    seen: set[str] = set()
    for place in PLACES:
        if place.level == "country":
            assert place.parent is None
        else:
            assert place.parent in seen
            assert place.code.startswith(f"{place.parent}-")
        seen.add(place.code)


def test_each_has_names() -> None:
    for place in PLACES:
        assert place.name_zh
        assert not place.name_zh.startswith("*")
        assert (place.name_en is not None) == (place.level in ("country", "province")), place
        assert "*" not in (place.name_en or "")


@pytest.mark.parametrize(
    ("code", "parent", "en", "zh"),
    [
        ("GB", None, "United Kingdom", "英国"),
        ("DE", None, "Germany", "德国"),
        ("CN", None, "China", "中国"),
        ("CN-44", "CN", "Guangdong", "广东省"),
        ("CN-44-01", "CN-44", None, "广州市"),
        ("CN-44-01-06", "CN-44-01", None, "天河区"),
        ("CN-11-01-05", "CN-11", None, "朝阳区"),
        ("CN-46-90-02", "CN-46", None, "琼海市"),
        ("CN-81", "CN", "Hong Kong", "香港特别行政区"),
    ],
)
def test_regions_that_everybody_knows(code: str, parent: str | None, en: str | None, zh: str) -> None:
    place = BY_CODE[code]
    assert (place.parent, place.name_en, place.name_zh) == (parent, en, zh)


async def test_the_tree_is_walked_page_by_page(admin: httpx.AsyncClient) -> None:
    answer = (await admin.get(PATH, params={"level": "country", "limit": 200})).json()
    rest = await admin.get(PATH, params={"level": "country", "limit": 200, "cursor": answer["next_cursor"]})
    codes = [each["code"] for each in (*answer["items"], *rest.json()["items"])]
    assert codes == sorted(code for code, place in BY_CODE.items() if place.level == "country")
    cities = (await admin.get(PATH, params={"parent": "CN-44", "limit": 200})).json()["items"]
    assert [each["code"] for each in cities] == sorted(p.code for p in PLACES if p.parent == "CN-44")
    assert {each["level"] for each in cities} == {"city"}
    other = await admin.get(PATH, params={"level": "province", "cursor": answer["next_cursor"]})
    assert other.status_code == 422


@pytest.mark.parametrize(("q", "codes"), [("kingdom", ["GB"]), ("天河", ["CN-44-01-06"]), ("100%", []), ("_", [])])
async def test_a_region_is_found_by_a_part_of_its_name(admin: httpx.AsyncClient, q: str, codes: list[str]) -> None:
    assert [each["code"] for each in (await admin.get(PATH, params={"q": q})).json()["items"]] == codes


async def test_a_region_says_what_it_lies_in(admin: httpx.AsyncClient) -> None:
    one = (await admin.get(f"{PATH}/CN-44-01-06")).json()
    assert (one["name"], one["level"], one["parent"]) == ({"en": None, "zh": "天河区"}, "county", "CN-44-01")
    assert [each["code"] for each in one["within"]] == ["CN", "CN-44", "CN-44-01"]
    beijing = (await admin.get(f"{PATH}/CN-11-01-05")).json()
    assert [each["code"] for each in beijing["within"]] == ["CN", "CN-11"]
    assert (await admin.get(f"{PATH}/CN-44-99")).status_code == 404
    assert (await admin.get(f"{PATH}/guangdong")).status_code == 422


async def test_the_tree_is_for_whoever_reads_customers(make_user: MakeUser) -> None:
    assert (await (await make_user({"customers:read": "own"})).get(PATH)).status_code == 200
    assert (await (await make_user({"purchases:read": "all"})).get(PATH)).status_code == 403


async def test_within_a_region_is_all_below_it(admin: httpx.AsyncClient) -> None:
    for name, code in (
        ("Province", "CN-44"),
        ("City", "CN-44-01"),
        ("County", "CN-44-01-06"),
        ("Elsewhere", "CN-45-01"),
        ("Abroad", "GB"),
        ("Nowhere", None),
    ):
        await create(admin, name=name, region=code)
    for code, names in (
        ("CN-44", ["City", "County", "Province"]),
        ("CN-44-01", ["City", "County"]),
        ("CN", ["City", "County", "Elsewhere", "Province"]),
        ("GB", ["Abroad"]),
    ):
        where = {"field": "region", "op": "within", "value": code}
        searched = (await admin.post("/v1/customers/search", json={"where": where, "sort": "name"})).json()
        listed = (await admin.get("/v1/customers", params={"region": code, "sort": "name"})).json()
        assert [each["name"] for each in searched["items"]] == names
        assert [each["name"] for each in listed["items"]] == names


async def test_seeding_again_mends_what_differs_and_takes_nothing_away(database: Database) -> None:
    every = "SELECT ctid::text, region.* FROM region ORDER BY code"
    async with database.connection() as connection:
        before = await connection.fetch(every)
        assert len(before) == len(PLACES)
        await seed_again(database)
        assert await connection.fetch(every) == before
        await connection.execute("UPDATE region SET name_en = 'Canton' WHERE code = 'CN-44'")
        await connection.execute("INSERT INTO region VALUES ('CN-99', 'CN', 'province', NULL, '旧省')")
        await seed_again(database)
        assert await connection.fetchval("SELECT name_en FROM region WHERE code = 'CN-44'") == "Guangdong"
        assert await connection.fetchval("SELECT name_zh FROM region WHERE code = 'CN-99'") == "旧省"


async def seed_again(database: Database) -> None:
    async with database.transaction() as session:
        await tree.seed(session)
