"""What classification announces. Of customers, statements write it to the outbox themselves, for however many of them.

`before` and `after` are classes, null for none. Nobody hears of classes that everybody gets at once: of the first of
each customer in a recalculation of all, and of the members that a segment has from the beginning.
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field

Before = Annotated[str | None, Field(examples=["silver"])]
After = Annotated[str | None, Field(examples=["gold"])]
SchemeKey = Annotated[str, Field(examples=["tier"])]


@dataclass(frozen=True, slots=True)
class Reason:
    """The cause, as in the history, and the version that decided."""

    cause: Annotated[str, Field(examples=["event"])]
    version: int


@dataclass(frozen=True, slots=True)
class _Decided:
    """What was decided of a customer in a scheme."""

    stored: ClassVar[bool] = True

    customer_id: UUID
    scheme: SchemeKey
    before: Before
    after: After
    reason: Reason


@dataclass(frozen=True, slots=True)
class _Change(_Decided):
    change_id: Annotated[int, Field(description="as in the history")]


@dataclass(frozen=True, slots=True)
class _Pending(_Decided):
    on: Annotated[date, Field(description="the business day on which it is done, unless it is called off")]


@dataclass(frozen=True, slots=True)
class ClassChanged(_Change):
    """A customer is in another class of a scheme."""

    name: ClassVar[str] = "customer.class_changed"


@dataclass(frozen=True, slots=True)
class SegmentEntered(_Change):
    """A customer is in a segment from now on."""

    name: ClassVar[str] = "segment.entered"


@dataclass(frozen=True, slots=True)
class SegmentLeft(_Change):
    """A customer is no longer in a segment."""

    name: ClassVar[str] = "segment.left"


@dataclass(frozen=True, slots=True)
class DowngradePending(_Pending):
    """A grace begins, or leads elsewhere now: `after` is the class that waits."""

    name: ClassVar[str] = "customer.downgrade_pending"


@dataclass(frozen=True, slots=True)
class DowngradeCalledOff(_Decided):
    """The customer qualifies again, or a person holds the class: `after` no longer waits."""

    name: ClassVar[str] = "customer.downgrade_called_off"


@dataclass(frozen=True, slots=True)
class UpgradePending(_Pending):
    """A better class waits for the next period."""

    name: ClassVar[str] = "customer.upgrade_pending"


@dataclass(frozen=True, slots=True)
class UpgradeCalledOff(_Decided):
    """The better class no longer waits."""

    name: ClassVar[str] = "customer.upgrade_called_off"


@dataclass(frozen=True, slots=True)
class SchemePublished:
    """A version is in force, `after`; `before` is the one that was, if any. The reason holds its author's note."""

    name: ClassVar[str] = "scheme.published"
    stored: ClassVar[bool] = True

    scheme: SchemeKey
    before: int | None
    after: int
    reason: Annotated[dict[str, Any], Field(examples=[{"note": "the threshold follows inflation"}])]


@dataclass(frozen=True, slots=True)
class SchemeRetired:
    """A scheme is no longer evaluated; its customers leave it."""

    name: ClassVar[str] = "scheme.retired"
    stored: ClassVar[bool] = True

    scheme: SchemeKey
