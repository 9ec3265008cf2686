"""Scheme documents for tests: written by hand, and how they are refused."""

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from app.classification import presets
from app.classification.definitions import BaseDocument
from app.classification.schemes import document_adapter

PRESETS: dict[str, Any] = {preset.key: preset.document for preset in presets.load()}


def document(given: Any) -> BaseDocument:
    """The document as the service reads it."""
    read: BaseDocument = document_adapter.validate_python(given)
    return read


def changed(key: str, **change: Any) -> Any:
    """A preset with some parts given anew."""
    return {**copy.deepcopy(PRESETS[key]), **change}


def refusals(given: Any) -> dict[str, str]:
    """What is wrong with a document, by JSON pointer."""
    with pytest.raises(ValidationError) as refused:
        document_adapter.validate_python(given)
    # The first part of a location is the document's kind.
    return {"".join(f"/{part}" for part in each["loc"][1:]): each["msg"] for each in refused.value.errors()}


def metric(name: str, op: str, value: Any = True) -> Any:
    return {"metric": name, "op": op, "value": value}


def rules(*conditions: Any, **more: Any) -> Any:
    """Rules that give the classes a, b, c ... and rest."""
    ordered = [{"class": "abcdefghij"[n], "when": when} for n, when in enumerate(conditions)]
    return {"kind": "rules", "default": "rest", "rules": ordered, **more}
