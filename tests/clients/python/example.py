"""What a program in Python does with the client that openapi-python-client makes of the API document."""

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from strata_client import AuthenticatedClient, Client
from strata_client.api.access import issue_token, read_me
from strata_client.api.classification import explain_class, list_recalculations
from strata_client.api.customers import list_class_customers, list_customers
from strata_client.api.imports import get_import, list_import_errors, start_import
from strata_client.api.purchases import record_purchase
from strata_client.models import (
    CustomerOut,
    ImportIn,
    ImportOut,
    PasswordGrant,
    ProblemDetails,
    PurchaseIn,
    Sort,
)
from strata_client.types import UNSET, File, Unset

Answer = TypeVar("Answer")
COLUMNS = {"customer_ref": "Customer", "order_ref": "Invoice", "occurred_at": "Date", "amount": "Quantity * Price"}
IN_PROGRESS = ("queued", "running")


class StrataError(Exception):
    """A problem: what is wrong, and with which field."""

    def __init__(self, problem: ProblemDetails) -> None:
        fields = "".join(f": {each.pointer}: {each.message}" for each in problem.errors)
        super().__init__(f"{problem.status} {problem.title}{fields}")


def given(answer: Answer | ProblemDetails | None) -> Answer:
    if isinstance(answer, ProblemDetails):
        raise StrataError(answer)
    assert answer is not None
    return answer


def log_in(base_url: str, username: str, password: str) -> AuthenticatedClient:
    token = given(issue_token.sync(client=Client(base_url), body=PasswordGrant(username=username, password=password)))
    return AuthenticatedClient(base_url, token=token.access_token)


def finished_import(client: AuthenticatedClient, file: Path) -> ImportOut:
    """Import a file of purchases; wait for it, and for the classes that follow."""
    body = ImportIn(
        file=File(payload=file.open("rb"), file_name=file.name),
        kind="purchases",
        mapping=json.dumps(COLUMNS),
        create_customers=True,
        currency="CNY",
    )
    found = given(start_import.sync(client=client, body=body, idempotency_key="january-to-march"))
    print(f"import {found.status}")
    while found.status in IN_PROGRESS:
        time.sleep(0.2)
        found = given(get_import.sync(found.id, client=client))
    while given(list_recalculations.sync(client=client, limit=1)).items[0].status in IN_PROGRESS:
        time.sleep(0.2)
    return found


def every_customer(client: AuthenticatedClient) -> Iterator[CustomerOut]:
    """All customers by name, page by page."""
    cursor: str | Unset = UNSET
    while True:
        page = given(list_customers.sync(client=client, sort=Sort.NAME, limit=2, cursor=cursor))
        print(f"page of {len(page.items)}")
        yield from page.items
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


def main(base_url: str, password: str, file: Path) -> None:
    client = log_in(base_url, "admin", password)
    print(f"logged in as {given(read_me.sync(client=client)).username}")

    done = finished_import(client, file)
    print(f"import {done.status}: {done.accepted} accepted, {done.rejected} rejected")
    for error in given(list_import_errors.sync(done.id, client=client)).items:
        print(f"line {error.line}: {error.field}: {error.reason}")

    best = given(list_class_customers.sync("abc", "A", client=client)).items
    print(f"class A: {', '.join(each.name for each in best)}")

    why = given(explain_class.sync(best[0].id, "abc", client=client))
    for each in why.conditions:
        print(f"{each.class_}: {each.metric} {each.value} {each.op} {each.threshold}: {'yes' if each.met else 'no'}")

    for customer in every_customer(client):
        print(f"{customer.name}: {customer.classes['abc']}")

    purchase = PurchaseIn(occurred_at=datetime(2026, 3, 3, tzinfo=UTC), amount="12.345678")
    try:
        given(record_purchase.sync(best[0].id, client=client, body=purchase, idempotency_key="SO-8"))
    except StrataError as problem:
        print(problem)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
