"""Proof of who did what, and what a person may ask for: the audit trail; handing over all data, and forgetting it.

Owns the chain of seals over the audit trail, which makes it tamper-evident, the tombstones of who was erased, how long
each kind is kept, and data requests: what a person asked for, until when, and what became of it. Announces
`DataRequestReceived` and `DataRequestDecided`.
Reacts to `CustomerErased` and `CustomerDeleted`: what was asked for is answered by it. A job seals, every minute.
Never writes, changes or deletes an audit event, and never makes a writer of one wait.
"""
