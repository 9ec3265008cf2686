"""What `movement` does to a class while only time passes: the same rule, told for one customer day by day."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from app.classification.definitions import BaseDocument, Movement
from app.core import clock

_MONTHS = {"next_month": 1, "next_quarter": 3, "next_year": 12}


@dataclass(frozen=True, slots=True)
class State:
    """What stands: the class and since when, what waits to replace it, and until when a person has set it."""

    name: str | None
    since: datetime | None
    pending: tuple[str, date] | None = None
    forced: bool = False
    forced_until: datetime | None = None


Turn = tuple[datetime, str | None]
"""From this instant on, this class."""


def settled(document: BaseDocument, state: State, decided: Sequence[Turn]) -> list[Turn]:
    """The class that stands from each instant on, as decisions change; the first of `decided` is the present one."""
    turns = list(_turns(document, state, decided))
    return [turn for n, turn in enumerate(turns) if n == 0 or turn[1] != turns[n - 1][1]]


def _turns(document: BaseDocument, state: State, decided: Sequence[Turn]) -> Iterator[Turn]:
    yield decided[0][0], state.name
    now = decided[0][0]
    for n, (at, name) in enumerate(decided):
        until = decided[n + 1][0] if n + 1 < len(decided) else None
        now = max(now, at)
        # The first decision has been settled already; what it waits for comes below.
        if n > 0:
            state = _step(document, state, now, name)
            yield now, state.name
        while (due := _due(state)) is not None and (until is None or due < until):
            now = max(due, now)
            if state.forced and state.forced_until == due:
                state = replace(state, forced=False, forced_until=None, name=name, since=now, pending=None)
            else:
                state = _step(document, state, now, name)
            yield now, state.name


def _due(state: State) -> datetime | None:
    """When something happens by itself: an override ends, or a pending change is due."""
    if state.forced:
        return state.forced_until
    return clock.start_of_day(state.pending[1]) if state.pending else None


def _step(document: BaseDocument, state: State, at: datetime, decided: str | None) -> State:
    """One evaluation, as `movement.settled` has it; without `movement` every decision stands at once."""
    if state.forced:
        return state
    rule = document.movement
    ranked = document.ranked
    if rule is None or state.name not in ranked or decided not in ranked:
        return state if decided == state.name else State(decided, at)
    before, wanted = ranked.index(state.name), ranked.index(decided)
    if before == wanted:
        return replace(state, pending=None)
    today, goes_up = clock.business_day(at), wanted < before
    due_on = _due_on(rule, state, today, goes_up=goes_up, ranked=ranked)
    step = ranked[before + 1] if rule.downgrade.one_step and not goes_up else decided
    if due_on > today:
        return replace(state, pending=(step, due_on))
    if step == decided:
        return State(decided, at)
    wait = timedelta(days=max(1, rule.downgrade.grace_days, rule.minimum_stay_days))
    return State(step, at, pending=(ranked[before + 2], today + wait))


def _due_on(rule: Movement, state: State, today: date, *, goes_up: bool, ranked: list[str]) -> date:
    assert state.name is not None
    pending, before = state.pending, ranked.index(state.name)
    if pending and pending[0] in ranked and (ranked.index(pending[0]) < before) == goes_up:
        return pending[1]
    begins = _next_period(rule, today) if goes_up else today + timedelta(days=rule.downgrade.grace_days)
    stayed = clock.business_day(state.since) if state.since else today
    return max(begins, stayed + timedelta(days=rule.minimum_stay_days))


def _next_period(rule: Movement, today: date) -> date:
    months = _MONTHS.get(rule.upgrade)
    if months is None:
        return today
    first = (today.month - 1) // months * months + months  # months of this year before the next period
    return date(today.year + first // 12, first % 12 + 1, 1)
