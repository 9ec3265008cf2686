"""Why a customer is in its class: inputs, thresholds, each condition, and how far the next class is.

The conditions are asked of PostgreSQL with the very expressions that decided; nothing is judged a second time here.
What is computed here is the distance between a value and its threshold, and what movement makes of decisions ahead.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from app.classification import schemes
from app.classification.definitions import AbcDocument, BaseDocument, RulesDocument, ScoreDocument, SegmentDocument
from app.classification.engine import Scheme
from app.classification.explanation.chinese import Chinese
from app.classification.explanation.deciding import Question, question
from app.classification.explanation.english import English
from app.classification.explanation.judged import Judged, Need, judge, need, plain
from app.classification.explanation.moving import Turn, settled
from app.classification.explanation.points import parts
from app.classification.explanation.standing import Situation, Standing, find
from app.classification.explanation.steps import Present, Step, steps
from app.classification.explanation.told import Told, direction
from app.classification.explanation.trees import deciding, holds
from app.classification.explanation.words import Words
from app.classification.failures import CANNOT_COMPUTE, NOT_COMPUTABLE, reason
from app.classification.metrics import METRICS, Window
from app.classification.refresh import WINDOW
from app.core import clock
from app.core.db import ReadSession, Record
from app.core.errors import NotFound
from app.core.languages import Language

WORDS: dict[Language, Words] = {"en": English(), "zh": Chinese()}
MOST_AHEAD = 40


async def explain(
    session: ReadSession, each: Scheme, customer_id: UUID, as_of: datetime | None, language: Language = "en"
) -> dict[str, Any]:
    """The decision laid open, as of the latest instant that decided it, or from the facts up to another.

    Of a past instant, versions, breakpoints and classes are those of that time; fields and tags have no history and
    are today's. Raises `NotFound` when the customer has not been measured yet, `SchemeFailing` when the database cannot
    evaluate the scheme for it.
    """
    found = await schemes.current(session)
    try:
        return await _explained(session, found, each, customer_id, as_of, language)
    except CANNOT_COMPUTE as error:
        why = found.aside.get(each.key)
        if why is None and not isinstance(error, NOT_COMPUTABLE):
            raise  # it took long, for whatever reason
        raise schemes.SchemeFailing(f"{each.key}: {why or reason(error)}") from error


async def _explained(
    session: ReadSession,
    found: schemes.Published,
    each: Scheme,
    customer_id: UUID,
    as_of: datetime | None,
    language: Language,
) -> dict[str, Any]:
    keys = _keys(found, each, past=as_of is not None and as_of < clock.business_now())
    situation = await find(session, found, keys, customer_id, as_of)
    used = [] if situation.past else _in_order(found, keys[1:])
    classes = await _classes_read(session, situation, used, customer_id)
    standing = situation.of[each.key]
    asks = question(each.key, standing.document, measured=situation.measured)
    rows = await _rows(session, asks, situation, standing, customer_id, classes)
    document = asks.document
    freshness = {key: [str(kind) for kind in other.document.freshness] for key, other in found.schemes.items()}
    judged = judge(document, asks.comparisons, rows, standing.fitted, freshness)
    decided = _turns(rows)
    stands = settled(document, standing.state, decided)
    present = Present(
        rows[0]["decided"],
        rows[0]["score"],
        judged,
        {name: plain(value) for name, value in zip(document.metrics, rows[0]["inputs"], strict=True)},
        rows[0]["points"],
    )
    ways = _with_time(document, present, rows, decided, stands)
    ways = [replace(way, needs=_with_deadlines(way.needs, rows, decided)) for way in ways]
    ways = [replace(way, alternatives=_with_deadlines(way.alternatives, rows, decided)) for way in ways]
    words = WORDS[language]
    told = _told(each, standing, present, ways)
    return {
        "scheme": each.key,
        "version": standing.version,
        "kind": document.kind,
        "language": language,
        "sentence": words.whole(told),
        "class": standing.state.name,
        "decided": present.decided,
        "score": document.read_score(present.score),
        "since": standing.state.since,
        "as_of": situation.as_of,
        "in_force": standing.in_force,
        "pending": standing.pending and {**standing.pending, "reason": _reason(document, standing)},
        "override": standing.override,
        "breakpoints": standing.fitted or None,
        "breakpoints_as_of": standing.fitted_as_of,
        "inputs": [_input(words, name, value) for name, value in present.values.items()],
        "parts": parts(document, dict(present.values), rows[0]["points"])
        if isinstance(document, ScoreDocument)
        else None,
        "conditions": [_condition(words, document, one, standing) for one in judged],
        "next": [_step(words, document, present, way, forced=standing.state.forced) for way in ways],
        "outlook": _outlook(decided, stands),
    }


# ---- what is asked ---------------------------------------------------------------------------------------------------


def _keys(found: schemes.Published, each: Scheme, *, past: bool) -> list[str]:
    """The scheme and those whose classes it reads, directly or not; of a past version, any."""
    if past:
        return [each.key, *(key for key in found.schemes if key != each.key)]
    keys = [each.key]
    for key in keys:
        document = found.schemes[key].document
        keys += [used for used in document.schemes_used if used not in keys and used in found.schemes]
    return keys


def _in_order(found: schemes.Published, keys: Sequence[str]) -> list[str]:
    """Schemes that read classes come after those they read; one that cannot be evaluated keeps its class."""
    ordered = [each.key for each in found.evaluation.schemes if each.key in keys]
    return [*(key for key in keys if key not in ordered), *ordered]


Classes = dict[str, list[Turn]]
"""For each scheme the class that stands, from each instant on."""


async def _classes_read(session: ReadSession, situation: Situation, used: Sequence[str], customer_id: UUID) -> Classes:
    """What the classes that are read become if nothing happens; of the past, only what they were."""
    classes = {key: [(situation.as_of, one.state.name)] for key, one in situation.of.items()}
    for key in used:
        standing = situation.of[key]
        asks = question(key, standing.document, measured=situation.measured)
        rows = await _rows(session, asks, situation, standing, customer_id, classes)
        classes[key] = settled(standing.document, standing.state, _turns(rows))
    return classes


async def _rows(
    session: ReadSession,
    asks: Question,
    situation: Situation,
    standing: Standing,
    customer_id: UUID,
    classes: Classes,
) -> list[Record]:
    read = [(key, at, name) for key in asks.document.schemes_used for at, name in classes.get(key, [])]
    params = {
        "customer_id": customer_id,
        "as_of": situation.as_of,
        "as_of_day": clock.business_day(situation.as_of),
        "window_from": situation.as_of - WINDOW,
        "past": situation.past,
        "fit_id": standing.fit_id,
        "used_scheme": [key for key, _, _ in read],
        "used_at": [at for _, at, _ in read],
        "used_class": [name for _, _, name in read],
    }
    rows = await session.all(asks.statement, params)
    if not rows:
        raise NotFound("This customer has not been measured yet; ask for a recalculation")
    return rows


def _turns(rows: Sequence[Record]) -> list[Turn]:
    """The decisions, each from an instant on."""
    turns: list[Turn] = []
    for row in rows:
        if not turns or turns[-1][1] != row["decided"]:
            turns.append((row["at"], row["decided"]))
    return turns


# ---- time ------------------------------------------------------------------------------------------------------------


def _with_time(
    document: BaseDocument, present: Present, rows: Sequence[Record], decided: Sequence[Turn], stands: Sequence[Turn]
) -> list[Step]:
    """The steps with the days on which time alone takes them; a class that only time leads to is added."""
    ways = []
    for way in steps(document, present):
        on = _first(decided[1:], way.name)
        ways.append(replace(way, on=on, stands_on=_first(stands[1:], way.name) if on else None))
    if len(decided) > 1 and decided[1][1] not in [way.name for way in ways]:
        at, name = decided[1]
        row = next(row for row in rows if row["at"] == at)
        turned = [each for n, each in enumerate(present.judged) if row["met"][n] != rows[0]["met"][n]]
        needs = [need(each, met=not each.met) for each in turned]
        ways.append(
            Step(
                name,
                direction(document, present.decided, name),
                needs,
                on=clock.business_day(at),
                stands_on=_first(stands[1:], name),
            )
        )
    return ways


def _first(turns: Sequence[Turn], name: str | None) -> date | None:
    return next((clock.business_day(at) for at, each in turns if each == name), None)


def _with_deadlines(needs: Sequence[Need], rows: Sequence[Record], decided: Sequence[Turn]) -> list[Need]:
    """What is missing in a window must come before the window loses its oldest fact, or the class drops."""
    begun = clock.business_day(rows[0]["at"])

    def deadline(each: Need) -> Need:
        window = _window_of(each)
        first = None if window is None else rows[0][window.first_at]
        if window is None or first is None:
            return each
        ends = min([first + window.length, *(at for at, _ in decided[1:2])])
        return replace(each, within_days=(clock.business_day(ends) - begun).days)

    return [deadline(each) for each in needs]


def _window_of(each: Need) -> Window | None:
    """The window in which what is needed has to happen."""
    asked = each.judged.asked
    turns = METRICS[asked.name].turns if asked.subject == "metric" else None
    is_missing = each.op in ("gte", "gt") and not (each.judged.gap or "-").startswith("-")
    return turns if isinstance(turns, Window) and is_missing else None


def _outlook(decided: Sequence[Turn], stands: Sequence[Turn]) -> list[dict[str, Any]]:
    """What is decided and what stands from each day on, if nothing happens."""
    shown: list[dict[str, Any]] = []
    for at in sorted({at for at, _ in (*decided[1:], *stands[1:])}):
        now = {
            "on": clock.business_day(at),
            "decided": [name for begun, name in decided if begun <= at][-1],
            "class": [name for begun, name in stands if begun <= at][-1],
        }
        if shown and shown[-1]["on"] == now["on"]:
            shown.pop()
        shown.append(now)
    return shown[:MOST_AHEAD]


def _reason(document: BaseDocument, standing: Standing) -> str:
    """Why a pending change waits."""
    movement, pending, state = document.movement, standing.state.pending, standing.state
    if movement is None or pending is None:
        return "grace"
    stays = timedelta(days=movement.minimum_stay_days)
    if state.since and stays and clock.business_day(state.since) + stays == pending[1]:
        return "minimum_stay"
    return "next_period" if direction(document, state.name, pending[0]) == "up" else "grace"


# ---- as people read it -----------------------------------------------------------------------------------------------


def _told(each: Scheme, standing: Standing, present: Present, ways: Sequence[Step]) -> Told:
    document, state = standing.document, standing.state
    reasons, default = _reasons(document, present)
    return Told(
        title=each.title,
        document=document,
        name=state.name,
        decided=present.decided,
        since=state.since,
        in_force=standing.in_force,
        fitted=not document.breakpoint_paths or standing.fit_id is not None,
        pending=state.pending,
        forced=state.forced,
        forced_until=state.forced_until,
        score=document.read_score(present.score),
        reasons=reasons,
        default=default,
        steps=ways,
    )


def _reasons(document: BaseDocument, present: Present) -> tuple[list[Judged], bool]:
    """The comparisons that made the decision, and whether it is what is left when nothing holds."""
    judged, truths = present.judged, present.truths
    match document:
        case RulesDocument():
            for n, rule in enumerate(document.rules):
                if holds(rule.when, f"/rules/{n}/when", truths):
                    return [present.by_pointer[at] for at in deciding(rule.when, f"/rules/{n}/when", truths)], False
            return [], True
        case SegmentDocument():
            inside = present.decided is not None
            return [present.by_pointer[at] for at in deciding(document.when, "/when", truths, wanted=inside)], False
        case ScoreDocument():
            marks = [each for each in judged if each.asked.subject == "score"]
            own = [each for each in marks if each.asked.target == present.decided]
            return (own or marks[-1:]) if present.score is not None else [], False
    if isinstance(document, AbcDocument):
        known = [each for each in judged if each.threshold is not None]
        return next(([each] for each in known if each.met), known[-1:]), False
    values = [next(each for each in judged if each.asked.name == name) for name in document.metrics]
    return [_bare(each) for each in values] if present.score is not None else [], False


def _bare(each: Judged) -> Judged:
    return replace(each, threshold=None)


def _input(words: Words, name: str, value: str | None) -> dict[str, Any]:
    metric = METRICS[name]
    return {"metric": name, "title": words.metric_title(name), "unit": metric.unit, "value": value}


def _condition(words: Words, document: BaseDocument, each: Judged, standing: Standing) -> dict[str, Any]:
    asked = each.asked
    return {
        "class": asked.target,
        "group": asked.group,
        "subject": asked.subject,
        "metric": asked.name,
        "op": asked.op,
        "negated": asked.negated,
        "pointer": asked.pointer or None,
        "threshold": each.threshold,
        "breakpoint": asked.breakpoint,
        "threshold_from": "constant" if asked.breakpoint is None else "population",
        "threshold_as_of": None if asked.breakpoint is None else standing.fitted_as_of,
        "value": each.value,
        "met": each.met,
        "gap": each.gap,
        "freshness": each.freshness,
        "turns_on": each.turns_on,
        "sentence": words.condition(document, each),
    }


def _step(words: Words, document: BaseDocument, present: Present, way: Step, *, forced: bool) -> dict[str, Any]:
    return {
        "class": way.name,
        "direction": way.direction,
        "needs": [each.data() for each in way.needs],
        "alternatives": [each.data() for each in way.alternatives],
        "on": way.on,
        "stands_on": way.stands_on,
        "sentence": words.step(document, present.decided, way, held=forced),
    }
