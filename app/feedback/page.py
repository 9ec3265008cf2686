"""The page on which a customer answers: plain HTML that needs no script, readable by a screen reader."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Any

from app.feedback.rules import MAX_TEXT, SCALES, Fault
from app.feedback.schemas.surveys import SurveyDocument, SurveyQuestion
from app.feedback.wording import WORDS

STYLE = """
:root { color-scheme: light dark }
body { font: 1.1rem/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 40rem }
fieldset { border: 1px solid GrayText; border-radius: .5rem; margin: 0 0 1.5rem; padding: 1rem }
legend { font-weight: 600; padding: 0 .5rem }
label { display: inline-block; padding: .5rem .75rem .5rem 0; min-height: 1.5rem }
label.line { display: block }
input { width: 1.25rem; height: 1.25rem; vertical-align: middle }
textarea { box-sizing: border-box; font: inherit; width: 100%; min-height: 6rem }
button { font: inherit; padding: .75rem 2rem }
.wrong { border-inline-start: .3rem solid #c00; padding-inline-start: 1rem }
.hint { margin: 0 0 .5rem }
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address is the key to the survey
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Vary": "Accept, Accept-Language",
}


def form(
    document: SurveyDocument,
    language: str,
    answers: Mapping[str, Any] | None = None,
    wrong: Mapping[str, Fault] | None = None,
) -> str:
    """The survey to be filled in; with answers that do not fit, what is wrong with them, and all that was said."""
    words, given, found = WORDS[language], answers or {}, wrong or {}
    parts = [_heading(document.title.in_language(language))]
    if document.introduction is not None:
        parts.append(f"<p>{escape(document.introduction.in_language(language))}</p>")
    if found:
        parts.append(_summary(document, language, found))
    parts.append('<form method="post">')
    parts += [
        _question(question, language, given.get(question.key), found.get(question.key))
        for question in document.questions
    ]
    parts.append(f'<button type="submit">{escape(words.submit)}</button></form>')
    title = document.title.in_language(language)
    return _page(language, f"{words.wrong}: {title}" if found else title, parts)


def thanks(document: SurveyDocument, language: str) -> str:
    """What is said when the answers have arrived."""
    words = WORDS[language]
    said = document.thanks.in_language(language) if document.thanks else words.thanks_detail
    return _page(language, words.thanks, [_heading(words.thanks), f"<p>{escape(said)}</p>"])


def refusal(kind: str, language: str) -> str:
    """Why the link does not lead to a survey."""
    words = WORDS[language]
    title, detail = words.refusals.get(kind, words.other_refusal)
    return _page(language, title, [_heading(title), f"<p>{escape(detail)}</p>"])


def _page(language: str, title: str, parts: list[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _heading(text: str) -> str:
    return f"<h1>{escape(text)}</h1>"


def _summary(document: SurveyDocument, language: str, found: Mapping[str, Fault]) -> str:
    links = "".join(
        f'<li><a href="#{question.key}">{escape(question.text.in_language(language))}</a></li>'
        for question in document.questions
        if question.key in found
    )
    title = escape(WORDS[language].wrong)
    return f'<div class="wrong" role="alert" tabindex="-1"><h2>{title}</h2><ul>{links}</ul></div>'


def _question(question: SurveyQuestion, language: str, answer: Any, fault: Fault | None) -> str:
    """A group of its own for each question: its text is the group's name, its scale and its fault describe it."""
    words, key = WORDS[language], question.key
    notes = []
    if question.kind in SCALES:
        notes.append((f"{key}-scale", "hint", words.scales[question.kind]))
    if fault is not None:
        notes.append((f"{key}-wrong", "hint wrong", words.faults[fault]))
    described = f' aria-describedby="{" ".join(name for name, _, _ in notes)}"' if notes else ""
    said = "".join(f'<p class="{style}" id="{name}">{escape(text)}</p>' for name, style, text in notes)
    mark = f" ({escape(words.required)})" if question.required else ""
    legend = f'<legend id="{key}-text">{escape(question.text.in_language(language))}{mark}</legend>'
    inputs = _text(question, answer, described) if question.kind == "text" else _choices(question, language, answer)
    return f'<fieldset id="{key}" tabindex="-1"{described}>{legend}{said}{inputs}</fieldset>'


def _text(question: SurveyQuestion, answer: Any, described: str) -> str:
    needed = " required" if question.required else ""
    shown = escape(answer) if isinstance(answer, str) else ""
    return (
        f'<textarea name="{question.key}" rows="4" maxlength="{MAX_TEXT}" aria-labelledby="{question.key}-text"'
        # A browser takes the first line break after the tag away.
        f"{described}{needed}>\n{shown}</textarea>"
    )


def _choices(question: SurveyQuestion, language: str, answer: Any) -> str:
    several = question.kind == "choices"
    chosen = {str(each) for each in answer} if isinstance(answer, list) else {str(answer)}
    if question.kind in SCALES:
        options = [(str(score), str(score)) for score in SCALES[question.kind]]
    else:
        options = [(option.key, option.text.in_language(language)) for option in question.options]
    kind, needed = ("checkbox", "") if several else ("radio", " required" if question.required else "")
    style = "" if question.kind in SCALES else ' class="line"'
    return "".join(
        f'<label{style}><input type="{kind}" name="{question.key}" value="{value}"{needed}'
        f"{' checked' if value in chosen else ''}> {escape(text)}</label>"
        for value, text in options
    )
