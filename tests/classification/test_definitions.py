"""What a scheme document may say; what it may not is refused with a message that says why, and where."""

from typing import Any

import pytest

from app.core.predicates import MAX_DEPTH
from tests.classification.documents import PRESETS, changed, document, metric, refusals, rules

GAP = {"of": "gap_days", "quantile": "0.5", "otherwise": "30"}
LEAF = metric("frequency", "eq", 1)


def nested(depth: int) -> Any:
    return LEAF if depth == 1 else {"not": nested(depth - 1)}


@pytest.mark.parametrize("key", PRESETS)
def test_a_preset_survives_being_stored(key: str) -> None:
    preset = document(PRESETS[key])
    assert document(preset.model_dump(mode="json", by_alias=True)) == preset


def test_the_presets_say_what_was_designed() -> None:
    assert document(PRESETS["abc"]).class_names == ["A", "B", "C"]
    assert document(PRESETS["lifecycle"]).class_names == [
        "prospect",
        "first_purchase",
        "loyal",
        "repeat",
        "at_risk",
        "churned",
    ]


@pytest.mark.parametrize(
    ("given", "pointer", "message"),
    [
        (changed("abc", cut_offs=["0.95", "0.80"]), "/cut_offs", "must increase"),
        (changed("abc", cut_offs=["0.80", "0.8000"]), "/cut_offs", "must increase"),
        (changed("abc", cut_offs=["0.80"]), "/classes", "one more than cut_offs"),
        (changed("abc", classes=["A", "B", "A"]), "/classes", "all different"),
        (changed("abc", classes=["A", "B", "C", "D"]), "/classes", "one more than cut_offs"),
        (changed("abc", cut_offs=["0", "0.5"]), "/cut_offs/0", "greater than 0"),
        (changed("abc", cut_offs=["0.5", "1"]), "/cut_offs/1", "less than 1"),
        (changed("abc", cut_offs=["0.5", "0.99999"]), "/cut_offs/1", "4 digits"),
        (changed("abc", cut_offs=[0.5, 0.9]), "/cut_offs/0", "as a string"),
        (changed("abc", classes=["A", "B b", "C"]), "/classes/1", "pattern"),
        (changed("abc", classes=["id", "B", "C"]), "/classes", "id is a name"),
        (changed("abc", rule="sideways"), "/rule", "crossing"),
        (changed("abc", note="x"), "/note", "Extra inputs"),
        (changed("abc", kind="xyz"), "", "does not match"),
        (changed("abc", movement={"order": ["A", "B"]}), "/movement/order", "must name each class once: A, B, C"),
        (changed("abc", movement={"order": ["A", "B", "C", "C"]}), "/movement/order", "must name each class once"),
        (changed("abc", movement={"downgrade": {"grace_days": -1}}), "/movement/downgrade/grace_days", "or equal to 0"),
        (changed("abc", titles={"D": {"en": "Last"}}), "/titles/D", "there is no class D; there are: A, B, C"),
        (changed("abc", refit="hourly"), "/refit", "monthly"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused(given: Any, pointer: str, message: str) -> None:
    found = refusals(given)
    assert message in found[pointer], found


@pytest.mark.parametrize(
    ("key", "field"), [("abc", "metric"), ("rfm", "recency"), ("rfm", "frequency"), ("rfm", "monetary")]
)
def test_a_metric_is_one_that_can_decide(key: str, field: str) -> None:
    assert "there is no metric nope; there are: recency_days" in refusals(changed(key, **{field: "nope"}))[f"/{field}"]
    assert "an instant" in refusals(changed(key, **{field: "last_purchase_at"}))[f"/{field}"]
    assert "depends on the population" in refusals(changed(key, **{field: "gap_ratio"}))[f"/{field}"]


WHEN = "/rules/0/when"
SOME_GAP = {"population": {"some_gap": GAP}}


def bought(name: str, op: str, value: Any) -> Any:
    """A purchase with this property."""
    return {"event": "purchase", "where": [{"property": name, "op": op, "value": value}]}


@pytest.mark.parametrize(
    ("given", "pointer", "message"),
    [
        (rules(metric("nope", "eq", 1)), f"{WHEN}/metric", "there is no metric nope"),
        (rules({"all": [{"not": metric("nope", "eq", 1)}]}), f"{WHEN}/all/0/not/metric", "there is no metric nope"),
        (rules({"field": "phone", "op": "eq", "value": "1"}), f"{WHEN}/field", "there is no field phone to compare"),
        (rules({"field": "region", "op": "gt", "value": "CN"}), f"{WHEN}/op", "gt does not apply here"),
        (rules({"class": "abc", "op": "eq", "value": 1}), f"{WHEN}/value", "a text is needed"),
        (rules({"event": "visit"}), f"{WHEN}/event", "there is no event visit; there are: purchase, refund"),
        (rules(bought("colour", "eq", "red")), f"{WHEN}/where/0/property", "an event has no colour"),
        (rules(bought("amount", "gte", "many")), f"{WHEN}/where/0/value", "a number is needed"),
        (rules(bought("amount", "lt", "NaN")), f"{WHEN}/where/0/value", "a number is needed"),
        (rules(bought("quantity", "gte", "many")), f"{WHEN}/where/0/value", "a number is needed"),
        (rules(metric("gap_ratio", "lte", 3)), "/population", "must define median_gap_days"),
        (rules(metric("mean_gap_days", "lte", 3)), "/population", "must define median_gap_days"),
        (rules(metric("frequency", "contains", "1")), f"{WHEN}/op", "contains applies to text"),
        (rules(metric("frequency", "gte", "many")), f"{WHEN}/value", "a number is needed"),
        (rules(metric("frequency", "gte", True)), f"{WHEN}/value", "true and false"),
        (rules(metric("frequency", "in", "1")), f"{WHEN}/value", "a list of values"),
        (rules(metric("last_purchase_at", "gte", "soon")), f"{WHEN}/value", "an instant is needed"),
        (
            rules(metric("frequency", "gte", {"breakpoint": "missing"})),
            f"{WHEN}/value/breakpoint",
            "no breakpoint missing under population",
        ),
        (rules(metric("frequency", "eq", {"breakpoint": "some_gap"}), **SOME_GAP), f"{WHEN}/op", "above or below"),
        (
            rules(metric("last_purchase_at", "lt", {"breakpoint": "some_gap"}), **SOME_GAP),
            f"{WHEN}/op",
            "above or below",
        ),
        (rules(LEAF, population={"id": GAP}), "/population/id", "id is a name"),
        (rules(LEAF, population={"g": {**GAP, "of": "orders"}}), "/population/g/of", "gap_days"),
        (rules(LEAF, population={"g": {**GAP, "quantile": "1"}}), "/population/g/quantile", "less than 1"),
        (rules(LEAF, population={"g": {**GAP, "otherwise": "0"}}), "/population/g/otherwise", "greater than 0"),
        (rules(LEAF, population={"g": {**GAP, "otherwise": "36501"}}), "/population/g/otherwise", "36500"),
        (rules(), "/rules", "at least 1"),
        ({"kind": "rules", "rules": [{"class": "a", "when": LEAF}]}, "/default", "required"),
    ],
)
def test_rules_compare_with_what_can_be_compared(given: Any, pointer: str, message: str) -> None:
    found = refusals(given)
    assert message in found[pointer], found


def test_everything_that_is_wrong_is_named_at_once() -> None:
    given = rules(metric("nope", "eq", 1), metric("frequency", "gte", "many"), metric("gap_ratio", "lte", 3))
    assert list(refusals(given)) == ["/rules/0/when/metric", "/rules/1/when/value", "/population"]


def test_conditions_are_limited_in_depth_and_number() -> None:
    document(rules(nested(MAX_DEPTH)))
    assert "8 levels deep" in refusals(rules(nested(MAX_DEPTH + 1)))[WHEN]
    document(rules({"all": [{"any": [LEAF] * 50}] * 2}))
    assert (
        "100 conditions at most" in refusals(rules({"all": [{"any": [LEAF] * 50}, {"any": [LEAF] * 50}, LEAF]}))[WHEN]
    )
    hundred = [{"all": [{"any": [metric("frequency", "eq", n)] * 50}] * 2} for n in range(3)]
    document(rules(*hundred[:2]))
    assert refusals(rules(*hundred)) == {"": "a document may ask 200 conditions at most"}
    tags = [{"tag": f"t{n}"} for n in range(21)]
    document(rules({"any": tags[:20]}))
    assert "20 different fields, tags, classes and events at most" in refusals(rules({"any": tags}))[""]
    events = [{"event": "purchase", "within_days": days} for days in range(1, 7)]
    document(rules({"any": events[:5]}))
    assert "5 different kinds of events at most" in refusals(rules({"any": events}))[""]


# ---- segments --------------------------------------------------------------------------------------------------------


def test_a_segment_is_in_or_out() -> None:
    quiet = {"all": [metric("gap_ratio", "gte", 3), {"tag": "wholesale"}, {"class": "abc", "op": "eq", "value": "A"}]}
    segment = document({"kind": "segment", "when": quiet, "population": {"median_gap_days": GAP}})
    assert (segment.class_names, segment.metrics, segment.schemes_used) == (["in"], ["gap_ratio"], ["abc"])
    assert "must define median_gap_days" in refusals({"kind": "segment", "when": quiet})["/population"]
    never = {"all": [metric("frequency", "gte", 5), metric("frequency", "lte", 3)]}
    assert "can never hold" in refusals({"kind": "segment", "when": never})["/when"]
    static = document({"kind": "static"})
    assert (static.class_names, [fact.kind for fact in static.facts]) == (["in"], ["member"])
    assert "Extra inputs" in refusals({"kind": "static", "when": LEAF})["/when"]
