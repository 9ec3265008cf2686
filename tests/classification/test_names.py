"""Schemes may be called what they like, and ask for tags of any name: none is taken for another."""

from collections.abc import Callable
from datetime import date
from typing import Any
from zlib import crc32

import httpx
import pytest

from app.core.db import Database
from tests.classification.population import NOON, RunJobs, add, recalculate
from tests.classification.schemes import changes, publish, standing

GAP = {"median_gap_days": {"of": "gap_days", "quantile": "0.5", "otherwise": "30"}}
ALIKE = "tag29685295", "tag32060020"
"""Two tags of one checksum."""


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


def rule(when: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "rules", "rules": [{"class": "yes", "when": when}], "default": "no", **more}


async def new_customer(admin: httpx.AsyncClient, **body: Any) -> Any:
    answer = await admin.post("/v1/customers", json={"name": "New", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_tags_of_one_checksum_are_two_tags(admin: httpx.AsyncClient, database: Database) -> None:
    assert crc32(ALIKE[0].encode()) == crc32(ALIKE[1].encode())
    await publish(database, "first", rule({"tag": ALIKE[0]}))
    await publish(database, "both", rule({"all": [{"tag": tag} for tag in ALIKE]}))
    await publish(database, "second", rule({"tag": ALIKE[1]}))
    made = await new_customer(admin, tags=[ALIKE[0]])
    found = {key: (await standing(admin, made["id"], key))["class"] for key in ("first", "both", "second")}
    assert found == {"first": "yes", "both": "no", "second": "no"}


@pytest.mark.parametrize("key", ["exit_plan", "exit", "metric", "metric_recency", "events", "next_review"])
async def test_a_scheme_may_be_called_like_a_column(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, key: str
) -> None:
    bought = {"event": "purchase", "within_days": 30}
    await publish(
        database, key, rule({"all": [{"metric": "gap_ratio", "op": "lte", "value": "2"}, bought]}, population=GAP)
    )
    customer = await add(database, "regular", [(3, "10"), (9, "10")])
    done = await recalculate(admin, run_jobs, refit=True)
    assert (done["status"], done["error"]) == ("completed", None)
    assert (await standing(admin, customer, key))["class"] == "yes"
    assert (await new_customer(admin))["classes"][key] == "no"


async def test_a_static_segment_may_be_called_like_a_part_of_a_decision(
    admin: httpx.AsyncClient, database: Database
) -> None:
    await publish(database, "class", {"kind": "static"})
    await publish(database, "member", rule({"metric": "frequency", "op": "gte", "value": "1"}))
    made = await new_customer(admin)
    assert (await admin.put(f"/v1/segments/class/members/{made['id']}")).status_code == 204
    assert (await standing(admin, made["id"], "member"))["class"] == "no"
    assert await changes(admin, made["id"], "class") == [(None, "in", "event")]
    history = (await admin.get(f"/v1/customers/{made['id']}/classes/class/history")).json()["items"]
    assert history[0]["facts"] == [{"kind": "member", "name": "", "value": "true"}]
