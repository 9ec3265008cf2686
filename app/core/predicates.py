"""The predicate tree: what a person can ask of customers, as JSON, as typed nodes, as SQL.

`{"all": [...]}`, `{"any": [...]}`, `{"not": ...}`, and leaves that name a metric, a field, a class, a tag or
events. What a leaf means in SQL is the resolver's business; this module only knows the tree.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Protocol

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)
from sqlalchemy import ColumnElement, false, func, not_, or_, true
from sqlalchemy import and_ as sql_and
from typing_extensions import TypeAliasType

from app.core.bounds import Key, Printable
from app.core.comparisons import ORDERED as ORDERED
from app.core.comparisons import Op as Op
from app.core.comparisons import compare as compare
from app.core.comparisons import ordered

MAX_DEPTH = 8
MAX_LEAVES = 100


_OF_NAMES = (Op.EQ, Op.NE, Op.IN, Op.NOT_IN, Op.IS_NULL)


def _of_names(op: Op) -> Op:
    if op not in _OF_NAMES:
        raise ValueError(f"{op} does not apply to classes; use one of: {', '.join(_OF_NAMES)}")
    return op


_SCHEMA = {"type": "string", "enum": [str(op) for op in _OF_NAMES]}
NamedOp = Annotated[Op, AfterValidator(_of_names), WithJsonSchema(_SCHEMA)]
"""How names are compared: whole, and in no order."""

Text200 = Annotated[str, StringConstraints(max_length=200), Printable]
Whole = Annotated[int, Field(ge=-(2**53), le=2**53, json_schema_extra={"format": "int64"})]
Values = TypeAliasType("Values", Annotated[list[Text200], Field(max_length=500)])
Value = TypeAliasType("Value", Text200 | bool | Whole | Values)


class _Node(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, json_schema_mode_override="validation")


class BreakpointRef(_Node):
    """A value that the population decides, by its name among the scheme's breakpoints."""

    breakpoint: Key


class MetricIs(_Node):
    """Compares a metric: `{"metric": "monetary", "op": "gte", "value": "10000"}`."""

    metric: Key
    op: Op
    value: Value | BreakpointRef = True


class FieldIs(_Node):
    """Compares a field of the record: `{"field": "region", "op": "within", "value": "CN-31"}`.

    A custom field is `custom.` and its key: `{"field": "custom.store_size", "op": "gte", "value": "120"}`.
    """

    field: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}(\.[a-z][a-z0-9_]{0,62})?$")]
    op: Op
    value: Value = True


class ClassIs(_Node):
    """Compares a class: `{"class": "lifecycle", "op": "in", "value": ["loyal"]}`."""

    scheme: Key = Field(alias="class")
    op: NamedOp
    value: Value = True


class HasTag(_Node):
    """True for customers with the tag: `{"tag": "wholesale"}`."""

    tag: Annotated[str, StringConstraints(min_length=1, max_length=80), Printable]


