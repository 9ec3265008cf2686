"""Explanations as people read them, in English and in Chinese, kind by kind."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.classification.explanation.chinese import FIELDS, TITLES
from app.classification.metrics import METRICS
from app.core.db import Database
from app.customers import fields
from tests.classification.explaining import KINDS, add_early, sentences, told
from tests.classification.population import NOON, recalculate
from tests.classification.test_sweeping import published_besides

RunJobs = Callable[[], Awaitable[None]]


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


@pytest.fixture
async def people(admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs) -> dict[str, str]:
    """One who buys, one who bought, one who never did; the population is these and nobody else."""
    made = {
        "buyer": await add_early(database, "buyer", [(10, "160"), (100, "500"), (338, "100")], region="CN-44"),
        "past": await add_early(database, "past", [(400, "90")], region="CN-31"),
        "nobody": await add_early(database, "nobody", []),
    }
    await published_besides(database, **KINDS)
    await recalculate(admin, run_jobs, refit=True)
    return made


WHOLE = [
    (
        "buyer",
        "abc",
        "ABC by revenue: A since 2020-06-30, because purchases minus refunds are 760.00 CNY (at least 760.00 CNY).",
        "ABC by revenue：自2020-06-30起为A，因为净消费额为760.00元（不低于760.00元）。",
    ),
    (
        "buyer",
        "rfm",
        "RFM segments: Champions since 2020-06-30, because it scores R5 F5 M5: days since the last purchase are 10,"
        " purchases are 3 and purchases minus refunds are 760.00 CNY."
        " Drops to Loyal customers on 2020-09-17 if nothing is bought.",
        "RFM segments：自2020-06-30起为“冠军客户”，因为评分为R5 F5 M5：距上次购买的天数为10天，购买次数为3次，"
        "净消费额为760.00元。若不再购买，将于2020-09-17降至“忠诚客户”。",
    ),
    (
        "past",
        "rfm8_test",
        "rfm8_test: general_win_back since 2020-06-30, because R is low, F is low, M is low:"
        " days since the last purchase are 400, purchases are 1 and purchases minus refunds are 90.00 CNY."
        " For general_keep: 2 more purchases.",
        "rfm8_test：自2020-06-30起为general_win_back，因为R低、F低、M低：距上次购买的天数为400天，购买次数为1次，"
        "净消费额为90.00元。升至general_keep需：再购买2次。",
    ),
    (
        "nobody",
        "lifecycle",
        "Lifecycle: Prospect since 2020-06-30, because purchases are 0.",
        "Lifecycle：自2020-06-30起为“潜在客户”，因为购买次数为0次。",
    ),
    (
        "buyer",
        "spending",
        "spending: Silver since 2020-06-30, because purchases minus refunds in 365 days are 760.00 CNY"
        " (at least 500.00 CNY). Drops to bronze on 2021-03-22 if nothing is bought.",
        "spending：自2020-06-30起为“银卡”，因为近365天净消费额为760.00元（不低于500.00元）。"
        "若不再购买，将于2021-03-22降至bronze。",
    ),
    (
        "buyer",
        "graced",
        "graced: Silver since 2020-06-30, because purchases minus refunds in 365 days are 760.00 CNY"
        " (at least 500.00 CNY). Drops to bronze on 2021-04-21 if nothing is bought"
        " (decided on 2021-03-22, then in grace).",
        "graced：自2020-06-30起为“银卡”，因为近365天净消费额为760.00元（不低于500.00元）。"
        "若不再购买，将于2021-03-22被判定为bronze，宽限期满后于2021-04-21降至bronze。",
    ),
    (
        "nobody",
        "worth",
        "worth: low since 2020-06-30, because points are 0 (less than 40)."
        " For medium: 40 more points, for example over 1,000.00 CNY more.",
        "worth：自2020-06-30起为low，因为得分为0分（低于40分）。升至medium需：再得40分，例如再消费1,000.00元以上。",
    ),
    (
        "past",
        "here",
        "here: not in the segment, because purchases in 365 days are 0 (less than 2)."
        " To enter the segment: 2 more purchases.",
        "here：不在分群中，因为近365天购买次数为0次（低于2次）。进入分群需：再购买2次。",
    ),
    (
        "nobody",
        "listed",
        "listed: not in the segment, because it is not on the list that people keep.",
        "listed：不在分群中，因为不在人工维护的名单中。",
    ),
    (
        "nobody",
        "fixed",
        "fixed: no class, because there is no purchase to score.",
        "fixed：无类别，因为没有可评分的购买。",
    ),
]
STEPS = [
    (
        "buyer",
        "spending",
        "For Gold: 1,240.00 CNY more within 27 days.",
        "升至“金卡”需：27天内再消费1,240.00元。",
    ),
    (
        "buyer",
        "worth",
        "For high: 16 more points, for example over 240.00 CNY more within 27 days or 6 more purchases within 27 days.",
        "升至high需：再得16分，例如27天内再消费240.00元以上，或27天内再购买6次。",
    ),
    (
        "buyer",
        "level",
        "For active: 1 more purchase (2 within 30 days in all, now 1).",
        "升至active需：再购买1次（近30天购买次数需不低于2次，当前1次）。",
    ),
    (
        "nobody",
        "lifecycle",
        "Becomes First-time buyer with 1 more purchase.",
        "再购买1次后将变为“首购客户”。",
    ),
    ("past", "lifecycle", "For Repeat buyer: 1 more purchase.", "升至“复购客户”需：再购买1次。"),
    (
        "buyer",
        "abc",
        "Drops to B if purchases minus refunds are less than 760.00 CNY (now 760.00 CNY).",
        "若净消费额低于760.00元（当前760.00元），将降至B。",
    ),
]
CONDITIONS = [
    (
        "buyer",
        "level",
        "Tag “contract”: no; vip asks for it: not met.",
        "标签“contract”：无；vip要求有：未满足。",
    ),
    (
        "buyer",
        "level",
        "Class in worth: medium; vip asks for high: not met.",
        "在worth中的类别：medium；vip要求为high：未满足。",
    ),
    (
        "buyer",
        "fixed",
        "Days since the last purchase: 10; R2 asks for at most 90: met. Turns on 2020-09-19 if nothing is bought.",
        "距上次购买的天数：10天；R2要求不超过90天：已满足。若不再购买，该结果将于2020-09-19改变。",
    ),
    (
        "past",
        "here",
        "Region: CN-31; the segment asks for within CN-31: met.",
        "地区：CN-31；分群要求属于CN-31：已满足。",
    ),
]


async def test_what_people_read(admin: httpx.AsyncClient, people: dict[str, str]) -> None:
    for who, scheme, *both in WHOLE:
        assert await sentences(admin, people[who], scheme) == both
    for table, part in ((STEPS, "next"), (CONDITIONS, "conditions")):
        for who, scheme, english, chinese in table:
            for language, said in (("en", english), ("zh", chinese)):
                answer = await told(admin, people[who], scheme, language=language)
                assert said in [each["sentence"] for each in answer[part]]


async def test_the_gap_is_data_too(admin: httpx.AsyncClient, people: dict[str, str]) -> None:
    spending = await told(admin, people["buyer"], "spending")
    (gold,) = [each for each in spending["next"] if each["class"] == "gold"]
    assert gold["needs"] == [
        {
            "subject": "metric",
            "metric": "monetary_365d",
            "op": "gte",
            "threshold": "2000",
            "value": "760",
            "gap": "1240",
            "within_days": 27,
        }
    ]
    parts: Any = (await told(admin, people["buyer"], "worth"))["parts"]
    assert [(each["points"], each["at_most"], each["by"]) for each in parts] == [
        ("25", "50", "edges"),
        ("9", "30", "linear"),
        ("20", "20", "edges"),
    ]


async def test_the_language_is_asked_for_or_preferred(admin: httpx.AsyncClient, people: dict[str, str]) -> None:
    path = f"/v1/customers/{people['buyer']}/classes/abc/explanation"
    for header, asked, language in (("zh-CN,en;q=0.5", "", "zh"), ("zh", "?language=en", "en"), ("fr", "", "en")):
        answer = await admin.get(path + asked, headers={"accept-language": header})
        assert answer.json()["language"] == answer.headers["content-language"] == language
        assert "accept-language" in [each.strip().lower() for each in answer.headers["vary"].split(",")]
    assert (await admin.get(path, params={"language": "fr"})).status_code == 422


def test_everything_has_a_name_in_chinese() -> None:
    assert METRICS.keys() <= TITLES.keys()
    assert set(fields.FIELDS) <= FIELDS.keys()
