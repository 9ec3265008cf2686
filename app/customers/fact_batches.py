"""Facts about customers, many in one request: what the packages share whose batches keep the good rows.

Each row is read by itself, so that one that is wrong does not keep the others out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError, model_validator

from app.core import clock
from app.core.bounds import Count, In, Instant, Key, Line, Out
from app.core.db import ReadSession
from app.core.errors import Invalid
from app.core.http.problems import message_of, pointer_of
from app.core.settings import get_settings
from app.customers.contacts import normal_identity
from app.customers.occurring import TOO_LATE, is_too_late
from app.customers.references import Identity, reached_by_identity
from app.identity.actor import Actor

MAX_ROWS = 1000
MAX_ERRORS = 10
UNKNOWN_CUSTOMER = "there is no such customer among those you may write about"


class WhoseIdentity(In):
    """One way in which another system knows the customer."""

    kind: Key
    value: Line


class BatchRow(In):
    """A fact of a batch: the customer by its id or by one of its identities."""

    customer_id: UUID | None = None
    identity: WhoseIdentity | None = None
    occurred_at: Instant

    @model_validator(mode="after")
    def _names_one_customer(self) -> "BatchRow":
        if (self.customer_id is None) == (self.identity is None):
            raise ValueError("name the customer by customer_id or by identity")
        return self


class RowError(Out):
    """What is wrong with a row."""

    pointer: str
    message: str


class RowOutcome(Out):
    """What became of one row, by its place in the request: the id of its fact, or what is wrong with it."""

    index: int
    id: UUID | None
    errors: list[RowError]


class FactBatchOut(Out):
    """What became of each row."""

    recorded: Count
    rejected: Count
    items: list[RowOutcome]


Row = TypeVar("Row", bound=BatchRow)


class FactBatch(Generic[Row]):
    """The rows that can be recorded so far, and what is wrong with the others, by their places in the request.

    `noun` is the body's field that holds the rows.
    """

    def __init__(self, noun: str, rows: TypeAdapter[list[Row]]) -> None:
        self.good: dict[int, Row] = {}
        self.errors: dict[int, list[dict[str, str]]] = {}
        self.customers: dict[int, UUID] = {}
        self._identities: dict[int, Identity] = {}
        self._noun = noun
        self._rows = rows

    def refuse(self, index: int, field: str, message: str) -> None:
        """The row is not recorded; `field` leads to what is wrong within it."""
        found = self.errors.setdefault(index, [])
        if len(found) < MAX_ERRORS:
            found.append({"pointer": f"/body/{self._noun}/{index}{field}", "message": message})
        self.good.pop(index, None)

    def refuse_as(self, index: int, error: Invalid) -> None:
        """The row is not recorded, for what it would be refused for by itself."""
        for each in error.errors:
            self.refuse(index, each.pointer.removeprefix("/body"), each.message)

    def read(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep the rows that are facts by themselves, and the spelling by which their identities are unique."""
        now, region = clock.business_now(), get_settings().phone_region
        self.good = self._valid(rows)
        for index, row in list(self.good.items()):
            if is_too_late(row.occurred_at, now):
                self.refuse(index, "/occurred_at", TOO_LATE)
            if row.identity is not None:
                try:
                    kind, value = row.identity.kind, row.identity.value
                    self._identities[index] = kind, normal_identity(kind, value, region)
                except ValueError as error:
                    self.refuse(index, "/identity/value", str(error))

    def _valid(self, rows: Sequence[dict[str, Any]]) -> dict[int, Row]:
        """Read at once, and without the others once more if some are not valid."""
        places = list(range(len(rows)))
        try:
            return dict(zip(places, self._rows.validate_python(rows), strict=True))
        except ValidationError as error:
            for each in error.errors(include_url=False, include_context=False, include_input=False):
                index, *within = each["loc"]
                self.refuse(int(index), pointer_of(within), message_of(each))
        places = [n for n in places if n not in self.errors]
        return dict(zip(places, self._rows.validate_python([rows[n] for n in places]), strict=True))

    async def find_customers(self, session: ReadSession, actor: Actor, permission: str) -> None:
        """Whose identities these are, among those whom the permission reaches. Who is named by id is not looked for."""
        asked = {self._identities[index] for index in self.good if index in self._identities}
        known = await reached_by_identity(session, actor, permission, asked)
        for index, row in list(self.good.items()):
            found = row.customer_id or known.get(self._identities[index])
            if found is None:
                self.refuse(index, "/identity", UNKNOWN_CUSTOMER)
            else:
                self.customers[index] = found

    def outcome(self, ids: Mapping[int, UUID], given: int) -> dict[str, Any]:
        """What became of each of the `given` rows; `ids` are those of the recorded facts, by their rows' places."""
        items = [{"index": n, "id": ids.get(n), "errors": self.errors.get(n, [])} for n in range(given)]
        return {"recorded": len(ids), "rejected": given - len(ids), "items": items}
