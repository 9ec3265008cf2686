"""What must hold of self-service."""

from sqlalchemy import func, select

from app.core.checks import Check
from app.customers.checks import belongs
from app.identity.models import user_account
from app.self_service.models import customer_account, profile_change

_a, _u = customer_account.c, user_account.c
_examined = select(func.count()).select_from(customer_account)

CHECKS = [
    belongs(customer_account, "account of a customer"),
    belongs(profile_change, "change that waits for a code"),
    Check(
        "an account is one customer's",
        examined=_examined,
        violations=select(_a.user_id, func.count().label("customers")).group_by(_a.user_id).having(func.count() > 1),
    ),
    Check(
        "an account of a customer may use self-service only",
        examined=_examined,
        violations=select(_a.customer_id, _a.user_id)
        .where(~select(_u.id).where(_u.id == _a.user_id, _u.for_customer).exists())
        .order_by(_a.customer_id, _a.user_id),
    ),
]
