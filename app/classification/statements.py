"""The statement that decides schemes, level by level: what they read is measured, decided upon, settled and written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    union_all,
)

from app.classification import edges, movement, reviews
from app.classification.compile import MeasuredRow, StoredRow, expression, thresholds
from app.classification.definitions import Fact, SegmentDocument, StaticDocument
from app.classification.edges import Edges
from app.classification.facts import FactSource
from app.classification.metrics import METRICS, Ratio, Source
from app.classification.models import customer_class, customer_metrics
from app.classification.refresh import AS_OF, AS_OF_DAY, among, within
from app.classification.writing import Inputs, writing
from app.customers.models import customer

if TYPE_CHECKING:
    from app.classification.engine import Scheme

Levels = Sequence[Sequence["Scheme"]]
"""Schemes in the order in which they are decided: each level reads classes of those before it."""

_DATES = ("first_purchase_on", "last_purchase_on")
_EXIT = "exit:"
_ARGUMENTS = 90
"""PostgreSQL's functions take a hundred at most."""
_INSTANTS = ("next_fact_at", "next_review_at")


@dataclass(frozen=True, slots=True)
class Review:
    """Find out when the customers' classes can next change by time alone, in any of these schemes.

    `whole`: they are all there are. Otherwise the review can come earlier through them, but not later.
    """

    schemes: Sequence["Scheme"]
    whole: bool


def deciding(levels: Levels, *, whole: bool, ranged: bool, told: bool = False) -> Select[Any]:
    """Every level of schemes for a range or for customers named; gives what `writing` says.

    A level is decided from the classes in which the levels before it have settled.
    """
    schemes = [each for level in levels for each in level]
    limits = edges.in_force(schemes)
    decided = decisions(levels, Review(schemes, whole), limits, ranged=ranged)
    rows, theirs = decided, partial(within, ranged=ranged)
    if remembers := ranged and whole:
        rows = _differing(decided)
        theirs = partial(among, rows=rows)
    settled: dict[str, CTE] = {}
    parts: list[CTE] = []
    for n, level in enumerate(levels):
        if n:
            rows = _next_level(level, rows, _settled_classes(level, rows, settled), limits).cte(f"decisions_{n}")
        answered = union_all(*(answers(each, rows) for each in level)).cte(f"answers_{n}")
        documents = [(each.key, each.version, each.document) for each in level]
        parts.append(movement.settled(documents, answered, theirs, called=f"settled_{n}"))
        settled |= dict.fromkeys([each.key for each in level], parts[-1])
    every = parts[0] if len(parts) == 1 else union_all(*(select(part) for part in parts)).cte("settled")
    inputs = [_inputs(each, rows) for each in schemes]
    segments = [each.key for each in schemes if isinstance(each.document, SegmentDocument | StaticDocument)]
    return writing(decided, every, rows, inputs, segments, ranged=ranged, whole=whole, remembers=remembers, told=told)


def _differing(decided: CTE) -> CTE:
    """Whoever is decided otherwise than last time; of the others, just that stands."""
    d = decided.c
    return select(decided).where(d.decided.is_distinct_from(d.decided_before)).cte("differing")


# ---- measuring and deciding ------------------------------------------------------------------------------------------


def decisions(levels: Levels, review: Review | None, limits: Edges, *, ranged: bool, called: str = "decisions") -> CTE:
    """One row a customer: for every scheme of the first level its class, its score and the breakpoints it used.

    With what all levels read, and with a review its instant. Whoever reviews a range by all schemes there are also
    learns in a word what is `decided` on every level: of classes as decided, which is how they stand unless movement
    or an override keeps others, and then the word is not remembered.

    In stages, kept apart by OFFSET 0 (PostgreSQL would merge them and compute a metric as often as it is named): what
    the schemes read, the steps of their expressions, the classes.
    """
    first, *later = levels
    schemes = [each for level in levels for each in level]
    measured = _measured(schemes, review.schemes if review else schemes, limits, ranged=ranged)
    reviewed = [] if review is None else [_next_review(review, measured, limits).label("review_at")]
    stepped = _stepped(first, select(measured, *reviewed), measured, limits)
    read = {column.name: column for each in schemes for column in _columns_read(each, stepped)}
    more = [] if review is None else ["review_at", "decided_before"]
    for name in ("customer_id", "revision", "next_review_at", *more):
        read[name] = stepped.c[name]
    classes = select(*read.values(), *_classes(first, stepped, limits)).select_from(limits.beside(stepped))
    if review is None or not (ranged and review.whole):
        return classes.cte(called)
    row = row_of_first = classes.offset(0).subquery("classes")
    for n, level in enumerate(later, start=1):
        as_decided = {key: row.c[f"{key}_class"] for each in level for key in each.document.schemes_used}
        row = _next_level(level, row, (row, as_decided), limits).offset(0).subquery(f"classes_{n}")
    kept = [row.c[column.name] for column in row_of_first.c]
    return select(*kept, _in_a_word(schemes, row).label("decided")).cte(called)


