"""Events for other services: a feed to pull.

Announces nothing and reacts to nothing.
Reads the outbox as it is stored, by the events' names.
Never imports the package that announced an event, and never shows more than the event says.
"""
