"""The API document: complete for people, and such that client generators make typed clients of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from app.classification.definitions.document import Part
from tests.api_operations import DOCUMENT, SCHEMAS

OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
EACH = pytest.mark.parametrize("name", OPERATIONS)
# Lists that are short by their nature and come whole.
WHOLE_LISTS = {
    "list_consents",
    "list_my_classes",
    "list_my_consents",
    "list_shown_schemes",
    "list_permissions",
    "list_customer_classes",
    "list_retention_periods",
    "count_classes",
    "read_movement",
}
NO_LISTS = {
    "read_metrics",
    "record_interactions",
    "record_purchases",
    "upsert_customers",
    "invite_to_survey",
}  # parts of one answer


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def nodes(schema: Any, seen: frozenset[str] = frozenset()) -> Iterator[dict[str, Any]]:
    """The schema and everything within it."""
    if isinstance(schema, list):
        for each in schema:
            yield from nodes(each, seen)
    if not isinstance(schema, dict):
        return
    if (reference := schema.get("$ref")) is not None:
        if reference not in seen:
            yield from nodes(resolved(schema), seen | {reference})
        return
    yield schema
    for key, each in schema.items():
        if key not in ("examples", "example", "default", "enum"):
            yield from nodes(each, seen)


def body_of(operation: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    content = operation.get("requestBody", {}).get("content", {})
    return next(((kind, resolved(each["schema"])) for kind, each in content.items()), None)


def answer_of(operation: dict[str, Any]) -> dict[str, Any] | None:
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            content = answer.get("content", {}).get("application/json")
            return None if content is None else content["schema"]
    raise AssertionError("no success documented")


def test_no_two_models_have_one_name() -> None:
    """Else the document calls them by their modules, and generated clients by no name at all."""
    assert [name for name in SCHEMAS if "__" in name] == []


# ---- for people ------------------------------------------------------------------------------------------------------


@EACH
def test_an_operation_says_what_it_does(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    assert operation["summary"]
    assert operation["description"].endswith((".", "`"))
    assert len(operation["tags"]) == 1


@EACH
def test_an_operation_documents_its_success_and_its_problem(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    answer_of(operation)
    assert "422" not in operation["responses"]
    problem = operation["responses"]["default"]["content"]
    assert problem == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}


@EACH
def test_a_request_body_has_an_example(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    if (body := body_of(operation)) is not None:
        kind, schema = body
        examples = schema.get("examples") or [operation["requestBody"]["content"][kind].get("example")]
        assert examples[0], "give the model json_schema_extra examples"
        assert set(examples[0]) <= set(schema["properties"])
        assert set(schema.get("required", [])) <= set(examples[0])


@EACH
def test_a_list_is_items_and_a_cursor(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    answer = resolved(answer_of(operation) or {})
    if "items" not in answer.get("properties", {}) or name in NO_LISTS:
        return
    assert {"items", "next_cursor"} <= set(answer["required"])
    cursor = answer["properties"]["next_cursor"]
    assert cursor.get("type") == "null" if name in WHOLE_LISTS else {"type": "string"} in cursor["anyOf"]
    assert answer["properties"]["items"]["type"] == "array"


@EACH
def test_a_paged_list_takes_limit_and_cursor(name: str) -> None:
    method, _, operation = OPERATIONS[name]
    answer = resolved(answer_of(operation) or {})
    if method == "get" and "next_cursor" in answer.get("properties", {}) and name not in WHOLE_LISTS:
        taken = {each["name"]: each["schema"] for each in operation["parameters"] if each["in"] == "query"}
        assert {"limit", "cursor"} <= set(taken)
        assert taken["limit"]["maximum"] == 200
        assert taken["limit"]["default"] == 50


@EACH
def test_what_comes_in_is_bounded(name: str) -> None:
    """No string without a length, no number without a range, no list without an end, no unknown field."""
    _, _, operation = OPERATIONS[name]
    schemas = [each["schema"] for each in operation.get("parameters", [])]
    if (body := body_of(operation)) is not None:
        schemas.append(body[1])
    unbounded = [node for schema in schemas for node in nodes(schema) if not _bounded(node)]
    assert not unbounded


def _bounded(node: dict[str, Any]) -> bool:
    match node.get("type"):
        case "string":
            fixed = {"uuid", "date-time", "date", "binary", "email"}
            return bool({"maxLength", "pattern", "enum", "const"} & set(node)) or node.get("format") in fixed
        case "integer" | "number":
            low = "minimum" in node or "exclusiveMinimum" in node
            return "enum" in node or (low and ("maximum" in node or "exclusiveMaximum" in node))
        case "array":
            return "maxItems" in node
        case "object" if "properties" in node:
            return node.get("additionalProperties") is False
        case "object":
            return "maxProperties" in node
    return True


# ---- for generators --------------------------------------------------------------------------------------------------


def _kinds_of(model: type[BaseModel]) -> set[str]:
    return {model.__name__}.union(*(_kinds_of(each) for each in model.__subclasses__()))


def test_every_field_of_an_answer_is_there() -> None:
    optional = {
        name: missing
        for _, _, operation in OPERATIONS.values()
        for node in nodes(answer_of(operation) or {})
        if (missing := sorted(set(node.get("properties", {})) - set(node.get("required", []))))
        and (name := node.get("title", "?")) not in WRITTEN_AS_READ
    }
    assert not optional


# A predicate looks the same coming in and going out; what may be left out coming in may be going out.
WRITTEN_AS_READ = {"MetricIs", "FieldIs", "ClassIs", "HasEvents", "FactIs", "HowMany"} | _kinds_of(Part)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("PurchaseIn", ["amount"]),
        ("LineIn", ["quantity", "amount"]),
        ("PurchaseOut", ["amount", "base_amount"]),
        ("PurchaseRecordedOut", ["amount", "base_amount"]),
        ("ExchangeRate", ["rate"]),
        ("ClassCount", ["monetary"]),
    ],
)
def test_money_and_quantities_are_decimal_strings(model: str, fields: list[str]) -> None:
    for field in fields:
        schema = SCHEMAS[model]["properties"][field]
        assert (schema["type"], schema["format"]) == ("string", "decimal"), schema


def test_no_decimal_is_a_number_or_has_a_default_of_another_type() -> None:
    for schema in SCHEMAS.values():
        for node in nodes(schema):
            if node.get("format") == "decimal":
                assert node["type"] == "string"
                assert isinstance(node.get("default", ""), str)


def test_counts_have_64_bits() -> None:
    for model, field in [("ClassCount", "customers"), ("ImportOut", "processed"), ("RecalculationOut", "changed")]:
        assert SCHEMAS[model]["properties"][field]["format"] == "int64"


def test_an_upload_is_binary() -> None:
    kind, schema = body_of(OPERATIONS["start_import"][2]) or ("", {})
    assert kind == "multipart/form-data"
    assert schema["properties"]["file"]["format"] == "binary"
    assert "contentMediaType" not in json.dumps(DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    for part in text.split('"$ref": "#/components/schemas/')[1:]:
        assert part.split('"', 1)[0] in SCHEMAS


@EACH
def test_a_parameter_may_be_left_out_but_is_never_null(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    assert not [each["name"] for each in operation.get("parameters", []) if {"type": "null"} in nodes(each["schema"])]


def test_no_type_is_called_by_the_title_of_a_property() -> None:
    assert not [
        (schema["title"], name)
        for schema in SCHEMAS.values()
        for node in nodes(schema)
        for name, each in node.get("properties", {}).items()
        if "title" in each
    ]


def test_the_default_of_a_decimal_or_a_union_is_said_in_words() -> None:
    """In Java it would be a text, or a truth value, for what is a class of its own."""
    given = [each for schema in SCHEMAS.values() for each in schema.get("properties", {}).values() if "default" in each]
    assert given
    assert not [each for each in given if each["default"] != [] and _is_a_class(each)]
    assert SCHEMAS["LineIn"]["properties"]["quantity"]["description"] == '"1" when left out'


def _is_a_class(schema: dict[str, Any]) -> bool:
    schema = resolved(schema)
    return (
        "anyOf" in schema or schema.get("format") == "decimal" or ("items" in schema and _is_a_class(schema["items"]))
    )
