"""The connection goes to the address that was checked; the certificate must be the name's."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.core import clock
from app.webhooks import sending
from tests.webhooks.endpoint import Endpoint

NAME = "hooks.example.com"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return certificate_of(NAME, tmp_path)


def certificate_of(name: str, folder: Path) -> Path:
    """A certificate for the name, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def serving(certificate: Path, asked_for: list[str | None]) -> AsyncIterator[Endpoint]:
    made = Endpoint()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: asked_for.append(name)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@pytest.mark.parametrize("name", [NAME, "other.example.com"])
async def test_the_name_is_asked_for_and_must_be_the_certificates(
    certificate: Path, setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    setting(webhook_private_hosts=f'["{name}"]')
    monkeypatch.setattr(sending, "_trusted", lambda: ssl.create_default_context(cafile=str(certificate)))

    async def resolve(_: Any, host: str, port: int, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    asked_for: list[str | None] = []
    async with serving(certificate, asked_for) as server, sending.new_client() as client:
        url = f"https://{name}:{server.port}/hook"
        outcome = await sending.send(client, url, headers={}, body=b"{}")
        assert set(asked_for) == {name}
        assert outcome.is_success == (name == NAME)
        assert len(server.received) == (name == NAME)
        assert all(each.headers["host"] == f"{NAME}:{server.port}" for each in server.received)
