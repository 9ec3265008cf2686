"""What must hold of purchases."""

from app.customers.checks import belongs
from app.purchases.models import purchase, purchase_line

CHECKS = [belongs(purchase, "purchase"), belongs(purchase_line, "line of a purchase")]
