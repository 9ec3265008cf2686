"""Explanations in Chinese."""

from app.classification.definitions import BaseDocument, SegmentDocument, StaticDocument
from app.classification.explanation.figures import number
from app.classification.explanation.judged import Judged, Need
from app.classification.explanation.words import Words
from app.classification.metrics import METRICS
from app.core.predicates import HasEvents
from app.core.settings import get_settings
from app.customers.fields import CUSTOM

_PHRASES = {
    "space": "",
    "all_of": "{}，且{}，且{}",
    "any_of": "{}、{}或{}",
    # values
    "unknown": "未知",
    "yes": "有",
    "no": "无",
    "no_class": "无类别",
    "in_segment": "在分群中",
    "not_in_segment": "不在分群中",
    "now": "（当前{value}）",
    # what is compared
    "tag": "标签“{name}”",
    "class": "在{name}中的类别",
    "member": "名单",
    "score": "得分",
    # what a value must be
    "since_then": "不早于{}",
    "after": "晚于{}",
    "until_then": "不晚于{}",
    "before": "早于{}",
    "and_others": "{named}等（另有{n}项）",
    "gte": "不低于{}",
    "gt": "高于{}",
    "lte": "不超过{}",
    "lt": "低于{}",
    "eq": "等于{}",
    "ne": "不等于{}",
    "is": "为{}",
    "is_not": "不为{}",
    "in": "为{}",
    "not_in": "不为{}",
    "between": "在{}至{}之间",
    "not_between": "不在{}至{}之间",
    "within": "属于{}",
    "not_within": "不属于{}",
    "contains": "包含“{}”",
    "not_contains": "不包含“{}”",
    "has": "有",
    "has_not": "没有",
    "is_null": "为空",
    "is_not_null": "不为空",
    # one comparison
    "listed": "在人工维护的名单中。",
    "not_listed": "不在人工维护的名单中。",
    "without_threshold": "{title}：{value}；总体尚未给出阈值。",
    "judged": "{title}：{value}；{target}要求{asks}：{met}。",
    "met": "已满足",
    "not_met": "未满足",
    "turns": "{unless}，该结果将于{day}改变。",
    "unless_bought": "若不再购买",
    "unless_changed": "若无变化",
    "high_score": "“{letter}高”",
    "next_bin": "再高一档",
    "segment": "分群",
    # one step
    "rises": "升至{name}",
    "drops": "降至{name}",
    "enters": "进入分群",
    "leaves": "离开分群",
    "in_time": "{unless}，将于{day}{moves}。",
    "in_time_later": "{unless}，将于{decided_on}被判定为{name}，{then}于{day}{moves}。",
    "after_grace": "宽限期满后",
    "next_period": "到下一周期时",
    "by_purchase": "{needs}后将变为{name}。",
    "by_change": "若{changes}，将{moves}。",
    "is_asked": "{title}{asks}",
    "tag_given": "加上{tag}",
    "tag_taken": "去掉{tag}",
    "way": "升至{name}需：{needs}{example}。",
    "way_in": "进入分群需：{needs}{example}。",
    "example": "，例如{ways}",
    "ways": "{}，或{}，或{}",
    # what it takes
    "metric_needed": "{title}{asks}",
    "needed": "{title}{asks}",
    "give_tag": "加上{tag}",
    "take_tag": "去掉{tag}",
    "join_list": "列入名单",
    "score_more": "再得{n}分",
    "spend_more": "{within}再消费{amount}",
    "over": "{amount}以上",
    "any_amount": "任意金额",
    "buy_more": "{within}再购买{n}次",
    "buy_again": "再次购买",
    "stay_longer": "再过{n}天",
    "stay_silent": "再有{n}天不购买",
    "within_days": "{n}天内",
    "today": "今天之内",
    # the whole
    "stands": "{title}：{since}{name}{because}。",
    "since": "自{day}起为",
    "in_since": "自{day}起",
    "because": "，因为{reason}",
    "forced": "该类别由人工指定{until}；方案本身的判定为{name}。",
    "by_itself": "若无人工指定：{step}",
    "until": "，有效期至{day}",
    "waits": "将于{day}升至{name}。",
    "in_grace": "宽限期至{day}，届时降至{name}。",
    "differs": "按这些数值，方案的判定为{name}。",
    "not_in_force": "当时尚无生效的版本或阈值，此处按最早生效的判定。",
    # the reason
    "not_fitted": "总体尚未给出阈值",
    "is_listed": "在人工维护的名单中",
    "is_not_listed": "不在人工维护的名单中",
    "not_scored": "没有可评分的购买",
    "no_rule": "没有任何规则成立",
    "scored": "评分为{score}",
    "is_high": "{letter}高",
    "is_low": "{letter}低",
    "sides": "{}、{}、{}",
    "by_score": "{score}：{reasons}",
    "reasons": "{}，{}，{}",
    "has_tag": "有{tag}",
    "has_no_tag": "没有{tag}",
    "is_so": "{title}为{value}",
    "as_asked": "（{asks}）",
}
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
    "product_share": "产品类互动占比",
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
_COUNTED = {
    **dict.fromkeys(("frequency", "frequency_365d", "interactions_90d", "complaints_90d"), "次"),
    **dict.fromkeys(("recency_days", "tenure_days", "mean_gap_days"), "天"),
}


class Chinese(Words):
    language = "zh"
    phrases = _PHRASES

    def metric_title(self, name: str) -> str:
        return TITLES.get(name, METRICS[name].title)

    def field_title(self, name: str) -> str:
        return FIELDS.get(name, name.removeprefix(CUSTOM))

    def events(self, leaf: HasEvents) -> str:
        within = f"近{leaf.within_days:,}天" if leaf.within_days else ""
        which = [_PROPERTIES.get(each.property, each.property) + self.asks_of_property(each) for each in leaf.where]
        return f"{within}{'、'.join(which)}{'的' if which else ''}{_EVENTS.get(leaf.event, leaf.event)}次数"

    def more_events(self, each: Need, leaf: HasEvents) -> str:
        more = f"再{_EVENTS.get(leaf.event, leaf.event)}{each.whole_gap:,}次"
        now = self.value(each.judged, each.judged.value)
        return f"{more}（{self.events(leaf)}需{self.asks(each)}，当前{now}）"

    def money(self, amount: str) -> str:
        return f"{amount}元" if get_settings().currency == "CNY" else super().money(amount)

    def measure(self, metric: str, value: str) -> str:
        return super().measure(metric, value) + _COUNTED.get(metric, "")

    def value(self, each: Judged, value: str | None) -> str:
        if value is None or each.asked.subject not in ("event", "score"):
            return super().value(each, value)
        return number(value) + ("次" if each.asked.subject == "event" else "分")

    def called(self, document: BaseDocument, name: str | None) -> str:
        """A name in Latin letters is set apart as it is; one in Chinese is quoted."""
        title = self.class_title(document, name)
        is_class = name is not None and not isinstance(document, SegmentDocument | StaticDocument)
        return f"“{title}”" if is_class and not title.isascii() else title
