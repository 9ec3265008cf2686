"""What the schemas of the OpenAPI document lack, or have too much of, for generators to make good clients of it."""

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]


def suit(schemas: dict[str, Schema]) -> None:
    """Changes all schemas of the document, in place."""
    for node in list(_nodes(schemas)):
        _binary_file(node)
        _untitled_properties(node)
        _said_default(node, schemas)
    for schema in schemas.values():
        for example in schema.get("examples", []):
            _with_nulls(example, schema, schemas)


def suit_parameter(schema: Schema) -> None:
    """A parameter's schema: without a title, and never null. It may be left out, but there is no way to send null."""
    schema.pop("title", None)
    if {"type": "null"} in schema.get("anyOf", []):
        kinds = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
        schema.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})


def _nodes(schema: Any) -> Iterator[Schema]:
    """Everything in a schema that is an object."""
    if isinstance(schema, dict):
        yield schema
        for name, each in schema.items():
            if name not in ("default", "examples"):
                yield from _nodes(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _nodes(each)


def _binary_file(node: Schema) -> None:
    """Upload fields as `format: binary`, the form that every generator knows."""
    if node.pop("contentMediaType", None) == "application/octet-stream":
        node["format"] = "binary"


def _untitled_properties(node: Schema) -> None:
    """Takes the titles of properties away: they repeat their names, and generators call types by them (`Value1`)."""
    properties = node.get("properties")
    for each in properties.values() if isinstance(properties, dict) else ():
        if isinstance(each, dict):
            each.pop("title", None)


def _said_default(node: Schema, schemas: dict[str, Schema]) -> None:
    """Puts into words the default of what has a type of its own in a language: openapi-generator's Java, which takes
    the text for a value, would not compile."""
    if "default" in node and _has_its_own_type(node, schemas):
        default = json.dumps(node.pop("default"))
        node["description"] = "; ".join(filter(None, [node.get("description"), f"{default} when left out"]))


def _has_its_own_type(node: Schema, schemas: dict[str, Schema]) -> bool:
    """Whether it is a decimal, a union, or has one in it."""
    if (reference := node.get("$ref")) is not None:
        return "anyOf" in schemas[reference.rsplit("/", 1)[-1]]
    parts = [*node.get("anyOf", []), *([node["items"]] if "items" in node else [])]
    return node.get("format") == "decimal" or any(_has_its_own_type(each, schemas) for each in parts)


def _with_nulls(example: Any, schema: Schema, schemas: dict[str, Schema]) -> None:
    """Puts back the nulls of an example: FastAPI leaves them out of the whole document."""
    if (reference := schema.get("$ref")) is not None:
        schema = schemas[reference.rsplit("/", 1)[-1]]
    if isinstance(example, list) and "items" in schema:
        for each in example:
            _with_nulls(each, schema["items"], schemas)
    elif isinstance(example, dict):
        for name in schema.get("required", []):
            kind = schema["properties"][name]
            if {"type": "null"} in kind.get("anyOf", []):
                example.setdefault(name, None)
            elif name in example:
                _with_nulls(example[name], kind, schemas)
