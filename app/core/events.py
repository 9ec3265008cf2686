"""What happened below is heard above: inline handlers join the transaction, the outbox keeps the fact.

An event is a frozen dataclass with a `name` such as `customer.class_changed`. Handlers are registered
by `app.features`, never by the package that announces.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Protocol

from app.core import outbox, telemetry
from app.core.db import WriteSession


class Event(Protocol):
    """A frozen dataclass that names itself. `stored` is false for what only handlers need to hear."""

    name: ClassVar[str]
    stored: ClassVar[bool]
    __dataclass_fields__: ClassVar[dict[str, Any]]


Handler = Callable[[WriteSession, Any], Awaitable[Mapping[str, Any] | None]]
_handlers: dict[type[Any], list[Handler]] = defaultdict(list)


def subscribe(handlers: Mapping[type[Any], Handler]) -> None:
    """Register inline handlers; registering one twice changes nothing."""
    for kind, handler in handlers.items():
        if handler not in _handlers[kind]:
            _handlers[kind].append(handler)


async def publish(session: WriteSession, event: Event) -> dict[str, Any]:
    """Announce within the transaction: store the event, then run its inline handlers in order.

    What handlers give back is handed to the announcer, who may put it into its answer without knowing whose it is.
    """
    telemetry.events.labels(event.name).inc()
    if event.stored:
        outbox.store(
            session, event.name, {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        )
    given: dict[str, Any] = {}
    for handler in _handlers[type(event)]:
        given.update(await handler(session, event) or {})
    return given
