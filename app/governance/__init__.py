"""Proof of who did what: the audit trail read, filtered and taken as a file, and the seals that make it tamper-evident.

Owns the chain of seals over the audit trail; announces nothing.
Reacts to nothing: a job seals, every minute, what was written since.
Never writes, changes or deletes an audit event, and never makes a writer of one wait.
"""
