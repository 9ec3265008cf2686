"""Every phrase in every language, word for word, without a database."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from app.classification.definitions import IN
from app.classification.explain import WORDS
from app.classification.explanation.asking import INVERTED
from app.classification.explanation.judged import Need, need
from app.classification.explanation.steps import Step
from app.classification.explanation.words import Words
from tests.classification.wording import (
    EVENTS,
    FREQUENCY,
    JOINED,
    LEVEL,
    MEMBER,
    MONETARY,
    RECENCY,
    REGION,
    RETURNS,
    SCORE,
    TAG,
    TENURE,
    TOLD,
    Said,
    asks,
    condition,
    enters,
    events,
    leaves,
    step,
    takes,
    whole,
)

SPRING, SUMMER = date(2020, 3, 1), date(2020, 6, 1)


SENTENCES: list[tuple[Said, str, str]] = [
    (
        condition(RECENCY),
        "Days since the last purchase: 40; Silver asks for at most 30: not met.",
        "距上次购买的天数：40天；“银卡”要求不超过30天：未满足。",
    ),
    (
        condition(RECENCY, turns_on=SUMMER),
        "Days since the last purchase: 40; Silver asks for at most 30: not met. Turns on 2020-06-01 if"
        " nothing changes.",
        "距上次购买的天数：40天；“银卡”要求不超过30天：未满足。若无变化，该结果将于2020-06-01改变。",
    ),
    (
        condition(FREQUENCY, met=True, turns_on=SUMMER),
        "Purchases: 1; Silver asks for at least 3: met. Turns on 2020-06-01 if nothing is bought.",
        "购买次数：1次；“银卡”要求不低于3次：已满足。若不再购买，该结果将于2020-06-01改变。",
    ),
    (
        condition(FREQUENCY, threshold=None, asked=replace(FREQUENCY.asked, breakpoint="p80")),
        "Purchases: 1; the population has given no threshold.",
        "购买次数：1次；总体尚未给出阈值。",
    ),
    (
        condition(FREQUENCY, "worth"),
        "Purchases: 1; one bin more asks for at least 3: not met.",
        "购买次数：1次；再高一档要求不低于3次：未满足。",
    ),
    (
        condition(FREQUENCY, "here"),
        "Purchases: 1; the segment asks for at least 3: not met.",
        "购买次数：1次；分群要求不低于3次：未满足。",
    ),
    (
        condition(FREQUENCY, "fixed", asked=replace(FREQUENCY.asked, target="f2")),
        "Purchases: 1; F2 asks for at least 3: not met.",
        "购买次数：1次；F2要求不低于3次：未满足。",
    ),
    (
        condition(FREQUENCY, "rfm8_test", asked=replace(FREQUENCY.asked, target="f1")),
        "Purchases: 1; a high F asks for at least 3: not met.",
        "购买次数：1次；“F高”要求不低于3次：未满足。",
    ),
    (
        condition(RETURNS, value=None),
        "Share of purchases given back: unknown; Silver asks for at least 0.5: not met.",
        "退款率：未知；“银卡”要求不低于0.5：未满足。",
    ),
    (
        condition(TAG, met=True, value="true"),
        "Tag “vip”: yes; Silver asks for it: met.",
        "标签“vip”：有；“银卡”要求有：已满足。",
    ),
    (
        condition(TAG, asked=replace(TAG.asked, negated=True)),
        "Tag “vip”: no; Silver asks for its absence: met.",
        "标签“vip”：无；“银卡”要求没有：已满足。",
    ),
    (
        condition(MONETARY),
        "Purchases minus refunds in 365 days: 20.00 CNY; Silver asks for more than 500.00 CNY: not met.",
        "近365天净消费额：20.00元；“银卡”要求高于500.00元：未满足。",
    ),
    (
        condition(SCORE),
        "Points: 39; Silver asks for at least 40: not met.",
        "得分：39分；“银卡”要求不低于40分：未满足。",
    ),
    (
        condition(FREQUENCY, asked=replace(FREQUENCY.asked, op="eq")),
        "Purchases: 1; Silver asks for exactly 3: not met.",
        "购买次数：1次；“银卡”要求等于3次：未满足。",
    ),
    (
        condition(FREQUENCY, asked=replace(FREQUENCY.asked, op="ne")),
        "Purchases: 1; Silver asks for other than 3: not met.",
        "购买次数：1次；“银卡”要求不等于3次：未满足。",
    ),
    (
        condition(EVENTS, threshold=["2", "9"], asked=replace(EVENTS.asked, op="between")),
        "Purchases with category exactly tea within 90 days: 1; Silver asks for 2 to 9: not met.",
        "近90天品类等于tea的购买次数：1次；“银卡”要求在2次至9次之间：未满足。",
    ),
    (
        condition(EVENTS, threshold=["2", "9"], asked=replace(EVENTS.asked, op="between", negated=True)),
        "Purchases with category exactly tea within 90 days: 1; Silver asks for not 2 to 9: met.",
        "近90天品类等于tea的购买次数：1次；“银卡”要求不在2次至9次之间：已满足。",
    ),
    (condition(MEMBER), "Not on the list that people keep.", "不在人工维护的名单中。"),
    (condition(MEMBER, met=True), "On the list that people keep.", "在人工维护的名单中。"),
    (asks("eq", "CN"), "CN", "为CN"),
    (asks("ne", "CN"), "anything but CN", "不为CN"),
    (asks("in", ["CN", "US", "DE"]), "one of CN, US, DE", "为CN、US或DE"),
    (asks("in", list("ABCDEFGH")), "one of A, B, C, D, E and 3 others", "为A, B, C, D, E等（另有3项）"),
    (lambda words: words.asks(Need(JOINED, "gte", "2020-03-01")), "on or after 2020-03-01", "不早于2020-03-01"),
    (lambda words: words.asks(Need(JOINED, "gt", "2020-03-01")), "after 2020-03-01", "晚于2020-03-01"),
    (lambda words: words.asks(Need(JOINED, "lte", "2020-03-01")), "on or before 2020-03-01", "不晚于2020-03-01"),
    (lambda words: words.asks(Need(JOINED, "lt", "2020-03-01T09:00:00Z")), "before 2020-03-01", "早于2020-03-01"),
    (lambda words: words.value(JOINED, JOINED.value), "2020-02-03", "2020-02-03"),
    (asks("not_in", ["CN"]), "none of CN", "不为CN"),
    (asks("within", ["CN", "US"]), "within CN, US", "属于CN或US"),
    (asks("not_within", "CN"), "outside CN", "不属于CN"),
    (asks("contains", "x"), "something containing x", "包含“x”"),
    (asks("not_contains", "x"), "nothing containing x", "不包含“x”"),
    (asks("is_null", "true"), "nothing", "为空"),
    (asks("is_null", "false"), "any value", "不为空"),
    (
        lambda words: words.events(events("is_null", True)),
        "purchases with category nothing",
        "品类为空的购买次数",
    ),
    (
        lambda words: words.events(events("is_null", False)),
        "purchases with category any value",
        "品类不为空的购买次数",
    ),
    (takes(MONETARY), "over 480.00 CNY more", "再消费480.00元以上"),
    (takes(MONETARY, within_days=0), "over 480.00 CNY more today", "今天之内再消费480.00元以上"),
    (takes(MONETARY, judged=replace(MONETARY, value="500")), "any amount more", "再消费任意金额"),
    (takes(FREQUENCY, within_days=1), "2 more purchases within 1 day", "1天内再购买2次"),
    (takes(TENURE), "1 more day as a customer", "再过1天"),
    (takes(RECENCY), "a new purchase", "再次购买"),
    (
        takes(RECENCY, met=False, judged=replace(RECENCY, value="10")),
        "21 more days without a purchase",
        "再有21天不购买",
    ),
    (takes(RETURNS), "share of purchases given back of at least 0.5 (now 0.25)", "退款率不低于0.5（当前0.25）"),
    (takes(SCORE), "1 more point", "再得1分"),
    (
        takes(EVENTS),
        "1 more purchase (2 with category exactly tea within 90 days in all, now 1)",
        "再购买1次（近90天品类等于tea的购买次数需不低于2次，当前1次）",
    ),
    (
        takes(EVENTS, met=False),
        "purchases with category exactly tea within 90 days: less than 2 (now 1)",
        "近90天品类等于tea的购买次数低于2次（当前1次）",
    ),
    (takes(REGION), "region: CN (now US)", "地区为CN（当前US）"),
    (takes(LEVEL), "class in level: anything but low (now low)", "在level中的类别不为low（当前low）"),
    (takes(TAG), "the tag “vip”", "加上标签“vip”"),
    (takes(TAG, met=False), "no tag “vip”", "去掉标签“vip”"),
    (takes(MEMBER), "a place on the list", "列入名单"),
    (lambda words: words.title(MEMBER), "on the list", "名单"),
    (
        step("gold", MONETARY, RETURNS, TAG, alternatives=[need(FREQUENCY, met=True), need(RECENCY, met=True)]),
        "For Gold: over 480.00 CNY more, share of purchases given back of at least 0.5 (now 0.25) and the tag"
        " “vip”, for example 2 more purchases or a new purchase.",
        "升至“金卡”需：再消费480.00元以上，且退款率不低于0.5（当前0.25），且加上标签“vip”，例如再购买2次，或再次购买。",
    ),
    (
        step("gold", on=SPRING),
        "Rises to Gold on 2020-03-01 if nothing changes.",
        "若无变化，将于2020-03-01升至“金卡”。",
    ),
    (
        step("gold", on=SPRING, stands_on=SUMMER),
        "Rises to Gold on 2020-06-01 if nothing changes (decided on 2020-03-01, in force with the next period).",
        "若无变化，将于2020-03-01被判定为“金卡”，到下一周期时于2020-06-01升至“金卡”。",
    ),
    (
        step("bronze", on=SPRING),
        "Drops to bronze on 2020-03-01 if nothing is bought.",
        "若不再购买，将于2020-03-01降至bronze。",
    ),
    (
        step("bronze", on=SPRING, stands_on=SUMMER),
        "Drops to bronze on 2020-06-01 if nothing is bought (decided on 2020-03-01, then in grace).",
        "若不再购买，将于2020-03-01被判定为bronze，宽限期满后于2020-06-01降至bronze。",
    ),
    (step("bronze", RECENCY), "Becomes bronze with a new purchase.", "再次购买后将变为bronze。"),
    (
        step("bronze", REGION, TAG, MONETARY, met=False),
        "Drops to bronze if region is anything but CN (now US), the tag “vip” is taken away and purchases"
        " minus refunds in 365 days are at most 500.00 CNY (now 20.00 CNY).",
        "若地区不为CN（当前US），且去掉标签“vip”，且近365天净消费额不超过500.00元（当前20.00元），将降至bronze。",
    ),
    (step("bronze", TAG), "Drops to bronze if the tag “vip” is given.", "若加上标签“vip”，将降至bronze。"),
    (enters(FREQUENCY), "To enter the segment: 2 more purchases.", "进入分群需：再购买2次。"),
    (enters(on=SPRING), "Enters the segment on 2020-03-01 if nothing changes.", "若无变化，将于2020-03-01进入分群。"),
    (
        leaves(FREQUENCY),
        "Leaves the segment if purchases are less than 3 (now 1).",
        "若购买次数低于3次（当前1次），将离开分群。",
    ),
    (
        whole(reasons=[MONETARY, TAG]),
        "Spending: Silver since 2020-01-01, because purchases minus refunds in 365 days are 20.00 CNY (at"
        " most 500.00 CNY) and it has no tag “vip”.",
        "Spending：自2020-01-01起为“银卡”，因为近365天净消费额为20.00元（不超过500.00元），没有标签“vip”。",
    ),
    (
        whole(reasons=[replace(TAG, met=True), replace(RECENCY, threshold=None), LEVEL]),
        "Spending: Silver since 2020-01-01, because it has the tag “vip”, days since the last purchase are 40"
        " and class in level is low.",
        "Spending：自2020-01-01起为“银卡”，因为有标签“vip”，距上次购买的天数为40天，在level中的类别为low。",
    ),
    (
        whole(decided="gold", since=None),
        "Spending: Silver. By these values the scheme decides Gold.",
        "Spending：“银卡”。按这些数值，方案的判定为“金卡”。",
    ),
    (
        whole(decided="gold", pending=("gold", SUMMER)),
        "Spending: Silver since 2020-01-01. Becomes Gold on 2020-06-01.",
        "Spending：自2020-01-01起为“银卡”。将于2020-06-01升至“金卡”。",
    ),
    (
        whole(decided="bronze", pending=("bronze", SUMMER)),
        "Spending: Silver since 2020-01-01. In grace until 2020-06-01, then bronze.",
        "Spending：自2020-01-01起为“银卡”。宽限期至2020-06-01，届时降至bronze。",
    ),
    (
        whole(decided="gold", forced=True),
        "Spending: Silver since 2020-01-01. A person set this; by itself the scheme decides Gold.",
        "Spending：自2020-01-01起为“银卡”。该类别由人工指定；方案本身的判定为“金卡”。",
    ),
    (
        whole(decided="gold", forced=True, forced_until=datetime(2020, 6, 1, 12, tzinfo=UTC)),
        "Spending: Silver since 2020-01-01. A person set this until 2020-06-01; by itself the scheme decides Gold.",
        "Spending：自2020-01-01起为“银卡”。该类别由人工指定，有效期至2020-06-01；方案本身的判定为“金卡”。",
    ),
    (
        whole(forced=True, steps=[Step("bronze", "down", [], on=SPRING)]),
        "Spending: Silver since 2020-01-01. A person set this; by itself the scheme decides Silver.",
        "Spending：自2020-01-01起为“银卡”。该类别由人工指定；方案本身的判定为“银卡”。",
    ),
    (
        whole(
            decided="gold",
            forced=True,
            forced_until=datetime(2020, 6, 1, 12, tzinfo=UTC),
            steps=[Step("bronze", "down", [], on=SPRING, stands_on=SUMMER)],
        ),
        "Spending: Silver since 2020-01-01. A person set this until 2020-06-01; by itself the scheme decides Gold.",
        "Spending：自2020-01-01起为“银卡”。该类别由人工指定，有效期至2020-06-01；方案本身的判定为“金卡”。",
    ),
    (
        lambda words: words.step(TOLD.document, TOLD.decided, Step("bronze", "down", [], on=SPRING), held=True),
        "Without what a person set: Drops to bronze on 2020-03-01 if nothing is bought.",
        "若无人工指定：若不再购买，将于2020-03-01降至bronze。",
    ),
    (
        whole(name="bronze", decided="bronze", default=True, in_force=False),
        "Spending: bronze since 2020-01-01, because no rule holds. Nothing was in force by then: judged by"
        " what came into force first.",
        "Spending：自2020-01-01起为bronze，因为没有任何规则成立。当时尚无生效的版本或阈值，此处按最早生效的判定。",
    ),
    (
        whole(fitted=False),
        "Spending: Silver since 2020-01-01, because the population has given no thresholds yet.",
        "Spending：自2020-01-01起为“银卡”，因为总体尚未给出阈值。",
    ),
    (
        whole(steps=[Step("gold", "up", [need(MONETARY, met=True)]), Step("bronze", "down", [], on=SPRING)]),
        "Spending: Silver since 2020-01-01. Drops to bronze on 2020-03-01 if nothing is bought.",
        "Spending：自2020-01-01起为“银卡”。若不再购买，将于2020-03-01降至bronze。",
    ),
    (
        whole(name="good", decided="good", kind="fixed", score={"r": 3, "f": 2, "m": 2}, reasons=[FREQUENCY]),
        "Spending: good since 2020-01-01, because it scores R3 F2 M2: purchases are 1 (less than 3).",
        "Spending：自2020-01-01起为good，因为评分为R3 F2 M2：购买次数为1次（低于3次）。",
    ),
    (
        whole(name=None, decided=None, kind="fixed"),
        "Spending: no class, because there is no purchase to score.",
        "Spending：无类别，因为没有可评分的购买。",
    ),
    (
        whole(name="key_value", decided="key_value", kind="rfm8_test", score={"r": 1, "f": 0, "m": 1}),
        "Spending: key_value since 2020-01-01, because R is high, F is low, M is high.",
        "Spending：自2020-01-01起为key_value，因为R高、F低、M高。",
    ),
    (
        whole(name=IN, decided=IN, kind="listed"),
        "Spending: in the segment since 2020-01-01, because it is on the list that people keep.",
        "Spending：自2020-01-01起在分群中，因为在人工维护的名单中。",
    ),
    (
        whole(name=None, decided=None, kind="listed"),
        "Spending: not in the segment, because it is not on the list that people keep.",
        "Spending：不在分群中，因为不在人工维护的名单中。",
    ),
]


def test_what_every_phrase_says() -> None:
    for said, *both in SENTENCES:
        assert [said(WORDS["en"]), said(WORDS["zh"])] == both


class Heard(dict[str, str]):
    """Phrases that remember which of them were said."""

    def __init__(self, phrases: Mapping[str, str]) -> None:
        super().__init__(phrases)
        self.said: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.said.add(name)
        return super().__getitem__(name)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_every_language_has_just_the_phrases_that_are_said(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard(words.phrases)
    monkeypatch.setattr(words, "phrases", heard)
    for said, *_ in SENTENCES:
        assert said(words)
    assert heard.said == heard.keys()
    assert INVERTED.keys() < heard.keys()
