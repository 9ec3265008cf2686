"""How good the data about customers is: what is missing, invalid, stale or in conflict, per source and per owner.

Announces `Reminder`, once a week to each owner of customers who need attention. Reacts to nothing.
Reads the record and what is measured, always starting from what the actor may see.
Never corrects anything and never stores a finding: what is asked is found at that moment.
"""
