"""Bulk imports of any kind of facts: the file, its rows, the mapping, the errors, the progress.

Announces `ImportCompleted`. Reacts to nothing. The packages that own the facts register a kind
(`kinds.register`): how a row becomes a staged one, and how staged rows become facts.
Never knows what a row is about.
"""
