"""One message to the server that sends e-mail. Of its answers only the code is kept: the rest quotes addresses."""

import asyncio
import ssl
from email.message import EmailMessage
from functools import lru_cache

from app.core import mail_server
from app.core.mail_server import MailServer
from app.core.settings import get_settings


class Refused(Exception):
    """The server never takes this message; the text says so without its words."""


class Away(Exception):
    """The server cannot be reached, or takes nothing at the moment."""


async def send(message: EmailMessage) -> None:
    """Hand the message over, on a connection of its own. Raises `Refused`, `Away`, within STRATA_SMTP_TIMEOUT."""
    settings = get_settings()
    if settings.smtp_url is None:
        raise Away("no server is set")
    server = mail_server.of(settings.smtp_url.get_secret_value())
    try:
        async with asyncio.timeout(settings.smtp_timeout):
            await _hand_over(server, message, settings.smtp_timeout)
    except TimeoutError:
        raise Away("no answer in time") from None


async def _hand_over(server: MailServer, message: EmailMessage, seconds: float) -> None:
    # Only who sends e-mail waits for it to be imported.
    import aiosmtplib

    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username,
        password=server.password,
        use_tls=server.tls == "implicit",
        start_tls=server.tls == "starttls",
        tls_context=None if server.tls == "off" else _trusted(),
        local_hostname=message["From"].addresses[0].domain,
        timeout=seconds,
    )
    try:
        try:
            await client.connect()  # with TLS and log-in: what is wrong there is wrong with the server, or the settings
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise Away(type(error).__name__) from None
        try:
            await client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            _judge(error.recipients[0].code)
        except aiosmtplib.SMTPNotSupported:
            raise Refused("the server does not take addresses such as this one") from None
        except aiosmtplib.SMTPResponseException as error:
            _judge(error.code)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Away(type(error).__name__) from None
    finally:
        # No QUIT: the message is taken or not, and a server that keeps us waiting now would have it sent twice.
        client.close()


def _judge(code: int) -> None:
    if 500 <= code < 600:
        raise Refused(f"the server refused it for good: {code}") from None
    raise Away(f"the server answered {code}") from None


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()
