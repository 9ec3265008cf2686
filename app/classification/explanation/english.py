"""Explanations in English."""

from app.classification.explanation.figures import Count, number
from app.classification.explanation.judged import Need
from app.classification.explanation.words import Words
from app.classification.metrics import METRICS
from app.core.predicates import HasEvents
from app.customers.fields import CUSTOM

_PHRASES = {
    "space": " ",
    "all_of": "{}, {} and {}",
    "any_of": "{}, {}, {}",
    # values
    "unknown": "unknown",
    "yes": "yes",
    "no": "no",
    "no_class": "no class",
    "in_segment": "in the segment",
    "not_in_segment": "not in the segment",
    "now": " (now {value})",
    # what is compared
    "tag": "tag “{name}”",
    "class": "class in {name}",
    "member": "on the list",
    "score": "points",
    # what a value must be
    "since_then": "on or after {}",
    "after": "after {}",
    "until_then": "on or before {}",
    "before": "before {}",
    "and_others": "{named} and {n} others",
    "gte": "at least {}",
    "gt": "more than {}",
    "lte": "at most {}",
    "lt": "less than {}",
    "eq": "exactly {}",
    "ne": "other than {}",
    "is": "{}",
    "is_not": "anything but {}",
    "in": "one of {}",
    "not_in": "none of {}",
    "between": "{} to {}",
    "not_between": "not {} to {}",
    "within": "within {}",
    "not_within": "outside {}",
    "contains": "something containing {}",
    "not_contains": "nothing containing {}",
    "has": "it",
    "has_not": "its absence",
    "is_null": "nothing",
    "is_not_null": "any value",
    # one comparison
    "listed": "On the list that people keep.",
    "not_listed": "Not on the list that people keep.",
    "without_threshold": "{title}: {value}; the population has given no threshold.",
    "judged": "{title}: {value}; {target} asks for {asks}: {met}.",
    "met": "met",
    "not_met": "not met",
    "turns": "Turns on {day} {unless}.",
    "unless_bought": "if nothing is bought",
    "unless_changed": "if nothing changes",
    "high_score": "a high {letter}",
    "next_bin": "one bin more",
    "segment": "the segment",
    # one step
    "rises": "Rises to {name}",
    "drops": "Drops to {name}",
    "enters": "Enters the segment",
    "leaves": "Leaves the segment",
    "in_time": "{moves} on {day} {unless}.",
    "in_time_later": "{moves} on {day} {unless} (decided on {decided_on}, {then}).",
    "after_grace": "then in grace",
    "next_period": "in force with the next period",
    "by_purchase": "Becomes {name} with {needs}.",
    "by_change": "{moves} if {changes}.",
    "is_asked": "{title} {verb} {asks}",
    "tag_given": "the {tag} is given",
    "tag_taken": "the {tag} is taken away",
    "way": "For {name}: {needs}{example}.",
    "way_in": "To enter the segment: {needs}{example}.",
    "example": ", for example {ways}",
    "ways": "{} or {} or {}",
    # what it takes
    "metric_needed": "{title} of {asks}",
    "needed": "{title}: {asks}",
    "give_tag": "the {tag}",
    "take_tag": "no {tag}",
    "join_list": "a place on the list",
    "score_more": "{n} more {n:point|points}",
    "spend_more": "{amount} more{within}",
    "over": "over {amount}",
    "any_amount": "any amount",
    "buy_more": "{n} more {n:purchase|purchases}{within}",
    "buy_again": "a new purchase",
    "stay_longer": "{n} more {n:day|days} as a customer",
    "stay_silent": "{n} more {n:day|days} without a purchase",
    "within_days": " within {n} {n:day|days}",
    "today": " today",
    # the whole
    "stands": "{title}: {name}{since}{because}.",
    "since": " since {day}",
    "in_since": " since {day}",
    "because": ", because {reason}",
    "forced": "A person set this{until}; by itself the scheme decides {name}.",
    "by_itself": "Without what a person set: {step}",
    "until": " until {day}",
    "waits": "Becomes {name} on {day}.",
    "in_grace": "In grace until {day}, then {name}.",
    "differs": "By these values the scheme decides {name}.",
    "not_in_force": "Nothing was in force by then: judged by what came into force first.",
    # the reason
    "not_fitted": "the population has given no thresholds yet",
    "is_listed": "it is on the list that people keep",
    "is_not_listed": "it is not on the list that people keep",
    "not_scored": "there is no purchase to score",
    "no_rule": "no rule holds",
    "scored": "it scores {score}",
    "is_high": "{letter} is high",
    "is_low": "{letter} is low",
    "sides": "{}, {}, {}",
    "by_score": "{score}: {reasons}",
    "reasons": "{}, {} and {}",
    "has_tag": "it has the {tag}",
    "has_no_tag": "it has no {tag}",
    "is_so": "{title} {verb} {value}",
    "as_asked": " ({asks})",
}


class English(Words):
    language = "en"
    phrases = _PHRASES

    def metric_title(self, name: str) -> str:
        return METRICS[name].title.replace(",", "")

    def field_title(self, name: str) -> str:
        return name.removeprefix(CUSTOM).replace("_", " ")

    def events(self, leaf: HasEvents) -> str:
        return f"{leaf.event}s{self._which(leaf)}"

    def more_events(self, each: Need, leaf: HasEvents) -> str:
        more = Count(each.whole_gap)
        limit = number(each.threshold) if isinstance(each.threshold, str) else "1"
        now = self.value(each.judged, each.judged.value)
        return f"{more} more {leaf.event}{more:|s} ({limit}{self._which(leaf)} in all, now {now})"

    def _which(self, leaf: HasEvents) -> str:
        which = [f" with {self.field_title(each.property)} {self.asks_of_property(each)}" for each in leaf.where]
        return "".join(which) + self.within(leaf.within_days)

    def verb(self, title: str) -> str:
        is_plural = title.split(" ")[0].endswith("s") and not title.startswith("class in ")
        return "are" if is_plural else "is"

    def opening(self, text: str) -> str:
        return text[:1].upper() + text[1:]
