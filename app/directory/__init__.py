"""Finding customers: read one, list, search by predicate tree, members of a class.

Announces nothing and reacts to nothing.
Reads everything below, always starting from what the actor may see.
Never changes anything.
"""
