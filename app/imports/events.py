"""What this package announces."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ImportCompleted:
    """A file went in. `accepted` counts its rows, `changed` what they made or altered."""

    name: ClassVar[str] = "import.completed"
    stored: ClassVar[bool] = True

    import_id: UUID
    kind: str
    accepted: int
    changed: int
