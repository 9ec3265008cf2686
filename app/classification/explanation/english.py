"""Explanations in English."""

from collections.abc import Sequence

from app.classification.definitions import (
    BaseDocument,
    Rfm8Document,
    RfmDocument,
    ScoreDocument,
    SegmentDocument,
    StaticDocument,
)
from app.classification.explanation.judged import NUMBERS, Judged, Need, need
from app.classification.explanation.steps import Step
from app.classification.explanation.words import (
    Told,
    Words,
    currency,
    day_of,
    direction,
    foremost,
    money,
    number,
    whole_steps,
)
from app.classification.metrics import METRICS

_COMPARED = {
    "gte": "at least {}",
    "gt": "more than {}",
    "lte": "at most {}",
    "lt": "less than {}",
    "eq": "exactly {}",
    "ne": "other than {}",
    "in": "one of {}",
    "not_in": "none of {}",
    "within": "within {}",
    "not_within": "outside {}",
    "contains": "something containing {}",
    "not_contains": "nothing containing {}",
}
_MOVES = {"up": "Rises to", "down": "Drops to"}


def plural(n: int, noun: str, more: str = "") -> str:
    """1 purchase, 2 purchases, 1,240 more purchases."""
    return f"{n:,}{more} {noun}{'' if n == 1 else 's'}"


