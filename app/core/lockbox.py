"""Secrets that have to be read again are kept under lock: AES-256-GCM, by a key derived from STRATA_SECRET_KEY.

Whoever gets hold of the database alone, or of a backup of it, has none of them.
"""

import base64
import hmac
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core import local
from app.core.settings import get_settings

LOCKED = "aesgcm1:"
"""What everything under lock begins with; the number tells how it was locked."""
_NONCE = 12


class Unreadable(Exception):
    """It was locked with another key, for another purpose, or was changed."""


def lock(secret: str, *, purpose: str) -> str:
    """The secret under lock, as text. What was locked for one purpose opens for no other."""
    nonce = os.urandom(_NONCE)
    sealed = _cipher(local.secret_key(get_settings())).encrypt(nonce, secret.encode(), purpose.encode())
    return LOCKED + base64.b64encode(nonce + sealed).decode()


def open_(kept: str, *, purpose: str) -> str:
    """The secret again. Raises `Unreadable`."""
    if not kept.startswith(LOCKED):
        raise Unreadable
    try:
        content = base64.b64decode(kept.removeprefix(LOCKED), validate=True)
        cipher = _cipher(local.secret_key(get_settings()))
        return cipher.decrypt(content[:_NONCE], content[_NONCE:], purpose.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise Unreadable from error


def mark(value: str, *, purpose: str) -> str:
    """By which the value is known again, and by nobody without the key."""
    return hmac.new(_marking(local.secret_key(get_settings())), f"{purpose}\0{value}".encode(), "sha256").hexdigest()


@lru_cache(maxsize=4)
def _marking(secret_key: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"strata.lockbox.mark").derive(secret_key.encode())


@lru_cache(maxsize=4)
def _cipher(secret_key: str) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"strata.lockbox").derive(secret_key.encode())
    return AESGCM(derived)
