"""What happened below is heard above: inline handlers join the transaction, the outbox keeps the fact.

An event is a frozen dataclass with a `name` such as `customer.class_changed`. Handlers are registered
by `app.features`, never by the package that announces.
"""

import dataclasses
import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import ModuleType
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
_kinds: dict[str, type[Any]] = {}


def announced_by(module: ModuleType) -> list[type[Any]]:
    """The events of a package's `events.py` that the outbox keeps: those that others can hear of."""
    classes: list[type[Any]] = [each for _, each in inspect.getmembers(module, inspect.isclass)]
    return [each for each in classes if each.__module__ == module.__name__ and is_kept(each)]


def is_kept(kind: type[Any]) -> bool:
    """Whether this is an event, and one that the outbox keeps."""
    return dataclasses.is_dataclass(kind) and hasattr(kind, "name") and bool(getattr(kind, "stored", False))


def declare(kinds: Iterable[type[Any]]) -> None:
    """Make known what is announced; declaring one twice changes nothing."""
    _kinds.update({each.name: each for each in kinds})


def declared() -> list[type[Any]]:
    """Every kind of event that the outbox keeps, by name."""
    return [_kinds[name] for name in sorted(_kinds)]


def subscribe(handlers: Mapping[type[Any], Handler]) -> None:
    """Register inline handlers; registering one twice changes nothing."""
    for kind, handler in handlers.items():
        if handler not in _handlers[kind]:
            _handlers[kind].append(handler)


def keep(session: WriteSession, event: Event) -> None:
    """Store the event; who must hear of it within the transaction hears of many such events at once, by another."""
    telemetry.events.labels(event.name).inc()
    if event.stored:
        outbox.store(
            session, event.name, {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        )


async def publish(session: WriteSession, event: Event) -> dict[str, Any]:
    """Announce within the transaction: store the event, then run its inline handlers in order.

    What handlers give back is handed to the announcer, who may put it into its answer without knowing whose it is.
    """
    keep(session, event)
    given: dict[str, Any] = {}
    for handler in _handlers[type(event)]:
        given.update(await handler(session, event) or {})
    return given
