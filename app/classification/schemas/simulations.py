"""Simulations as long work, what they come to, and who moves."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.classification.schemas.recalculations import AsOf
from app.core.bounds import Code, Count, Flag, In, Money, Out
from app.core.work import WorkOut

VersionNumber = Annotated[int, Field(ge=1, le=2_147_483_647)]
ClassOrNone = Code | Literal["-"]


class SimulationIn(In):
    """Compute a version for everybody without writing it: as of when, and beside what.

    Customers are judged by the stored metrics, whose facts are as of their last refresh: `as_of` decides ages (days
    since the last purchase), not which purchases count.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"as_of": None, "against": None, "refit": True}]})

    as_of: AsOf | None = Field(default=None, description="an instant, or a day: its end. Now if null")
    against: VersionNumber | None = Field(
        default=None, description="another version, to see both side by side; the classes that stand if null"
    )
    refit: Flag = Field(
        default=True,
        description="compute the population's breakpoints for each version; otherwise its newest ones are used, "
        "and one without any decides nobody",
    )


class SimulationSummary(WorkOut):
    """Long work: a simulation and how far it is."""

    scheme: str
    version: int
    against: int | None
    as_of: datetime
    refit: bool


class SimulatedClass(Out):
    """A class now and then: customers, their revenue, the share of all customers. Null: in no class."""

    model_config = ConfigDict(populate_by_name=True)

    name: str | None = Field(alias="class")
    now: Count
    then: Count
    share_now: float
    share_then: float
    monetary_now: Money
    monetary_then: Money


class SimulatedMove(Out):
    """How many are in one class now and in the other then, and their revenue; those who stay included."""

    model_config = ConfigDict(populate_by_name=True)

    from_class: str | None = Field(alias="from")
    to_class: str | None = Field(alias="to")
    customers: Count
    monetary: Money


class Direction(Out):
    """Customers who move in one direction, and their revenue."""

    customers: Count
    monetary: Money


class SimulatedMovement(Out):
    """Who moves. Directions go by the ranks of the simulated version; `other`: a class is none of its own.

    `at_once`, `pending` and `overridden` say what the version's rules of movement and the overrides in force would
    make of these moves; null when versions are compared with each other.
    """

    customers: Count
    share: float
    monetary: Money
    monetary_share: float
    up: Direction
    down: Direction
    entered: Direction
    left: Direction
    other: Direction
    at_once: Count | None
    pending: Count | None
    overridden: Count | None


class Load(Out):
    """Customers by class now and then; `gains` rise or enter, `losses` fall or leave."""

    customers: Count
    moved: Count
    gains: Count
    losses: Count
    now: dict[str, Count]
    then: dict[str, Count]


class OwnerLoad(Load):
    """The customers of one owner in one unit."""

    owner_id: UUID | None
    unit_id: UUID | None


class OtherLoad(Load):
    """The customers of all other owners."""

    owners: Count


class Workload(Out):
    """The owners with most movement, and the rest."""

    items: list[OwnerLoad]
    rest: OtherLoad | None


class SimulationOutcome(Out):
    """The whole base now and then. `now` is the version compared with, or what stands."""

    customers: Count
    monetary: Money
    classes: list[SimulatedClass]
    matrix: list[SimulatedMove]
    moved: SimulatedMovement
    workload: Workload


class SimulationOut(SimulationSummary):
    """A simulation with its breakpoints by version, and what it came to.

    `then` is what the document decides, before its rules of movement. The outcome is null until the simulation is
    completed, and for those whose permission does not reach everybody.
    """

    breakpoints: dict[str, dict[str, Any] | None] | None
    outcome: SimulationOutcome | None


class SimulationPage(Out):
    """A page of simulations, the latest first."""

    items: list[SimulationSummary]
    next_cursor: str | None


class SimulatedMover(Out):
    """A customer who moves. Null: in no class."""

    customer_id: UUID
    name: str
    owner_id: UUID | None
    unit_id: UUID | None
    from_class: str | None
    to_class: str | None
    monetary: Money


class SimulatedMoverPage(Out):
    """A page of movers by their classes, or a sample of them."""

    items: list[SimulatedMover]
    next_cursor: str | None
