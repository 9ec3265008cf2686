"""What a scheme document may say; what it may not is refused with a message that says why."""

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from app.classification import presets
from app.classification.schemes import document_adapter
from app.core.predicates import MAX_DEPTH

PRESETS: dict[str, Any] = {preset.key: preset.document for preset in presets.load()}
GAP = {"of": "gap_days", "quantile": "0.5", "otherwise": "30"}


def changed(key: str, **change: Any) -> Any:
    return {**copy.deepcopy(PRESETS[key]), **change}


def refusal(document: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        document_adapter.validate_python(document)
    return str(refused.value)


def rule(when: Any) -> Any:
    return {"kind": "rules", "default": "rest", "rules": [{"class": "some", "when": when}]}


def metric(name: str, op: str, value: Any) -> Any:
    return {"metric": name, "op": op, "value": value}


def nested(depth: int) -> Any:
    return metric("frequency", "eq", 1) if depth == 1 else {"not": nested(depth - 1)}


def test_the_presets_say_what_was_designed() -> None:
    documents = {key: document_adapter.validate_python(document) for key, document in PRESETS.items()}
    assert list(documents) == ["abc", "rfm", "lifecycle"]
    assert documents["abc"].class_names == ["A", "B", "C"]
    assert documents["lifecycle"].class_names == [
        "prospect",
        "first_purchase",
        "loyal",
        "repeat",
        "at_risk",
        "churned",
    ]
    for document in documents.values():
        as_stored = document.model_dump(mode="json", by_alias=True)
        assert document_adapter.validate_python(as_stored) == document


# R (rows 1 to 5) by F (columns 1 to 5), as the definitions give them.
GRID = {
    1: ["hibernating", "hibernating", "at_risk", "at_risk", "cant_lose"],
    2: ["hibernating", "hibernating", "at_risk", "at_risk", "cant_lose"],
    3: ["about_to_sleep", "about_to_sleep", "need_attention", "loyal_customers", "loyal_customers"],
    4: ["promising", "potential_loyalists", "potential_loyalists", "loyal_customers", "loyal_customers"],
    5: ["new_customers", "potential_loyalists", "potential_loyalists", "champions", "champions"],
}


def test_the_named_segments_take_each_cell_as_defined() -> None:
    document = document_adapter.validate_python(PRESETS["rfm"])
    assert document.kind == "rfm"
    assert {r: [document.segment_of(r, f) for f in range(1, 6)] for r in range(1, 6)} == GRID


def segments(*cells: tuple[str, list[int], list[int]]) -> Any:
    named = [{"class": name, "cells": [{"r": r, "f": f}]} for name, r, f in cells]
    return changed("rfm", bins=3, segments=named)


def test_a_map_that_is_no_partition_names_its_cells() -> None:
    table = [
        (segments(("a", [1, 3], [1, 2])), "not covered: R1F3, R2F3, R3F3"),
        (segments(("a", [1, 3], [1, 3]), ("b", [2, 2], [3, 3])), "covered twice: R2F3"),
        (segments(("a", [1, 4], [1, 3])), "outside the grid: R4F1, R4F2, R4F3"),
        (segments(("a", [3, 1], [1, 3])), "not covered: R1F1, R1F2"),
        (segments(("a", [1, 3], [1, 2]), ("b", [1, 1], [2, 3])), "not covered: R2F3, R3F3; covered twice: R1F2"),
        (segments(("a", [0, 3], [1, 3])), "greater than or equal to 1"),
        (segments(("a", [1, 3], [1, 6])), "less than or equal to 5"),
        (changed("rfm", segments=[]), "at least 1"),
        (changed("rfm", bins=4), "3 or 5"),
    ]
    for document, message in table:
        assert message in refusal(document)
    document_adapter.validate_python(segments(("a", [1, 3], [1, 2]), ("b", [1, 3], [3, 3])))


def test_cut_offs_increase_and_classes_are_one_more() -> None:
    table = [
        (changed("abc", cut_offs=["0.95", "0.80"]), "cut_offs must increase"),
        (changed("abc", cut_offs=["0.80", "0.8000"]), "cut_offs must increase"),
        (changed("abc", cut_offs=["0.80"]), "one more than cut_offs"),
        (changed("abc", classes=["A", "B", "A"]), "all different"),
        (changed("abc", classes=["A", "B", "C", "D"]), "one more than cut_offs"),
        (changed("abc", cut_offs=["0", "0.5"]), "greater than 0"),
        (changed("abc", cut_offs=["0.5", "1"]), "less than 1"),
        (changed("abc", cut_offs=["0.5", "0.99999"]), "4 digits"),
        (changed("abc", cut_offs=[0.5, 0.9]), "as a string"),
        (changed("abc", classes=["A", "B b", "C"]), "pattern"),
        (changed("abc", classes=["id", "B", "C"]), "id is a name"),
        (changed("abc", rule="sideways"), "crossing"),
        (changed("abc", note="x"), "Extra inputs"),
        (changed("abc", kind="xyz"), "does not match"),
    ]
    for document, message in table:
        assert message in refusal(document)


def test_a_metric_is_one_that_can_decide() -> None:
    for key, field in (("abc", "metric"), ("rfm", "recency"), ("rfm", "frequency"), ("rfm", "monetary")):
        assert "there is no metric nope; there are: recency_days" in refusal(changed(key, **{field: "nope"}))
        assert "an instant" in refusal(changed(key, **{field: "last_purchase_at"}))
        assert "depends on the population" in refusal(changed(key, **{field: "gap_ratio"}))


def test_rules_compare_metrics_with_what_they_can_be_compared_with() -> None:
    population = {"some_gap": GAP}
    table = [
        (rule(metric("nope", "eq", 1)), "there is no metric nope"),
        (rule({"all": [{"not": metric("nope", "eq", 1)}]}), "there is no metric nope"),
        (rule({"field": "phone", "op": "eq", "value": "1"}), "there is no field phone to compare"),
        (rule({"field": "region", "op": "gt", "value": "CN"}), "gt does not apply here"),
        (rule({"class": "abc", "op": "eq", "value": 1}), "a text is needed"),
        (rule({"event": "visit"}), "there is no event visit; there are: purchase, refund"),
        (rule({"event": "purchase", "count": {}}), "give gte, lte or both"),
        (
            rule({"event": "purchase", "where": [{"property": "colour", "op": "eq", "value": "red"}]}),
            "an event has no colour",
        ),
        (rule(metric("frequency", "gte", {"breakpoint": "missing"})), "no breakpoint missing under population"),
        (rule(metric("gap_ratio", "lte", 3)), "population must define median_gap_days"),
        (rule(metric("mean_gap_days", "lte", 3)), "population must define median_gap_days"),
        (rule(metric("frequency", "contains", "1")), "frequency contains: contains applies to text"),
        (rule(metric("frequency", "gte", "many")), "a number is needed"),
        (rule(metric("frequency", "gte", True)), "true and false"),
        (rule(metric("frequency", "in", "1")), "a list of values"),
        (rule(metric("last_purchase_at", "gte", "soon")), "an instant is needed"),
        ({**rule(metric("frequency", "eq", {"breakpoint": "some_gap"})), "population": population}, "above or below"),
        (
            {**rule(metric("last_purchase_at", "lt", {"breakpoint": "some_gap"})), "population": population},
            "above or below",
        ),
        ({**rule(metric("frequency", "eq", 1)), "population": {"id": GAP}}, "id is a name"),
        ({**rule(metric("frequency", "eq", 1)), "population": {"g": {**GAP, "of": "orders"}}}, "gap_days"),
        ({**rule(metric("frequency", "eq", 1)), "population": {"g": {**GAP, "quantile": "1"}}}, "less than 1"),
        ({**rule(metric("frequency", "eq", 1)), "population": {"g": {**GAP, "otherwise": "0"}}}, "greater than 0"),
        ({"kind": "rules", "rules": [], "default": "rest"}, "at least 1"),
        ({"kind": "rules", "rules": [{"class": "a", "when": metric("frequency", "eq", 1)}]}, "default"),
    ]
    for document, message in table:
        assert message in refusal(document), message


def test_conditions_are_limited_in_depth_and_number() -> None:
    document_adapter.validate_python(rule(nested(MAX_DEPTH)))
    assert "8 levels deep" in refusal(rule(nested(MAX_DEPTH + 1)))
    leaf = metric("frequency", "eq", 1)
    document_adapter.validate_python(rule({"all": [{"any": [leaf] * 50}] * 2}))
    assert "100 conditions at most" in refusal(rule({"all": [{"any": [leaf] * 50}, {"any": [leaf] * 50}, leaf]}))
    assert "at most 50" in refusal(rule({"all": [leaf] * 51}))
    assert "at most 50" in refusal({**rule(leaf), "rules": [{"class": "a", "when": leaf}] * 51})