def _stepped(level: Sequence["Scheme"], rows: Select[Any], measured: Subquery, limits: Edges) -> Subquery:
    """With the steps of the level's expressions, each computed once."""
    measures = {each.key: _measured_row(each, measured, limits) for each in level}
    steps = [
        step.label(f"{each.key}_step_{name}")
        for each in level
        for name, step in expression(each.document, measures[each.key]).steps.items()
    ]
    return rows.add_columns(*steps).select_from(limits.beside(measured)).offset(0).subquery()


def _classes(level: Sequence["Scheme"], stepped: Subquery, limits: Edges) -> list[ColumnElement[Any]]:
    """The level's classes, scores and the breakpoints they used."""
    columns: dict[str, ColumnElement[Any]] = {}
    for each in level:
        decided = expression(each.document, _measured_row(each, stepped, limits))
        done = {name: stepped.c[f"{each.key}_step_{name}"] for name in decided.steps}
        fitted = limits.fit(each).is_not(None) if each.document.breakpoint_paths else literal(True)
        columns[f"{each.key}_class"] = cast(case((fitted, decided.class_of(done))), Text)
        columns[f"{each.key}_score"] = decided.score_of(done) if decided.score_of else cast(null(), Integer)
        columns[f"{each.key}_fit"] = limits.fit(each)
    return [column.label(name) for name, column in columns.items()]


UsedClasses = tuple[FromClause, Mapping[str, ColumnElement[Any]]]
"""Where to select from, and there the classes by their schemes' keys."""


def _next_level(level: Sequence["Scheme"], rows: CTE | Subquery, used: UsedClasses, limits: Edges) -> Select[Any]:
    """These rows with the classes that a level uses and those that it decides."""
    source, classes = used
    read = {
        _fact_column(each, fact): classes[fact.name]
        for each in level
        for fact in each.document.facts
        if fact.kind == "class" and fact.name in classes
    }
    known = [column.label(name) for name, column in read.items() if name not in rows.c]
    ready = select(rows, *known).select_from(source).offset(0).subquery()
    stepped = _stepped(level, select(ready), ready, limits)
    kept = [stepped.c[column.name] for column in ready.c]
    return select(*kept, *_classes(level, stepped, limits)).select_from(limits.beside(stepped))


def _settled_classes(level: Sequence["Scheme"], rows: CTE, settled: Mapping[str, CTE]) -> UsedClasses:
    """The classes in which earlier levels have settled: what is not in `settled` stands as it was decided."""
    source: FromClause = rows
    classes: dict[str, ColumnElement[Any]] = {}
    for key in sorted({key for each in level for key in each.document.schemes_used if key in settled}):
        became = settled[key].alias(f"used_{key}")
        this = and_(became.c.customer_id == rows.c.customer_id, became.c.scheme == key)
        source = source.outerjoin(became, this)
        classes[key] = case((became.c.customer_id.is_not(None), became.c.becomes), else_=rows.c[f"{key}_class"])
    return source, classes


def _in_a_word(schemes: Sequence["Scheme"], row: Subquery) -> ColumnElement[Any]:
    """Every decision, a line each: scheme and version, class, score; none of them has a blank in it."""
    lines = [
        func.concat(f"{each.key}@{each.version} ", row.c[f"{each.key}_class"], " ", row.c[f"{each.key}_score"])
        for each in schemes
    ]
    pages = [func.concat_ws("\n", *lines[n : n + _ARGUMENTS]) for n in range(0, len(lines), _ARGUMENTS)]
    return func.concat_ws("\n", *pages, type_=Text)


