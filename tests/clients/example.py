"""What a program in Python does with the client that openapi-python-client makes of the API document."""

from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

from strata_client import AuthenticatedClient, Client
from strata_client.api.access import issue_token
from strata_client.api.classification import explain_class
from strata_client.api.customers import list_customers
from strata_client.api.purchases import record_purchase
from strata_client.models import (
    CustomerOut,
    CustomerPage,
    ExplanationOut,
    PasswordGrant,
    ProblemDetails,
    PurchaseIn,
    PurchaseRecordedOut,
    TokenOut,
)
from strata_client.types import UNSET, Unset


class StrataError(Exception):
    def __init__(self, problem: ProblemDetails | None) -> None:
        self.fields = {each.pointer: each.message for each in problem.errors} if problem else {}
        super().__init__(problem.title if problem else "no answer that the document knows")


def log_in(base_url: str, username: str, password: str) -> AuthenticatedClient:
    answer = issue_token.sync(client=Client(base_url), body=PasswordGrant(username=username, password=password))
    if not isinstance(answer, TokenOut):
        raise StrataError(answer)
    return AuthenticatedClient(base_url, token=answer.access_token)


def customers_of_class(client: AuthenticatedClient, of_class: str) -> Iterator[CustomerOut]:
    """Every customer of a class such as abc:A, page by page."""
    cursor: str | Unset = UNSET
    while True:
        page = list_customers.sync(client=client, class_=of_class, limit=200, cursor=cursor)
        if not isinstance(page, CustomerPage):
            raise StrataError(page)
        yield from page.items
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


def explain(client: AuthenticatedClient, customer_id: UUID, scheme: str) -> list[str]:
    """Why a customer is in its class, one line a condition."""
    why = explain_class.sync(customer_id, scheme, client=client)
    if not isinstance(why, ExplanationOut):
        raise StrataError(why)
    return [f"{each.class_}: {each.metric} {each.op} {each.threshold}: {each.met}" for each in why.conditions]


def record(client: AuthenticatedClient, customer_id: UUID, purchase: PurchaseIn) -> dict[str, str]:
    """The customer's classes after the purchase."""
    answer = record_purchase.sync(customer_id, client=client, body=purchase, idempotency_key=str(purchase.order_ref))
    if not isinstance(answer, PurchaseRecordedOut):
        raise StrataError(answer)
    assert Decimal(answer.amount) > 0
    return answer.classes.additional_properties
