"""A right request for every operation, and which of them write."""

import uuid
from typing import Any
from uuid import UUID

from app.core.http.routes import keeps_answers
from tests.api_operations import OPERATIONS, Operation
from tests.conftest import ADMIN_PASSWORD
from tests.document import account, caller, customer_token, made, path_of, survey_link
from tests.service import Service
from tests.test_architecture import API_ROUTES

ONLY_READS = {"preview_segment", "search_customers", "search_duplicates"}
WRITES = [each.name for each in OPERATIONS.values() if each.method != "GET" and each.name not in ONLY_READS]
KEEP_ANSWERS = [route.unique_id for route in API_ROUTES if keeps_answers(route)]

PASSWORD = "a long enough phrase"
CALL = {"kind": "call", "occurred_at": "2026-01-02T03:04:05Z"}
BOUGHT = {"amount": "1", "occurred_at": "2026-01-02T03:04:05Z"}
SENT_BY_NOBODY = {"issue_token", "refresh_token", "answer_survey_link", "accept_invitation"}


async def request_of(served: Service, operation: Operation) -> tuple[str, dict[str, Any]]:
    """A request that is right, as `send` takes it; everything that it names is there and new."""
    unique = f"x{uuid.uuid4().hex[:12]}"
    path = await path_of(served, operation)
    options: dict[str, Any] = {}
    if operation.name not in SENT_BY_NOBODY:
        options["token"] = await caller(served, operation)
    if operation.name == "change_my_password":  # which ends the other sessions of whoever does it
        body = {"username": unique, "name": unique, "password": PASSWORD}
        assert (await served.send("POST", "/v1/users", token=options["token"], body=body)).status == 201
        options["token"] = await served.token(unique)
    if operation.name == "answer_survey_link":
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await survey_link(served), {"content": b"satisfaction=4", "headers": headers}
    if operation.name == "remove_identity":
        customer_id = UUID(path.split("/")[3])
        await served.fetch("INSERT INTO customer_identity VALUES ('external', $1, $2)", unique, customer_id)
        options["query"] = f"kind=external&value={unique}"
    return path, options | operation.options(**await _unique_fields(served, operation.name, unique))


async def _unique_fields(served: Service, name: str, unique: str) -> dict[str, Any]:
    """What the example must not say a second time."""
    identities = [{"kind": "external", "value": unique}]
    if name == "refresh_token":
        return {"refresh_token": (await _log_in(served))["refresh_token"]}
    if name == "confirm_my_profile":
        return await _code_of_a_change(served, f"{unique}@example.com")
    if name == "accept_invitation":
        return {"token": (await account(served))["invitation"]}
    fields: dict[str, dict[str, Any]] = {
        "issue_token": {"username": "admin", "password": ADMIN_PASSWORD},
        "change_my_password": {"current_password": PASSWORD, "new_password": f"{PASSWORD} {unique}"},
        "create_user": {"username": unique},
        "create_role": {"key": unique},
        "create_unit": {"name": unique},
        "update_unit": {"name": unique},
        "transfer_customer": {"unit_id": await made(served, "unit_id")},
        "transfer_customers": {"to": {"unit_id": await made(served, "unit_id")}},
        "create_membership": {"unit_id": await made(served, "unit_id")},
        "create_delegation": {"delegate_id": await made(served, "user_id")},
        "add_identity": {"value": unique},
        "change_my_profile": {"name": unique},
        "create_customer": {"identities": identities},
        "upsert_customers": {"customers": [{"name": "x", "identities": identities}]},
        "record_interactions": {"interactions": [{**CALL, "customer_id": await made(served, "customer_id")}]},
        "record_purchases": {"purchases": [{**BOUGHT, "customer_id": await made(served, "customer_id")}]},
        "create_scheme": {"key": unique},
        "create_segment": {"key": unique},
        "create_group": {"key": unique},
        "rename_tag": {"tag": unique},
        "define_custom_field": {"key": unique},
        "merge_tags": {"tags": [await made(served, "tag")]},
        "merge_customers": {
            "survivor_id": await made(served, "customer_id"),
            "merged_id": await made(served, "customer_id"),
        },
        "record_survey_response": {"customer_id": await made(served, "customer_id")},
        "record_data_request": {"customer_id": await made(served, "customer_id")},
        "invite_to_survey": {"customer_ids": [await made(served, "customer_id")]},
        "change_segment_members": {"add": [await made(served, "customer_id")], "remove": []},
        "change_group_members": {"add": [await made(served, "customer_id")], "remove": []},
    }
    return fields.get(name, {})


async def _code_of_a_change(served: Service, email: str) -> dict[str, str]:
    """What confirms another e-mail address of the customer: sent by whoever hears of the event."""
    changed = await served.send("PATCH", "/v1/my/profile", token=await customer_token(served), body={"email": email})
    assert changed.status == 200, changed.body
    change = await served.value("SELECT id FROM profile_change ORDER BY id DESC LIMIT 1")
    path = f"/v1/customers/{served.tokens['customer_id']}/profile-changes/{change}"
    return {"field": "email", "code": (await served.get(path, served.tokens["admin"])).json()["code"]}


async def _log_in(served: Service) -> Any:
    content = f"username=admin&password={ADMIN_PASSWORD}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return (await served.send("POST", "/v1/auth/token", content=content, headers=headers)).json()


def with_headers(options: dict[str, Any], **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {**options, "headers": {**options.get("headers", {}), **named}}
