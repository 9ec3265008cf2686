"""What must hold of imports."""

from sqlalchemy import Table, func, select

from app.core.checks import Check, carried
from app.imports.models import imports


def waiting(staging: Table, name: str) -> Check:
    """No staged row is of an import that is not there: nobody would ever take it up."""
    number = staging.c.import_number
    there = select(imports.c.id).where(imports.c.number == number)
    return Check(
        f"every {name} that waits is of an import",
        examined=select(func.count()).select_from(staging),
        violations=select(number, func.count().label("rows")).where(~there.exists()).group_by(number).order_by(number),
    )


CHECKS = [carried(imports, "import")]
