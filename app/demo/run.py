"""Runs the demonstration. A second run finds everything there and imports nothing twice."""

import os
from importlib import resources
from pathlib import Path

from rich.console import Console
from sqlalchemy import select

from app import bulk
from app.core import local
from app.core.db import Database
from app.core.settings import Settings
from app.demo import show as pictures
from app.purchases.models import purchase

DATA = Path(".data/demo")
PASSWORD_FILE = DATA / "admin_password"
MAPPING = {
    "customer_ref": "customer_id",
    "occurred_at": "date",
    "quantity": "number_of_cds",
    "amount": "dollar_value",
}


def set_defaults() -> None:
    """The demonstration's own time, currency, folder and password, unless others are given."""
    os.environ.setdefault("STRATA_DATA", str(DATA))
    os.environ.setdefault("STRATA_TODAY", "1998-07-01")
    os.environ.setdefault("STRATA_CURRENCY", "USD")
    os.environ.setdefault("STRATA_LOG_LEVEL", "WARNING")
    if "STRATA_ADMIN_PASSWORD" not in os.environ:
        os.environ["STRATA_ADMIN_PASSWORD"] = local.kept_secret(PASSWORD_FILE, size=12)


async def show(url: str, settings: Settings, console: Console) -> None:
    """Import and classify what is not there yet, then show it."""
    async with bulk.working(url, settings) as database:
        if await _has_purchases(database):
            console.print("The purchases are here already: nothing is imported twice.")
        else:
            await _import(database, console)
        await pictures.show_all(database.reading(), console, settings)


async def _has_purchases(database: Database) -> bool:
    return await database.reading().scalar(select(purchase.c.id).limit(1)) is not None


async def _import(database: Database, console: Console) -> None:
    wanted = bulk.order(
        kind="purchases",
        mapping=MAPPING,
        skip_when=None,
        create_customers=True,
        currency=None,
        time_zone=None,
        dry_run=False,
    )
    with resources.as_file(resources.files("app.demo") / "cdnow_sample.csv.gz") as file:
        await bulk.carry_import(database, file, wanted, console)


def say_where(console: Console, settings: Settings, port: int) -> None:
    """Where the API is and how to log in."""
    password = settings.admin_password.get_secret_value() if settings.admin_password else ""
    console.print(
        f"\nThe API is at [bold]http://127.0.0.1:{port}/v1[/], its docs at [bold]http://127.0.0.1:{port}/docs[/]."
    )
    console.print(f"Log in as [bold]admin[/] with the password [bold]{password}[/]. Ctrl-C stops everything.\n")
