"""Which of our languages a header asks for."""

import pytest

from app.core.languages import preferred


@pytest.mark.parametrize(
    ("asked", "known", "language"),
    [
        (None, None, "en"),
        ("", None, "en"),
        ("en, zh;q=0.9", None, "en"),
        ("en;q=0.2, zh-Hans;q=0.9", None, "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", None, "zh"),
        ("en-US,en;q=0.9", "zh", "en"),
        ("fr-FR,zh;q=0.5,en;q=0.4", "en", "zh"),
        ("en;q=0,zh;q=0", "zh", "zh"),
        ("fr", "zh-Hant", "zh"),
        ("fr", "de", "en"),
        ("*", "zh", "zh"),
        ("zh;q=x", None, "en"),
        (";,;", None, "en"),
        ("," * 5000, "zh", "zh"),
        ("fr," * 20 + "zh", None, "en"),
    ],
)
def test_the_header_decides_then_what_is_known_then_english(
    asked: str | None, known: str | None, language: str
) -> None:
    assert preferred(asked, known) == language
