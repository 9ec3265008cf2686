"""What a letter becomes on the wire, whatever is in it; and which servers and senders are taken."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import SMTP, default
from pathlib import Path

import pytest
from email_validator import EmailNotValidError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError
from pydantic import SecretStr, ValidationError

from app.core import clock, mail_server
from app.core.settings import Settings
from app.mail.letters import Letter, message, written
from app.mail.post import FIRST_WAIT, LONGEST_WAIT, wait_after

LATER = datetime(2026, 12, 1, 16, 30, tzinfo=UTC)
JOB = uuid.UUID("019a8f3e-9b1c-7c3e-8a52-2f1f6f3f9a10")
SETTLED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def _sender(setting: Callable[..., None]) -> None:
    setting(mail_from="Acme 客服 <service@Acme.example>", time_zone="Asia/Shanghai")


def letter(to: str = "mei@example.com", subject: str = "Hello", text: str = "Hello\n") -> Letter:
    return Letter(to, "en", subject, text, LATER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def put(name: str, text: str) -> None:
        (tmp_path / name).write_text(text, "utf-8")

    put("note.en.txt", "To {{ name }} of {{ company }}\n\nIt is {{ name }}, until {{ until }}.\n")
    put("note.zh.txt", "{{ company }}致{{ name }}\n\n{{ name }}，有效期至 {{ until }}。\n")
    put("nosy.en.txt", "x\n\n{{ name.__class__.__mro__ }}\n")
    put("grabbing.en.txt", "x\n\n{{ [].append(1) }}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("known", "language", "subject", "text"),
    [
        ("zh-Hans", "zh", "Acme 客服致<梅>", "<梅>，有效期至 2026-12-02 00:30 (Asia/Shanghai)。\n"),
        ("en", "en", "To <梅> of Acme 客服", "It is <梅>, until 2026-12-02 00:30 (Asia/Shanghai).\n"),
        ("fr", "en", "To <梅> of Acme 客服", "It is <梅>, until 2026-12-02 00:30 (Asia/Shanghai).\n"),
        (None, "en", "To <梅> of Acme 客服", "It is <梅>, until 2026-12-02 00:30 (Asia/Shanghai).\n"),
    ],
)
def test_a_letter_speaks_the_language_of_its_customer(
    folder: Path, known: str | None, language: str, subject: str, text: str
) -> None:
    made = written(folder, "note", to="x@example.com", known_language=known, until=LATER, name="<梅>")
    assert (made.language, made.subject, made.text) == (language, subject, text)


@pytest.mark.parametrize(
    ("name", "error"), [("nosy", SecurityError), ("grabbing", SecurityError), ("note", UndefinedError)]
)
def test_a_text_reaches_nothing_but_its_values(folder: Path, name: str, error: type[Exception]) -> None:
    values = {} if name == "note" else {"name": "Mei"}
    with pytest.raises(error):
        written(folder, name, to="x@example.com", known_language="en", until=LATER, **values)


def test_the_message_is_the_same_with_every_attempt() -> None:
    one, two = [message(letter(), job_id=JOB, queued_at=clock.now().replace(year=2026, month=1)) for _ in range(2)]
    assert one["Message-ID"] == two["Message-ID"] == f"<{JOB}@acme.example>"
    assert (str(one["From"]), str(one["To"])) == ("Acme 客服 <service@acme.example>", "mei@example.com")
    assert (one["Auto-Submitted"], one["Content-Language"]) == ("auto-generated", "en")


@pytest.mark.parametrize(
    "address",
    [
        "mei@example.com\r\nBcc: all@example.com",
        "mei@example.com\nBcc: all@example.com",
        "mei@example.com, all@example.com",
        "mei@example.com;all@example.com",
        "Mei <mei@example.com>",
        "mei@example.com\x00",
        "mei@exa mple.com",
        "@example.com",
        "mei",
        "",
    ],
)
def test_what_is_not_one_address_gets_no_letter(address: str) -> None:
    with pytest.raises(EmailNotValidError):
        message(letter(to=address), job_id=JOB, queued_at=LATER)


@SETTLED
@given(st.text(max_size=80), st.text(max_size=80))
def test_no_value_of_a_letter_makes_a_header(folder: Path, name: str, more: str) -> None:
    wanted = f"{name}\r\nBcc: all@example.com\r\n\r\n{more}".replace("\ud800", "")
    wanted = wanted.encode("utf-8", "ignore").decode()
    made = written(folder, "note", to="mei@example.com", known_language="en", until=LATER, name=wanted)
    wire = message(made, job_id=JOB, queued_at=LATER).as_bytes(policy=SMTP)
    read = message_from_bytes(wire, policy=default)
    expected = {"From", "To", "Subject", "Date", "Message-ID", "Content-Language", "Auto-Submitted"}
    mime = {"Content-Type", "Content-Transfer-Encoding", "MIME-Version"}
    assert set(read.keys()) == expected | mime
    assert read["To"] == "mei@example.com"


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3)))
def test_the_longer_a_letter_waits_the_rarer_it_is_tried(waited: timedelta) -> None:
    assert FIRST_WAIT * 0.9 <= wait_after(waited) <= LONGEST_WAIT * 1.1
    assert wait_after(waited) <= max(waited, FIRST_WAIT) * 1.1


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 587, "starttls", None, None)),
        ("smtp://u%40x:p%3Aw@mail.example.com:2525/", ("mail.example.com", 2525, "starttls", "u@x", "p:w")),
        ("smtps://u:p@mail.example.com", ("mail.example.com", 465, "implicit", "u", "p")),
        ("smtp://relay?tls=off", ("relay", 25, "off", None, None)),
        ("smtp://u:p@localhost:1025?tls=off", ("localhost", 1025, "off", "u", "p")),
    ],
)
def test_a_server_is_read_from_its_url(url: str, read: tuple[object, ...]) -> None:
    server = mail_server.of(url)
    assert (server.host, server.port, server.tls, server.username, server.password) == read
    assert "p" not in repr(server).split("MailServer", 1)[1].split("object")[0], "a password shows"


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example.com",
        "mail.example.com:25",
        "smtp://",
        "smtp://mail.example.com:0",
        "smtp://mail.example.com:99999",
        "smtp://mail.example.com/path",
        "smtp://mail.example.com?tls=maybe",
        "smtps://mail.example.com?tls=off",
        "smtp://verysecret@mail.example.com",
        "smtp://u:verysecret@mail.example.com?tls=off",
    ],
)
def test_no_other_server_is_taken_and_no_password_quoted(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(smtp_url=SecretStr(url), mail_from="a@acme.example")
    assert "verysecret" not in str(refused.value)


@pytest.mark.parametrize("written_as", [None, "", "Acme", "a@b", "A <a@acme.example>\nBcc: x@y.z", "a@@b.example"])
def test_a_server_needs_a_sender_that_is_an_address(written_as: str | None) -> None:
    with pytest.raises(ValidationError):
        Settings(smtp_url=SecretStr("smtps://mail.example.com"), mail_from=written_as)
