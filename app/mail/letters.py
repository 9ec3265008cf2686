"""A letter: to whom, in which language, what it says; and the message that it becomes.

Texts are templates in a sandbox, one file for each language: the first line is the subject, the rest after an empty
line what it says. Plain text: there is nothing in it to hide a link behind.
"""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from email_validator import validate_email
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.core import clock, mail_server
from app.core.languages import preferred
from app.core.settings import get_settings


@dataclass(frozen=True, slots=True, repr=False)
class Letter:
    """What is sent to one address; after `until` it would come too late."""

    to: str
    language: str
    subject: str
    text: str
    until: datetime


def written(
    folder: Path, name: str, /, *, to: str, known_language: str | None, until: datetime, **values: Any
) -> Letter:
    """The letter of this name from a package's folder of texts, in the customer's language as far as it is ours.

    Templates have `company` and `until`, and the values that are given.
    """
    language = preferred(None, known_language)
    end = until.astimezone(clock.business_zone()).strftime("%Y-%m-%d %H:%M")
    said = _texts(folder).get_template(f"{name}.{language}.txt")
    text = said.render(company=_company(), until=f"{end} ({get_settings().time_zone})", **values)
    subject, _, body = text.partition("\n")
    return Letter(to, language, " ".join(subject.split()), body.strip("\n") + "\n", until)


def message(letter: Letter, *, job_id: UUID, queued_at: datetime) -> EmailMessage:
    """What goes over the wire, the same with every attempt. Raises `EmailNotValidError` for what is no address."""
    address = validate_email(letter.to, check_deliverability=False)
    sender = _sender()
    made = EmailMessage(policy=SMTP)
    made["From"] = sender
    made["To"] = Address(addr_spec=address.ascii_email or address.normalized)
    made["Subject"] = letter.subject
    made["Date"] = format_datetime(queued_at)
    made["Message-ID"] = f"<{job_id}@{sender.domain}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers it
    made.set_content(letter.text)
    made["Content-Language"] = letter.language
    return made


@lru_cache(maxsize=16)
def _texts(folder: Path) -> ImmutableSandboxedEnvironment:
    # Not HTML: nothing is to be escaped.
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, autoescape=False, trim_blocks=True
    )


def _sender() -> Address:
    written_as = get_settings().mail_from
    assert written_as is not None, "nothing is sent without a sender"
    return mail_server.sender(written_as)


def _company() -> str:
    sender = _sender()
    return sender.display_name or sender.domain
