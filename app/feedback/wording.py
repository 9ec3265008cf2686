"""What the page says besides a survey's own words, in each of its languages."""

from dataclasses import dataclass

from app.feedback.rules import Fault


@dataclass(frozen=True, slots=True)
class Words:
    """The page's own words in one language."""

    required: str
    submit: str
    thanks: str
    thanks_detail: str
    wrong: str
    scales: dict[str, str]
    faults: dict[Fault, str]
    refusals: dict[str, tuple[str, str]]
    other_refusal: tuple[str, str]


WORDS = {
    "en": Words(
        required="required",
        submit="Send",
        thanks="Thank you",
        thanks_detail="Your answers have arrived. You can close this page.",
        wrong="Please look at these questions again",
        scales={
            "csat": "1: very dissatisfied, 5: very satisfied",
            "nps": "0: not at all likely, 10: extremely likely",
            "ces": "1: very hard, 7: very easy",
        },
        faults={
            "missing": "Please answer this question.",
            "unknown": "This question is not asked.",
            "not_a_score": "Please choose one of the numbers.",
            "not_a_choice": "Please choose from the answers given.",
            "not_a_text": "Please answer in your own words.",
            "too_long": "Please use at most 4,000 characters.",
        },
        refusals={
            "bad-link": ("This link is not valid", "Please open the link exactly as it was sent to you."),
            "expired-link": ("This link has expired", "The time to answer is over."),
            "revoked-link": ("This link has been withdrawn", "It takes no answers any more."),
            "answered-already": ("You have answered already", "Your answers have arrived; each link works once."),
            "survey-closed": ("This survey is closed", "It takes no more answers. Thank you for your interest."),
            "too-many-answers": ("Too many attempts", "Please wait a minute and try again."),
        },
        other_refusal=("This did not work", "Please try again in a moment."),
    ),
    "zh": Words(
        required="必填",
        submit="提交",
        thanks="谢谢您",
        thanks_detail="我们已收到您的回答，您可以关闭此页面。",
        wrong="请再看一下这些问题",
        scales={
            "csat": "1：非常不满意，5：非常满意",
            "nps": "0：完全不可能，10：非常可能",
            "ces": "1：非常困难，7：非常容易",
        },
        faults={
            "missing": "请回答此问题。",
            "unknown": "没有此问题。",
            "not_a_score": "请选择其中一个分数。",
            "not_a_choice": "请从给出的选项中选择。",
            "not_a_text": "请用文字回答。",
            "too_long": "最多4000个字符。",
        },
        refusals={
            "bad-link": ("链接无效", "请完整打开发送给您的链接。"),
            "expired-link": ("链接已过期", "回答时间已结束。"),
            "revoked-link": ("链接已撤回", "此链接不再接受回答。"),
            "answered-already": ("您已经回答过了", "我们已收到您的回答，每个链接只能使用一次。"),
            "survey-closed": ("调查已结束", "本调查不再接受回答，感谢您的关注。"),
            "too-many-answers": ("尝试次数过多", "请等一分钟后再试。"),
        },
        other_refusal=("操作未成功", "请稍后再试。"),
    ),
}
