"""What classes were: movement between two instants, and changes with their reasons."""

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from app.classification.schemas.classes import ClassChangeOut
from app.core.bounds import Count, Money, Out


class MovementCell(Out):
    """Customers who went from one class to another; null is no class. Revenue is up to the later instant."""

    model_config = ConfigDict(populate_by_name=True)

    from_class: str | None = Field(alias="from")
    to_class: str | None = Field(alias="to")
    customers: Count
    monetary: Money


class MovementTotal(Out):
    """How many, and their revenue."""

    customers: Count
    monetary: Money


class MovementTotals(Out):
    """The cells by direction; `otherwise` are moves from or to classes that the scheme no longer has."""

    entered: MovementTotal
    left: MovementTotal
    stayed: MovementTotal
    upgraded: MovementTotal
    downgraded: MovementTotal
    otherwise: MovementTotal


class MovementMatrix(Out):
    """Who moved between two instants, best classes first; cells without customers are left out."""

    model_config = ConfigDict(populate_by_name=True)

    begin: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    items: list[MovementCell]
    totals: MovementTotals
    next_cursor: None = None


class MoverOut(Out):
    """A customer behind the matrix. The name is null for who may read classes but not customers."""

    customer_id: UUID
    name: str | None
    from_class: str | None
    to_class: str | None
    monetary: Money


class MoverPage(Out):
    """A page of customers who moved or stayed."""

    items: list[MoverOut]
    next_cursor: str | None


class ChangePage(Out):
    """A page of changes across customers, the latest first."""

    items: list[ClassChangeOut]
    next_cursor: str | None
