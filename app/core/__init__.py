"""The seams every package stands on: settings, database, clock, errors, HTTP edge, events, jobs.

Owns the tables that belong to no domain: audit, outbox, jobs, idempotency keys.
Announces nothing and reacts to nothing.
Never knows a customer, a user or a scheme.
"""
