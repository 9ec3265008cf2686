"""The background work of the customer record, and what of it is kept for a time only."""

from app.core.retention import Retained
from app.customers import custom_indexes, tags
from app.customers.models import customer_note

JOBS = {tags.JOB: tags.run_replacing, custom_indexes.JOB: custom_indexes.run_indexing}
RETAINED = [Retained("notes", "Notes about customers", customer_note, customer_note.c.updated_at)]
