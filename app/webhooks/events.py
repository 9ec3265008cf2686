"""What this package announces."""

from dataclasses import dataclass
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field


@dataclass(frozen=True, slots=True)
class WebhookPaused:
    """An endpoint kept failing: nothing is sent to it until somebody resumes it."""

    name: ClassVar[str] = "webhook.paused"
    stored: ClassVar[bool] = True

    webhook_id: UUID
    reason: Annotated[str, Field(examples=["nothing has been accepted for three days"])]


@dataclass(frozen=True, slots=True)
class WebhookTest:
    """Sent on request, whatever the webhook asks for; of no use but to see that it arrives. Not in the feed."""

    name: ClassVar[str] = "webhook.test"
    stored: ClassVar[bool] = False

    webhook_id: UUID