class HowMany(_Node):
    """Bounds of a count, both included."""

    gte: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    lte: Annotated[int, Field(ge=0, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _a_range(self) -> "HowMany":
        if self.gte is None and self.lte is None:
            raise ValueError("give gte, lte or both")
        if self.gte is not None and self.lte is not None and self.gte > self.lte:
            raise ValueError("gte lies above lte")
        return self


class FactIs(_Node):
    """Compares a property of an event: `{"property": "category", "op": "eq", "value": "tea"}`."""

    property: Key
    op: Op
    value: Value = True


class HasEvents(_Node):
    """Counts a customer's events: `{"event": "purchase", "within_days": 90, "count": {"gte": 2}}`."""

    event: Key
    where: Annotated[list[FactIs], Field(max_length=10)] = []
    within_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    count: HowMany = HowMany(gte=1)


class AllOf(_Node):
    """True when every part is."""

    parts: Annotated[list["PredicateNode"], Field(alias="all", min_length=1, max_length=50)]


class AnyOf(_Node):
    """True when one part is."""

    parts: Annotated[list["PredicateNode"], Field(alias="any", min_length=1, max_length=50)]


class NotOf(_Node):
    """True when the part is not; an unknown value counts as not true."""

    part: "PredicateNode" = Field(alias="not")


_TAGS: dict[type[BaseModel], str] = {
    AllOf: "all",
    AnyOf: "any",
    NotOf: "not",
    MetricIs: "metric",
    FieldIs: "field",
    ClassIs: "class",
    HasTag: "tag",
    HasEvents: "event",
}


def _kind(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((kind for kind in _TAGS.values() if kind in value), None)
    return _TAGS.get(type(value))


PredicateNode = TypeAliasType(
    "PredicateNode",
    Annotated[
        Annotated[AllOf, Tag("all")]
        | Annotated[AnyOf, Tag("any")]
        | Annotated[NotOf, Tag("not")]
        | Annotated[MetricIs, Tag("metric")]
        | Annotated[FieldIs, Tag("field")]
        | Annotated[ClassIs, Tag("class")]
        | Annotated[HasTag, Tag("tag")]
        | Annotated[HasEvents, Tag("event")],
        Discriminator(
            _kind,
            custom_error_type="predicate",
            custom_error_message="a condition names one of: all, any, not, metric, field, class, tag, event",
        ),
    ],
)

AllOf.model_rebuild()
AnyOf.model_rebuild()
NotOf.model_rebuild()

Leaf = MetricIs | FieldIs | ClassIs | HasTag | HasEvents
Node = AllOf | AnyOf | NotOf | Leaf


def leaves(node: Node, depth: int = 1) -> Iterator[Leaf]:
    """Every leaf; ValueError when the tree is deeper than allowed."""
    if depth > MAX_DEPTH:
        raise ValueError(f"conditions may be nested {MAX_DEPTH} levels deep at most")
    match node:
        case AllOf() | AnyOf():
            for part in node.parts:
                yield from leaves(part, depth + 1)
        case NotOf():
            yield from leaves(node.part, depth + 1)
        case _:
            yield node


def located(node: Node, pointer: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every leaf with the JSON pointer that leads to it."""
    match node:
        case AllOf() | AnyOf():
            word = "all" if isinstance(node, AllOf) else "any"
            for n, part in enumerate(node.parts):
                yield from located(part, f"{pointer}/{word}/{n}")
        case NotOf():
            yield from located(node.part, f"{pointer}/not")
        case _:
            yield pointer, node


def _of_bounded_size(node: Node) -> Node:
    if sum(1 for _ in leaves(node)) > MAX_LEAVES:
        raise ValueError(f"a predicate may have {MAX_LEAVES} conditions at most")
    return node


Predicate = Annotated[PredicateNode, AfterValidator(_of_bounded_size)]


class Resolver(Protocol):
    """Says what a leaf's subject is in SQL. Raises `Invalid` for names it does not know."""

    def metric(self, name: str, pointer: str) -> ColumnElement[Any]: ...
    def field(self, name: str, pointer: str) -> ColumnElement[Any]: ...
    def class_is(self, leaf: ClassIs, pointer: str) -> ColumnElement[bool]: ...
    def tagged(self, tag: str) -> ColumnElement[bool]: ...
    def breakpoint(self, name: str, pointer: str) -> ColumnElement[Any]: ...
    def events(self, leaf: HasEvents, pointer: str) -> ColumnElement[int]: ...


def to_sql(node: Node, resolver: Resolver, pointer: str = "") -> ColumnElement[bool]:
    """The tree as one SQL condition; what is unknown (NULL) counts as false, also under `not`.

    Only there is this said in SQL: the planner sees through a comparison, and not through a COALESCE around it. Who
    shows the answer instead of filtering by it asks for `known(…)`.
    """
    match node:
        case AllOf():
            return sql_and(true(), *(to_sql(part, resolver, f"{pointer}/all/{n}") for n, part in enumerate(node.parts)))
        case AnyOf():
            return or_(false(), *(to_sql(part, resolver, f"{pointer}/any/{n}") for n, part in enumerate(node.parts)))
        case NotOf():
            return not_(known(to_sql(node.part, resolver, f"{pointer}/not")))
        case HasTag():
            return resolver.tagged(node.tag)
        case HasEvents():
            return _so_many(resolver.events(node, pointer), node.count)
        case MetricIs():
            if isinstance(node.value, BreakpointRef):
                limit = resolver.breakpoint(node.value.breakpoint, f"{pointer}/value")
                return ordered(resolver.metric(node.metric, f"{pointer}/metric"), node.op, limit, pointer)
            return compare(resolver.metric(node.metric, f"{pointer}/metric"), node.op, node.value, pointer)
        case FieldIs():
            return compare(resolver.field(node.field, f"{pointer}/field"), node.op, node.value, pointer)
        case ClassIs():
            return resolver.class_is(node, pointer)


def _so_many(count: ColumnElement[int], wanted: HowMany) -> ColumnElement[bool]:
    enough = true() if wanted.gte is None else count >= wanted.gte
    return sql_and(enough, true() if wanted.lte is None else count <= wanted.lte)


def known(condition: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition, false instead of unknown."""
    return func.coalesce(condition, false())
