"""What the record of a survivor says after a merge, and after it was undone. Pure."""

from collections.abc import Collection, Mapping
from typing import Any, get_args

from app.core.errors import FieldError, Invalid
from app.customers.merging.schemas import MergedField
from app.customers.schemas import MAX_TAGS

FIELDS = get_args(MergedField)
"""Taken from the merged customer where the survivor says nothing, or where somebody asks for it."""
MAX_CUSTOM = 100

Record = Mapping[str, Any]


def filled(survivor: Record, merged: Record, take: Collection[str]) -> dict[str, Any]:
    """The survivor's fields that change, as they will be. Raises `Invalid` for more tags than one may have."""
    said = [name for name in FIELDS if merged[name] is not None]
    values = {name: merged[name] for name in said if name in take or survivor[name] is None}
    values["tags"] = sorted({*survivor["tags"], *merged["tags"]})
    values["custom"] = {**merged["custom"], **survivor["custom"]}
    for name, most in (("tags", MAX_TAGS), ("custom", MAX_CUSTOM)):
        if len(values[name]) > most:
            why = f"together they have {len(values[name])} {name}, and a customer has {most} at most; remove some first"
            raise Invalid(why, errors=[FieldError("/body/merged_id", why)])
    return {name: value for name, value in values.items() if value != survivor[name]}


def given_back(now: Record, before: Record, after: Record) -> dict[str, Any]:
    """The survivor's fields without what the merge brought: as before, where nobody wrote anything else since."""
    values: dict[str, Any] = {}
    for name, brought in after.items():
        if name == "tags":
            values[name] = [tag for tag in now[name] if tag in before[name] or tag not in brought]
        elif name == "custom":
            ours = before[name].keys()
            values[name] = {
                key: value for key, value in now[name].items() if key in ours or brought.get(key, ...) != value
            }
        elif _plain(now[name]) == brought:
            values[name] = before[name]
    return {name: value for name, value in values.items() if value != now[name]}


def _plain(value: Any) -> Any:
    """As JSON keeps it."""
    return value if value is None or isinstance(value, str) else str(value)
