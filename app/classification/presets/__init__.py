"""The schemes every installation begins with: documents like any other, editable afterwards."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

ORDER = ("abc", "rfm", "rfm8", "value", "tier", "behaviour", "need", "lifecycle", "region")


@dataclass(frozen=True, slots=True)
class Preset:
    key: str
    title: str
    document: dict[str, Any]


def load() -> list[Preset]:
    """The presets, in the order in which people read them."""
    folder = resources.files(__name__)
    loaded = [(key, json.loads((folder / f"{key}.json").read_text("utf-8"))) for key in ORDER]
    return [Preset(key, content["title"], content["document"]) for key, content in loaded]
