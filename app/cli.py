"""The command line: serve, work, migrate, import, recalculate, predict, check, and the demonstration."""

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import asyncpg
import structlog
import typer
from rich.console import Console

from app import bulk, checking, features
from app import tombstones as forgotten
from app import worker as background
from app.core import clock, local, logging, migrations, monitoring
from app.core.db import CONNECTION_LOST, Database, WrongServer
from app.core.embedded import EmbeddedError
from app.core.errors import Problem
from app.core.http.server import server
from app.core.settings import Settings, described, get_settings
from app.core.tracing import MissingTracing
from app.demo import run as demonstration
from app.identity.seed import WeakPassword
from app.main import UnknownSchema, create_app

cli = typer.Typer(
    help="Strata knows a company's customers, classifies them, and explains every decision.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()
log = structlog.get_logger(__name__)

GARBAGE = 20_000
"""Objects made, and not gone by themselves, before garbage is looked for: as many as some dozens of requests make.

Python's own 700 are those of one request, whose objects nearly all live on: a twentieth of the time went into it.
"""

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of the embedded PostgreSQL and of local secrets.")
]
TodayOption = Annotated[
    datetime | None,
    typer.Option("--today", formats=["%Y-%m-%d"], help="Shift the business clock: classify as of this day."),
]


def _settings(*, data: Path | None = None, today: datetime | None = None) -> Settings:
    """The settings, with the command's own options put where every part of the process reads them."""
    if data is not None:
        os.environ["STRATA_DATA"] = str(data)
    if today is not None:
        os.environ["STRATA_TODAY"] = today.date().isoformat()
    get_settings.cache_clear()
    settings = get_settings()
    logging.configure(settings.log_level)
    return settings


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


@contextmanager
def _database(settings: Settings, *, share: bool = False, migrate: bool = True) -> Iterator[str]:
    """A migrated and seeded database for the length of the block, stopped cleanly however the block ends."""
    signal.signal(signal.SIGTERM, _stop)
    with local.server(settings, share=share) as url:
        if migrate:
            if asyncio.run(_revision(url, settings)) != migrations.head():
                migrations.upgrade(url)
            password = asyncio.run(_seed(url, settings))
            if password is not None and settings.admin_password is None:
                console.print(f"First user [bold]admin[/], password [bold]{password}[/] (shown only now)")
        yield url


async def _revision(url: str, settings: Settings) -> str | None:
    """The schema's revision; an old server is refused here, before anything is migrated."""
    database = await Database.connect(url, settings, size=2)
    try:
        async with database.connection() as connection:
            return await migrations.current(connection)
    finally:
        await database.close()


async def _seed(url: str, settings: Settings) -> str | None:
    given = settings.admin_password
    database = await Database.connect(url, settings, size=2)
    try:
        async with database.transaction() as session:
            return await features.seed(session, admin_password=given.get_secret_value() if given else None)
    finally:
        await database.close()


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    data: DataOption = None,
    today: TodayOption = None,
    worker: Annotated[bool, typer.Option(help="Run the background worker in this process.")] = True,
) -> None:
    """Start the database (unless STRATA_DATABASE_URL names one), migrate, seed and serve the API."""
    settings = _settings(data=data, today=today)
    with _database(settings) as url:
        _serve(url, settings, host=host, port=port, worker=worker)


def _serve(url: str, settings: Settings, *, host: str, port: int, worker: bool) -> None:
    app = create_app(url=url, secret=local.secret_key(settings), settings=settings, with_worker=worker)
    running = server(
        app,
        host=host,
        port=port,
        max_in_flight=settings.max_in_flight,
        drain_seconds=settings.drain_seconds,
    )
    # What is loaded by now stays: looking through it for garbage again and again would cost large requests a third.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)
    with suppress(SystemExit, KeyboardInterrupt):  # the signal that stopped it, raised again by uvicorn
        running.run()
    if not running.started:
        raise SystemExit(1)


