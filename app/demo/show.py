"""What a person wants to see: revenue by class, the RFM grid, the lifecycle, one customer explained."""

from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import select

from app.classification import explain, queries, schemes
from app.classification.models import customer_class, customer_metrics
from app.core.db import ReadSession
from app.core.settings import Settings
from app.customers.models import customer
from app.identity.actor import SYSTEM

BAR = 30
HEAT = ("grey15", "dark_blue", "blue3", "dodger_blue2", "deep_sky_blue1", "spring_green2", "yellow1")
OPS = {"gte": "≥", "gt": ">", "lte": "≤", "lt": "<", "eq": "="}


async def show_all(session: ReadSession, console: Console, settings: Settings) -> None:
    """Four pictures of the base, the last of one customer."""
    await _revenue_by_class(session, console, settings.currency)
    await _rfm_grid(session, console)
    await _lifecycle(session, console)
    await _one_explained(session, console)


async def _counts(session: ReadSession, key: str) -> list[dict[str, Any]]:
    order = (await schemes.get(session, key)).document.class_names
    counted = await queries.classes_summary(session, SYSTEM, key)
    return sorted(counted, key=lambda each: order.index(each["class"]))


async def _revenue_by_class(session: ReadSession, console: Console, currency: str) -> None:
    table = Table("class", "customers", "share", f"revenue ({currency})", "share", "", title="ABC by revenue")
    for each in await _counts(session, "abc"):
        table.add_row(
            each["class"],
            f"{each['customers']:,}",
            f"{each['share']:.1%}",
            f"{each['monetary']:,.2f}",
            f"{each['monetary_share']:.1%}",
            Text("█" * round(BAR * each["monetary_share"]), style="green"),
        )
    console.print(table)


async def _rfm_grid(session: ReadSession, console: Console) -> None:
    cells = await queries.rfm_grid(session, "rfm")
    largest = max(cells.values(), default=1)
    table = Table("", *(f"F{f}" for f in range(1, 6)), title="RFM: customers by recency and frequency score")
    for r in range(5, 0, -1):
        table.add_row(f"R{r}", *(_heated(cells.get((r, f), 0), largest) for f in range(1, 6)))
    console.print(table)
    names = Table("segment", "customers", "share", title="RFM segments")
    for each in await _counts(session, "rfm"):
        names.add_row(each["class"], f"{each['customers']:,}", f"{each['share']:.1%}")
    console.print(names)


def _heated(count: int, largest: int) -> Text:
    heat = HEAT[min(len(HEAT) - 1, round((count / largest) ** 0.5 * (len(HEAT) - 1)))]
    light = HEAT.index(heat) >= len(HEAT) - 3
    return Text(f" {count:>5,} ", style=f"{'black' if light else 'white'} on {heat}")


async def _lifecycle(session: ReadSession, console: Console) -> None:
    table = Table("stage", "customers", "share", "", title="Lifecycle")
    for each in await _counts(session, "lifecycle"):
        bar = Text("█" * round(BAR * each["share"]), style="cyan")
        table.add_row(each["class"], f"{each['customers']:,}", f"{each['share']:.1%}", bar)
    console.print(table)


async def _one_explained(session: ReadSession, console: Console) -> None:
    """The customer just below the edge of A: the one for whom the explanation matters most."""
    row = await session.first(
        select(customer.c.id, customer.c.name)
        .join(customer_class, customer_class.c.customer_id == customer.c.id)
        .join(customer_metrics, customer_metrics.c.customer_id == customer.c.id)
        .where(customer_class.c.scheme == "abc", customer_class.c.class_ == "B")
        .order_by(customer_metrics.c.monetary.desc())
        .limit(1)
    )
    if row is None:
        return
    for key in ("abc", "rfm", "lifecycle"):
        each = await schemes.get(session, key)
        console.print(_explained(row["name"], each.title, await explain.explain(session, each, row["id"], None)))


def _explained(name: str, title: str, why: dict[str, Any]) -> Table:
    table = Table(
        "", "condition", "value", "away", title=f"Customer {name}, {title}: {why['class']}", title_justify="left"
    )
    for each in why["conditions"]:
        mark = Text("✓", style="green") if each["met"] else Text("✗", style="red")
        condition = f"{each['class']}: {each['metric']} {OPS.get(each['op'], each['op'])} {_short(each['threshold'])}"
        away = "" if each["met"] else _short(each["gap"])
        table.add_row(mark, condition, _short(each["value"]), away)
    return table


def _short(value: Any) -> str:
    try:
        return f"{Decimal(str(value)):,.2f}".removesuffix(".00")
    except ArithmeticError:
        return "" if value is None else str(value)
