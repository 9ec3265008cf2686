"""Routes of the customer record, a module for each noun."""

from app.customers.api import consents, custom_fields, merges, notes, record, tags

routers = [merges.routes, record.routes, tags.routes, consents.routes, notes.routes, custom_fields.routes]
