"""Requests made from the API document: what every operation takes, filled with its own example."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from app.core import clock
from tests.api_operations import OPERATIONS, Operation
from tests.service import Service


async def made(service: Service, name: str) -> str:
    """What a path parameter can name: something new, which the test may spoil."""
    if name == "token":
        return "A" * 75  # of the form of a survey's link; the links' own tests follow one
    if name in (there := {"key": "lifecycle", "name": "prospect", "n": "1", "kind": "notes", "region_code": "CN-44"}):
        return there[name]
    if name == "user_id":
        return str((await service.user({"users:read": "own"}))[0])
    own = {"delegation_id": delegation, "duplicate_id": duplicate, "transfer_id": transfer, "job_id": dead_job}
    own["data_request_id"] = data_request
    if name in own:
        return await own[name](service)
    if name == "membership_id":
        return await membership(service, "SELECT id FROM user_account WHERE username = 'admin'")
    if name == "session_id":
        return await session_of(service, "SELECT id FROM user_account WHERE username = 'admin'")
    unique = f"x{uuid.uuid4().hex}"
    if name == "merge_id":
        pair = {which: await made(service, "customer_id") for which in ("survivor_id", "merged_id")}
        answer = await service.send("POST", "/v1/customers/merges", token=service.tokens["admin"], body=pair)
        assert answer.status == 201, answer.body
        return str(answer.json()["id"])
    if name == "tag":
        body = {"name": unique, "tags": [unique]}
        answer = await service.send("POST", "/v1/customers", token=service.tokens["admin"], body=body)
        assert answer.status == 201, answer.body
        return unique
    requests: dict[str, tuple[str, dict[str, Any]]] = {
        "customer_id": ("/v1/customers", {"body": {"name": unique}}),
        "field_key": ("/v1/custom-fields", {"body": {"key": unique, "title": "x", "type": "number"}}),
        "role_id": ("/v1/roles", {"body": {"key": unique, "title": "x", "permissions": {}}}),
        "unit_id": ("/v1/units", {"body": {"name": unique}}),
        "api_key_id": ("/v1/api-keys", {"body": {"name": unique, "permissions": {}}}),
        "recalculation_id": ("/v1/recalculations", {"body": {}}),
        "simulation_id": ("/v1/schemes/lifecycle/versions/1/simulations", {"body": {}}),
        "prediction_id": ("/v1/predictions", {"body": {}}),
        "export_id": ("/v1/exports", OPERATIONS["start_export"].options()),
        "import_id": ("/v1/imports", OPERATIONS["start_import"].options()),
        "webhook_id": ("/v1/webhooks", OPERATIONS["create_webhook"].options()),
        "survey_id": ("/v1/surveys", OPERATIONS["create_survey"].options()),
    }
    path, options = requests[name]
    answer = await service.send("POST", path, token=service.tokens["admin"], **options)
    assert answer.status < 300, answer.body
    return str(answer.json()["key" if name == "field_key" else "id"])


PART_OF_A_CUSTOMER = {
    "purchase_id",
    "note_id",
    "interaction_id",
    "feedback_id",
    "address_id",
    "contact_id",
    "change_id",
}  # made by `prepared`, for the customer of the path


SEGMENTS = ("/v1/segments/", "/v1/groups/")
"""Where keys are those of static segments, which are groups."""


async def path_of(service: Service, operation: Operation) -> str:
    """The operation's path, each of its parameters naming something new."""
    parts = PART_OF_A_CUSTOMER | {"delivery_id", "invitation_id"}
    names = {name: await made(service, name) for name in operation.path_names if name not in parts}
    if operation.name in ("update_group", "delete_group"):
        names["key"] = await group(service)  # what it spoils is its own
    elif operation.path.startswith(SEGMENTS):
        names["key"] = await segment(service)
    elif operation.method in ("PUT", "PATCH", "DELETE") and "key" in names and "customer_id" not in names:
        names["key"] = await draft(service)  # what it spoils is its own
    if operation.name == "publish_version":
        names["key"] = await draft(service)
    if operation.name == "delete_version":
        names["n"] = await second_version(service, names["key"])
    if "session_id" in names and "user_id" in names:
        names["session_id"] = await session_of(service, f"SELECT '{names['user_id']}'::uuid")
    if "membership_id" in names:
        names["membership_id"] = await membership(service, f"SELECT '{names['user_id']}'::uuid")
    if "delivery_id" in operation.path_names:
        names["delivery_id"] = await delivery(service, names["webhook_id"])
    names |= await _made_ready(service, operation, names)
    await _of_a_pair(service, operation, names)
    if "customer_id" in names:
        names |= await prepared(service, operation.name, names["customer_id"])
    return operation.at(**names)


