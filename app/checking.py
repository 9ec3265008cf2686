"""Whether a database keeps what Strata promises: every package's checks, and a table of what they found."""

from typing import Any

from rich.console import Console
from rich.table import Table

from app import features
from app.core import migrations
from app.core.checks import Finding, findings
from app.core.db import Database
from app.core.settings import Settings
from app.main import UnknownSchema


async def check(url: str, settings: Settings, console: Console) -> int:
    """Carry out every check, show what it found, and give the number of violations. Nothing is written.

    Raises `UnknownSchema` for a database of another revision.
    """
    database = await Database.connect(url, settings, size=2, statement_timeout=0, application="strata-check")
    try:
        async with database.connection() as connection:
            revision = await migrations.current(connection)
        if revision != migrations.head():
            raise UnknownSchema(
                f"The database is at revision {revision}; this version of Strata checks {migrations.head()}"
            )
        with console.status("Checking"):
            found = [each async for each in findings(database, features.CHECKS)]
    finally:
        await database.close()
    console.print(_table(found))
    violations = sum(each.violations for each in found)
    console.print(
        "[green]Every promise holds[/]" if not violations else f"[red]{violations:,} violations[/]", highlight=False
    )
    return violations


def _table(found: list[Finding]) -> Table:
    table = Table("promise", title="Promises")
    table.add_column("examined", justify="right")
    table.add_column("violations", justify="right")
    table.add_column("for example", overflow="fold")
    for each in found:
        colour = "red" if each.violations else "green"
        examples = "\n".join(_said(example) for example in each.examples)
        table.add_row(each.promise, f"{each.examined:,}", f"[{colour}]{each.violations:,}[/]", examples)
    return table


def _said(example: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in example.items())
