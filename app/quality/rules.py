"""What can be wrong with what is known of a customer. Pure."""

from enum import StrEnum


class Finding(StrEnum):
    """Something that is wrong; its first word says what kind of thing."""

    MISSING_CONTACT = "missing_contact"
    MISSING_NAME = "missing_name"
    MISSING_REGION = "missing_region"
    MISSING_SOURCE = "missing_source"
    MISSING_OWNER = "missing_owner"
    MISSING_CUSTOM = "missing_custom"
    INVALID_PHONE = "invalid_phone"
    INVALID_EMAIL = "invalid_email"
    INVALID_REGION = "invalid_region"
    INVALID_CUSTOM = "invalid_custom"
    STALE = "stale"
    CONFLICTING_PHONE = "conflicting_phone"
    CONFLICTING_EMAIL = "conflicting_email"
    CONFLICTING_IDENTITY = "conflicting_identity"
    CONFLICTING_COMPANY = "conflicting_company"

    @property
    def kind(self) -> str:
        """Missing, invalid, stale or conflicting."""
        return self.split("_")[0]


CONTACT = frozenset(
    {
        Finding.INVALID_PHONE,
        Finding.INVALID_EMAIL,
        Finding.CONFLICTING_PHONE,
        Finding.CONFLICTING_EMAIL,
        Finding.CONFLICTING_IDENTITY,
    }
)
"""What is found out from contact data: only of customers whose contact data one may read, and against such only."""

PHONE = r"^\+[1-9][0-9]{5,14}$"
EMAIL = r"^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$"
NUMBER = r"^-?[0-9]{1,14}(\.[0-9]{1,4})?$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
SEPARATOR = ";"
