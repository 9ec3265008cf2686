"""Trees of conditions whose leaves are known to hold or not: which leaves make them hold, and which are missing."""

from collections.abc import Mapping

from app.classification.explanation.asking import parts_of
from app.core.predicates import AllOf, AnyOf, Node, NotOf

Truths = Mapping[str, bool]
"""Whether each leaf holds, by the pointer that leads to it."""


def holds(node: Node, pointer: str, met: Truths) -> bool:
    """Whether the tree holds."""
    match node:
        case AllOf():
            return all(holds(part, at, met) for at, part in parts_of(node, pointer))
        case AnyOf():
            return any(holds(part, at, met) for at, part in parts_of(node, pointer))
        case NotOf():
            return not holds(node.part, f"{pointer}/not", met)
        case _:
            return met[pointer]


def deciding(node: Node, pointer: str, met: Truths, *, wanted: bool = True) -> list[str]:
    """Leaves that suffice to make the tree what it is: true, or false when not `wanted`; it must be that."""
    match node:
        case AllOf() | AnyOf():
            parts = parts_of(node, pointer)
            if isinstance(node, AllOf) == wanted:  # every part counts
                return [leaf for at, part in parts for leaf in deciding(part, at, met, wanted=wanted)]
            at, part = next((at, part) for at, part in parts if holds(part, at, met) == wanted)
            return deciding(part, at, met, wanted=wanted)
        case NotOf():
            return deciding(node.part, f"{pointer}/not", met, wanted=not wanted)
        case _:
            return [pointer]


def missing(node: Node, pointer: str, met: Truths, *, wanted: bool = True) -> list[str]:
    """The fewest leaves that would have to turn for the tree to hold, or not to hold when not `wanted`."""
    if holds(node, pointer, met) == wanted:
        return []
    match node:
        case AllOf() | AnyOf():
            ways = [missing(part, at, met, wanted=wanted) for at, part in parts_of(node, pointer)]
            if isinstance(node, AllOf) == wanted:
                return [leaf for way in ways for leaf in way]
            return min(ways, key=len)
        case NotOf():
            return missing(node.part, f"{pointer}/not", met, wanted=not wanted)
        case _:
            return [pointer]
