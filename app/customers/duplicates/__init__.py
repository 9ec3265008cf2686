"""Customers who may be the same: found by what they have in common, scored with the reasons, dismissed or merged."""
