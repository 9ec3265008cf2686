"""Routes of the customer record, a module for each noun."""

from app.customers.api import consents, record, tags

routers = [record.routes, tags.routes, consents.routes]
