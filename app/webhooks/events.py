"""What this package announces."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class WebhookPaused:
    """An endpoint kept failing: nothing is sent to it until somebody resumes it."""

    name: ClassVar[str] = "webhook.paused"
    stored: ClassVar[bool] = True

    webhook_id: UUID
    reason: str
