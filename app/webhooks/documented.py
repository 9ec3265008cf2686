"""What webhooks send, as the part `webhooks` of the OpenAPI document: made of the classes of the events."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, get_args, get_type_hints
from uuid import UUID

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from app.core import events
from app.webhooks.events import WebhookTest

_REFERENCE = "#/components/schemas/"
_AN_ID = "01980f7e-4b1c-7c3a-9d55-6a1f0c2e8b47"
_AN_INSTANT = "2026-01-02T03:04:05Z"
_SUCH_AS: Mapping[Any, Any] = {UUID: _AN_ID, datetime: _AN_INSTANT, date: "2026-02-01", Decimal: "99.90", int: 2}
_HEADERS = {
    "webhook-id": "the same with every attempt: whoever has seen it may answer 2xx and do nothing",
    "webhook-timestamp": "seconds since 1970, of this attempt",
    "webhook-signature": "by Standard Webhooks 1.0: HMAC-SHA256 of id, timestamp and body, by each valid secret",
}
_ANSWERS = {
    "2XX": {"description": "Accepted: it is not sent again"},
    "410": {"description": "Gone for good: the webhook is paused"},
    "default": {"description": "Anything else, redirects too, is sent again for three days; Retry-After is heeded"},
}


def part() -> dict[str, Any]:
    """`webhooks`, an operation for each type of event, and the `components` that these refer to."""
    operations: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    kinds: list[type[Any]] = [*events.declared(), WebhookTest]
    for kind in sorted(kinds, key=lambda each: str(each.name)):
        schemas |= schemas_of(kind)
        operations[kind.name] = {"post": _operation(kind)}
    return {"webhooks": operations, "components": {"schemas": schemas}}


def schemas_of(kind: type[Any]) -> dict[str, Any]:
    """What an event of this kind says, and the envelope in which it comes."""
    said = TypeAdapter(kind).json_schema(mode="serialization", ref_template=_REFERENCE + "{model}")
    inner = said.pop("$defs", {})
    envelope = {
        "type": "object",
        "title": f"{kind.__name__}Event",
        "description": inspect.getdoc(kind),
        "properties": {
            "id": {"type": "string", "format": "uuid", "description": "the same wherever the event is told"},
            "type": {"type": "string", "const": kind.name},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"$ref": f"{_REFERENCE}{kind.__name__}"},
        },
        "required": ["id", "type", "timestamp", "data"],
    }
    return {**inner, kind.__name__: said, f"{kind.__name__}Event": envelope}


def example_of(kind: type[Any]) -> dict[str, Any]:
    """An event of this kind."""
    return {"id": _AN_ID, "type": kind.name, "timestamp": _AN_INSTANT, "data": _such_as(kind)}


def _operation(kind: type[Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": f"{_REFERENCE}{kind.__name__}Event"}, "example": example_of(kind)}
    return {
        "security": [],  # instead, the headers sign it
        "operationId": re.sub(r"\W", "_", f"on_{kind.name}"),
        "summary": kind.name,
        "description": inspect.getdoc(kind),
        "tags": ["Events"],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": what, "schema": {"type": "string"}}
            for name, what in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": _ANSWERS,
    }


def _such_as(kind: type[Any]) -> dict[str, Any]:
    """Every field by the first example of its annotation, or by its type."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: _value(hints[field.name]) for field in fields(kind)}


def _value(hint: Any) -> Any:
    for said in getattr(hint, "__metadata__", ()):
        if isinstance(said, FieldInfo) and said.examples:
            return said.examples[0]
    plain = [each for each in (get_args(hint) or [hint]) if isinstance(each, type) and each is not type(None)]
    return _SUCH_AS[plain[0]] if plain[0] in _SUCH_AS else _such_as(plain[0])
