"""Whoever runs Strata knows what is in it, and under which terms."""

import re

from tests.sbom import LOCK, distributions, document

ALLOWED = {
    "0BSD",
    "3-Clause BSD License",
    "Apache Software License",
    "Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "ISC License (ISCL)",
    "MIT",
    "MIT License",
    "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
    "The Unlicense (Unlicense)",
    "Zlib",
}


def test_every_line_of_the_lock_is_in_the_bill() -> None:
    pinned = [line for line in LOCK.read_text("utf-8").splitlines() if re.match(r"\w.*==", line)]
    components = document()["components"]
    assert isinstance(components, list)
    assert len(components) == len(pinned) > 30


def test_every_licence_is_known_and_allowed() -> None:
    stated = {each.name: each.licence for each in distributions() if each.licence is not None}
    refused = {name: text for name, text in stated.items() if not set(re.split(r" AND | OR ", text)) <= ALLOWED}
    assert refused == {}


def test_only_what_another_machine_takes_states_no_licence_here() -> None:
    assert [each.name for each in distributions() if each.licence is None and each.marker is None] == []
