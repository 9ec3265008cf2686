"""The background work of the customer record, what it does when it hears of itself, and what is kept for a time."""

from app.core.retention import Retained
from app.customers import custom_indexes, tags
from app.customers.duplicates import handlers as duplicates
from app.customers.models import customer_note

HANDLERS = duplicates.HANDLERS
JOBS = {tags.JOB: tags.run_replacing, custom_indexes.JOB: custom_indexes.run_indexing, **duplicates.JOBS}
SCHEDULES = duplicates.SCHEDULES
RETAINED = [Retained("notes", "Notes about customers", customer_note, customer_note.c.updated_at)]