async def _made_ready(service: Service, operation: Operation, names: Mapping[str, str]) -> dict[str, str]:
    """What is named in the state in which the operation takes it."""
    if operation.name in ("record_survey_response", "invite_to_survey"):
        await publish_survey(service, names["survey_id"])
    if operation.path.startswith("/v1/my/surveys/"):
        await customer_token(service)
        invited = await invitation(service, await made(service, "survey_id"), service.tokens["customer_id"])
        return {"invitation_id": str(invited["id"])}
    if "invitation_id" in operation.path_names:
        return {"invitation_id": str((await invitation(service, names["survey_id"]))["id"])}
    if operation.name == "fetch_data_request_file":
        path = f"/v1/data-requests/{names['data_request_id']}/complete"
        answer = await service.send("POST", path, token=service.tokens["admin"])
        assert answer.status == 200, answer.body
    if operation.name == "cancel_job":
        return {"job_id": await waiting_job(service)}
    if operation.name == "hide_scheme_from_customers":
        answer = await service.send("PUT", "/v1/shown-schemes/tier", token=service.tokens["admin"])
        assert answer.status == 200, answer.body
        return {"key": "tier"}
    if operation.name == "show_scheme_to_customers":
        await service.send("DELETE", "/v1/shown-schemes/region", token=service.tokens["admin"])
        return {"key": "region"}
    return {}


async def _of_a_pair(service: Service, operation: Operation, names: Mapping[str, str]) -> None:
    if operation.name == "reopen_duplicate":
        await dismiss(service, names["duplicate_id"])


async def prepared(service: Service, operation: str, customer_id: str) -> dict[str, str]:
    """What must be there for the operation to succeed, such as an override to end; names it for the path."""
    if operation == "delete_purchase":
        return {"purchase_id": await purchase(service, customer_id)}
    if found := await part(service, operation, customer_id):
        return found
    if operation == "read_profile_change" or ("account" in operation and operation != "open_customer_account"):
        return await _let_in(service, operation, customer_id)
    if operation in ("put_customer_tag", "take_customer_tag"):
        if operation == "take_customer_tag":
            path = f"/v1/customers/{customer_id}/tags/fair"
            answer = await service.send("PUT", path, token=service.tokens["admin"])
            assert answer.status == 200, answer.body
        return {"tag": "fair"}
    if "interaction_id" in OPERATIONS[operation].path_names:
        return {"interaction_id": await interaction(service, customer_id)}
    if "feedback_id" in OPERATIONS[operation].path_names:
        path, options = f"/v1/customers/{customer_id}/feedback", OPERATIONS["record_feedback"].options()
        answer = await service.send("POST", path, token=service.tokens["admin"], **options)
        assert answer.status == 201, answer.body
        return {"feedback_id": str(answer.json()["id"])}
    if operation in ("remove_segment_member", "remove_group_member"):
        path = f"/v1/segments/{await segment(service)}/members/{customer_id}"
        answer = await service.send("PUT", path, token=service.tokens["admin"])
        assert answer.status < 300, answer.body
    status, period = {
        "end_override": ("active", "tstzrange(now(), NULL)"),
        "approve_override": ("proposed", "NULL"),
        "reject_override": ("proposed", "NULL"),
    }.get(operation, (None, None))
    if status is not None:
        await service.fetch(
            "INSERT INTO class_override (customer_id, scheme, class, reason, status, period, proposed_by, proposed_at)"
            f" VALUES ($1, 'lifecycle', 'loyal', 'a contract', $2, {period}, 'user:somebody', now())",
            uuid.UUID(customer_id),
            status,
        )
    return {}


