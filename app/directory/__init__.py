"""Finding customers: read one, list, search and count by predicate tree, members of a class, as pages or as files;
a customer's timeline; putting many of them into other hands.

Announces nothing of its own. Reacts to `CustomerDeleted` and `CustomerErased`: files that it is in are
withdrawn.
Reads everything below, always starting from what the actor may see; who takes a file is written down.
Never changes anything but its files; transfers of many are asked for here, and carried out by the customer record.
"""
