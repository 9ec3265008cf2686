"""How explanations are worded: what is said, when, and in which order. The words are each language's own."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from app.classification.definitions import (
    IN,
    BaseDocument,
    Rfm8Document,
    RfmDocument,
    ScoreDocument,
    SegmentDocument,
    StaticDocument,
)
from app.classification.explanation.figures import Count, day_of, enumerated, money, number
from app.classification.explanation.judged import NUMBERS, Judged, Need, need
from app.classification.explanation.steps import Step
from app.classification.explanation.told import Told, direction
from app.classification.metrics import METRICS
from app.core.languages import Language
from app.core.predicates import FactIs, HasEvents, Op
from app.core.settings import get_settings

_DEEDS = {
    "monetary": "spend_more",
    "monetary_365d": "spend_more",
    "frequency": "buy_more",
    "frequency_365d": "buy_more",
    "tenure_days": "stay_longer",
    "recency_days": "stay_silent",
}
"""What lets a metric rise."""
_OF_NAMES = {"eq": "is", "ne": "is_not"}
_OF_INSTANTS = {"gte": "since_then", "gt": "after", "lte": "until_then", "lt": "before"}
_INSTANTS = {"created_at", "updated_at", *(name for name, metric in METRICS.items() if metric.unit == "instant")}
_AT_MOST = 6
"""So many values are named; of more, all but one of these and how many others."""


class Words(ABC):
    """One language: the phrases that all have, by name, and as methods what only its grammar knows.

    Braces in a phrase name what is put there; a language leaves out what it needs no words for.
    """

    language: Language
    phrases: Mapping[str, str]

    def say(self, phrase: str, /, *parts: str, **named: object) -> str:
        return self.phrases[phrase].format(*parts, **named)

    def say_all(self, phrase: str, parts: Sequence[str]) -> str:
        return enumerated(self.phrases[phrase], parts)

    # ---- values ------------------------------------------------------------------------------------------------------

    def class_title(self, document: BaseDocument, name: str | None) -> str:
        """What people call the class in this language; its name where they don't."""
        if isinstance(document, SegmentDocument | StaticDocument):
            return self.say("in_segment" if name == IN else "not_in_segment")
        if name is None:
            return self.say("no_class")
        title = document.titles.get(name)
        return (title and getattr(title, self.language)) or name

    def called(self, document: BaseDocument, name: str | None) -> str:
        """The class within a sentence."""
        return self.class_title(document, name)

    def value(self, each: Judged, value: str | None) -> str:
        """A value of what is compared, with its unit."""
        if each.asked.subject in ("tag", "member"):
            return self.say("yes" if value == "true" else "no")
        if value is None:
            return self.say("unknown")
        if each.asked.name in _INSTANTS and each.asked.subject in ("metric", "field"):
            return day_of(value).isoformat()
        if each.asked.subject == "metric":
            return self.measure(each.asked.name, value)
        return number(value) if each.asked.subject in ("event", "score") else value

    def measure(self, metric: str, value: str) -> str:
        """A metric's value: money with its currency."""
        return self.money(money(value)) if METRICS[metric].unit == "money" else number(value)

    def money(self, amount: str) -> str:
        return f"{amount} {get_settings().currency}"

    # ---- what is compared --------------------------------------------------------------------------------------------

    @abstractmethod
    def metric_title(self, name: str) -> str: ...

    @abstractmethod
    def field_title(self, name: str) -> str: ...

    @abstractmethod
    def events(self, leaf: HasEvents) -> str:
        """The events that count, as the title of their number."""

    def title(self, each: Judged) -> str:
        match each.asked.subject:
            case "metric":
                return self.metric_title(each.asked.name)
            case "field":
                return self.field_title(each.asked.name)
            case "event":
                return self.events(_events(each))
            case subject:
                return self.say(subject, name=each.asked.name)

    def asks(self, each: Need) -> str:
        """What a value must be, such as: at least 21.00 CNY."""
        if each.op == "is_null":
            return self.say("is_null" if each.threshold == "true" else "is_not_null")
        given = each.threshold if isinstance(each.threshold, list) else [each.threshold]
        of_names = {} if each.judged.asked.subject in NUMBERS else _OF_NAMES
        if each.judged.asked.name in _INSTANTS:
            of_names = _OF_INSTANTS
        limits = [self.say("unknown") if limit is None else self.value(each.judged, limit) for limit in given]
        return self._compared(of_names.get(each.op, each.op), limits)

    def asks_of_property(self, each: FactIs) -> str:
        """What a property of an event must be."""
        if each.op is Op.IS_NULL:
            return self.say("is_null" if each.value else "is_not_null")
        given = each.value if isinstance(each.value, list) else [each.value]
        return self._compared(each.op, [number(str(limit)) for limit in given])

    def _compared(self, op: str, limits: Sequence[str]) -> str:
        if op in ("between", "not_between"):
            return self.say(op, *limits)
        if len(limits) > _AT_MOST:
            others = Count(len(limits) - _AT_MOST + 1)
            return self.say(op, self.say("and_others", named=", ".join(limits[: _AT_MOST - 1]), n=others))
        return self.say(op, self.say_all("any_of", limits))

    # ---- one comparison ----------------------------------------------------------------------------------------------

    def condition(self, document: BaseDocument, each: Judged) -> str:
        """One comparison: value, what is asked, whether it is met, when time turns it."""
        if each.asked.subject == "member":
            return self.say("listed" if each.met else "not_listed")
        title, value = self.opening(self.title(each)), self.value(each, each.value)
        if each.threshold is None and each.asked.breakpoint is not None:
            return self.say("without_threshold", title=title, value=value)
        target, asks = self._target(document, each), self.asks(need(each, met=not each.asked.negated))
        met = self.say("met" if each.content else "not_met")
        said = self.say("judged", title=title, value=value, target=target, asks=asks, met=met)
        if each.turns_on is None:
            return said
        is_bought = each.content and METRICS.get(each.asked.name, METRICS["frequency"]).facts == "purchases"
        unless = self.say("unless_bought" if is_bought else "unless_changed")
        return self.say("space").join([said, self.say("turns", day=each.turns_on, unless=unless)])

    def opening(self, text: str) -> str:
        """The text as a sentence begins with it."""
        return text

    def _target(self, document: BaseDocument, each: Judged) -> str:
        target = each.asked.target
        match document:
            case RfmDocument():
                return target.upper()
            case Rfm8Document():
                return self.say("high_score", letter=target[0].upper())
            case ScoreDocument() if each.asked.subject == "metric" and not each.asked.pointer:
                return self.say("next_bin")
            case SegmentDocument():
                return self.say("segment")
        return self.called(document, target)

    # ---- one step ----------------------------------------------------------------------------------------------------

    def step(self, document: BaseDocument, decided: str | None, step: Step, *, held: bool = False) -> str:
        """The way to a neighbouring class: what time brings, what it takes, or what would lose the class.

        While a person holds the class (`held`), it is what the scheme would do.
        """
        if held:
            return self.say("by_itself", step=self._step(document, decided, replace(step, stands_on=None)))
        return self._step(document, decided, step)

    def _step(self, document: BaseDocument, decided: str | None, step: Step) -> str:
        up = direction(document, decided, step.name) == "up"
        name, is_segment = self.called(document, step.name), isinstance(document, SegmentDocument)
        if is_segment:
            moves = self.say("enters" if up else "leaves")
        else:
            moves = self.say("rises" if up else "drops", name=name)
        if step.on is not None:
            return self._in_time(step, name, moves, up=up)
        needs = self.say_all("all_of", [self.need(each) for each in step.needs])
        if up:
            ways = self.say_all("ways", [self.need(each) for each in step.alternatives])
            example = ways and self.say("example", ways=ways)
            return self.say("way_in" if is_segment else "way", name=name, needs=needs, example=example)
        if all(each.is_bought for each in step.needs):
            return self.say("by_purchase", name=name, needs=needs)
        changes = self.say_all("all_of", [self._change(each) for each in step.needs])
        return self.say("by_change", moves=moves, changes=changes)

    def _in_time(self, step: Step, name: str, moves: str, *, up: bool) -> str:
        day = step.stands_on or step.on
        return self.say(
            "in_time" if day == step.on else "in_time_later",
            name=name,
            moves=moves,
            day=day,
            decided_on=step.on,
            unless=self.say("unless_changed" if up else "unless_bought"),
            then=self.say("next_period" if up else "after_grace"),
        )

    def _change(self, each: Need) -> str:
        title = self.title(each.judged)
        if each.judged.asked.subject == "tag":
            return self.say("tag_given" if each.op == "has" else "tag_taken", tag=title)
        return self.say("is_asked", title=title, verb=self.verb(title), asks=self.asks(each)) + self._now(each.judged)

    def verb(self, title: str) -> str:
        """The verb that goes with the title, in languages where verbs differ."""
        return ""

    def _now(self, each: Judged) -> str:
        return self.say("now", value=self.value(each, each.value))

    # ---- what it takes -----------------------------------------------------------------------------------------------

    def need(self, each: Need) -> str:
        """What it takes, such as: 2 more purchases."""
        judged = each.judged
        needed = "needed"
        match judged.asked.subject:
            case "metric":
                if (deed := self._deed(each)) is not None:
                    return deed
                needed = "metric_needed"
            case "score" if each.rises:
                return self.say("score_more", n=Count(each.whole_gap))
            case "event" if each.rises:
                return self.more_events(each, _events(judged))
            case "tag":
                return self.say("give_tag" if each.op == "has" else "take_tag", tag=self.title(judged))
            case "member":
                return self.say("join_list")
        return self.say(needed, title=self.title(judged), asks=self.asks(each)) + self._now(judged)

    @abstractmethod
    def more_events(self, each: Need, leaf: HasEvents) -> str:
        """How many events more, and how many that is in all."""

    def _deed(self, each: Need) -> str | None:
        """What the customer has to do about a metric; None where there is no word for it."""
        if not each.rises:
            return self.say("buy_again") if each.is_bought and each.judged.gap is not None else None
        deed = _DEEDS.get(each.judged.asked.name)
        within, n = self.within(each.within_days), Count(each.whole_gap)
        return deed and self.say(deed, amount=self._amount(each), n=n, within=within)

    def _amount(self, each: Need) -> str:
        gap = each.judged.gap or "0"
        if each.op == "gt" and gap == "0":
            return self.say("any_amount")
        amount = self.money(money(gap))
        return self.say("over", amount=amount) if each.op == "gt" else amount

    def within(self, days: int | None) -> str:
        """The time that is left, if it ends."""
        if days is None:
            return ""
        return self.say("within_days" if days else "today", n=Count(days))

    # ---- the whole ---------------------------------------------------------------------------------------------------

    def whole(self, told: Told) -> str:
        """What stands and why; what waits or is set by a person; what comes next."""
        return self.say("space").join(self._sentences(told))

    def _sentences(self, told: Told) -> Iterator[str]:
        yield self._stands(told)
        decided = self.called(told.document, told.decided)
        if told.forced:
            until = self.say("until", day=day_of(told.forced_until)) if told.forced_until else ""
            yield self.say("forced", until=until, name=decided)
        elif told.pending is not None:
            name, day = told.pending
            up = direction(told.document, told.name, name) == "up"
            yield self.say("waits" if up else "in_grace", name=self.called(told.document, name), day=day)
        elif told.name != told.decided:
            yield self.say("differs", name=decided)
        if not told.in_force:
            yield self.say("not_in_force")
        first = told.foremost
        if told.forced:
            return  # what a person set stays, whatever the scheme decides
        if first is not None and not (told.pending and told.pending[0] == first.name):
            yield self.step(told.document, told.decided, first)

    def _stands(self, told: Told) -> str:
        since = because = ""
        if told.since and told.name is not None:
            is_segment = isinstance(told.document, SegmentDocument | StaticDocument)
            since = self.say("in_since" if is_segment else "since", day=day_of(told.since))
        if told.name == told.decided and (reason := self._reason(told)):
            because = self.say("because", reason=reason)
        name = self.called(told.document, told.name)
        return self.say("stands", title=told.title, name=name, since=since, because=because)

    # ---- the reason --------------------------------------------------------------------------------------------------

    def _reason(self, told: Told) -> str:
        if not told.fitted:
            return self.say("not_fitted")
        match told.document:
            case StaticDocument():
                return self.say("is_listed" if told.decided else "is_not_listed")
            case RfmDocument() | Rfm8Document() if told.score is None:
                return self.say("not_scored")
        scored, reasons = self._scored(told), self.say_all("reasons", [self.is_so(each) for each in told.reasons])
        if told.default and not reasons:
            return self.say("no_rule")
        return self.say("by_score", score=scored, reasons=reasons) if scored and reasons else scored or reasons

    def _scored(self, told: Told) -> str:
        score = {letter.upper(): points for letter, points in (told.score or {}).items()}
        match told.document:
            case RfmDocument() if score:
                return self.say("scored", score=" ".join(f"{letter}{points}" for letter, points in score.items()))
            case Rfm8Document() if score:
                sides = [self.say("is_high" if high else "is_low", letter=letter) for letter, high in score.items()]
                return self.say_all("sides", sides)
        return ""

    def is_so(self, each: Judged) -> str:
        """A comparison as the reason of a decision: purchases are 4 (at least 4)."""
        title = self.title(each)
        if each.asked.subject == "tag":
            return self.say("has_tag" if each.met else "has_no_tag", tag=title)
        said = self.say("is_so", title=title, verb=self.verb(title), value=self.value(each, each.value))
        so = need(each, met=each.met)
        if each.threshold is None or each.value is None or so.op == "eq":
            return said
        return said + self.say("as_asked", asks=self.asks(so))


def _events(each: Judged) -> HasEvents:
    assert each.asked.fact is not None
    return each.asked.fact.events
