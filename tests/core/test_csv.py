"""Files for people: what a spreadsheet would take for a formula is text, and stays what it was."""

import csv
import io

import pytest

from app.core.csv import lines


@pytest.mark.parametrize("cell", [f"{first}cmd|' /C calc'!A0" for first in "=+-@\t\r\n"])
def test_what_begins_a_formula_is_text(cell: str) -> None:
    assert list(csv.reader(io.StringIO(lines([["a", cell]]), newline=""))) == [["a", f"'{cell}"]]


@pytest.mark.parametrize("cell", ["-1.50", "-7", "1=1", "蓝灯笼", 'two; "parts", one\nbelow', ""])
def test_anything_else_is_as_it_was(cell: str) -> None:
    assert list(csv.reader(io.StringIO(lines([["a", cell]]), newline=""))) == [["a", cell]]
