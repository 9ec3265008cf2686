"""Rules that can never decide are refused; none that could decide for somebody is."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.classification.definitions.reach import unreachable
from app.core.predicates import AllOf, AnyOf, HasEvents, HasTag, MetricIs, Node, NotOf, Op, PredicateNode
from tests.classification.documents import metric, refusals, rules

ADAPTER: TypeAdapter[Node] = TypeAdapter(PredicateNode)


def found(*conditions: Any) -> dict[int, str]:
    return unreachable([ADAPTER.validate_python(each) for each in conditions])


def all_of(*parts: Any) -> Any:
    return {"all": list(parts)}


def any_of(*parts: Any) -> Any:
    return {"any": list(parts)}


def class_is(op: str, value: Any) -> Any:
    return {"class": "value", "op": op, "value": value}


FEW, MANY = metric("frequency", "lt", 5), metric("frequency", "gte", 5)
TAG = {"tag": "wholesale"}


@pytest.mark.parametrize(
    ("condition", "about"),
    [
        (all_of(metric("monetary", "gte", "5"), metric("monetary", "lte", "3")), "monetary"),
        (all_of(metric("monetary", "gt", "5"), metric("monetary", "lte", "5")), "monetary"),
        (all_of(metric("monetary", "eq", "5"), TAG, all_of(metric("monetary", "eq", "6"))), "monetary"),
        (all_of(metric("frequency", "gt", 1), metric("frequency", "lt", 2)), "frequency"),
        (all_of(metric("recency_days", "gte", 9), metric("recency_days", "is_null")), "recency_days"),
        (
            all_of(any_of(metric("monetary", "lt", 1), metric("monetary", "gt", 9)), metric("monetary", "eq", 5)),
            "monet",
        ),
        (all_of({"not": metric("frequency", "lt", 9)}, metric("frequency", "eq", 8)), "frequency"),
        (all_of(class_is("eq", "high"), class_is("in", ["low", "medium"])), "class value"),
        (all_of(class_is("eq", "high"), class_is("is_null", True)), "class value"),
        (all_of(TAG, {"not": TAG}), "wholesale"),
        (all_of({"event": "purchase", "count": {"gte": 3}}, {"event": "purchase", "count": {"lte": 2}}), "purchase"),
    ],
)
def test_a_rule_that_contradicts_itself_is_named(condition: Any, about: str) -> None:
    assert "can never hold: what it asks of" in found(condition)[0]
    assert about in found(condition)[0]


@pytest.mark.parametrize(
    "condition",
    [metric("frequency", "lt", 0), metric("frequency", "is_null"), {"not": {"event": "purchase", "count": {"gte": 0}}}],
)
def test_what_nobody_can_be_is_named(condition: Any) -> None:
    assert found(condition) == {0: "can never hold"}


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ((FEW, FEW), "whoever it holds for, rule 1 holds for before"),
        ((TAG, MANY, all_of(TAG, FEW)), "rule 1 holds for before"),
        ((MANY, metric("frequency", "gt", 4)), "rule 1 holds for before"),
        ((metric("monetary", "gte", "5"), metric("monetary", "gt", "5.0")), "rule 1 holds"),
        ((metric("frequency", "gte", 5), metric("frequency", "in", ["7", "9"])), "rule 1 holds"),
        ((any_of(TAG, MANY), any_of(all_of(MANY, class_is("eq", "a")), TAG)), "rule 1 holds"),
        ((class_is("in", ["a", "b"]), class_is("eq", "b")), "rule 1 holds"),
        ((metric("frequency", "gte", 0), TAG), "rule 1 always holds"),
        ((any_of(metric("frequency", "lte", 0), metric("frequency", "gte", 1)), TAG), "take everybody"),
        ((FEW, MANY, TAG), "take everybody it holds for"),
        (
            (metric("frequency", "eq", 0), metric("frequency", "in", ["1", "2"]), metric("frequency", "lt", 3)),
            "take every",
        ),
        ((metric("monetary", "lt", 5), metric("monetary", "gte", 5), metric("monetary", "eq", 7)), "rule 2 holds"),
        ((metric("monetary", "lt", 5), metric("monetary", "gte", 5), metric("monetary", "gt", 1)), "take everybody"),
        (({"event": "purchase", "count": {"gte": 2}}, {"event": "purchase", "count": {"gte": 3}}), "rule 1 holds"),
    ],
)
def test_a_rule_that_comes_too_late_is_named(conditions: tuple[Any, ...], why: str) -> None:
    last = len(conditions) - 1
    assert list(found(*conditions)) == [last]
    assert why in found(*conditions)[last]


@pytest.mark.parametrize(
    "conditions",
    [
        (metric("monetary", "gt", "5"), metric("monetary", "gte", "5")),
        (metric("monetary", "lt", 5), metric("monetary", "gt", 5), metric("monetary", "is_null")),
        (metric("recency_days", "lt", 5), metric("recency_days", "gte", 5), TAG),
        (metric("average_order", "gt", 1), {"not": metric("average_order", "gt", 1)}),
        (all_of(TAG, FEW), TAG),
        (all_of(metric("monetary", "gt", 1), metric("monetary", "lt", 2)),),
        (class_is("eq", "a"), {"not": class_is("eq", "a")}),
        ({"event": "purchase", "within_days": 90}, {"event": "purchase"}),
        (all_of({"tag": "a"}, {"not": {"tag": "b"}}),),
        (any_of(metric("monetary", "lt", 1), TAG), metric("monetary", "lt", 2)),
    ],
)
def test_a_rule_that_decides_for_somebody_is_accepted(conditions: tuple[Any, ...]) -> None:
    assert found(*conditions) == {}


def test_the_document_says_where() -> None:
    assert refusals(rules(FEW, TAG, FEW)) == {
        "/rules/2": "never decides: whoever it holds for, rule 1 holds for before"
    }


# ---- against people --------------------------------------------------------------------------------------------------

OPS = ["eq", "ne", "lt", "lte", "gt", "gte"]
LEAVES = (
    st.builds(metric, st.sampled_from(["frequency", "recency_days"]), st.sampled_from(OPS), st.integers(-1, 3))
    | st.builds(metric, st.just("recency_days"), st.just("is_null"), st.booleans())
    | st.builds(
        metric,
        st.just("recency_days"),
        st.sampled_from(["in", "not_in"]),
        st.lists(st.sampled_from("0123"), min_size=1),
    )
    | st.builds(lambda tag: {"tag": tag}, st.sampled_from("ab"))
    | st.builds(lambda n: {"event": "purchase", "count": {"gte": n}}, st.integers(0, 2))
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(all_of, inner, inner) | st.builds(any_of, inner, inner) | st.builds(lambda p: {"not": p}, inner)
    ),
    max_leaves=5,
)
PEOPLE = [
    {"frequency": n, "recency_days": days, "tags": tags}
    for n in range(5)
    for days in (None, 0, 1, 2, 3, 4)
    for tags in ("", "a", "b", "ab")
]


def holds(node: Node, person: dict[str, Any]) -> bool:
    match node:
        case AllOf():
            return all(holds(part, person) for part in node.parts)
        case AnyOf():
            return any(holds(part, person) for part in node.parts)
        case NotOf():
            return not holds(node.part, person)
        case HasTag():
            return node.tag in person["tags"]
        case HasEvents():
            return bool(person["frequency"] >= (node.count.gte or 0))
        case MetricIs():
            return compared(person[node.metric], node.op, node.value)
    raise AssertionError(node)


def compared(value: Any, op: Op, limit: Any) -> bool:
    if op is Op.IS_NULL:
        return bool((value is None) is limit)
    if value is None:
        return False
    ways: dict[Op, Any] = {
        Op.EQ: lambda: value == limit,
        Op.NE: lambda: value != limit,
        Op.LT: lambda: value < limit,
        Op.LTE: lambda: value <= limit,
        Op.GT: lambda: value > limit,
        Op.GTE: lambda: value >= limit,
        Op.IN: lambda: str(value) in limit,
        Op.NOT_IN: lambda: str(value) not in limit,
    }
    return bool(ways[op]())


@settings(max_examples=400, deadline=None)
@given(st.lists(CONDITIONS, min_size=1, max_size=4))
def test_no_rule_is_refused_that_decides_for_anybody(conditions: list[Any]) -> None:
    nodes = [ADAPTER.validate_python(each) for each in conditions]
    refused = unreachable(nodes)
    for person in PEOPLE:
        deciding = next((n for n, node in enumerate(nodes) if holds(node, person)), None)
        assert deciding not in refused, (person, refused)


def test_the_largest_document_is_judged_quickly() -> None:
    names = ["monetary", "monetary_365d", "average_order", "refund_rate"]
    wide = [
        all_of(*(any_of(metric(name, "gt", n), metric(name, "lt", -n - k)) for k, name in enumerate(names)))
        for n in range(50)
    ]
    began = time.perf_counter()
    assert found(*wide[::-1]) == {}
    assert time.perf_counter() - began < 2
