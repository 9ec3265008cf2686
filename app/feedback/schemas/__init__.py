"""Requests and answers of surveys and feedback."""
