"""Finding customers: read one, list, search and count by predicate tree, members of a class, as pages or as a file;
a customer's timeline.

Announces nothing and reacts to nothing.
Reads everything below, always starting from what the actor may see.
Never changes anything; who takes a file is written down.
"""
