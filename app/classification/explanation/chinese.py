"""Explanations in Chinese."""

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

TITLES = {
    "recency_days": "距上次购买的天数",
    "frequency": "购买次数",
    "monetary": "净消费额",
    "frequency_365d": "近365天购买次数",
    "monetary_365d": "近365天净消费额",
    "average_order": "平均每单金额",
    "first_purchase_at": "首次购买日期",
    "last_purchase_at": "最近购买日期",
    "tenure_days": "距首次购买的天数",
    "distinct_categories": "购买过的品类数",
    "refund_rate": "退款率",
    "mean_gap_days": "平均购买间隔天数",
    "gap_ratio": "未购买时长与平均间隔之比",
    "interactions_90d": "近90天互动次数",
    "last_interaction_at": "最近互动日期",
    "service_share": "服务类互动占比",
    "csat": "最近一次满意度评分",
    "nps_score": "最近一次推荐意愿评分",
    "complaints_90d": "近90天投诉次数",
    "probability_alive": "仍活跃的概率",
    "expected_purchases_365d": "未来365天预计购买次数",
    "predicted_value_365d": "未来365天预计消费额",
}
FIELDS = {
    "id": "编号",
    "kind": "客户类型",
    "name": "名称",
    "title": "职务",
    "company_id": "所属公司",
    "region": "地区",
    "source": "来源",
    "language": "语言",
    "owner_id": "负责人",
    "unit_id": "所属部门",
    "created_at": "创建时间",
    "updated_at": "更新时间",
}
_PROPERTIES = {
    "amount": "金额",
    "currency": "币种",
    "product_ref": "商品编号",
    "product_name": "商品名称",
    "category": "品类",
    "quantity": "数量",
}
_EVENTS = {"purchase": "购买", "refund": "退款"}
_COMPARED = {
    "gte": "不低于{}",
    "gt": "高于{}",
    "lte": "不超过{}",
    "lt": "低于{}",
    "eq": "等于{}",
    "ne": "不等于{}",
    "in": "为{}",
    "not_in": "不为{}",
    "within": "属于{}",
    "not_within": "不属于{}",
    "contains": "包含“{}”",
    "not_contains": "不包含“{}”",
}
_COUNTED = {"frequency": "次", "frequency_365d": "次", "recency_days": "天", "tenure_days": "天", "mean_gap_days": "天"}
_MOVES = {"up": "升至", "down": "降至"}


