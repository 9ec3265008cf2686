"""What governance does by itself."""

from typing import Any

from app.core.jobs import Schedule
from app.core.retention import Retained
from app.customers.events import CustomerDeleted, CustomerErased
from app.governance import requests, retention, sealing
from app.governance.models import data_request

JOBS = {"audit.seal": sealing.seal, "retention.apply": retention.apply}
SCHEDULES = [Schedule("audit.seal", "* * * * *"), Schedule("retention.apply", "25 3 * * *")]
HANDLERS: dict[type[Any], Any] = {CustomerErased: requests.on_departure, CustomerDeleted: requests.on_departure}
RETAINED = [
    Retained(
        "data_requests",
        "Data requests that were decided",
        data_request,
        data_request.c.decided_at,
        at_least=requests.KEPT.days,
        only=data_request.c.status != requests.OPEN,
    )
]
