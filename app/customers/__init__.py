"""The customer record: who the customer is, how to reach it, who looks after it, its tags, consents and notes.

Announces `CustomerCreated`, `CustomerChanged`, `CustomersChanged`, `CustomerDeleted`, `TagReplaced`,
`ConsentGiven`, `ConsentWithdrawn`. Reacts to nothing.
Other packages add their part of a customer's JSON through `document.extend`.
Never decides a class and never stores a fact about what a customer did.
"""
