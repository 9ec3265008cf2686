"""What scores mean and what may be answered: pure decisions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

MAX_TEXT = 4000

SCALES: dict[str, range] = {"csat": range(1, 6), "nps": range(11), "ces": range(1, 8)}
"""The scores of each measure. CES: 7 is the least effort."""
LOW: dict[str, int] = {"csat": 2, "nps": 6, "ces": 3}
"""The highest score that somebody should hear of: a detractor, the lower end of the other two."""
STARS = range(1, 6)
LOW_STARS = 2

Fault = Literal["missing", "unknown", "not_a_score", "not_a_choice", "not_a_text", "too_long"]


class Question(Protocol):
    """A question as an answer is held against it."""

    @property
    def key(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def required(self) -> bool: ...
    @property
    def option_keys(self) -> Collection[str]: ...


def is_low(measure: str | None, kind: str, score: int | None) -> bool:
    """Whether a score is one that somebody should hear of."""
    if score is None:
        return False
    if measure is not None:
        return score <= LOW[measure]
    return kind == "review" and score <= LOW_STARS


def faults(questions: Sequence[Question], answers: Mapping[str, Any]) -> Iterable[tuple[str, Fault]]:
    """What is wrong with the answers: the key of each question with its first fault. An empty answer is none."""
    known = {question.key for question in questions}
    for key in answers:
        if key not in known:
            yield key, "unknown"
    for question in questions:
        fault = _fault(question, answers.get(question.key))
        if fault is not None:
            yield question.key, fault


def is_empty(answer: Any) -> bool:
    """Whether nothing was said."""
    return answer is None or answer == [] or (isinstance(answer, str) and not answer.strip())


def _fault(question: Question, answer: Any) -> Fault | None:
    if is_empty(answer):
        return "missing" if question.required else None
    if question.kind in SCALES:
        valid = isinstance(answer, int) and not isinstance(answer, bool) and answer in SCALES[question.kind]
        return None if valid else "not_a_score"
    if question.kind == "choice":
        return None if isinstance(answer, str) and answer in question.option_keys else "not_a_choice"
    if question.kind == "choices":
        valid = isinstance(answer, list) and all(
            isinstance(each, str) and each in question.option_keys for each in answer
        )
        return None if valid and len(set(answer)) == len(answer) else "not_a_choice"
    if not isinstance(answer, str):
        return "not_a_text"
    return "too_long" if len(answer.strip()) > MAX_TEXT else None
