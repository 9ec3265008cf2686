"""Whatever shows contact data, an address or what was written of somebody is in the audit: asked of every route.

Whoever may not read contact data is shown none. Made from the API document: a new route that shows a phone number or a
note is found without being named.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from app.identity.permissions import known_permissions
from tests.api_operations import OPERATIONS
from tests.document import SEGMENTS, path_of, prepared, segment
from tests.service import Answer
from tests.world import World, company, permission_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONE, EMAIL, EXTERNAL = "+8613912345678", "canary.person@example.com", "EXT-CANARY-77"
CONTACT = {"phone": PHONE, "email": EMAIL, "identities": [{"kind": "external", "value": EXTERNAL}]}
WRITTEN = "The canary said"
"""In every text that people write about somebody."""
SHOWN = [PHONE.encode(), EMAIL.encode(), EXTERNAL.encode()]
READINGS = sorted(
    name
    for name, each in OPERATIONS.items()
    if each.method == "GET"
    and not each.is_public
    and not (permission_of(name) or "my_").startswith("my_")  # a customer's own: tests/self_service
)
# Whoever hands a person's data over, or answers for it, has a permission that says so.
OTHER_RIGHTS = {"hand_over_customer_data", "fetch_data_request_file", "fetch_export"}


@dataclass(frozen=True, slots=True)
class Known:
    """A customer with contact data, its like, a colleague in its company; who is shown none of it."""

    world: World
    customer_id: str
    masked: str

    async def path(self, name: str) -> str:
        """Where the route shows this customer, if it shows one."""
        operation, service = OPERATIONS[name], self.world.service
        if "customer_id" not in operation.path_names:
            return await path_of(service, operation)
        key = await segment(service) if operation.path.startswith(SEGMENTS) else "lifecycle"
        return operation.at(
            **{"customer_id": self.customer_id, "key": key, **await prepared(service, name, self.customer_id)}
        )

    async def ask(self, name: str, path: str, token: str) -> Answer:
        return await self.world.service.send("GET", path, token=token, query=QUERIES.get(name, ""))

    async def written_down(self, answer: Answer) -> list[str]:
        """The actions that the audit names for this request."""
        await self.world.service.app.state.readings.flush()
        found = await self.world.service.fetch(
            "SELECT action FROM audit_event WHERE request_id = $1", answer.headers["x-request-id"]
        )
        return [row["action"] for row in found]


AT = "2026-01-02T03:04:05Z"
QUERIES = {
    "list_movers": "from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z",
    "list_data_quality_customers": "finding=missing_region&limit=200",
    "list_customers": "limit=200",
    "list_class_customers": "limit=200",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def known() -> AsyncIterator[Known]:
    async with company() as world:
        admin, service = world.service.tokens["admin"], world.service
        customer_id = await world.placed(None, None, **CONTACT)
        await world.placed(None, None, phone=PHONE, email=EMAIL)  # a duplicate
        person = {"person_id": await world.placed(None, None, phone=PHONE)}
        firm = await world.placed(None, None, kind="company")
        for path, body in [
            (f"/v1/customers/{firm}/contacts", person),
            (f"/v1/customers/{customer_id}/contacts", {"name": WRITTEN}),
            (
                f"/v1/customers/{customer_id}/interactions",
                {"kind": "call", "occurred_at": AT, "subject": WRITTEN, "minutes": WRITTEN},
            ),
            (f"/v1/customers/{customer_id}/notes", {"text": WRITTEN}),
            (f"/v1/customers/{customer_id}/addresses", {"lines": WRITTEN, "country": "CN", "kind": "delivery"}),
            (
                f"/v1/customers/{customer_id}/feedback",
                {"kind": "complaint", "channel": "phone", "occurred_at": AT, "text": WRITTEN},
            ),
            ("/v1/data-requests", {"customer_id": customer_id, "kind": "export", "note": WRITTEN}),
        ]:
            answer = await service.send("POST", path, token=admin, body=body)
            assert answer.status == 201, answer.body
        override = {"class": "loyal", "reason": WRITTEN, "expires_at": None}
        path = f"/v1/customers/{customer_id}/classes/lifecycle/override"
        answer = await service.send("PUT", path, token=admin, body=override)
        assert answer.status < 300, answer.body
        await service.run_jobs()
        everything_else = sorted(known_permissions() - {"customers:read_contact"})
        _, masked = await service.user(dict.fromkeys(everything_else, "all"))
        yield Known(world, customer_id, masked)


@pytest.mark.parametrize("name", READINGS)
async def test_contact_data_is_shown_with_a_record_and_else_masked(known: Known, name: str) -> None:
    path = await known.path(name)
    shown = await known.ask(name, path, known.world.service.tokens["admin"])
    if any(each in shown.body for each in (*SHOWN, WRITTEN.encode())):
        assert await known.written_down(shown), (name, shown.body[:500])
    if name in OTHER_RIGHTS:
        return
    masked = await known.ask(name, path, known.masked)
    assert not [each for each in SHOWN if each in masked.body], (name, masked.body[:2000])


NAMES_OF_READINGS = {
    "explain_class": "class.read",
    "list_addresses": "address.read",
    "list_contacts": "contact.read",
    "list_customer_feedback": "feedback.read",
    "list_customer_interactions": "interaction.read",
    "list_data_requests": "data_request.read",
    "list_feedback": "feedback.read",
    "list_customer_classes": "class.read",
    "list_interactions": "interaction.read",
    "list_notes": "note.read",
    "list_overrides": "override.read",
    "read_override": "override.read",
    "read_timeline": "timeline.read",
}


@pytest.mark.parametrize("name", sorted(NAMES_OF_READINGS))
async def test_what_was_written_of_somebody_is_shown_and_the_audit_names_whose_it_is(known: Known, name: str) -> None:
    admin = known.world.service.tokens["admin"]
    answer = await known.ask(name, await known.path(name), admin)
    assert WRITTEN.encode() in answer.body, answer.body[:1000]
    assert await known.written_down(answer) == [NAMES_OF_READINGS[name]]
    [row] = await known.world.service.fetch(
        "SELECT resource, resource_id, after FROM audit_event WHERE request_id = $1", answer.headers["x-request-id"]
    )
    named = [row["resource_id"]] if row["resource"] == "customer" else row["after"]["customers"]
    assert known.customer_id in named
    assert WRITTEN not in str(dict(row))


async def test_what_is_not_shown_is_no_reading(known: Known) -> None:
    service, nobody = known.world.service, "01920000-0000-7000-8000-00000000dead"
    _, elsewhere = await service.user({"notes:read": "own", "interactions:read": "own"})
    for path, status in [
        (f"/v1/customers/{known.customer_id}/notes", 404),
        (f"/v1/customers/{nobody}/notes", 404),
        ("/v1/interactions", 200),
        ("/v1/feedback", 403),
    ]:
        answer = await service.send("GET", path, token=elsewhere)
        assert answer.status == status, answer.body
        assert not await known.written_down(answer)


async def test_the_test_sees_contact_data_where_it_is_shown(known: Known) -> None:
    admin = known.world.service.tokens["admin"]
    for name in ("read_customer", "list_customers"):
        answer = await known.ask(name, await known.path(name), admin)
        assert [each for each in SHOWN if each in answer.body] == SHOWN, name
    assert not await known.written_down(await known.ask("list_roles", "/v1/roles", admin))
