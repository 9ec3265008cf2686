"""An SMTP server on a port of its own that keeps what it takes, and answers as it is told to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Postbox:
    """What arrived, to whom, and what the next recipients and messages are answered."""

    port: int = 0
    taken: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    to_recipients: str | None = None
    to_messages: str | None = None
    hangs: bool = False
    tried: int = 0
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802  as aiosmtpd calls it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tried += 1
        if self.to_recipients is not None:
            return self.to_recipients
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.hangs:
            await asyncio.sleep(3600)
        if self.to_messages is not None:
            return self.to_messages
        assert isinstance(envelope.content, bytes)
        self.taken.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 OK"

    def only(self) -> EmailMessage:
        """The one message that came."""
        [(_, message)] = self.taken
        return message

    @contextmanager
    def answering(self, **answers: Any) -> Iterator[None]:
        """Answers so for the length of the block."""
        before = {name: getattr(self, name) for name in answers}
        for name, value in answers.items():
            setattr(self, name, value)
        yield
        for name, value in before.items():
            setattr(self, name, value)


def text_of(message: EmailMessage) -> str:
    """What the message says."""
    content: str = message.get_content()
    return content.replace("\r\n", "\n")


@asynccontextmanager
async def opened(box: Postbox, *, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Postbox]:
    """The box, reachable at `box.port` of this machine; the same port again when it opens again."""

    def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        box.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss word")

    def made() -> SMTP:
        return SMTP(box, hostname="localhost", tls_context=tls, authenticator=login, loop=loop, **options)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(made, "127.0.0.1", box.port)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
