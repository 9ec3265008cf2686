"""What was said and done with customers: calls, e-mails, meetings, chats, visits and web events.

Announces `InteractionRecorded`, `InteractionsRecorded`, `InteractionCorrected` and `InteractionsForgotten`.
Reacts to `CustomerDeleted` (deletes its rows) and `CustomerErased` (empties what was said).
Offers the import kind `interactions`.
Never edits silently: a correction is the next version, and the earlier ones stay.
"""
