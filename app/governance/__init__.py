"""Proof of who did what, and what a person may ask for: the audit trail; handing over all data, and forgetting it.

Owns the chain of seals over the audit trail, which makes it tamper-evident, and the tombstones of who was erased.
Announces nothing: that somebody was erased is the record's to say, and every package hears of it.
Reacts to nothing: a job seals, every minute, what was written since.
Never writes, changes or deletes an audit event, and never makes a writer of one wait.
"""