class English(Words):
    language = "en"

    def all_of(self, parts: Sequence[str]) -> str:
        return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)

    def metric_title(self, name: str) -> str:
        return METRICS[name].title.replace(",", "")

    def money(self, amount: str) -> str:
        return f"{amount} {currency()}"

    def unknown(self) -> str:
        return "unknown"

    def yes_or_no(self, value: str | None) -> str:
        return "yes" if value == "true" else "no"

    def no_class(self) -> str:
        return "no class"

    def in_segment(self) -> str:
        return "in the segment"

    def not_in_segment(self) -> str:
        return "not in the segment"

    # ---- one comparison ----------------------------------------------------------------------------------------------

    def title(self, each: Judged) -> str:
        match each.asked.subject:
            case "metric":
                return self.metric_title(each.asked.name)
            case "field":
                return each.asked.name.replace("_", " ")
            case "tag":
                return f"tag “{each.asked.name}”"
            case "class":
                return f"class in {each.asked.name}"
            case "event":
                return f"{each.asked.name}s{self._which(each)}"
            case "member":
                return "on the list"
            case "score":
                return "points"

    def _which(self, each: Judged) -> str:
        """What is asked of events, after their name."""
        assert each.asked.fact is not None
        leaf = each.asked.fact.events
        which = "".join(
            f" with {asked.property.replace('_', ' ')} {self._compare(asked.op.value, _texts(asked.value))}"
            for asked in leaf.where
        )
        within = f" within {plural(leaf.within_days, 'day')}" if leaf.within_days else ""
        return f"{which}{within}"

    def _compare(self, op: str, limits: Sequence[str]) -> str:
        if op == "is_null":
            return "nothing" if limits[0] in ("true", "yes") else "any value"
        if op in ("has", "has_not"):
            return "it" if op == "has" else "its absence"
        if op in ("between", "not_between"):
            return f"{'' if op == 'between' else 'not '}{limits[0]} to {limits[1]}"
        return _COMPARED[op].format(", ".join(limits))

    def asks(self, each: Need) -> str:
        """What a value must be, such as: at least 21.00 CNY."""
        limits = each.threshold if each.op == "is_null" else self.limits(each.judged, each.threshold)
        listed = [limits] if isinstance(limits, str) else limits or []
        if each.judged.asked.subject not in NUMBERS and each.op in ("eq", "ne"):
            return listed[0] if each.op == "eq" else f"anything but {listed[0]}"
        return self._compare(each.op, listed)

    def condition(self, document: BaseDocument, each: Judged) -> str:
        if each.asked.subject == "member":
            return f"{'On' if each.met else 'Not on'} the list that people keep."
        wanted = need(each, met=not each.asked.negated)
        title, value = _capital(self.title(each)), self.value(each, each.value)
        if each.threshold is None and each.asked.breakpoint is not None:
            return f"{title}: {value}; the population has given no threshold."
        met = "met" if each.content else "not met"
        target = self._target(document, each)
        turns = f" Turns on {each.turns_on} if nothing {'is bought' if each.content else 'changes'}."
        return f"{title}: {value}; {target} asks for {self.asks(wanted)}: {met}.{turns if each.turns_on else ''}"

    def _target(self, document: BaseDocument, each: Judged) -> str:
        target = each.asked.target
        if isinstance(document, RfmDocument):
            return target.upper()
        if isinstance(document, Rfm8Document):
            return f"a high {target[0].upper()}"
        if isinstance(document, ScoreDocument) and each.asked.subject == "metric" and not each.asked.pointer:
            return "one bin more"
        if isinstance(document, SegmentDocument):
            return "the segment"
        return self.class_title(document, target)

    # ---- one step ----------------------------------------------------------------------------------------------------

    def step(self, document: BaseDocument, decided: str | None, step: Step) -> str:
        way, name = direction(document, decided, step.name), self.class_title(document, step.name)
        moves, goal = f"{_MOVES[way]} {name}", f"For {name}"
        if isinstance(document, SegmentDocument):
            moves, goal = f"{'Enters' if way == 'up' else 'Leaves'} the segment", "To enter the segment"
        if step.on is not None:
            unless = "if nothing is bought" if way == "down" else "if nothing changes"
            if step.stands_on is not None and step.stands_on != step.on:
                waits = "then in grace" if way == "down" else "in force with the next period"
                return f"{moves} on {step.stands_on} {unless} (decided on {step.on}, {waits})."
            return f"{moves} on {step.on} {unless}."
        if way == "down" and all(each.is_bought for each in step.needs):
            return f"Becomes {name} with {self.needs(step.needs)}."
        if way == "down":
            return f"{moves} if {self.all_of([self.is_(each) for each in step.needs])}."
        some = f", for example {' or '.join(map(self.need, step.alternatives))}" if step.alternatives else ""
        return f"{goal}: {self.needs(step.needs)}{some}."

    def is_(self, each: Need) -> str:
        title, now = self.title(each.judged), self.value(each.judged, each.judged.value)
        match each.judged.asked.subject:
            case "tag":
                return f"the {title} is {'given' if each.op == 'has' else 'taken away'}"
            case "metric" if _is_plural(title):
                return f"{title} are {self.asks(each)} (now {now})"
            case "event" | "score":
                return f"{title} are {self.asks(each)} (now {now})"
        return f"{title} is {self.asks(each)} (now {now})"

    def need(self, each: Need) -> str:
        judged = each.judged
        now = self.value(judged, judged.value)
        match judged.asked.subject:
            case "metric":
                return self._of_metric(each) or f"{self.title(judged)} of {self.asks(each)} (now {now})"
            case "score" if _rises(each):
                return plural(whole_steps(each), "point", " more")
            case "event" if _rises(each):
                return f"{plural(whole_steps(each), judged.asked.name, ' more')} ({self._in_all(each)})"
            case "tag":
                return f"{'the' if each.op == 'has' else 'no'} {self.title(judged)}"
            case "member":
                return "a place on the list"
        return f"{self.title(judged)}: {self.asks(each)} (now {now})"

    def _of_metric(self, each: Need) -> str | None:
        """What the customer has to do; None where the metric has no such words."""
        gap = each.judged.gap
        within = "" if each.within_days is None else f" within {plural(each.within_days, 'day')}"
        within = " today" if each.within_days == 0 else within
        match each.judged.asked.name:
            case "monetary" | "monetary_365d" if gap is not None and _rises(each):
                if each.op == "gt":
                    return f"{'any amount' if gap == '0' else f'over {self.money(money(gap))}'} more{within}"
                return f"{self.money(money(gap))} more{within}"
            case "frequency" | "frequency_365d" if _rises(each):
                return f"{plural(whole_steps(each), 'purchase', ' more')}{within}"
            case "recency_days" | "gap_ratio" if each.op in ("lte", "lt") and gap is not None:
                return "a new purchase"
            case "tenure_days" if _rises(each):
                return f"{plural(whole_steps(each), 'day', ' more')} as a customer"
            case "recency_days" if _rises(each):
                return f"{plural(whole_steps(each), 'day', ' more')} without a purchase"
        return None

    def _in_all(self, each: Need) -> str:
        limit = each.threshold if isinstance(each.threshold, str) else "1"
        return f"{number(limit)}{self._which(each.judged)} in all, now {self.value(each.judged, each.judged.value)}"

    # ---- the whole ---------------------------------------------------------------------------------------------------

    def whole(self, told: Told) -> str:
        said = [self._stands(told)]
        if told.forced:
            until = f" until {day_of(told.forced_until)}" if told.forced_until else ""
            said.append(f"A person set this{until}; by itself the scheme decides {self._name(told, told.decided)}.")
        elif told.pending is not None:
            name, on = self._name(told, told.pending[0]), told.pending[1]
            up = direction(told.document, told.name, told.pending[0]) == "up"
            said.append(f"Becomes {name} on {on}." if up else f"In grace until {on}, then {name}.")
        if not told.in_force:
            said.append("Nothing was in force by then: judged by what came into force first.")
        first = foremost(told)
        if first is not None and not (told.pending and told.pending[0] == first.name):
            said.append(self.step(told.document, told.decided, first))
        return " ".join(said)

    def _name(self, told: Told, name: str | None) -> str:
        return self.class_title(told.document, name)

    def _stands(self, told: Told) -> str:
        since = f" since {day_of(told.since)}" if told.since and told.name is not None else ""
        reason = self._reason(told)
        because = f", because {reason}" if reason and told.name == told.decided else ""
        decided = "" if told.name == told.decided or told.forced or told.pending else self._differs(told)
        return f"{told.title}: {self._name(told, told.name)}{since}{because}.{decided}"

    def _differs(self, told: Told) -> str:
        return f" By these values the scheme decides {self._name(told, told.decided)}."

    def _reason(self, told: Told) -> str:
        if not told.fitted:
            return "the population has given no thresholds yet"
        if isinstance(told.document, StaticDocument):
            return "it is on the list that people keep" if told.decided else "it is not on the list that people keep"
        if told.score is None and isinstance(told.document, RfmDocument | Rfm8Document):
            return "there is no purchase to score"
        by = self._by_score(told)
        held = self.all_of([self.is_so(each) for each in told.reasons])
        if told.default and not held:
            return "no rule holds"
        return f"{by}: {held}" if by and held else by or held

    def _by_score(self, told: Told) -> str:
        if told.score is None:
            return ""
        if isinstance(told.document, RfmDocument):
            return "it scores " + " ".join(f"{letter.upper()}{points}" for letter, points in told.score.items())
        if isinstance(told.document, Rfm8Document):
            high = {1: "high", 0: "low"}
            return ", ".join(f"{letter.upper()} is {high[points]}" for letter, points in told.score.items())
        return ""

    def is_so(self, each: Judged) -> str:
        """A comparison as the reason of a decision: purchases are 4 (at least 4)."""
        title, value = self.title(each), self.value(each, each.value)
        if each.asked.subject == "tag":
            return f"it has the {title}" if each.met else f"it has no {title}"
        be = "are" if each.asked.subject in ("event", "score") or _is_plural(title) else "is"
        if each.threshold is None or each.value is None or need(each, met=each.met).op == "eq":
            return f"{title} {be} {value}"
        return f"{title} {be} {value} ({self.asks(need(each, met=each.met))})"


def _rises(each: Need) -> bool:
    return each.op in ("gte", "gt") and each.judged.gap is not None


def _texts(value: object) -> list[str]:
    return [number(str(each)) for each in (value if isinstance(value, list) else [value])]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _is_plural(title: str) -> bool:
    return title.split(" ")[0].endswith("s") and not title.startswith("class")