class Chinese(Words):
    language = "zh"

    def all_of(self, parts: Sequence[str]) -> str:
        return "，且".join(parts)

    def metric_title(self, name: str) -> str:
        return TITLES.get(name, METRICS[name].title)

    def money(self, amount: str) -> str:
        return f"{amount}元" if currency() == "CNY" else f"{amount} {currency()}"

    def measure(self, metric: str, value: str) -> str:
        return super().measure(metric, value) + _COUNTED.get(metric, "")

    def value(self, each: Judged, value: str | None) -> str:
        said = super().value(each, value)
        if value is None or each.asked.subject not in ("event", "score"):
            return said
        return number(value) + ("次" if each.asked.subject == "event" else "分")

    def unknown(self) -> str:
        return "未知"

    def yes_or_no(self, value: str | None) -> str:
        return "有" if value == "true" else "无"

    def no_class(self) -> str:
        return "无类别"

    def in_segment(self) -> str:
        return "在分群中"

    def not_in_segment(self) -> str:
        return "不在分群中"

    # ---- one comparison ----------------------------------------------------------------------------------------------

    def title(self, each: Judged) -> str:
        match each.asked.subject:
            case "metric":
                return self.metric_title(each.asked.name)
            case "field":
                return FIELDS.get(each.asked.name, each.asked.name)
            case "tag":
                return f"标签“{each.asked.name}”"
            case "class":
                return f"在{each.asked.name}中的类别"
            case "event":
                return self._events(each)
            case "member":
                return "名单"
            case "score":
                return "得分"

    def _events(self, each: Judged) -> str:
        assert each.asked.fact is not None
        leaf = each.asked.fact.events
        within = f"近{leaf.within_days:,}天" if leaf.within_days else ""
        which = "、".join(
            _PROPERTIES.get(asked.property, asked.property) + self._compare(asked.op.value, _texts(asked.value))
            for asked in leaf.where
        )
        return f"{within}{which + '的' if which else ''}{_EVENTS.get(leaf.event, leaf.event)}次数"

    def _compare(self, op: str, limits: Sequence[str]) -> str:
        if op == "is_null":
            return "为空" if limits[0] == "true" else "不为空"
        if op in ("has", "has_not"):
            return "有" if op == "has" else "没有"
        if op in ("between", "not_between"):
            return f"{'' if op == 'between' else '不'}在{limits[0]}至{limits[1]}之间"
        last = "或".join(["、".join(limits[:-1]), limits[-1]]) if len(limits) > 1 else limits[0]
        return _COMPARED[op].format(last)

    def asks(self, each: Need) -> str:
        """What a value must be, such as: 不低于21.00元."""
        limits = each.threshold if each.op == "is_null" else self.limits(each.judged, each.threshold)
        listed = [limits] if isinstance(limits, str) else limits or []
        if each.judged.asked.subject not in NUMBERS and each.op in ("eq", "ne"):
            return f"{'为' if each.op == 'eq' else '不为'}{listed[0]}"
        return self._compare(each.op, listed)

    def condition(self, document: BaseDocument, each: Judged) -> str:
        if each.asked.subject == "member":
            return "在人工维护的名单中。" if each.met else "不在人工维护的名单中。"
        title, value = self.title(each), self.value(each, each.value)
        if each.threshold is None and each.asked.breakpoint is not None:
            return f"{title}：{value}；总体尚未给出阈值。"
        met = "已满足" if each.content else "未满足"
        turns = f"{'若不再购买' if each.content else '若无变化'}，该结果将于{each.turns_on}改变。"
        asks = self.asks(need(each, met=not each.asked.negated))
        return f"{title}：{value}；{self._target(document, each)}要求{asks}：{met}。{turns if each.turns_on else ''}"

    def _target(self, document: BaseDocument, each: Judged) -> str:
        target = each.asked.target
        if isinstance(document, RfmDocument):
            return target.upper()
        if isinstance(document, Rfm8Document):
            return f"“{target[0].upper()}高”"
        if isinstance(document, ScoreDocument) and each.asked.subject == "metric" and not each.asked.pointer:
            return "再高一档"
        if isinstance(document, SegmentDocument):
            return "分群"
        return self._called(document, target)

    def _called(self, document: BaseDocument, name: str | None) -> str:
        """The class within a sentence: a name in Latin letters is set apart, one in Chinese is quoted."""
        title = self.class_title(document, name)
        is_class = name is not None and not isinstance(document, SegmentDocument | StaticDocument)
        return f"“{title}”" if is_class and not title.isascii() else title

    # ---- one step ----------------------------------------------------------------------------------------------------

    def step(self, document: BaseDocument, decided: str | None, step: Step) -> str:
        way, name = direction(document, decided, step.name), self._called(document, step.name)
        moves = f"{_MOVES[way]}{name}"
        if isinstance(document, SegmentDocument):
            moves = "进入分群" if way == "up" else "离开分群"
        if step.on is not None:
            unless = "若不再购买" if way == "down" else "若无变化"
            if step.stands_on is not None and step.stands_on != step.on:
                waits = "宽限期满后" if way == "down" else "到下一周期时"
                return f"{unless}，将于{step.on}被判定为{name}，{waits}于{step.stands_on}{moves}。"
            return f"{unless}，将于{step.on}{moves}。"
        if way == "down" and all(each.is_bought for each in step.needs):
            return f"{self.needs(step.needs)}后将变为{name}。"
        if way == "down":
            return f"若{self.all_of([self.is_(each) for each in step.needs])}，将{moves}。"
        some = f"，例如{'，或'.join(map(self.need, step.alternatives))}" if step.alternatives else ""
        return f"{moves}需：{self.needs(step.needs)}{some}。"

    def is_(self, each: Need) -> str:
        title, now = self.title(each.judged), self.value(each.judged, each.judged.value)
        if each.judged.asked.subject == "tag":
            return f"{'加上' if each.op == 'has' else '去掉'}{title}"
        return f"{title}{self.asks(each)}（当前{now}）"

    def need(self, each: Need) -> str:
        judged = each.judged
        now = self.value(judged, judged.value)
        match judged.asked.subject:
            case "metric":
                return self._of_metric(each) or f"{self.title(judged)}{self.asks(each)}（当前{now}）"
            case "score" if _rises(each):
                return f"再得{whole_steps(each):,}分"
            case "event" if _rises(each):
                more = f"再{_EVENTS.get(judged.asked.name, judged.asked.name)}{whole_steps(each):,}次"
                return f"{more}（{self.title(judged)}需{self.asks(each)}，当前{now}）"
            case "tag":
                return f"{'加上' if each.op == 'has' else '去掉'}{self.title(judged)}"
            case "member":
                return "列入名单"
        return f"{self.title(judged)}{self.asks(each)}（当前{now}）"

    def _of_metric(self, each: Need) -> str | None:
        """What the customer has to do; None where the metric has no such words."""
        gap = each.judged.gap
        within = "" if each.within_days is None else f"{each.within_days:,}天内"
        within = "今天之内" if each.within_days == 0 else within
        match each.judged.asked.name:
            case "monetary" | "monetary_365d" if gap is not None and _rises(each):
                amount = self.money(money(gap))
                if each.op == "gt":
                    return f"{within}再消费{'任意金额' if gap == '0' else f'{amount}以上'}"
                return f"{within}再消费{amount}"
            case "frequency" | "frequency_365d" if _rises(each):
                return f"{within}再购买{whole_steps(each):,}次"
            case "recency_days" | "gap_ratio" if each.op in ("lte", "lt") and gap is not None:
                return "再次购买"
            case "tenure_days" if _rises(each):
                return f"再过{whole_steps(each):,}天"
            case "recency_days" if _rises(each):
                return f"再有{whole_steps(each):,}天不购买"
        return None

    # ---- the whole ---------------------------------------------------------------------------------------------------

    def whole(self, told: Told) -> str:
        said = [self._stands(told)]
        if told.forced:
            until = f"，有效期至{day_of(told.forced_until)}" if told.forced_until else ""
            said.append(f"该类别由人工指定{until}；方案本身的判定为{self._name(told, told.decided)}。")
        elif told.pending is not None:
            name, on = self._name(told, told.pending[0]), told.pending[1]
            up = direction(told.document, told.name, told.pending[0]) == "up"
            said.append(f"将于{on}升至{name}。" if up else f"宽限期至{on}，届时降至{name}。")
        if not told.in_force:
            said.append("当时尚无生效的版本或阈值，此处按最早生效的判定。")
        first = foremost(told)
        if first is not None and not (told.pending and told.pending[0] == first.name):
            said.append(self.step(told.document, told.decided, first))
        return "".join(said)

    def _name(self, told: Told, name: str | None) -> str:
        return self._called(told.document, name)

    def _stands(self, told: Told) -> str:
        be = "" if isinstance(told.document, SegmentDocument | StaticDocument) else "为"
        since = f"自{day_of(told.since)}起{be}" if told.since and told.name is not None else ""
        reason = self._reason(told)
        because = f"，因为{reason}" if reason and told.name == told.decided else ""
        is_told = told.name == told.decided or told.forced or told.pending
        differs = "" if is_told else f"按这些数值，方案的判定为{self._name(told, told.decided)}。"
        return f"{told.title}：{since}{self._name(told, told.name)}{because}。{differs}"

    def _reason(self, told: Told) -> str:
        if not told.fitted:
            return "总体尚未给出阈值"
        if isinstance(told.document, StaticDocument):
            return f"{'在' if told.decided else '不在'}人工维护的名单中"
        if told.score is None and isinstance(told.document, RfmDocument | Rfm8Document):
            return "没有可评分的购买"
        by = self._by_score(told)
        held = "，".join(self.is_so(each) for each in told.reasons)
        if told.default and not held:
            return "没有任何规则成立"
        return f"{by}：{held}" if by and held else by or held

    def _by_score(self, told: Told) -> str:
        if told.score is None:
            return ""
        if isinstance(told.document, RfmDocument):
            return "评分为" + " ".join(f"{letter.upper()}{points}" for letter, points in told.score.items())
        if isinstance(told.document, Rfm8Document):
            high = {1: "高", 0: "低"}
            return "、".join(f"{letter.upper()}{high[points]}" for letter, points in told.score.items())
        return ""

    def is_so(self, each: Judged) -> str:
        """A comparison as the reason of a decision: 购买次数为4次（不低于4次）."""
        title, value = self.title(each), self.value(each, each.value)
        if each.asked.subject == "tag":
            return f"{'有' if each.met else '没有'}{title}"
        if each.threshold is None or each.value is None or need(each, met=each.met).op == "eq":
            return f"{title}为{value}"
        return f"{title}为{value}（{self.asks(need(each, met=each.met))}）"


def _rises(each: Need) -> bool:
    return each.op in ("gte", "gt") and each.judged.gap is not None


def _texts(value: object) -> list[str]:
    return [number(str(each)) for each in (value if isinstance(value, list) else [value])]
