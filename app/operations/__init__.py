"""What keeps the service running, for those who look after it: background jobs.

Owns nothing: jobs are core's to keep and to carry, their kinds are told by `features`.
Announces nothing, and reacts to nothing: what was done to a job is in the audit trail.
Never shows what a job was given but the ids in it, and never runs one itself.
"""
