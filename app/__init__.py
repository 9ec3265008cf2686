"""Strata: knows a company's customers, classifies them, keeps the classification true and explains it.

Start reading at `features.py` (the list of packages) and "How it is built" in the README.
"""
