"""Routes of the customer record, a module for each noun."""

from app.customers.api import (
    addresses,
    consents,
    contacts,
    custom_fields,
    duplicates,
    merges,
    notes,
    record,
    regions,
    tags,
    transfers,
)

routers = [
    merges.routes,
    duplicates.routes,
    record.routes,
    transfers.routes,
    tags.routes,
    consents.routes,
    notes.routes,
    contacts.routes,
    addresses.routes,
    custom_fields.routes,
    regions.routes,
]
