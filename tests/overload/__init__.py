"""What happens when more is asked than can be done: `make overload` shows it, test_overload.py holds it."""
