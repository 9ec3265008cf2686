"""The heart: metrics, schemes as documents, breakpoints, classes, their history and explanation.

Announces `CustomerClassified`. Reacts to purchases, imports and new customers: their classes follow.
One document becomes one SQL expression, used to recalculate all, re-evaluate one, explain and search.
Never changes a fact about a customer and never rewrites history.
"""
