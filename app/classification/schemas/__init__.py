"""Requests and answers of classification, by noun."""