@cli.command()
def worker(data: DataOption = None, today: TodayOption = None) -> None:
    """Run background jobs until stopped; start as many as wanted."""
    settings = _settings(data=data, today=today)

    async def work(url: str) -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await background.run(url, settings, stopping)

    with _database(settings, share=True, migrate=settings.database_url is None) as url:
        asyncio.run(work(url))


@cli.command()
def migrate(
    data: DataOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare models and migrations on a throw-away server.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the migrations as SQL.")] = False,
) -> None:
    """Bring the database's schema up to this version, and seed what is missing."""
    if sql:
        sys.stdout.write(migrations.sql())
        return
    if check:
        _check_models()
        return
    with _database(_settings(data=data), share=True):
        console.print(f"The schema is at revision [bold]{migrations.head()}[/]")


def _check_models() -> None:
    with local.throw_away_server() as url:
        migrations.upgrade(url)
        migrations.check(url)
        migrations.downgrade(url, "base")
        migrations.upgrade(url)


@cli.command(name="import")
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or NDJSON, may be gzipped.")],
    kind: Annotated[str, typer.Option(help="What the rows are.")] = "purchases",
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="our_column=Their column, or a product of two. Repeat it.")
    ] = None,
    skip_when: Annotated[
        list[str] | None, typer.Option(help="Their column=value (or prefix X*) that leaves a row out. Repeat it.")
    ] = None,
    create_customers: Annotated[bool, typer.Option(help="Create customers that are not there yet.")] = False,
    currency: Annotated[str | None, typer.Option(help="Currency of rows that name none.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Time zone of instants that name none.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,
    data: DataOption = None,
    today: TodayOption = None,
) -> None:
    """Import a file; a row that is wrong is reported and the others go in."""
    settings = _settings(data=data, today=today)
    order = bulk.order(
        kind=kind,
        mapping=_pairs(mapping),
        skip_when=_pairs(skip_when),
        create_customers=create_customers,
        currency=currency,
        time_zone=time_zone,
        dry_run=dry_run,
    )
    with _database(settings, share=True) as url:
        ended = _run(bulk.import_file(url, settings, file, order, console))
    raise SystemExit(0 if ended["status"] == "completed" else 1)


def _pairs(given: list[str] | None) -> dict[str, Any] | None:
    """`name=value` options as a dictionary; several values of one name as a list."""
    pairs: dict[str, Any] = {}
    for pair in given or []:
        name, sign, value = pair.partition("=")
        if not sign:
            raise typer.BadParameter(f"{pair!r} is not of the form name=value")
        pairs[name] = (
            value if name not in pairs else [*([pairs[name]] if isinstance(pairs[name], str) else pairs[name]), value]
        )
    return pairs or None


@cli.command()
def recalculate(
    schemes: Annotated[list[str] | None, typer.Argument(help="Scheme keys; all when none is named.")] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The end of this day; now when left out.")
    ] = None,
    refit: Annotated[bool, typer.Option(help="Fit new breakpoints to the population first.")] = False,
    data: DataOption = None,
    today: TodayOption = None,
) -> None:
    """Recalculate every customer's classes from the facts."""
    settings = _settings(data=data, today=today)
    instant = _end_of(as_of.date()) if as_of else None
    with _database(settings, share=True) as url:
        ended = _run(bulk.recalculate(url, settings, schemes or [], as_of=instant, refit=refit, console=console))
    raise SystemExit(0 if ended["status"] == "completed" else 1)


@cli.command()
def predict(
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The end of this day; now when left out.")
    ] = None,
    data: DataOption = None,
    today: TodayOption = None,
) -> None:
    """Predict of every customer whether it still buys, how often and for how much (extra: predict)."""
    settings = _settings(data=data, today=today)
    instant = _end_of(as_of.date()) if as_of else None
    with _database(settings, share=True) as url:
        ended = _run(bulk.predict(url, settings, as_of=instant, console=console))
    raise SystemExit(0 if ended["status"] == "completed" else 1)


