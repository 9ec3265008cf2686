"""Scheme documents as hypothesis makes them: of every kind, mostly sensible, sometimes broken in one place."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from app.classification.definitions import CODES
from app.classification.metrics import METRICS

NUMBERS = [0, 1, 5, -1, "0", "0.0001", "2.5", "90", "99999999999999.9999", "-99999999999999.9999", 2**53]
WHATEVER = [
    *NUMBERS,
    "",
    "high",
    "1e999",
    "NaN",
    "x" * 201,
    "\x00",
    True,
    None,
    1.5,
    [],
    ["1", "2"],
    {},
    {"kind": "abc"},
]
INSTANTS = ["2020-01-01T00:00:00Z", "1900-01-02T00:00:00+14:00", "2199-12-31T23:59:59Z"]
ORDERED = ["lt", "lte", "gt", "gte"]
NAMES = ["a", "B", "vip-1", "0"]
GAPS = {"median_gap_days": {"of": "gap_days", "quantile": "0.5", "otherwise": "36500"}}

number_names = st.sampled_from([name for name, each in METRICS.items() if each.unit != "instant"])
own_names = st.sampled_from([name for name, each in METRICS.items() if each.unit != "instant" and not each.population])
numbers = st.sampled_from(NUMBERS)
names = st.sampled_from(NAMES)


def _is(subject: str, named: st.SearchStrategy[str], op: st.SearchStrategy[str], value: Any) -> Any:
    return st.fixed_dictionaries({subject: named, "op": op, "value": value})


def _leaves() -> st.SearchStrategy[Any]:
    texts = st.sampled_from(["CN-31", "CN", "high", "A", "%_\\"])
    lists = st.lists(texts, min_size=1, max_size=3)
    where = _is("property", st.sampled_from(["category", "product_name"]), st.sampled_from(["eq", "within"]), texts)
    cost = _is("property", st.sampled_from(["amount", "quantity"]), st.sampled_from(ORDERED), numbers)
    return st.one_of(
        _is("metric", number_names, st.sampled_from([*ORDERED, "eq", "ne"]), numbers),
        _is(
            "metric",
            number_names,
            st.sampled_from(["in", "not_in"]),
            st.lists(numbers.map(str), min_size=1, max_size=3),
        ),
        _is("metric", number_names, st.sampled_from(ORDERED), st.just({"breakpoint": "median_gap_days"})),
        _is("metric", st.just("last_purchase_at"), st.sampled_from(ORDERED), st.sampled_from(INSTANTS)),
        _is("metric", st.sampled_from(list(METRICS)), st.just("is_null"), st.booleans()),
        _is("field", st.sampled_from(["region", "name"]), st.sampled_from(["eq", "ne", "contains", "within"]), texts),
        _is("field", st.just("region"), st.sampled_from(["in", "not_in", "within"]), lists),
        _is("field", st.just("created_at"), st.sampled_from(ORDERED), st.sampled_from(INSTANTS)),
        _is("class", st.just("abc"), st.sampled_from(["eq", "ne"]), texts),
        st.fixed_dictionaries({"tag": st.sampled_from(["vip", "wholesale", "'"])}),
        st.fixed_dictionaries(
            {"event": st.sampled_from(["purchase", "refund"])},
            optional={
                "where": st.lists(where | cost, max_size=2),
                "within_days": st.sampled_from([1, 90, 36_500]),
                "count": st.sampled_from([{"gte": 0}, {"gte": 2, "lte": 5}, {"lte": 1_000_000}]),
            },
        ),
    )


conditions = st.recursive(
    _leaves(),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=6,
)


def _rising(count: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.integers(-5, 10_000), min_size=count, max_size=count, unique=True).map(
        lambda found: [str(each) for each in sorted(found)]
    )


def _grid(bins: int, *, monetary: bool) -> list[dict[str, Any]]:
    """A segment for each R, and of each M where it is asked for."""
    scores = range(1, bins + 1)
    if not monetary:
        return [{"class": f"r{r}", "cells": [{"r": [r, r], "f": [1, bins]}]} for r in scores]
    return [
        {"class": f"r{r}m{m}", "cells": [{"r": [r, r], "f": [1, bins], "m": [m, m]}]} for r in scores for m in scores
    ]


@st.composite
def _rfm(draw: st.DrawFn) -> dict[str, Any]:
    bins = draw(st.sampled_from([3, 5]))
    three = draw(st.lists(own_names, min_size=3, max_size=3, unique=True))
    named = dict(zip(("recency", "frequency", "monetary"), three, strict=True))
    made = {"kind": "rfm", "bins": bins, "segments": _grid(bins, monetary=draw(st.booleans())), **named}
    if draw(st.booleans()):
        made["edges"] = {name: draw(_rising(bins - 1)) for name in named}
    return made


@st.composite
def _rfm8(draw: st.DrawFn) -> dict[str, Any]:
    three = draw(st.lists(own_names, min_size=3, max_size=3, unique=True))
    named = dict(zip(("recency", "frequency", "monetary"), three, strict=True))
    return {"kind": "rfm8", "classes": {code: draw(names) for code in CODES}, **named}


@st.composite
def _abc(draw: st.DrawFn) -> dict[str, Any]:
    cut_offs = draw(st.lists(st.integers(1, 9_999), min_size=1, max_size=3, unique=True))
    return {
        "kind": "abc",
        "metric": draw(own_names),
        "rule": draw(st.sampled_from(["crossing", "inclusive"])),
        "cut_offs": [f"0.{each:04}" for each in sorted(cut_offs)],
        "classes": ["A-1", "b.2", "C", "D"][: len(cut_offs) + 1],
    }


@st.composite
def _score(draw: st.DrawFn) -> dict[str, Any]:
    metrics = draw(st.lists(own_names, min_size=1, max_size=4, unique=True))
    weights = [draw(st.sampled_from(["10", "0.0001", "33.3333"])) for _ in metrics[1:]]
    spent = sum(int(float(each) * 10_000 + 0.5) for each in weights)
    parts = []
    for name, weight in zip(metrics, [f"{(1_000_000 - spent) / 10_000:.4f}", *weights], strict=True):
        way = draw(st.sampled_from(["bins", "edges", "linear"]))
        given: Any = draw(st.integers(2, 20))
        if way == "edges":
            given = draw(st.integers(1, 5).flatmap(_rising))
        elif way == "linear":
            given = dict(zip(("from", "to"), draw(st.permutations(["-3.5", "0.0001", "700"]))[:2], strict=True))
        parts.append({"metric": name, "weight": weight, way: given})
    thresholds = [{"class": "high", "at_least": draw(st.integers(50, 100))}, {"class": "medium", "at_least": 49}]
    if draw(st.booleans()):
        thresholds[0]["when"] = draw(conditions)
    return {"kind": "score", "parts": parts, "thresholds": thresholds, "default": "low", "population": GAPS}


@st.composite
def _rules(draw: st.DrawFn) -> dict[str, Any]:
    ordered = [{"class": draw(names), "when": draw(conditions)} for _ in range(draw(st.integers(1, 4)))]
    return {"kind": "rules", "rules": ordered, "default": draw(names), "population": GAPS}


_segments = conditions.map(lambda when: {"kind": "segment", "when": when, "population": GAPS})
_movements = st.sampled_from(
    [
        None,
        {"downgrade": {"grace_days": 30, "one_step": True}, "minimum_stay_days": 10},
        {"upgrade": "next_quarter", "corrections": "at_once"},
    ]
)
sensible = st.builds(
    lambda made, movement, refit: {**made, "movement": movement, "refit": refit},
    st.one_of(_abc(), _rfm(), _rfm8(), _rules(), _score(), _segments, st.just({"kind": "static"})),
    _movements,
    st.sampled_from(["never", "monthly"]),
)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a document: what it is in, and under which name or number."""
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


@st.composite
def _broken(draw: st.DrawFn) -> Any:
    made = copy.deepcopy(draw(sensible))
    for _ in range(draw(st.integers(1, 2))):
        inside, key = draw(st.sampled_from(list(_places(made))))
        if isinstance(inside, dict) and draw(st.booleans()):
            del inside[key]
        else:
            inside[key] = draw(st.sampled_from(WHATEVER))
    return made


broken = _broken()
