"""The heart: metrics, schemes as documents, breakpoints, classes, their history and explanation.

Announces `ClassChanged`, `SegmentEntered`, `SegmentLeft`, `DowngradePending`, `DowngradeCalledOff`, `UpgradePending`,
`UpgradeCalledOff`, `SchemePublished`, `SchemeRetired`. Reacts to whatever a class may depend on: purchases,
interactions, feedback, the record, merges; to imports; and to deletion and erasure, with which its rows go.
One document becomes one SQL expression, used to recalculate all, re-evaluate one, explain and search.
Never changes a fact about a customer and never rewrites history.
"""
