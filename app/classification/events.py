"""What classification announces. Of customers, statements write it to the outbox themselves, for however many of them.

- `customer.class_changed` {customer_id, scheme, change_id, from_class, to_class, cause}
- `customer.class_change_pending` {customer_id, scheme, class, to_class, on}: a grace or a waiting period begins
- `customer.class_change_called_off` {customer_id, scheme, class, to_class}: the customer qualifies again
"""

from dataclasses import dataclass
from typing import ClassVar

CLASS_CHANGED = "customer.class_changed"
CHANGE_PENDING = "customer.class_change_pending"
CHANGE_CALLED_OFF = "customer.class_change_called_off"


@dataclass(frozen=True, slots=True)
class SchemePublished:
    """A version is in force; `replaces` is the one before it, if there was one."""

    name: ClassVar[str] = "scheme.published"
    stored: ClassVar[bool] = True

    scheme: str
    version: int
    replaces: int | None


@dataclass(frozen=True, slots=True)
class SchemeRetired:
    """A scheme is no longer evaluated; its customers leave it."""

    name: ClassVar[str] = "scheme.retired"
    stored: ClassVar[bool] = True

    scheme: str
