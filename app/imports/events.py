"""What this package announces."""

from dataclasses import dataclass
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field


@dataclass(frozen=True, slots=True)
class ImportCompleted:
    """A file went in. `accepted` counts its rows, `changed` what they made or altered."""

    name: ClassVar[str] = "import.completed"
    stored: ClassVar[bool] = True

    import_id: UUID
    kind: Annotated[str, Field(examples=["purchases"])]
    accepted: Annotated[int, Field(examples=[1200])]
    changed: Annotated[int, Field(examples=[310])]
