"""E-mail to people about what they wait for: queued with what it announces, written at the moment it is sent.

Owns no table: a letter that waits is a job. Announces `MailUndelivered`; reacts to nothing.
Knows how a letter is sent, and nothing of what it says: the package whose noun it is writes it.
Never keeps an address, a name, a code or a text, and never puts one into a job, an event, a log or a metric.
"""