async def part(service: Service, operation: str, customer_id: str) -> dict[str, str]:
    """A part of the record that the path names: not what the operation's example would make of it."""
    for noun, plural, body in (
        ("note", "notes", {"text": "Likes green tea."}),
        ("address", "addresses", {**OPERATIONS["add_address"].example, "is_primary": False}),
        ("contact", "contacts", {"name": "Reception"}),
    ):
        if f"{noun}_id" in OPERATIONS[operation].path_names:
            path = f"/v1/customers/{customer_id}/{plural}"
            answer = await service.send("POST", path, token=service.tokens["admin"], body=body)
            assert answer.status == 201, answer.body
            return {f"{noun}_id": str(answer.json()["id"])}
    return {}


async def _let_in(service: Service, operation: str, customer_id: str) -> dict[str, str]:
    """The customer with an account, or with a change that waits for its code."""
    if operation == "read_profile_change":
        asked = "INSERT INTO profile_change (customer_id, field, value, expires_at)"
        values = "VALUES ($1, 'email', 'mei@example.com', now() + interval '1 day') RETURNING id"
        return {"change_id": str(await service.value(f"{asked} {values}", uuid.UUID(customer_id)))}
    path = f"/v1/customers/{customer_id}/account"
    answer = await service.send("POST", path, token=service.tokens["admin"], body={})
    assert answer.status in (201, 409), answer.body
    return {}


async def session_of(service: Service, user: str) -> str:
    """A new session of the user whom the query gives."""
    opened = f"INSERT INTO auth_session (user_id, expires_at) VALUES (({user}), now() + interval '1 day') RETURNING id"
    return str(await service.value(opened))


async def delegation(service: Service) -> str:
    """A new delegation of the administrator's."""
    delegate, _ = await service.user({})
    body = {"delegate_id": str(delegate), "ends_on": (clock.now().date() + timedelta(days=9)).isoformat()}
    answer = await service.send("POST", "/v1/delegations", token=service.tokens["admin"], body=body)
    assert answer.status == 201, answer.body
    return str(answer.json()["id"])


async def membership(service: Service, user: str) -> str:
    """A new unit, and the membership in it of the user whom the query gives."""
    unit = f"WITH made AS (INSERT INTO org_unit (name) VALUES ('{uuid.uuid4().hex}') RETURNING id)"
    joined = (
        f"{unit} INSERT INTO unit_membership (user_id, unit_id, during) SELECT ({user}), id, '[2020-01-01,)' FROM made"
    )
    return str(await service.value(f"{joined} RETURNING id"))


async def publish_survey(service: Service, survey_id: str) -> None:
    """Have the survey's first version asked."""
    path = f"/v1/surveys/{survey_id}/versions/1/publish"
    answer = await service.send("POST", path, token=service.tokens["admin"])
    assert answer.status == 200, answer.body


async def survey_link(service: Service) -> str:
    """The path of a link by which a customer can answer."""
    made_one = await invitation(service, await made(service, "survey_id"))
    return "/v1/" + str(made_one["url"]).rpartition("/v1/")[2]


async def invitation(service: Service, survey_id: str, customer_id: str | None = None) -> dict[str, Any]:
    """A new invitation of the customer, or of a new one, to the survey, which is then published."""
    await publish_survey(service, survey_id)
    body = {
        **OPERATIONS["invite_to_survey"].example,
        "customer_ids": [customer_id or await made(service, "customer_id")],
    }
    path = f"/v1/surveys/{survey_id}/invitations"
    answer = await service.send("POST", path, token=service.tokens["admin"], body=body)
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.json()["items"][0]
    return found


async def account(service: Service) -> dict[str, Any]:
    """A new customer's account, with the invitation to it."""
    path = f"/v1/customers/{await made(service, 'customer_id')}/account"
    answer = await service.send("POST", path, token=service.tokens["admin"], body={})
    assert answer.status == 201, answer.body
    opened: dict[str, Any] = answer.json()
    return opened


async def customer_token(service: Service) -> str:
    """The token of a customer who is logged in; the same one each time."""
    if "customer" not in service.tokens:
        opened = await account(service)
        service.tokens["customer_id"] = opened["customer_id"]
        service.tokens["customer"] = await service.token(opened["username"])
    return service.tokens["customer"]


async def caller(service: Service, operation: Operation, username: str = "admin") -> str:
    """The user's token, a new one, for it can log out; in the administrator's place, a customer's for self-service."""
    of_customers = username == "admin" and operation.path.startswith("/v1/my/")
    return await customer_token(service) if of_customers else await service.token(username)


