"""Links of invitations: they work once, for their time, as they were made; what else is tried gets a clear page."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.core import clock
from app.core.checks import findings
from app.core.db import Database
from app.feedback.checks import CHECKS
from app.feedback.links import Link, sealed
from app.feedback.wording import WORDS
from tests.conftest import MakeUser
from tests.customers.customers import create
from tests.feedback.asking import DOCUMENT, invited, published

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {**BROWSER, "Content-Type": "application/x-www-form-urlencoded"}
ANSWERS = "delivery=4&recommend=10&tea=green&shops=north&shops=south&why=It+came+early."


@pytest.fixture(autouse=True)
def business_day(today: Callable[[date], None]) -> None:
    today(date(2020, 6, 30))


@pytest.fixture
async def invitation(admin: httpx.AsyncClient) -> dict[str, Any]:
    customer = (await create(admin, language="zh"))["id"]
    return (await invited(admin, await published(admin), customer))[0]


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


# ---- the page --------------------------------------------------------------------------------------------------------


async def test_the_page_asks_everything_and_needs_nothing_else(
    client: httpx.AsyncClient, invitation: dict[str, Any]
) -> None:
    answer = await client.get(invitation["url"], headers={**BROWSER, "Accept-Language": "en-GB"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = Page(answer.text)
    names = {each["name"] for tag in ("input", "textarea") for each in page.named(tag)}
    assert names == {question["key"] for question in DOCUMENT["questions"]}
    assert page.named("html") == [{"lang": "en"}]
    assert page.named("form") == [{"method": "post"}]
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert not [each for _, attributes in page.tags for each in attributes if each.startswith(("on", "style"))]


async def test_every_input_has_a_label_and_every_group_a_name(
    client: httpx.AsyncClient, invitation: dict[str, Any]
) -> None:
    page = Page((await client.get(invitation["url"], headers=BROWSER)).text)
    ids = {str(attributes["id"]) for _, attributes in page.tags if "id" in attributes}
    for attributes in (attributes for _, attributes in page.tags):
        for names in (attributes.get("aria-labelledby"), attributes.get("aria-describedby")):
            assert set((names or "").split()) <= ids
    assert len(page.named("legend")) == len(page.named("fieldset")) == len(DOCUMENT["questions"])
    order = [tag for tag, _ in page.tags]
    assert all(order[n - 1] == "label" for n, tag in enumerate(order) if tag == "input")
    assert all("aria-labelledby" in each for each in page.named("textarea"))


async def test_headers_keep_scripts_out_and_the_address_in(
    client: httpx.AsyncClient, invitation: dict[str, Any]
) -> None:
    for url in (invitation["url"], invitation["url"] + "x"):
        answer = await client.get(url, headers=BROWSER)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        for part in ("form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy
        assert "unsafe" not in policy
        style = re.search(r"<style>(.*)</style>", answer.text, re.DOTALL)
        assert style is not None
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_what_a_survey_says_cannot_become_markup(client: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    evil = '"><script>alert(1)</script>'
    questions = [
        {"key": "a", "kind": "text", "text": {"en": evil}},
        {"key": "b", "kind": "choice", "text": {"en": evil}, "options": [{"key": "o", "text": {"en": evil}}]},
    ]
    document = {"title": {"en": evil}, "introduction": {"en": evil}, "thanks": {"en": evil}, "questions": questions}
    url = (await invited(admin, await published(admin, document), (await create(admin))["id"]))[0]["url"]
    shown = await client.get(url)
    again = await client.post(url, content=str(httpx.QueryParams({"a": f"</textarea>{evil}"})), headers=FORM)
    done = await client.post(url, content="a=fine&b=o", headers=FORM)
    assert (shown.status_code, again.status_code, done.status_code) == (200, 422, 200)
    for answer in (shown, again, done):
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text


async def test_the_page_speaks_chinese(client: httpx.AsyncClient, invitation: dict[str, Any]) -> None:
    by_customer = await client.get(invitation["url"], headers=BROWSER)
    assert Page(by_customer.text).named("html") == [{"lang": "zh"}]
    for phrase in ("您的订单", "配送如何？", "绿茶", "必填", "提交"):
        assert phrase in by_customer.text
    by_browser = await client.get(invitation["url"], headers={**BROWSER, "Accept-Language": "en"})
    assert "Your order" in by_browser.text
    refused = await client.get("/v1/survey-links/x", headers={**BROWSER, "Accept-Language": "zh"})
    assert (refused.status_code, "链接无效" in refused.text) == (404, True)


def test_both_languages_say_the_same_things() -> None:
    english, chinese = WORDS["en"], WORDS["zh"]
    for name in ("scales", "faults", "refusals"):
        assert getattr(english, name).keys() == getattr(chinese, name).keys()


# ---- answering -------------------------------------------------------------------------------------------------------


async def test_answers_of_the_page_are_feedback_of_the_customer(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, invitation: dict[str, Any], database: Database
) -> None:
    answer = await client.post(invitation["url"], content=ANSWERS, headers=FORM)
    assert (answer.status_code, "谢谢您" in answer.text) == (200, True)
    response = (await admin.get(f"/v1/surveys/{invitation['survey_id']}/responses")).json()["items"][0]
    assert response["answers"] == {
        "delivery": 4,
        "recommend": 10,
        "tea": ["green"],
        "shops": ["north", "south"],
        "why": "It came early.",
    }
    said_by = (response["customer_id"], response["channel"], response["written_by"])
    assert said_by == (invitation["customer_id"], "email", f"survey_link:{invitation['id']}")
    assert response["answered_at"].startswith("2020-06-30")
    listed = (await admin.get(f"/v1/surveys/{invitation['survey_id']}/invitations")).json()["items"]
    shown = {name: value for name, value in invitation.items() if name != "url"}
    assert listed == [{**shown, "response_id": response["id"]}]
    async with database.connection() as connection:
        audited = await connection.fetchrow("SELECT * FROM audit_event WHERE action = 'survey.answered'")
        kept = await connection.fetchval("SELECT string_agg(t::text, '') FROM survey_invitation t")
    assert (audited["actor_kind"], str(audited["actor_id"])) == ("survey_link", invitation["id"])
    assert invitation["url"].rsplit("/", 1)[1] not in kept
    assert all([finding.examined and not finding.violations async for finding in findings(database, CHECKS[:2])])


async def test_a_link_answers_once_however_often_and_at_once_it_is_used(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, invitation: dict[str, Any]
) -> None:
    sent = [client.post(invitation["url"], content=ANSWERS, headers=FORM) for _ in range(6)]
    statuses = sorted([answer.status_code for answer in await asyncio.gather(*sent)])
    assert statuses == [200, *[409] * 5]
    again = await client.get(invitation["url"], headers={**BROWSER, "Accept-Language": "en"})
    assert (again.status_code, "You have answered already" in again.text) == (409, True)
    assert len((await admin.get(f"/v1/surveys/{invitation['survey_id']}/responses")).json()["items"]) == 1


WRONG = ["", "delivery=6", "delivery=%F0%9F%8D%B5", "delivery=4&tea=white", "delivery=4&recommend=11", "why=x"]


@pytest.mark.parametrize("content", WRONG)
async def test_answers_that_do_not_fit_come_back_with_what_is_wrong(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, invitation: dict[str, Any], content: str
) -> None:
    answer = await client.post(invitation["url"], content=content, headers={**FORM, "Accept-Language": "en"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert WORDS["en"].wrong in answer.text
    assert (await admin.get("/v1/feedback")).json()["items"] == []
    assert (await client.post(invitation["url"], content=ANSWERS, headers=FORM)).status_code == 200


async def test_what_was_said_stays_in_the_form_that_comes_back(
    client: httpx.AsyncClient, invitation: dict[str, Any]
) -> None:
    content = "recommend=7&tea=black&shops=south&why=%3Cb%3EIt+was+fine."
    page = Page((await client.post(invitation["url"], content=content, headers=FORM)).text)
    checked = {(each["name"], each["value"]) for each in page.named("input") if "checked" in each}
    assert checked == {("recommend", "7"), ("tea", "black"), ("shops", "south")}


HOSTILE: list[tuple[bytes, str]] = [
    (b"delivery=%FF", "application/x-www-form-urlencoded"),
    (b"\xff\xfe", "application/x-www-form-urlencoded"),
    (b"a=1&" * 5000, "application/x-www-form-urlencoded"),
    (b'{"delivery": 4}', "application/json"),
    (b"--x\r\n\r\n", "multipart/form-data; boundary=x"),
    (b"delivery=4&why=" + b"x" * 4001, "application/x-www-form-urlencoded"),
    (b"delivery=" + b"9" * 5000, "application/x-www-form-urlencoded"),
]


@pytest.mark.parametrize(("content", "kind"), HOSTILE)
async def test_hostile_forms_are_refused(
    client: httpx.AsyncClient, invitation: dict[str, Any], content: bytes, kind: str
) -> None:
    answer = await client.post(invitation["url"], content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_what_cannot_be_stored_is_left_out_of_a_text(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, invitation: dict[str, Any]
) -> None:
    content = "delivery=4&why=%00a%0D%0Ab%07&unasked=1"
    assert (await client.post(invitation["url"], content=content, headers=FORM)).status_code == 200
    said = (await admin.get(f"/v1/surveys/{invitation['survey_id']}/responses")).json()["items"][0]["answers"]
    assert said == {"delivery": 4, "why": "a\nb"}


# ---- links that do not work ------------------------------------------------------------------------------------------


async def test_a_forged_or_altered_link_is_no_link(client: httpx.AsyncClient, invitation: dict[str, Any]) -> None:
    base, token = invitation["url"].rsplit("/", 1)
    later = Link(*(uuid4(), uuid4()), clock.now() + timedelta(days=1))
    altered = [token[:n] + ("B" if token[n] != "B" else "C") + token[n + 1 :] for n in range(0, len(token), 7)]
    forged = [sealed("another secret, long enough to be one of ours", later), token[:-1], token + "A", "%00", "茶", "x"]
    for each in (*altered, *forged):
        for method, headers in (("GET", BROWSER), ("POST", FORM)):
            answer = await client.request(method, f"{base}/{each}", headers=headers, content=ANSWERS)
            assert answer.status_code == 404, each
            assert "This link is not valid" in answer.text
    assert (await client.get(f"{base}/{'x' * 201}", headers=BROWSER)).status_code == 404
    problem = await client.get(f"{base}/x")
    assert (problem.status_code, problem.json()["type"]) == (404, "urn:strata:problem:bad-link")
    assert (await client.get(invitation["url"])).status_code == 200


async def test_a_link_of_a_customer_who_is_gone_is_no_link(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, invitation: dict[str, Any], database: Database
) -> None:
    assert (await admin.delete(f"/v1/customers/{invitation['customer_id']}")).status_code == 204
    for answer in (await client.get(invitation["url"]), await client.post(invitation["url"], headers=FORM)):
        assert answer.status_code == 404
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM survey_invitation") == 0


async def test_a_link_of_a_customer_who_was_merged_is_the_survivors(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, invitation: dict[str, Any]
) -> None:
    survivor = (await admin.post("/v1/customers", json={"name": "Li Wei"})).json()["id"]
    pair = {"survivor_id": survivor, "merged_id": invitation["customer_id"]}
    assert (await admin.post("/v1/customers/merges", json=pair)).status_code == 201
    assert (await client.post(invitation["url"], content=ANSWERS, headers=FORM)).status_code == 200


async def test_a_link_works_until_its_time_is_over(
    client: httpx.AsyncClient, invitation: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    end = datetime.fromisoformat(invitation["expires_at"])
    for at, status in ((end - timedelta(seconds=1), 200), (end, 410), (end + timedelta(seconds=1), 410)):
        with monkeypatch.context() as patched:
            patched.setattr(clock, "now", lambda at=at: at)
            answer = await client.get(invitation["url"], headers={**BROWSER, "Accept-Language": "en"})
            assert answer.status_code == status, at
            assert ("This link has expired" in answer.text) == (status == 410)


async def test_a_closed_survey_takes_no_answers_by_links(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, invitation: dict[str, Any]
) -> None:
    await admin.patch(f"/v1/surveys/{invitation['survey_id']}", json={"status": "closed"})
    for method, headers in (("GET", BROWSER), ("POST", FORM)):
        answer = await client.request(method, invitation["url"], headers=headers, content=ANSWERS)
        assert answer.status_code == 410
        assert "调查已结束" not in answer.text  # whose language is not known of a link that leads nowhere
        assert "This survey is closed" in answer.text


async def test_a_link_that_was_withdrawn_takes_no_answers_and_the_others_do(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, invitation: dict[str, Any], database: Database
) -> None:
    path = f"/v1/surveys/{invitation['survey_id']}/invitations"
    other = (await invited(admin, invitation["survey_id"], invitation["customer_id"]))[0]
    for _ in range(2):
        assert (await admin.delete(f"{path}/{invitation['id']}")).status_code == 204
    for method, headers in (("GET", BROWSER), ("POST", FORM)):
        for language, said in (("en", "This link has been withdrawn"), ("zh", "链接已撤回")):
            headers = {**headers, "Accept-Language": language}
            answer = await client.request(method, invitation["url"], headers=headers, content=ANSWERS)
            assert (answer.status_code, said in answer.text) == (410, True)
    assert (await client.get(invitation["url"])).json()["type"].endswith(":revoked-link")
    listed = {each["id"]: each for each in (await admin.get(path)).json()["items"]}
    assert listed[invitation["id"]]["revoked_at"] is not None
    assert (listed[invitation["id"]]["response_id"], listed[other["id"]]["revoked_at"]) == (None, None)
    assert (await client.post(other["url"], content=ANSWERS, headers=FORM)).status_code == 200
    answered = await admin.delete(f"{path}/{other['id']}")
    assert (answered.status_code, answered.json()["type"]) == (409, "urn:strata:problem:answered-already")
    async with database.connection() as connection:
        audited = await connection.fetch("SELECT * FROM audit_event WHERE action = 'survey_invitation.revoked'")
    assert [each["resource_id"] for each in audited] == [invitation["id"]]
    withdrawn = [each for each in CHECKS if "withdrawn" in each.promise]
    revoked = [finding async for finding in findings(database, withdrawn)]
    assert [(each.examined, each.violations) for each in revoked] == [(1, 0)]


async def test_an_answer_and_a_withdrawal_at_once_do_not_both_hold(
    client: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    survey_id = await published(admin)
    made = await invited(admin, survey_id, *[(await create(admin))["id"] for _ in range(8)])
    path = f"/v1/surveys/{survey_id}/invitations"
    answers = await asyncio.gather(
        *(client.post(each["url"], content=ANSWERS, headers=FORM) for each in made),
        *(admin.delete(f"{path}/{each['id']}") for each in made),
    )
    both = list(zip(answers[:8], answers[8:], strict=True))
    assert {(one.status_code, other.status_code) for one, other in both} <= {(200, 409), (410, 204)}


async def test_only_invitations_of_customers_within_reach_are_withdrawn(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    mine = await make_user({"feedback:write": "own"})
    own = (await create(admin, owner_id=mine.headers["X-Test-User"]))["id"]
    survey_id, elsewhere = await published(admin), await published(admin)
    ours, others = await invited(admin, survey_id, own, (await create(admin))["id"])
    path = f"/v1/surveys/{survey_id}/invitations"
    assert (await mine.delete(f"{path}/{others['id']}")).status_code == 404
    assert (await mine.delete(f"/v1/surveys/{elsewhere}/invitations/{ours['id']}")).status_code == 404
    assert (await mine.delete(f"{path}/{uuid4()}")).status_code == 404
    assert (await client.get(others["url"])).status_code == (await client.get(ours["url"])).status_code == 200
    assert (await mine.delete(f"{path}/{ours['id']}")).status_code == 204


async def test_a_link_asks_the_version_it_was_made_for(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, invitation: dict[str, Any]
) -> None:
    path = f"/v1/surveys/{invitation['survey_id']}/versions"
    other = {"title": {"en": "Another"}, "questions": [{"key": "q", "kind": "nps", "text": {"en": "Recommend?"}}]}
    await admin.post(path, json={"document": other})
    assert (await admin.post(f"{path}/2/publish")).status_code == 200
    assert (await client.post(invitation["url"], content=ANSWERS, headers=FORM)).status_code == 200
    response = (await admin.get(f"/v1/surveys/{invitation['survey_id']}/responses")).json()["items"][0]
    assert response["survey_version"] == 1


async def test_answering_is_bounded_by_link_and_by_address(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, setting: Callable[..., None]
) -> None:
    setting(survey_answers_per_minute=2)
    survey_id = await published(admin)
    customers = [(await create(admin))["id"] for _ in range(6)]
    made = await invited(admin, survey_id, *customers)
    statuses = [(await client.post(made[0]["url"], headers=FORM)).status_code for _ in range(3)]
    assert statuses == [422, 422, 429]
    for each in made[1:5]:
        for _ in range(2):
            await client.post(each["url"], headers=FORM)
    refused = await client.post(made[5]["url"], content=ANSWERS, headers={**FORM, "Accept-Language": "en"})
    assert (refused.status_code, "Too many attempts" in refused.text) == (429, True)
    assert int(refused.headers["retry-after"]) >= 1
    assert (await client.get(made[5]["url"])).status_code == 200
