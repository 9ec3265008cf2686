"""What a customer may do for itself: its record, classes and the way to the next, surveys, feedback, consents, data.

Owns customer_account (whose account a user is), profile_change and shown_scheme (which classes customers see).
Announces `ProfileChangeRequested`. Reacts to `CustomerErased` and `CustomerDeleted`: the account is forgotten.
Never shows or changes anything of another customer: what it asks of lower packages names the account's own record.
"""
