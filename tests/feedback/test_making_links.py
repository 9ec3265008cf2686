"""Links to surveys: for whom they are made, and what is sealed into them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.feedback import links
from app.feedback.links import BadLink, ExpiredLink, Link, sealed
from tests.conftest import SECRET, MakeUser
from tests.customers.customers import create, pointers
from tests.feedback.asking import draft, invited, published


@pytest.fixture(autouse=True)
def business_day(today: Callable[[date], None]) -> None:
    today(date(2020, 6, 30))


async def test_only_customers_within_reach_are_invited_and_only_to_what_is_asked(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    mine = await make_user({"feedback:write": "own", "feedback:read": "own", "surveys:read": "all"})
    own = (await create(admin, owner_id=mine.headers["X-Test-User"]))["id"]
    other = (await create(admin))["id"]
    survey_id = await published(admin)
    path = f"/v1/surveys/{survey_id}/invitations"
    refused = await mine.post(path, json={"customer_ids": [own, other], "channel": "email"})
    assert pointers(refused) == ["/body/customer_ids/1"]
    await invited(admin, survey_id, other)
    made = (await invited(mine, survey_id, own, own, days=1))[0]
    assert [each["id"] for each in (await mine.get(path)).json()["items"]] == [made["id"]]
    assert len((await admin.get(path)).json()["items"]) == 2
    unpublished = f"/v1/surveys/{await draft(admin)}/invitations"
    assert (await admin.post(unpublished, json={"customer_ids": [own], "channel": "email"})).status_code == 409


async def test_links_begin_where_customers_reach_the_service(
    admin: httpx.AsyncClient, setting: Callable[..., None]
) -> None:
    survey_id, customer = await published(admin), (await create(admin))["id"]
    assert (await invited(admin, survey_id, customer))[0]["url"].startswith("http://strata.test/v1/survey-links/")
    setting(public_url="https://ask.example.com/about/")
    made = (await invited(admin, survey_id, customer))[0]["url"]
    assert made.startswith("https://ask.example.com/about/v1/survey-links/")


INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
LINKS = st.builds(Link, st.uuids(), st.uuids(), INSTANTS.map(lambda at: at.replace(microsecond=0)))


@given(LINKS)
def test_a_link_says_what_was_sealed_into_it(link: Link) -> None:
    token = sealed(SECRET, link)
    assert links.read(SECRET, token, link.expires_at - timedelta(seconds=1)) == link
    with pytest.raises(ExpiredLink):
        links.read(SECRET, token, link.expires_at)
    with pytest.raises(BadLink):
        links.read(SECRET + "x", token, link.expires_at - timedelta(days=1))


@given(
    LINKS, st.integers(0, 74), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ ")
)
def test_any_other_character_breaks_the_seal(link: Link, place: int, character: str) -> None:
    token = sealed(SECRET, link)
    altered = token[:place] + character + token[place + 1 :]
    if altered != token:
        with pytest.raises(BadLink):
            links.read(SECRET, altered, link.expires_at - timedelta(days=1))


@given(st.text(max_size=250))
def test_anything_else_is_no_link(text: str) -> None:
    with pytest.raises(BadLink):
        links.read(SECRET, text, datetime(2020, 1, 1, tzinfo=UTC))
