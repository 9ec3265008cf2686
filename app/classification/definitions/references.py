"""Schemes that read other schemes' classes: the order in which they are decided, and what cannot be.

Pure functions over the documents by their schemes' keys.
"""

from collections.abc import Collection, Iterator, Mapping

from app.classification.definitions.document import BaseDocument
from app.core.errors import FieldError, Invalid
from app.core.predicates import ClassIs, Op, located

_NAMING = (Op.EQ, Op.NE, Op.IN, Op.NOT_IN)


def levels(documents: Mapping[str, BaseDocument]) -> list[list[str]]:
    """The schemes' keys, each level reading classes of earlier levels only; without what `broken` names."""
    used = _used(documents)
    placed: set[str] = set()
    found: list[list[str]] = []
    while ready := [key for key in used if key not in placed and used[key] <= placed]:
        found.append(ready)
        placed.update(ready)
    return found


def broken(documents: Mapping[str, BaseDocument], aside: Collection[str] = ()) -> dict[str, str]:
    """Why schemes cannot be decided: they read an unknown scheme, are in a cycle, or read one that cannot be.

    `aside` are schemes that exist and cannot be decided for reasons of their own.
    """
    used = _used(documents)
    placed = {key for level in levels(documents) for key in level}
    return {key: _why(used, placed, key, aside) for key in used if key not in placed}


def _used(documents: Mapping[str, BaseDocument]) -> dict[str, set[str]]:
    return {key: set(document.schemes_used) for key, document in documents.items()}


def _why(used: Mapping[str, set[str]], placed: set[str], key: str, aside: Collection[str]) -> str:
    if unknown := sorted(used[key] - used.keys() - set(aside)):
        return f"uses {unknown[0]}, which is no scheme"
    if cycle := _cycle(used, key):
        return " uses ".join(cycle)
    return f"uses {min(used[key] - placed)}, which cannot be evaluated"


def _cycle(used: Mapping[str, set[str]], key: str) -> list[str] | None:
    """The shortest way from a scheme back to itself, both ends named."""
    ways, seen = [[key]], set[str]()
    for way in ways:
        for each in sorted(used.get(way[-1], set())):
            if each == key:
                return [*way, key]
            if each not in seen:
                seen.add(each)
                ways.append([*way, each])
    return None


def check_against(documents: Mapping[str, BaseDocument], key: str, pointer: str = "") -> None:
    """Whether a scheme's document fits the others; `pointer` leads to the document.

    Raises `Invalid` for unknown schemes, unknown classes of theirs, a cycle, and a class that another scheme
    asks for and the document no longer has.
    """
    errors = [FieldError(pointer + at, message) for at, message in _unknown(documents, key)]
    if cycle := _cycle(_used(documents), key):
        first = next(at for at, leaf in _asked(documents[key]) if leaf.scheme == cycle[1])
        errors.append(FieldError(f"{pointer}{first}/class", f"a cycle: {' uses '.join(cycle)}"))
    for other in documents.keys() - {key}:
        for _, message in _unknown(documents, other, of=key):
            errors.append(FieldError(pointer, f"{other} would be left without a class it asks for: {message}"))
    if errors:
        raise Invalid(errors[0].message, errors=errors)


def _unknown(documents: Mapping[str, BaseDocument], key: str, *, of: str | None = None) -> Iterator[tuple[str, str]]:
    """Where a document names a scheme, or a class of one, that does not exist; `of` looks at one scheme only."""
    for at, leaf in _asked(documents[key]):
        if of not in (None, leaf.scheme):
            continue
        if leaf.scheme not in documents:
            yield f"{at}/class", f"there is no scheme {leaf.scheme}; there are: {', '.join(documents)}"
        elif leaf.op in _NAMING:
            names = documents[leaf.scheme].class_names
            for name in leaf.value if isinstance(leaf.value, list) else [leaf.value]:
                if name not in names:
                    yield f"{at}/value", f"{leaf.scheme} has no class {name}; it has: {', '.join(names)}"


def _asked(document: BaseDocument) -> Iterator[tuple[str, ClassIs]]:
    for pointer, node in document.conditions:
        for at, leaf in located(node, pointer):
            if isinstance(leaf, ClassIs):
                yield at, leaf
