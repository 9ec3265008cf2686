"""Schemes that read each other's classes are decided in order, and what cannot be is refused or named."""

from typing import Any

import pytest

from app.classification.definitions import BaseDocument
from app.classification.definitions.references import broken, check_against, levels
from app.classification.schemes import document_adapter
from app.core.errors import Invalid


def asking(**classes: str) -> BaseDocument:
    """A document of the classes some and rest that asks for one class each of other schemes."""
    when = [{"class": scheme, "op": "eq", "value": name} for scheme, name in classes.items()]
    when.append({"metric": "frequency", "op": "gte", "value": "1"})
    return document_adapter.validate_python(
        {"kind": "rules", "default": "rest", "rules": [{"class": "some", "when": {"all": when}}]}
    )


def test_schemes_are_decided_after_those_that_they_read() -> None:
    documents = {"d": asking(b="some", c="some"), "b": asking(a="some"), "a": asking(), "c": asking(), "e": asking()}
    assert levels(documents) == [["a", "c", "e"], ["b"], ["d"]]
    assert broken(documents) == {}
    assert levels({}) == []


def test_what_cannot_be_decided_is_left_out_and_says_why() -> None:
    documents = {
        "a": asking(b="some"),
        "b": asking(c="some"),
        "c": asking(a="some"),
        "itself": asking(itself="some"),
        "reader": asking(a="some", fine="some"),
        "lost": asking(gone="some"),
        "fine": asking(),
    }
    assert levels(documents) == [["fine"]]
    assert broken(documents) == {
        "a": "a uses b uses c uses a",
        "b": "b uses c uses a uses b",
        "c": "c uses a uses b uses c",
        "itself": "itself uses itself",
        "reader": "uses a, which cannot be evaluated",
        "lost": "uses gone, which is no scheme",
    }


@pytest.mark.parametrize(
    ("documents", "pointer", "message"),
    [
        ({"new": asking(gone="some")}, "/rules/0/when/all/0/class", "there is no scheme gone; there are: new"),
        (
            {"new": asking(a="best"), "a": asking()},
            "/rules/0/when/all/0/value",
            "a has no class best; it has: some, rest",
        ),
        ({"new": asking(new="some")}, "/rules/0/when/all/0/class", "a cycle: new uses new"),
        (
            {"new": asking(c="some", a="some"), "a": asking(b="some"), "b": asking(new="some"), "c": asking()},
            "/rules/0/when/all/1/class",
            "a cycle: new uses a uses b uses new",
        ),
        (
            {"new": asking(), "other": asking(new="best")},
            "",
            "other would be left without a class it asks for: new has no class best; it has: some, rest",
        ),
    ],
)
def test_a_document_that_does_not_fit_the_others_is_refused(
    documents: dict[str, Any], pointer: str, message: str
) -> None:
    with pytest.raises(Invalid) as refused:
        check_against(documents, "new", "/body/document")
    assert [(each.pointer, each.message) for each in refused.value.errors] == [(f"/body/document{pointer}", message)]


def test_a_document_that_fits_is_accepted() -> None:
    check_against({"new": asking(a="some"), "a": asking(), "other": asking(new="rest")}, "new")
