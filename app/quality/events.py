"""What this package announces. Statements write it to the outbox themselves, for however many owners."""

REMINDER = "data_quality.reminder"
"""{owner_id, customers, findings}: how many of an owner's customers need attention, and for what. Once a week."""
