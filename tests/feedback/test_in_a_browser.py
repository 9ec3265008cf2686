"""The page behind an invitation's link, in a real browser: by keyboard alone, without scripts, in both languages."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.main import create_app
from tests.conftest import ADMIN_PASSWORD, SECRET
from tests.feedback.asking import DOCUMENT
from tests.feedback.browser import Browser, browser
from tests.service import listening, sync_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def staff() -> Iterator[httpx.Client]:
    """The administrator of a service behind a real server."""
    with (
        sync_database() as url,
        listening(create_app(url=url, secret=SECRET)) as address,
        httpx.Client(base_url=address, trust_env=False) as client,
    ):
        login = {"username": "admin", "password": ADMIN_PASSWORD}
        token = client.post("/v1/auth/token", data=login).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        yield client


@pytest.fixture(scope="module")
def survey_id(staff: httpx.Client) -> str:
    made = staff.post("/v1/surveys", json={"name": "After delivery", "document": DOCUMENT}).json()["id"]
    assert staff.post(f"/v1/surveys/{made}/versions/1/publish").status_code == 200
    return str(made)


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture
def url(staff: httpx.Client, survey_id: str) -> str:
    customer = staff.post("/v1/customers", json={"name": "Blue Lantern"}).json()["id"]
    body = {"customer_ids": [customer], "channel": "email"}
    invited = staff.post(f"/v1/surveys/{survey_id}/invitations", json=body)
    assert invited.status_code == 201, invited.text
    return str(invited.json()["items"][0]["url"])


def latest(staff: httpx.Client, survey_id: str) -> Any:
    return staff.get(f"/v1/surveys/{survey_id}/responses").json()["items"][0]["answers"]


def test_a_survey_is_answered_by_keyboard_alone(window: Browser, staff: httpx.Client, survey_id: str, url: str) -> None:
    window.speak("en-GB")
    window.open(url)
    window.press("Tab", "Space", "ArrowRight", "ArrowRight")  # delivery: 3
    window.press("Tab", "Space")  # recommend: 0
    window.press("Tab", "Space", "ArrowRight")  # effort: 2
    window.press("Tab", "Space", "ArrowRight")  # tea: black
    window.press("Tab", "Tab", "Space")  # shops: the second
    window.press("Tab")
    window.type("It came <late>.\nTwice.")
    window.press("Tab")
    window.press_to_leave("Enter")
    assert window.named("heading") == ["Thank you"]
    assert latest(staff, survey_id) == {
        "delivery": 3,
        "recommend": 0,
        "effort": 2,
        "tea": ["black"],
        "shops": ["south"],
        "why": "It came <late>.\nTwice.",
    }
    assert not window.complaints
    window.open(url)
    assert window.named("heading") == ["You have answered already"]


def test_a_survey_is_answered_in_chinese(window: Browser, staff: httpx.Client, survey_id: str, url: str) -> None:
    window.speak("zh-CN")
    window.open(url)
    assert window.ask("document.documentElement.lang") == "zh"
    assert window.named("heading") == ["您的订单"]
    assert window.named("group")[0] == "配送如何？ (必填)"
    assert window.named("button") == ["提交"]
    window.press("Tab", "Space", *["Tab"] * 6)
    window.type("很好，谢谢！")
    window.press("Tab")
    window.press_to_leave("Enter")
    assert window.named("heading") == ["谢谢您"]
    assert latest(staff, survey_id) == {"delivery": 1, "why": "很好，谢谢！"}


def test_a_screen_reader_is_told_what_everything_is(window: Browser, url: str) -> None:
    window.speak("en")
    window.open(url)
    asked = [question["text"]["en"] for question in DOCUMENT["questions"]]
    assert [name.removesuffix(" (required)") for name in window.named("group")] == asked
    scores = [*map(str, (*range(1, 6), *range(11), *range(1, 8)))]
    assert sorted(window.named("radio")) == sorted([*scores, "Green", "Black"])
    assert window.named("checkbox") == ["north", "south"]
    assert window.named("textbox") == ["Why?"]
    assert window.named("heading") == ["Your order"]
    described = "[...document.querySelectorAll('fieldset')].map(each => each.ariaDescribedByElements?.[0]?.textContent)"
    assert window.ask(described)[:2] == [
        "1: very dissatisfied, 5: very satisfied",
        "0: not at all likely, 10: extremely likely",
    ]


def test_the_browser_keeps_to_the_policy_and_still_shows_the_style(window: Browser, url: str) -> None:
    window.open(url)
    assert window.ask("getComputedStyle(document.querySelector('fieldset')).borderRadius") == "8px"
    assert window.ask("document.documentElement.scrollWidth <= window.innerWidth") is True
    assert not window.complaints


def test_an_answer_that_is_missing_is_asked_for_again_by_the_browser_and_by_the_service(
    window: Browser, staff: httpx.Client, survey_id: str, url: str
) -> None:
    window.speak("en")
    window.open(url)
    window.press(*["Tab"] * 8, "Enter")  # the button: the browser does not send what is required
    assert window.ask("document.activeElement.name") == "delivery"
    window.ask("document.querySelector('form').noValidate = true; document.querySelector('button').focus()")
    window.press_to_leave("Enter")
    assert window.ask("document.querySelector('[role=alert] h2').textContent") == "Please look at these questions again"
    assert window.ask("document.querySelector('[role=alert] a').hash") == "#delivery"
    assert window.ask("document.title").startswith("Please look at these questions again")
    window.press("Tab", "Enter", "Tab", "Space")  # the link to the question, its first answer
    window.press(*["Tab"] * 7)
    window.press_to_leave("Enter")
    assert window.named("heading") == ["Thank you"]
    assert latest(staff, survey_id) == {"delivery": 1}


REFUSED = [("x", "en", "This link is not valid"), ("x", "zh-CN", "链接无效")]


@pytest.mark.parametrize(("end", "language", "heading"), REFUSED)
def test_a_link_that_does_not_work_says_so(window: Browser, url: str, end: str, language: str, heading: str) -> None:
    window.speak(language)
    window.open(url + end)
    assert window.named("heading") == [heading]
    assert window.ask("document.querySelector('form')") is None
