"""Events for other services: a feed to pull, and webhooks to be called by.

Owns webhook and webhook_delivery. Announces `WebhookPaused` and `WebhookTest`; reacts to nothing.
Reads the outbox as it is stored, by the events' names.
Never imports the package that announced an event, and never shows more than the event says.
"""
