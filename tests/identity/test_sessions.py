import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import time_machine

from app.core.settings import get_settings
from app.identity.throttling import ADDRESS_FACTOR
from tests.identity.people import PASSWORD, LogIn, MakePerson, MakeRole, MakeUnit, Person


async def test_a_token_lets_one_in(make_person: MakePerson, make_role: MakeRole, make_unit: MakeUnit) -> None:
    unit_id = await make_unit("Sales East")
    person = await make_person(await make_role({"users:read": "unit"}), unit_id=unit_id)
    assert person.tokens["token_type"] == "bearer"
    assert person.tokens["expires_in"] == get_settings().access_token_minutes * 60
    me = await person.ask("GET", "/v1/me")
    assert me.status_code == 200
    assert me.json() == {
        "id": person.id,
        "kind": "user",
        "name": person.username,
        "username": person.username,
        "roles": ["role_1"],
        "permissions": {"users:read": "unit"},
        "units": [{"id": unit_id, "name": "Sales East"}],
        "on_behalf_of": None,
    }


async def test_the_administrator_holds_every_permission(admin: httpx.AsyncClient) -> None:
    mine = (await admin.get("/v1/me")).json()["permissions"]
    every = (await admin.get("/v1/permissions")).json()["items"]
    assert mine == dict.fromkeys(every, "all")
    assert {"users:read", "roles:write", "units:read", "api_keys:write"} <= set(every)


async def test_tokens_are_not_to_be_stored_on_the_way(make_person: MakePerson, log_in: LogIn) -> None:
    person = await make_person()
    assert (await log_in(person.username.upper())).headers["cache-control"] == "no-store"


async def test_unknown_user_wrong_password_and_inactive_user_get_one_answer(
    make_person: MakePerson, admin: httpx.AsyncClient, log_in: LogIn
) -> None:
    person, gone = await make_person(), await make_person()
    await admin.delete(f"/v1/users/{gone.id}")
    answers = [await log_in("nobody"), await log_in(person.username, "wrong"), await log_in(gone.username)]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text.replace(answer.json()["instance"], "") for answer in answers}) == 1
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer x"},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer strata_0123456789ab_wrong"},
        {"authorization": b"Bearer \xff\xfe"},
        {"authorization": "Bearer " + "a." * 5000},
        {"x-api-key": "strata_0123456789ab_wrong"},
        {"x-api-key": "x"},
    ],
    ids=lambda headers: str(headers)[:40],
)
async def test_without_a_good_token_nothing_is_shown(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.get("/v1/me", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_access_token_expires(make_person: MakePerson) -> None:
    person = await make_person()
    assert (await person.ask("GET", "/v1/me")).status_code == 200
    later = datetime.now(UTC) + timedelta(minutes=get_settings().access_token_minutes, seconds=1)
    with time_machine.travel(later):
        assert (await person.ask("GET", "/v1/me")).status_code == 401


async def test_a_refresh_token_works_once_and_gives_the_next(
    client: httpx.AsyncClient, make_person: MakePerson
) -> None:
    person = await make_person()
    first = person.tokens["refresh_token"]
    answer = await refresh(client, first)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    person.tokens = answer.json()
    assert person.tokens["refresh_token"] != first
    assert (await person.ask("GET", "/v1/me")).status_code == 200
    assert (await refresh(client, person.tokens["refresh_token"])).status_code == 200


async def test_a_refresh_token_used_twice_ends_the_session_for_whoever_holds_it(
    client: httpx.AsyncClient, make_person: MakePerson, log_in: LogIn
) -> None:
    person = await make_person()
    other_session = Person(client, person.id, person.username, (await log_in(person.username)).json())
    stolen = person.tokens["refresh_token"]
    person.tokens = (await refresh(client, stolen)).json()
    assert (await person.ask("GET", "/v1/me")).status_code == 200
    reused = await refresh(client, stolen)
    assert reused.status_code == 401
    assert reused.json()["type"].endswith("refresh-token-reused")
    assert (await person.ask("GET", "/v1/me")).status_code == 401
    assert (await refresh(client, person.tokens["refresh_token"])).status_code == 401
    assert (await other_session.ask("GET", "/v1/me")).status_code == 200


async def test_of_two_refreshes_at_once_only_one_succeeds(client: httpx.AsyncClient, make_person: MakePerson) -> None:
    token = (await make_person()).tokens["refresh_token"]
    answers = await asyncio.gather(refresh(client, token), refresh(client, token))
    assert sorted(answer.status_code for answer in answers) == [200, 401]


async def test_a_session_ends_with_its_last_day(client: httpx.AsyncClient, make_person: MakePerson) -> None:
    token = (await make_person()).tokens["refresh_token"]
    with time_machine.travel(datetime.now(UTC) + timedelta(days=get_settings().refresh_token_days, seconds=1)):
        assert (await refresh(client, token)).status_code == 401


async def test_logging_out_works_at_once(client: httpx.AsyncClient, make_person: MakePerson) -> None:
    person = await make_person()
    assert (await person.ask("GET", "/v1/me")).status_code == 200
    assert (await person.ask("POST", "/v1/auth/logout")).status_code == 204
    assert (await person.ask("GET", "/v1/me")).status_code == 401
    assert (await refresh(client, person.tokens["refresh_token"])).status_code == 401


@pytest.mark.parametrize("token", ["unknown", "", "a" * 201, "x\x00y"])
async def test_an_unknown_refresh_token_is_refused(client: httpx.AsyncClient, token: str) -> None:
    assert (await refresh(client, token)).status_code in (401, 422)


async def test_logins_to_one_account_are_throttled_until_the_minute_is_over(
    client: httpx.AsyncClient, make_person: MakePerson, log_in: LogIn
) -> None:
    person, other = await make_person(), await make_person()
    limit = get_settings().login_attempts_per_minute
    refused = [await log_in(person.username, "wrong") for _ in range(limit)]
    assert {answer.status_code for answer in refused} == {401}
    throttled = await log_in(person.username)
    assert throttled.status_code == 429
    assert 0 < int(throttled.headers["retry-after"]) <= 61
    assert (await log_in(other.username)).status_code == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1, seconds=5)):
        assert (await log_in(person.username)).status_code == 200


