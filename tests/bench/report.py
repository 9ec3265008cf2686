"""Results, as a table for people and as Markdown for the README."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from tests.bench.data import Size

_console = Console(width=max(160, Console().width))
_MARKS = re.compile(r"(<!-- bench -->\n).*?(<!-- /bench -->|<!-- bench -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Result:
    """One kind of work: our figure beside its floor's. Without a floor the limit is absolute."""

    work: str
    unit: str
    ours: float
    floor: float | None = None
    floor_is: str = ""
    bound: Literal["≥", "≤"] = "≥"
    limit: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.floor is None else self.ours / self.floor

    @property
    def met(self) -> bool | None:
        if self.limit is None:
            return None
        figure = self.ours if self.ratio is None else self.ratio
        return figure >= self.limit if self.bound == "≥" else figure <= self.limit

    @property
    def target(self) -> str:
        if self.limit is None:
            return ""
        what = f" × {self.floor_is}" if self.floor is not None else f" {self.unit}"
        return f"{self.bound} {self.limit:g}{what}"

    def cells(self) -> list[str]:
        met = {True: "yes", False: "no", None: ""}[self.met]
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        floor = "" if self.floor is None else f"{_figure(self.floor)} {self.unit}"
        return [self.work, self.target, f"{_figure(self.ours)} {self.unit}", floor, ratio, met, self.note]


COLUMNS = ["work", "target", "ours", "floor", "ratio", "met", "note"]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def say(text: str) -> None:
    """A line on the terminal."""
    _console.print(text, highlight=False)


def machine(size: Size, server_version: str) -> str:
    """What the figures were measured on."""
    return (
        f"{os.cpu_count()} cores, PostgreSQL {server_version}, Python {platform.python_version()}, "
        f"{size.customers:,} customers, {size.purchases:,} purchases, {date.today().isoformat()}"
    )


def show(results: Sequence[Result], line: str) -> None:
    """Print the table."""
    table = Table(title="Strata bench", caption=line)
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in ("ours", "floor", "ratio") else "left")
    for result in results:
        style = {True: "green", False: "red", None: ""}[result.met]
        table.add_row(*result.cells(), style=style)
    _console.print(table)


def markdown(results: Sequence[Result], line: str, command: str) -> str:
    """The table as Markdown, with the machine and the command that makes it."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(result.cells() for result in results)]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    return f"{table}\n\n{line}. Made by `{command}`.\n"


def write(path: Path, text: str) -> None:
    """Put the text between the marks `<!-- bench -->` and `<!-- /bench -->`; raises ValueError without them."""
    content = path.read_text()
    changed, count = _MARKS.subn(lambda found: f"{found[1]}{text}{found[2]}", content)
    if count != 1:
        raise ValueError(f"{path} has no marks <!-- bench --> around the table")
    path.write_text(changed)
