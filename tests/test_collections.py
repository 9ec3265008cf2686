"""Each collection shows exactly the rows of whom its permission reaches: get = list = search = file = count.

The collections are found in the API document. The company is a random one: a tree of units, people with memberships of
some days, customers in anybody's hands, roles with any scope of each permission, and somebody who stands in.
"""

import asyncio
import csv
import io
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.core import clock
from app.customers import seen
from tests.api_operations import OPERATIONS, SCHEMAS
from tests.document import SEGMENTS, invitation, made, prepared, segment
from tests.service import Answer
from tests.world import DEFINITIONS, OF_A_CUSTOMER, SCOPES, World, company, permission_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

ELSEWHERE = {
    "read_customer_account": "nobody has one here",
    "list_erasures": "only for who sees everybody",
    "list_simulation_movers": "tests/classification/test_simulations.py",
}
QUERIES = {
    "list_data_quality_customers": "finding=missing_region",
}
DAY = timedelta(days=1)
OFFSETS = (-9, -1, 0, 1, 9)


def _schema(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return SCHEMAS[found["$ref"].rsplit("/", 1)[-1]] if "$ref" in found else found


def _item_of(name: str) -> set[str]:
    """The fields of a collection's items, empty for any other answer."""
    content = OPERATIONS[name].spec["responses"].get("200", {}).get("content", {})
    items = _schema(content.get("application/json", {}).get("schema", {})).get("properties", {}).get("items", {})
    return set(_schema(items.get("items", {})).get("properties", {}))


def _is_file(name: str) -> bool:
    return "text/csv" in OPERATIONS[name].spec["responses"].get("200", {}).get("content", {})


LISTS = [
    name
    for name, operation in OPERATIONS.items()
    if operation.method == "GET" and {"customer_id"} & _item_of(name) and "customer_id" not in operation.path_names
]
CUSTOMERS = [
    name for name, each in OPERATIONS.items() if each.method == "GET" and {"owner_id", "classes"} <= _item_of(name)
]
FILES = [name for name, each in OPERATIONS.items() if _is_file(name) and "key" in each.path_names]
OF_ONE = [
    name
    for name in OF_A_CUSTOMER
    if name not in ELSEWHERE
    and OPERATIONS[name].method == "GET"
    and set(OPERATIONS[name].path_names) <= {"customer_id", "key"}
]
_OF_CUSTOMER = "/v1/customers/{customer_id}/"
UNIONS = {
    whole: name
    for whole in LISTS
    for name, each in OPERATIONS.items()
    if each.method == "GET" and each.path == OPERATIONS[whole].path.replace("/v1/", _OF_CUSTOMER)
}
"""Lists across customers, each with the list of one customer."""
COLLECTIONS = [name for name in [*LISTS, *CUSTOMERS, *FILES] if name not in ELSEWHERE]
PERMISSIONS = sorted({str(permission_of(name)) for name in [*COLLECTIONS, *OF_ONE]} - {"schemes:read"})


@dataclass
class Gathered:
    """The company, with something of everything for each customer."""

    world: World
    customers: list[str]
    names: dict[str, str]
    classes: list[str] = field(default_factory=list)

    async def seen(self, name: str, token: str, behalf: Mapping[str, str]) -> set[str]:
        """Whose rows the collection shows, on all of its pages."""
        operation = OPERATIONS[name]
        keys = [self.names["segment"] if operation.path.startswith(SEGMENTS) else "lifecycle"]
        found: set[str] = set()
        for each in self.classes if "name" in operation.path_names else [""]:
            path = operation.at(**{**self.names, "key": keys[0], "name": each})
            if name in FILES:
                answer = await self._ask(path, token, behalf)
                found |= {row["customer_id"] for row in csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")))}
            else:
                query = QUERIES.get(name, "")
                if name == "list_movers":
                    query = f"from=2000-01-01T00:00:00Z&to={clock.now():%Y-%m-%dT%H:%M:%S.%fZ}"
                found |= await self._pages(path, query, token, behalf, name in CUSTOMERS)
        return found

    async def _pages(self, path: str, query: str, token: str, behalf: Mapping[str, str], customers: bool) -> set[str]:
        items = await self.items(path, token, behalf, query)
        return {each["id" if customers else "customer_id"] for each in items}

    async def items(self, path: str, token: str, behalf: Mapping[str, str], query: str = "") -> list[dict[str, Any]]:
        """What all pages of a list show."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = (await self._ask(path, token, behalf, f"{query}&limit=4{cursor}")).json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    async def _ask(self, path: str, token: str, behalf: Mapping[str, str], query: str = "") -> Answer:
        answer = await self.world.service.send("GET", path, token=token, query=query, headers=behalf)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer

    async def counted(self, token: str, behalf: Mapping[str, str], permissions: Mapping[str, str]) -> dict[str, int]:
        """What counts say of how many customers there are, by the permission that decides it."""
        counts: dict[str, tuple[str, Any]] = {
            "/v1/customers?include=total&limit=1": ("customers:read", lambda it: it["total"]),
            "/v1/schemes/lifecycle/classes": ("classes:read", lambda it: sum(x["customers"] for x in it["items"])),
            "/v1/tags": ("customers:read", lambda it: {x["tag"]: x["customers"] for x in it["items"]}.get("seen", 0)),
            "/v1/data-quality": ("customers:read", lambda it: it["customers"]),
            "/v1/data-quality/groups": ("customers:read", lambda it: sum(x["customers"] for x in it["items"])),
            "/v1/feedback/scores?measure=nps": ("feedback:read", lambda it: sum(x["answers"] for x in it["items"])),
        }
        found = {}
        for path, (permission, read) in counts.items():
            if permission in permissions:
                where, _, query = path.partition("?")
                found[f"{permission} {where}"] = read((await self._ask(where, token, behalf, query)).json())
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gathered() -> AsyncIterator[Gathered]:
    async with company() as world:
        yield await gather(world)


async def gather(world: World) -> Gathered:
    """Seven customers in the company, and something of everything for each."""
    service, admin = world.service, world.service.tokens["admin"]
    for _ in range(6):
        await world.placed(None, None)
    customers = [str(row["id"]) for row in await service.fetch("SELECT id FROM customer ORDER BY id")]
    survey_id, key = await made(service, "survey_id"), await segment(service)
    await invitation(service, survey_id)
    await service.fetch("DELETE FROM survey_invitation")
    await service.fetch("DELETE FROM customer_class WHERE customer_id <> ALL ($1)", [UUID(each) for each in customers])
    extra = [r["id"] for r in await service.fetch("SELECT id FROM customer") if str(r["id"]) not in customers]
    customers += [str(each) for each in extra]
    at = {"occurred_at": "2026-01-02T03:04:05Z"}
    for each in customers:
        path = f"/v1/customers/{each}"
        score = {"kind": "answer", "measure": "csat", "score": 4, "channel": "phone"}
        response = {**OPERATIONS["record_survey_response"].example, "customer_id": each}
        override = {"class": "loyal", "expires_at": None, "reason": "a contract"}
        for method, where, body in [
            ("POST", f"{path}/purchases", {**at, "amount": "1"}),
            ("POST", f"{path}/interactions", {**at, "kind": "call"}),
            ("POST", f"{path}/feedback", {**at, **score}),
            ("PUT", f"{path}/tags/seen", None),
            ("POST", "/v1/data-requests", {"customer_id": each, "kind": "export"}),
            ("PUT", f"/v1/segments/{key}/members/{each}", None),
            ("PUT", f"{path}/classes/lifecycle/override", override),
            ("POST", f"/v1/surveys/{survey_id}/invitations", {"customer_ids": [each], "channel": "email"}),
            ("POST", f"/v1/surveys/{survey_id}/responses", response),
        ]:
            answer = await service.send(method, where, token=admin, body=body)
            assert answer.status < 300, (where, answer.body)
    await prepared(service, "read_customer", customers[0])
    found = Gathered(world, customers, {"segment": key, "survey_id": survey_id})
    counts = await found._ask("/v1/schemes/lifecycle/classes", admin, {})
    found.classes = [each["class"] for each in counts.json()["items"]]
    return found


async def test_every_collection_of_customers_and_their_rows_is_asked() -> None:
    assert set(LISTS) >= {"list_purchases", "list_interactions", "list_feedback", "list_overrides", "list_movers"}
    assert set(CUSTOMERS) >= {"list_customers", "list_class_customers", "list_data_quality_customers"}
    assert set(FILES) == {"export_class_customers", "export_segment_customers"}
    assert len(OF_ONE) > 10
    assert set(UNIONS) >= {"list_purchases", "list_interactions", "list_feedback"}
    assert set(ELSEWHERE) <= {*LISTS, *OF_A_CUSTOMER}, "there is no such route"


async def test_whoever_sees_everybody_finds_everybody_in_each_collection(gathered: Gathered) -> None:
    admin = gathered.world.service.tokens["admin"]
    lacking = {name: set(gathered.customers) - await gathered.seen(name, admin, {}) for name in COLLECTIONS}
    assert {name: missing for name, missing in lacking.items() if missing} == {}


# ---- a random company ------------------------------------------------------------------------------------------------


@dataclass
class Drawn:
    """A person: the home unit, memberships as (unit, first day, last day) from today on, and a scope per permission."""

    home: int | None
    memberships: Sequence[tuple[int, int, int | None]]
    scopes: Mapping[str, str]

    def units(self) -> set[int]:
        """The units of today."""
        now = {unit for unit, first, last in self.memberships if first <= 0 and (last is None or last >= 0)}
        return now if self.home is None else now | {self.home}


@dataclass
class Drawing:
    """A company: each unit's parent, whose each customer is (0 and 1 the people, 2 another), people, who stands in.

    And whether they are few: whoever sees few is answered by other statements than who sees many (`customers.seen`).
    """

    parents: Sequence[int | None]
    customers: Sequence[tuple[int | None, int | None]]
    people: tuple[Drawn, Drawn]
    stands_in: tuple[int, int | None] | None
    few: bool = False

    def reached(self, who: int, permission: str) -> set[int] | None:
        """Which customers the person's permission reaches; None without it."""
        person = self.people[who]
        scope, units = person.scopes.get(permission), person.units()
        if scope is None:
            return None
        if scope == "subtree":
            for unit, parent in enumerate(self.parents):  # a parent comes before its children
                if parent in units:
                    units.add(unit)
        within = units if scope in ("unit", "subtree") else set()
        return {n for n, (owner, unit) in enumerate(self.customers) if scope == "all" or owner == who or unit in within}

    @property
    def stands_in_today(self) -> bool:
        return self.stands_in is not None and self.stands_in[0] <= 0 <= (self.stands_in[1] or 0)


@st.composite
def companies(draw: st.DrawFn, size: int) -> Drawing:
    count = draw(st.integers(1, 5))
    parents = [draw(st.none() | st.integers(0, n - 1)) if n else None for n in range(count)]
    unit = st.integers(0, count - 1)
    last = st.none() | st.sampled_from(OFFSETS)
    days = st.tuples(unit, st.sampled_from(OFFSETS), last).filter(lambda it: it[2] is None or it[1] <= it[2])
    person = st.builds(
        Drawn,
        st.none() | unit,
        st.lists(days, max_size=3, unique_by=lambda it: it[0]),
        st.fixed_dictionaries({}, optional=dict.fromkeys(PERMISSIONS, st.sampled_from(SCOPES))),
    )
    hands = st.tuples(st.none() | st.integers(0, 2), st.none() | unit)
    stands_in = st.none() | st.tuples(st.sampled_from(OFFSETS), st.sampled_from((0, 1, 9))).filter(
        lambda it: it[0] <= it[1]
    )
    customers = draw(st.lists(hands, min_size=size, max_size=size))
    return Drawing(parents, customers, (draw(person), draw(person)), draw(stands_in), draw(st.booleans()))


async def settled(gathered: Gathered, drawing: Drawing) -> list[tuple[UUID, str]]:
    """The people of the drawing, in its units, with its customers; each with a token."""
    service = gathered.world.service
    units: list[UUID] = []
    for parent in drawing.parents:
        above = None if parent is None else units[parent]
        made_unit = "INSERT INTO org_unit (name, parent_id) VALUES (gen_random_uuid()::text, $1) RETURNING id"
        units.append(await service.value(made_unit, above))
    people = []
    today = clock.business_day(clock.now())
    for person in drawing.people:
        user_id, token = await service.user({**DEFINITIONS, **person.scopes}, unit_id=units[0])
        home = None if person.home is None else units[person.home]
        await service.fetch("UPDATE user_account SET unit_id = $2 WHERE id = $1", user_id, home)
        for unit, first, last in person.memberships:
            await service.fetch(
                "INSERT INTO unit_membership (user_id, unit_id, during) VALUES ($1, $2, daterange($3, $4, '[]'))",
                *(user_id, units[unit], today + first * DAY, None if last is None else today + last * DAY),
            )
        people.append((user_id, token))
    if drawing.stands_in is not None:
        first, last = drawing.stands_in
        await service.fetch(
            "INSERT INTO delegation (absent_id, delegate_id, during, created_by)"
            " VALUES ($1, $2, daterange($3, $4, '[]'), $1)",
            *(people[1][0], people[0][0], today + first * DAY, today + (last or 0) * DAY),
        )
    owners = [people[0][0], people[1][0], gathered.world.other]
    for customer_id, (owner, at) in zip(gathered.customers, drawing.customers, strict=True):
        await service.fetch(
            "UPDATE customer SET owner_id = $2, unit_id = $3 WHERE id = $1",
            *(UUID(customer_id), None if owner is None else owners[owner], None if at is None else units[at]),
        )
    return people


async def agrees(gathered: Gathered, drawing: Drawing) -> None:
    """Whatever is asked, by whomever and on whose behalf, it is the drawing's customers."""
    with patch.multiple(seen, FEW=seen.FEW if drawing.few else -1, KNOWN_FOR=0.0, _counts={}):
        await _agrees(gathered, drawing)


async def _agrees(gathered: Gathered, drawing: Drawing) -> None:
    people = await settled(gathered, drawing)
    service = gathered.world.service
    for who, behalf in ((0, {}), (1, {}), (1, {"X-On-Behalf-Of": str(people[1][0])})):
        token = people[0 if behalf else who][1]
        if behalf and not drawing.stands_in_today:
            assert (await service.send("GET", "/v1/me", token=token, headers=behalf)).status == 403
            continue
        held = drawing.people[who].scopes
        reached = {
            permission: {gathered.customers[n] for n in drawing.reached(who, permission) or ()} for permission in held
        }
        for name in COLLECTIONS:
            if (permission := str(permission_of(name))) in held:
                assert await gathered.seen(name, token, behalf) == reached[permission], (name, who, behalf, drawing)
        for said, count in (await gathered.counted(token, behalf, held)).items():
            assert count == len(reached[said.split()[0]]), (said, who, behalf)
        await _one_by_one(gathered, token, behalf, reached)


async def _one_by_one(
    gathered: Gathered, token: str, behalf: Mapping[str, str], reached: Mapping[str, set[str]]
) -> None:
    service = gathered.world.service
    if "customers:read" in reached:
        body = {"where": {"not": {"tag": "nobody has this"}}, "limit": 200, "include_total": True}
        page = (await service.send("POST", "/v1/customers/search", token=token, body=body, headers=behalf)).json()
        assert {each["id"] for each in page["items"]} == reached["customers:read"]
        assert page["total"] == len(reached["customers:read"])
    for whole, name in UNIONS.items():
        if str(permission_of(whole)) in reached:
            of_each = [
                (await gathered.items(OPERATIONS[name].at(customer_id=each), token, behalf))
                for each in sorted(reached[str(permission_of(name))])
            ]
            listed = await gathered.items(OPERATIONS[whole].path, token, behalf)
            assert sorted(each["id"] for each in listed) == sorted(each["id"] for items in of_each for each in items)
    for name in OF_ONE:
        permission, keys = str(permission_of(name)), {"key": "lifecycle"}
        if OPERATIONS[name].path.startswith(SEGMENTS):
            keys = {"key": gathered.names["segment"]}
        statuses = Counter[int]()
        for customer_id in gathered.customers:
            path = OPERATIONS[name].at(customer_id=customer_id, **keys)
            answer = await service.send("GET", path, token=token, headers=behalf)
            statuses[answer.status] += 1
            expected = 403 if permission not in reached else 200 if customer_id in reached[permission] else 404
            assert answer.status == expected, (name, answer.status, answer.body)


async def test_get_list_search_file_and_count_agree_in_any_company(gathered: Gathered) -> None:
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(drawing=companies(len(gathered.customers)))
    def agree(drawing: Drawing) -> None:
        asyncio.run_coroutine_threadsafe(agrees(gathered, drawing), loop).result(120)

    await asyncio.to_thread(agree)
