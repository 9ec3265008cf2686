"""Tests mirror the packages; a test is named by the sentence it proves."""
