"""What must hold of purchases."""

from sqlalchemy import func, select

from app.core.checks import Check, announced
from app.customers.checks import belongs
from app.imports.checks import waiting
from app.purchases.events import PurchaseRecorded
from app.purchases.models import purchase, purchase_line
from app.purchases.staging import purchase_import_row

_l = purchase_line.c
_bought = select(purchase.c.id).where(purchase.c.customer_id == _l.customer_id, purchase.c.id == _l.purchase_id)

CHECKS = [
    belongs(purchase, "purchase"),
    belongs(purchase_line, "line of a purchase"),
    Check(
        "every line is of a purchase that is there",
        examined=select(func.count()).select_from(purchase_line),
        violations=select(_l.customer_id, _l.purchase_id)
        .where(~_bought.exists())
        .order_by(_l.customer_id, _l.purchase_id),
    ),
    announced("purchase.recorded", PurchaseRecorded.name, "purchase_id", "purchase recorded"),
    waiting(purchase_import_row, "row of purchases"),
]
