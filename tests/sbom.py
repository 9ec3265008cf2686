"""The software bill of materials: every distribution that the image holds, in CycloneDX. `make sbom` writes it."""

import json
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements.runtime.lock"
_LINE = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)\s*(?:;\s*([^\\]+?))?\s*\\?$", re.MULTILINE)


@dataclass(frozen=True)
class Distribution:
    """One line of the lock; `licence` is None where this machine has another version, or none, by the line's marker."""

    name: str
    version: str
    marker: str | None
    licence: str | None


def distributions() -> list[Distribution]:
    """What the runtime lock names, with the licences that the installed distributions state."""
    lines = _LINE.findall(LOCK.read_text("utf-8"))
    return [Distribution(name, version, marker or None, _licence(name, version)) for name, version, marker in lines]


def _licence(name: str, version: str) -> str | None:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    if found.version != version:
        return None
    classifiers = found.metadata.get_all("Classifier") or []
    classified = [each.split(" :: ")[-1] for each in classifiers if each.startswith("License :: ")]
    stated = found.metadata.get_all("License-Expression") or classified or found.metadata.get_all("License") or []
    return " AND ".join(stated)


def document() -> dict[str, object]:
    """The bill in CycloneDX 1.6."""
    components = []
    for each in distributions():
        component: dict[str, object] = {
            "type": "library",
            "name": each.name,
            "version": each.version,
            "purl": f"pkg:pypi/{each.name}@{each.version}",
        }
        if each.licence is not None:
            component["licenses"] = [{"license": {"name": each.licence}}]
        components.append({**component, "bom-ref": f"pkg:pypi/{each.name}@{each.version}"})
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2)