async def test_logins_from_one_address_are_throttled_whoever_they_are_for(
    make_person: MakePerson, log_in: LogIn
) -> None:
    person = await make_person()
    limit = get_settings().login_attempts_per_minute * ADDRESS_FACTOR
    refused = [await log_in(f"nobody-{n}", "wrong") for n in range(limit)]
    assert {answer.status_code for answer in refused} == {401}
    throttled = await log_in(person.username)
    assert throttled.status_code == 429
    assert 0 < int(throttled.headers["retry-after"]) <= 61


async def test_logging_in_rightly_is_never_throttled(make_person: MakePerson, log_in: LogIn) -> None:
    person = await make_person()
    for _ in range(2):
        for _ in range(get_settings().login_attempts_per_minute // 2):
            assert (await log_in(person.username, "wrong")).status_code == 401
        assert (await log_in(person.username)).status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"username": "admin"},
        {"username": "a\x00b", "password": PASSWORD},
        {"username": "a" * 101, "password": PASSWORD},
        {"username": "admin", "password": "p" * 201},
        {"username": "admin", "password": PASSWORD, "grant_type": "client_credentials"},
        {"username": "admin", "password": PASSWORD, "surprise": "1"},
    ],
    ids=lambda form: str(form)[:40],
)
async def test_a_login_form_that_is_none_is_refused(client: httpx.AsyncClient, form: dict[str, str]) -> None:
    answer = await client.post("/v1/auth/token", data=form)
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_one_changes_ones_own_password_and_the_other_sessions_end(
    client: httpx.AsyncClient, make_person: MakePerson, log_in: LogIn
) -> None:
    person = await make_person()
    other_session = Person(client, person.id, person.username, (await log_in(person.username)).json())
    wrong = {"current_password": "not the one", "new_password": "another long phrase"}
    assert (await person.ask("POST", "/v1/me/password", json=wrong)).status_code == 403
    right = {**wrong, "current_password": PASSWORD}
    assert (await person.ask("POST", "/v1/me/password", json=right)).status_code == 204
    assert (await person.ask("GET", "/v1/me")).status_code == 200
    assert (await other_session.ask("GET", "/v1/me")).status_code == 401
    assert (await log_in(person.username)).status_code == 401
    assert (await log_in(person.username, "another long phrase")).status_code == 200


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/v1/auth/refresh", json={"refresh_token": token})


async def test_one_sees_where_one_is_logged_in_and_ends_a_session_at_once(
    client: httpx.AsyncClient, make_person: MakePerson, log_in: LogIn
) -> None:
    person, stranger = await make_person(), await make_person()
    elsewhere = Person(client, person.id, person.username, (await log_in(person.username)).json())
    seen = (await person.ask("GET", "/v1/me/sessions")).json()
    assert [each["current"] for each in seen["items"]] == [False, True]
    assert seen["next_cursor"] is None
    path = f"/v1/me/sessions/{seen['items'][0]['id']}"
    assert (await stranger.ask("DELETE", path)).status_code == 404
    assert (await elsewhere.ask("GET", "/v1/me")).status_code == 200
    assert (await person.ask("DELETE", path)).status_code == 204
    assert (await elsewhere.ask("GET", "/v1/me")).status_code == 401
    assert (await refresh(client, elsewhere.tokens["refresh_token"])).status_code == 401
    assert (await person.ask("DELETE", path)).status_code == 204
    assert [each["current"] for each in (await person.ask("GET", "/v1/me/sessions")).json()["items"]] == [True]


async def test_whoever_may_change_a_user_may_end_the_users_sessions(
    admin: httpx.AsyncClient, make_person: MakePerson, make_role: MakeRole, make_unit: MakeUnit
) -> None:
    here, there = await make_unit("Here"), await make_unit("There")
    lead = await make_person(await make_role({"users:read": "unit", "users:write": "unit"}), unit_id=here)
    near, far = await make_person(unit_id=here), await make_person(unit_id=there)
    mighty = await make_person(await make_role({"roles:write": "all"}), unit_id=here)
    of = {}
    for person in (near, far, mighty):
        (of[person.id],) = (await admin.get(f"/v1/users/{person.id}/sessions")).json()["items"]
        assert of[person.id]["current"] is False
    for person, seen, ended in ((near, 200, 204), (far, 404, 404), (mighty, 200, 403)):
        path = f"/v1/users/{person.id}/sessions"
        assert (await lead.ask("GET", path)).status_code == seen
        assert (await lead.ask("DELETE", f"{path}/{of[person.id]['id']}")).status_code == ended
        assert (await person.ask("GET", "/v1/me")).status_code == (401 if ended == 204 else 200)
    of_another = f"/v1/users/{near.id}/sessions/{of[far.id]['id']}"
    assert (await admin.delete(of_another)).status_code == 404
