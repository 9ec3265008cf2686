"""Search by predicate tree: every operator, nulls, errors that point at the leaf, and limits."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.core.predicates import MAX_DEPTH, MAX_LEAVES
from tests.conftest import MakeUser
from tests.customers.customers import create, pointers

Where = dict[str, Any]


def is_(subject: str, name: str, op: str, *value: Any) -> Where:
    return {subject: name, "op": op, **({"value": value[0]} if value else {})}


async def search(client: httpx.AsyncClient, where: Where, **asked: Any) -> httpx.Response:
    return await client.post("/v1/customers/search", json={"where": where, **asked})


async def names(client: httpx.AsyncClient, where: Where) -> str:
    answer = await search(client, where, sort="name", include_total=True)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["total"] == len(found["items"])
    return "".join(each["name"] for each in found["items"])


@pytest.fixture
async def people(admin: httpx.AsyncClient, today: Any) -> dict[str, Any]:
    """A bought twice, B once and gave half back, C never; D is a company without anything."""
    today(datetime(2020, 6, 30, tzinfo=UTC).date())
    made = {
        "A": await create(admin, name="A", region="CN-31", tags=["fair"], language="zh", source="Fair 50%"),
        "B": await create(admin, name="B", region="CN-310", phone="13812345678", title="Dr"),
        "C": await create(admin, name="C", region="CN-31-PD", tags=["fair", "vip"]),
        "D": await create(admin, name="D", kind="company"),
    }
    for who, day, amount, kind in (
        ("A", "2020-06-20", "100", "purchase"),
        ("A", "2020-06-10", "50.5", "purchase"),
        ("B", "2019-01-01", "80", "purchase"),
        ("B", "2019-01-02", "40", "refund"),
    ):
        body = {"occurred_at": f"{day}T08:00:00Z", "amount": amount, "kind": kind}
        answer = await admin.post(f"/v1/customers/{made[who]['id']}/purchases", json=body)
        assert answer.status_code == 201, answer.text
    return made


async def test_every_operator_means_what_it_says(admin: httpx.AsyncClient, people: dict[str, Any]) -> None:
    prospect = is_("class", "lifecycle", "is_null")
    table: list[tuple[Where, str]] = [
        (is_("metric", "monetary", "gte", "150.5"), "A"),
        (is_("metric", "monetary", "gt", "150.5"), ""),
        (is_("metric", "monetary", "lt", "40"), "CD"),
        (is_("metric", "monetary", "lte", 40), "BCD"),
        (is_("metric", "monetary", "eq", "40.0000"), "B"),
        (is_("metric", "monetary", "ne", "40"), "ACD"),
        (is_("metric", "frequency", "in", ["1", "2"]), "AB"),
        (is_("metric", "frequency", "not_in", ["1", "2"]), "CD"),
        (is_("metric", "recency_days", "eq", 10), "A"),
        (is_("metric", "recency_days", "gte", 0), "AB"),
        (is_("metric", "recency_days", "is_null"), "CD"),
        (is_("metric", "recency_days", "is_null", False), "AB"),
        (is_("metric", "average_order", "eq", "75.25"), "A"),
        (is_("metric", "refund_rate", "eq", "0.5"), "B"),
        (is_("metric", "monetary_365d", "gt", 0), "A"),
        (is_("metric", "first_purchase_at", "lt", "2020-01-01T00:00:00Z"), "B"),
        (is_("metric", "last_purchase_at", "eq", "2020-06-20T16:00:00+08:00"), "A"),
        (is_("field", "region", "within", "CN-31"), "AC"),
        (is_("field", "region", "within", "CN-3"), ""),
        (is_("field", "region", "eq", "CN-31"), "A"),
        (is_("field", "region", "ne", "CN-31"), "BC"),
        (is_("field", "region", "in", ["CN-31", "CN-310"]), "AB"),
        (is_("field", "region", "not_in", ["CN-31"]), "BC"),
        (is_("field", "region", "is_null"), "D"),
        (is_("field", "source", "contains", "50%"), "A"),
        (is_("field", "source", "contains", "%5"), ""),
        (is_("field", "source", "contains", "FAIR"), "A"),
        (is_("field", "kind", "eq", "company"), "D"),
        (is_("field", "title", "is_null", False), "B"),
        (is_("field", "phone", "eq", "+8613812345678"), "B"),
        (is_("field", "id", "eq", people["C"]["id"]), "C"),
        (is_("field", "created_at", "gt", "2000-01-01T00:00:00Z"), "ABCD"),
        ({"tag": "fair"}, "AC"),
        ({"not": {"tag": "fair"}}, "BD"),
        (prospect, "ABCD"),
        ({"not": prospect}, ""),
        (is_("class", "abc", "in", ["A", "B"]), ""),
        (is_("class", "abc", "ne", "A"), ""),
        ({"all": [{"tag": "fair"}, is_("metric", "frequency", "gte", 1)]}, "A"),
        ({"any": [{"tag": "vip"}, is_("metric", "frequency", "gte", 1)]}, "ABC"),
        ({"not": {"any": [{"tag": "vip"}, is_("metric", "frequency", "gte", 1)]}}, "D"),
    ]
    for where, expected in table:
        assert await names(admin, where) == expected, where


async def test_unknown_is_not_true_and_so_its_negation_holds(admin: httpx.AsyncClient, people: dict[str, Any]) -> None:
    for leaf in (
        is_("metric", "recency_days", "lt", 1000),
        is_("metric", "recency_days", "gte", 1000),
        is_("field", "region", "within", "CN"),
        is_("field", "region", "contains", "CN"),
        is_("field", "title", "ne", "Prof"),
        is_("field", "title", "not_in", ["Prof"]),
        is_("class", "abc", "eq", "A"),
    ):
        holds, fails = await names(admin, leaf), await names(admin, {"not": leaf})
        assert sorted(holds + fails) == list("ABCD"), leaf
        assert await names(admin, {"not": {"not": leaf}}) == holds


def nested(depth: int) -> Where:
    return {"tag": "x"} if depth == 1 else {"not": nested(depth - 1)}


async def test_a_wrong_leaf_is_pointed_at(admin: httpx.AsyncClient) -> None:
    table: list[tuple[Where, str]] = [
        (is_("metric", "nope", "eq", 1), "metric"),
        (is_("field", "nope", "eq", "1"), "field"),
        (is_("field", "password_hash", "eq", "1"), "field"),
        (is_("class", "nope", "eq", "A"), "class"),
        (is_("class", "abc", "eq", "Z"), "value"),
        (is_("class", "abc", "in", ["A", "Z"]), "value"),
        (is_("class", "abc", "contains", "A"), "op"),
        (is_("class", "abc", "contains", "no such class"), "op"),
        (is_("class", "abc", "within", ["A"]), "op"),
        (is_("class", "abc", "gte", "A"), "op"),
        (is_("metric", "monetary", "gte", "much"), "value"),
        (is_("metric", "monetary", "gte", "NaN"), "value"),
        (is_("metric", "monetary", "gte", "1e999"), "value"),
        (is_("metric", "monetary", "gte", "0.00001"), "value"),
        (is_("metric", "monetary", "gte", True), "value"),
        (is_("metric", "monetary", "gte"), "value"),
        (is_("metric", "monetary", "gte", ["1"]), "value"),
        (is_("metric", "monetary", "in", "1"), "value"),
        (is_("metric", "monetary", "in", []), "value"),
        (is_("metric", "monetary", "in", ["1", "x"]), "value"),
        (is_("metric", "monetary", "is_null", "yes"), "value"),
        (is_("metric", "monetary", "gte", {"breakpoint": "a"}), "value"),
        (is_("metric", "monetary", "within", "1"), "op"),
        (is_("metric", "monetary", "contains", "1"), "op"),
        (is_("metric", "last_purchase_at", "gte", "yesterday"), "value"),
        (is_("metric", "last_purchase_at", "gte", "2020-01-01T00:00:00"), "value"),
        (is_("field", "region", "gte", "CN"), "op"),
        (is_("field", "region", "eq", 5), "value"),
        (is_("field", "region", "within", 5), "op"),
        (is_("field", "region", "within", []), "value"),
        (is_("metric", "monetary", "within", ["1"]), "op"),
        (is_("metric", "last_purchase_at", "gte", "0001-01-01T00:00:00+14:00"), "value"),
        (is_("field", "created_at", "lt", "9999-12-31T23:59:59-14:00"), "value"),
        (is_("field", "created_at", "gte", 5), "value"),
    ]
    for leaf, place in table:
        assert pointers(await search(admin, leaf)) == [f"/body/where/{place}"], leaf
        deep = {"all": [{"tag": "x"}, {"any": [{"tag": "x"}, {"not": leaf}]}]}
        assert pointers(await search(admin, deep)) == [f"/body/where/all/1/any/1/not/{place}"], leaf


async def test_what_is_no_tree_is_refused(admin: httpx.AsyncClient) -> None:
    tag = {"tag": "x"}
    wrong: list[tuple[Any, str]] = [
        ({}, ""),
        ([], ""),
        ("tag", ""),
        (None, ""),
        ({"all": []}, "/all"),
        ({"any": tag}, "/any"),
        ({"not": [tag]}, "/not"),
        ({"xor": [tag]}, ""),
        ({"tag": "x", "op": "eq"}, "/op"),
        ({"tag": ""}, "/tag"),
        ({"tag": "x", "all": [tag]}, "/tag"),
        ({"metric": "monetary"}, "/op"),
        ({"metric": "monetary", "op": "like", "value": "1"}, "/op"),
        ({"all": [tag, {"metric": "monetary", "op": "like"}]}, "/all/1/op"),
        ({"metric": "monetary", "op": "gte", "value": {"a": 1}}, "/value"),
        ({"metric": "monetary", "op": "gte", "value": 1.5}, "/value"),
        ({"metric": "monetary", "op": "in", "value": ["x" * 201]}, "/value"),
        ({"field": "name", "op": "eq", "value": "a\u0000b"}, "/value"),
        ({"all": [tag] * 51}, "/all"),
        ({"all": [{"any": [tag] * 34}] * 3}, ""),
        (nested(MAX_DEPTH + 1), ""),
        (nested(30), ""),
    ]
    for where, pointer in wrong:
        assert pointers(await search(admin, where))[0] == f"/body/where{pointer}", where
    assert MAX_LEAVES == 100
    fits = {"all": [{"any": [tag] * 33}] * 3}
    assert (await search(admin, fits)).status_code == 200
    assert (await search(admin, nested(MAX_DEPTH))).status_code == 200
    for extra in ({"page": 2}, {"limit": 0}, {"limit": 201}, {"sort": "email"}):
        assert pointers(await search(admin, tag, **extra)) == [f"/body/{next(iter(extra))}"]


async def test_a_search_cursor_belongs_to_its_question(admin: httpx.AsyncClient, people: dict[str, Any]) -> None:
    parts = [{"tag": "fair"}, is_("metric", "monetary", "gte", 0)]
    asked: dict[str, Any] = {"where": {"any": parts}, "sort": "name", "limit": 1}
    found, body = [], asked
    while True:
        page = (await admin.post("/v1/customers/search", json=body)).json()
        found += [each["name"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        body = {**asked, "cursor": page["next_cursor"]}
    assert found == ["A", "B", "C", "D"]
    for other in (
        {"where": {"all": parts}},
        {"where": {"any": parts[:1]}},
        {"where": {"tag": "fair"}},
        {"sort": "-name"},
    ):
        answer = await admin.post("/v1/customers/search", json={**body, **other})
        assert answer.status_code in (400, 422), other
    listed = await admin.get("/v1/customers", params={"sort": "name", "cursor": body["cursor"]})
    assert listed.status_code in (400, 422)


async def test_a_search_reaches_as_far_as_the_list(
    admin: httpx.AsyncClient, people: dict[str, Any], make_user: MakeUser
) -> None:
    seller = await make_user({"customers:read": "own", "customers:write": "own"})
    mine = await create(seller, name="M", tags=["fair"])
    assert await names(seller, {"tag": "fair"}) == "M"
    assert await names(seller, {"not": {"tag": "nothing"}}) == "M"
    assert (await search(seller, {"tag": "fair"})).json()["items"] == [mine]
    assert (await search(await make_user({"schemes:read": "all"}), {"tag": "fair"})).status_code == 403


async def test_an_id_that_is_none_is_named(admin: httpx.AsyncClient) -> None:
    for value in ("nobody", 7, ["x"]):
        op = "in" if isinstance(value, list) else "eq"
        answer = await admin.post(
            "/v1/customers/search", json={"where": {"field": "owner_id", "op": op, "value": value}}
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/body/where/value"
