"""What was said and done with customers: calls, e-mails, meetings, chats, visits and web events.

Announces `InteractionRecorded`, `InteractionsRecorded` and `InteractionCorrected`.
Reacts to `CustomerDeleted` (deletes its rows). Offers the import kind `interactions`.
Never edits silently: a correction is the next version, and the earlier ones stay.
"""