async def second_version(service: Service, key: str) -> str:
    """A second draft of the scheme."""
    body = OPERATIONS["create_version"].example
    answer = await service.send("POST", f"/v1/schemes/{key}/versions", token=service.tokens["admin"], body=body)
    assert answer.status == 201, answer.body
    return str(answer.json()["version"])


async def purchase(service: Service, customer_id: str) -> str:
    """A new purchase of the customer."""
    body = {"occurred_at": "2026-01-02T03:04:05Z", "amount": "1"}
    path = f"/v1/customers/{customer_id}/purchases"
    answer = await service.send("POST", path, token=service.tokens["admin"], body=body)
    assert answer.status == 201, answer.body
    return str(answer.json()["id"])


async def interaction(service: Service, customer_id: str) -> str:
    """A new interaction with the customer."""
    path = f"/v1/customers/{customer_id}/interactions"
    body = {**OPERATIONS["record_interaction"].example, "reference": f"CALL-{uuid.uuid4().hex}"}
    answer = await service.send("POST", path, token=service.tokens["admin"], body=body)
    assert answer.status == 201, answer.body
    return str(answer.json()["id"])


async def transfer(service: Service) -> str:
    """A new transfer of many customers."""
    options = OPERATIONS["transfer_customers"].options(to={"unit_id": await made(service, "unit_id")})
    answer = await service.send("POST", "/v1/customers/transfers", token=service.tokens["admin"], **options)
    assert answer.status == 202, answer.body
    return str(answer.json()["id"])


async def duplicate(service: Service) -> str:
    """Two new customers who may be the same."""
    one, other = sorted([await made(service, "customer_id"), await made(service, "customer_id")])
    found = "INSERT INTO customer_duplicate (customer_id, other_id, score, contact_score, plain_score, reasons)"
    values = """VALUES ($1, $2, 75, 75, 75, '{"same_name": 75}') RETURNING id"""
    return str((await service.fetch(f"{found} {values}", uuid.UUID(one), uuid.UUID(other)))[0]["id"])


async def dismiss(service: Service, duplicate_id: str) -> None:
    """Have it said that the two are not the same."""
    path = f"/v1/customers/duplicates/{duplicate_id}/dismiss"
    answer = await service.send("POST", path, token=service.tokens["admin"], body={})
    assert answer.status == 200, answer.body


async def delivery(service: Service, webhook_id: str) -> str:
    """A new delivery to the webhook."""
    answer = await service.send("POST", f"/v1/webhooks/{webhook_id}/test", token=service.tokens["admin"])
    assert answer.status == 202, answer.body
    return str(answer.json()["id"])


async def data_request(service: Service) -> str:
    """A new customer's request to be handed its data."""
    options = OPERATIONS["record_data_request"].options(customer_id=await made(service, "customer_id"))
    answer = await service.send("POST", "/v1/data-requests", token=service.tokens["admin"], **options)
    assert answer.status == 201, answer.body
    return str(answer.json()["id"])


async def dead_job(service: Service) -> str:
    """A job that was given up."""
    died = "INSERT INTO job (name, payload, status, error) VALUES ('jobs.forget', '{}', 'dead', 'OSError')"
    return str(await service.value(f"{died} RETURNING id"))


async def waiting_job(service: Service) -> str:
    """A new job that waits for a worker: an export's."""
    export_id = await made(service, "export_id")
    return str(await service.value("SELECT id FROM job WHERE payload->>'export_id' = $1", export_id))


async def segment(service: Service) -> str:
    """The key of a static segment, made when it is first asked for."""
    body = {"key": "handpicked", "title": "Handpicked", "static": True}
    answer = await service.send("POST", "/v1/segments", token=service.tokens["admin"], body=body)
    assert answer.status in (201, 409), answer.body
    return str(body["key"])


async def group(service: Service) -> str:
    """The key of a new group."""
    body = {**OPERATIONS["create_group"].example, "key": f"x{uuid.uuid4().hex}"}
    answer = await service.send("POST", "/v1/groups", token=service.tokens["admin"], body=body)
    assert answer.status == 201, answer.body
    return str(body["key"])


async def draft(service: Service) -> str:
    """The key of a new scheme with draft version 1."""
    key = f"x{uuid.uuid4().hex}"
    body = {**OPERATIONS["create_scheme"].example, "key": key}
    answer = await service.send("POST", "/v1/schemes", token=service.tokens["admin"], body=body)
    assert answer.status == 201, answer.body
    return key
