"""The background work of the customer record."""

from app.customers import tags

JOBS = {tags.JOB: tags.run_replacing}