def _end_of(day: date) -> datetime:
    return min(clock.end_of_day(day), clock.business_now().astimezone(UTC))


def _run(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    try:
        return asyncio.run(work)
    except Problem as problem:
        for error in problem.errors:
            console.print(f"[red]{error.pointer}[/]: {error.message}")
        if not problem.errors:
            console.print(f"[red]{problem.detail or problem.title}[/]")
        raise SystemExit(2) from problem


@cli.command()
def check(data: DataOption = None, today: TodayOption = None) -> None:
    """Check that the database keeps what Strata promises; changes nothing. Ends with 1 where anything is wrong."""
    settings = _settings(data=data, today=today)
    with _database(settings, share=True, migrate=False) as url:
        violations = asyncio.run(checking.check(url, settings, console))
    raise SystemExit(1 if violations else 0)


@cli.command()
def tombstones(data: DataOption = None) -> None:
    """Print who was erased, a line each: keep it beside the backups."""
    settings = _settings(data=data)
    with _database(settings, share=True) as url:
        for line in asyncio.run(forgotten.lines(url, settings)):
            typer.echo(line)


@cli.command()
def replay_tombstones(
    file: Annotated[typer.FileText, typer.Argument(help="What `strata tombstones` printed; - for standard input.")],
    data: DataOption = None,
) -> None:
    """After a backup was put back: erase again whoever was erased since it was made."""
    settings = _settings(data=data)
    with _database(settings, share=True) as url:
        _run(forgotten.replay(url, settings, file, console))


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    app = create_app(url="", secret="", settings=get_settings())
    typer.echo(json.dumps(app.openapi(), indent=2, ensure_ascii=False))


@cli.command()
def settings() -> None:
    """Print every setting, its default and its meaning, as a table in Markdown."""
    typer.echo("| Variable | Default | Meaning |\n|---|---|---|")
    for variable, default, meaning in described():
        typer.echo(f"| `{variable}` | {f'`{default}`' if default else ''} | {meaning} |")


@cli.command()
def log_fields() -> None:
    """Print every field that a line of the log may have, and its meaning, as a table in Markdown."""
    typer.echo("| Field | Meaning |\n|---|---|")
    for name, meaning in logging.FIELDS.items():
        typer.echo(f"| `{name}` | {meaning} |")


@cli.command()
def dashboard() -> None:
    """Print the dashboard for Grafana."""
    typer.echo(monitoring.dashboard(), nl=False)


@cli.command()
def alerts() -> None:
    """Print the alert rules for Prometheus."""
    typer.echo(monitoring.alerts(), nl=False)


@cli.command()
def runbook() -> None:
    """Print how to back up and restore, as Markdown."""
    typer.echo(monitoring.runbook(), nl=False)


@cli.command()
def demo(
    serving: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the API after the results.")] = True,
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
) -> None:
    """Import real purchases, classify the customers, show the result, serve the API."""
    demonstration.set_defaults()
    settings = _settings()
    with _database(settings) as url:
        asyncio.run(demonstration.show(url, settings, console))
        if serving:
            demonstration.say_where(console, settings, port)
            _serve(url, settings, host="127.0.0.1", port=port, worker=True)


def main() -> None:
    """The console script: problems that a person can solve are one line, not a stack."""
    try:
        cli()
    except (WrongServer, UnknownSchema, EmbeddedError, local.MissingSecret, MissingTracing, WeakPassword) as error:
        Console(stderr=True).print(f"[red]{error}[/]")
        raise SystemExit(1) from error
    except (OSError, *CONNECTION_LOST, asyncpg.InvalidAuthorizationSpecificationError) as error:
        Console(stderr=True).print(f"[red]The database cannot be reached:[/] {error}")
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
