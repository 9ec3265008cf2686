"""Portraits: what a customer, a class or a segment is like, against everybody whom one may see; counted in SQL."""
