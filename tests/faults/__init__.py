"""Faults put to a whole installation under load, and what became of what it had acknowledged: `make faults`."""