def _measured(schemes: Sequence["Scheme"], read: Sequence["Scheme"], limits: Edges, *, ranged: bool) -> Subquery:
    """Whatever the schemes read, once; what depends on the population or on who asks, once for each scheme.

    Of those that are `read` for the review only, nothing but what time turns.
    """
    row, record = customer_metrics.alias("m"), customer.alias("record")
    columns: dict[str, ColumnElement[Any]] = {name: row.c[name] for name in (*_DATES, *_INSTANTS)}
    columns["decided_before"] = row.c.decided
    for window in reviews.WINDOWS:
        columns[window.first_at] = row.c[window.first_at]
    for each in read:
        source = Source(row, AS_OF_DAY, limits.of(each))
        stored = StoredRow(source, FactSource(row.c.customer_id, record, AS_OF, each.key))
        for name in _metrics_of(each):
            columns[_metric_column(each, name)] = stored.metric(name)
        for fact in each.document.facts:
            if each in schemes and fact.kind != "class":
                columns[_fact_column(each, fact)] = stored.fact(fact)
            if fact.kind == "events" and fact.events.within_days is not None:
                columns[_exit_column(fact)] = FactSource(row.c.customer_id, record, AS_OF).leaves_on(fact.events)
    known: FromClause = row
    # A class that this statement decides itself is read when it is.
    here = {each.key for each in schemes}
    facts = [(each, fact) for each in schemes for fact in each.document.facts]
    used = {_fact_column(*named): named[1].name for named in facts if named[1].kind == "class"}
    used = {name: key for name, key in used.items() if key not in here}
    for name, key in used.items():
        k = customer_class.alias(f"used_{key}")
        stands = and_(k.c.customer_id == row.c.customer_id, k.c.scheme == key, within(k.c.customer_id, ranged=ranged))
        known, columns[name] = known.outerjoin(k, stands), k.c.class_
    if any(fact.kind in ("field", "tag") for _, fact in facts):
        # Said of both sides: the planner does not carry a range over an outer join, and would read every record.
        same = and_(record.c.id == row.c.customer_id, within(record.c.id, ranged=ranged))
        known = known.outerjoin(record, same)
    return (
        select(row.c.customer_id, row.c.revision, *(column.label(name) for name, column in columns.items()))
        .select_from(limits.beside(known))
        .where(within(row.c.customer_id, ranged=ranged))
        .offset(0)
        .subquery("measured")
    )


def _metrics_of(each: "Scheme") -> list[str]:
    """The metrics that a scheme reads, and the units of those that are ratios."""
    names = each.document.metrics
    units = [turns.to for name in names if isinstance(turns := METRICS[name].turns, Ratio)]
    return list(dict.fromkeys([*names, *units]))


# What is measured has a colon in its name, which no scheme's key has: no key makes two columns one.


def _metric_column(each: "Scheme", metric: str) -> str:
    return f"metric:{metric}:{each.key}" if METRICS[metric].population else f"metric:{metric}"


def _fact_column(each: "Scheme", fact: Fact) -> str:
    return f"{fact.kind}:{each.key if fact.kind == 'member' else _digest(fact)}"


def _exit_column(fact: Fact) -> str:
    return f"{_EXIT}{_digest(fact)}"


def _digest(fact: Fact) -> str:
    """A name of its own for a tag or a condition, which can be longer than the name of a column."""
    return blake2b(fact.name.encode(), digest_size=20).hexdigest()


def _measured_row(each: "Scheme", rows: Subquery | CTE, limits: Edges) -> MeasuredRow:
    metrics = {name: rows.c[_metric_column(each, name)] for name in each.document.metrics}
    facts = {fact: rows.c[name] for fact in each.document.facts if (name := _fact_column(each, fact)) in rows.c}
    return MeasuredRow(metrics, facts, limits.of(each))


def _columns_read(each: "Scheme", rows: Subquery) -> list[ColumnElement[Any]]:
    """What a scheme reads, but for the classes that are decided before it."""
    names = [_metric_column(each, name) for name in each.document.metrics]
    names += [_fact_column(each, fact) for fact in each.document.facts]
    return [rows.c[name] for name in names if name in rows.c]


def _inputs(each: "Scheme", rows: Subquery | CTE) -> Inputs:
    metrics = [rows.c[_metric_column(each, name)] for name in each.document.metrics]
    return each.key, metrics, [rows.c[_fact_column(each, fact)] for fact in each.document.facts]


def answers(each: "Scheme", decided: CTE) -> Select[Any]:
    """What was decided of one scheme, as `movement.settled` reads it."""
    return select(
        decided.c.customer_id,
        decided.c.revision,
        literal_column(f"'{each.key}'", Text).label("scheme"),
        decided.c[f"{each.key}_class"].label("decided"),
        decided.c[f"{each.key}_score"].label("score"),
        decided.c[f"{each.key}_fit"].label("breakpoints_id"),
    )


def _next_review(review: Review, rows: Subquery, limits: Edges) -> ColumnElement[Any]:
    """When time alone can next change a decision about a customer; movement and overrides come on top."""
    compared = [
        (each, threshold)
        for each in review.schemes
        for threshold in thresholds(each.document, _measured_row(each, rows, limits))
    ]
    ages = reviews.turning_ages([threshold for _, threshold in compared], limits.row)
    ratios = [
        (METRICS[name], rows.c[_metric_column(each, turns.to)], value)
        for each, (name, value) in compared
        if isinstance(turns := METRICS[name].turns, Ratio)
    ]
    day = reviews.next_day(rows, ages, ratios)
    exits = [column for column in rows.c if column.name.startswith(_EXIT)]
    return func.least(reviews.next_instant(day, rows), *exits)
