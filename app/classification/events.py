"""What classification announces. Of customers, statements write it to the outbox themselves, for however many of them.

- `customer.class_changed` {customer_id, scheme, change_id, before, after, reason}
- `segment.entered`, `segment.left`: the same of a scheme that is a segment, instead of `customer.class_changed`
- `customer.downgrade_pending` {customer_id, scheme, before, after, on, reason}: a grace begins, or leads elsewhere now
- `customer.downgrade_called_off`: the same, without `on`; the customer qualifies again, or a person holds the class
- `customer.upgrade_pending`, `customer.upgrade_called_off`: the same of an upgrade that waits for the next period

`before` and `after` are classes, null for none; `reason` is {cause, version}: the cause as in the history and the
version that decided. Nobody hears of classes that everybody gets at once: of the first of each customer in a
recalculation of all, and of the members that a segment has from the beginning.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

CLASS_CHANGED = "customer.class_changed"
SEGMENT_ENTERED = "segment.entered"
SEGMENT_LEFT = "segment.left"
DOWNGRADE_PENDING = "customer.downgrade_pending"
DOWNGRADE_CALLED_OFF = "customer.downgrade_called_off"
UPGRADE_PENDING = "customer.upgrade_pending"
UPGRADE_CALLED_OFF = "customer.upgrade_called_off"


@dataclass(frozen=True, slots=True)
class SchemePublished:
    """A version is in force, `after`; `before` is the one that was, if any. The reason holds its author's note."""

    name: ClassVar[str] = "scheme.published"
    stored: ClassVar[bool] = True

    scheme: str
    before: int | None
    after: int
    reason: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SchemeRetired:
    """A scheme is no longer evaluated; its customers leave it."""

    name: ClassVar[str] = "scheme.retired"
    stored: ClassVar[bool] = True

    scheme: str
