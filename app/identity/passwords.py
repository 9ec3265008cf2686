"""Passwords: Argon2id, two at a time, so that logins cannot take the memory and the processors away."""

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash

from app.core.errors import Unavailable

MIN_LENGTH = 10
MAX_LENGTH = 200
MAX_WAITING = 60

# A check takes about 0.2 s and 64 MiB. The executor's two threads are the limit; asyncio's own
# semaphores belong to one event loop, this does not.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
_waiting = 0
_hasher = PasswordHash.recommended()

Result = TypeVar("Result")

# Checked when the username is unknown, so that this takes as long as a wrong password. Nobody's password.
DUMMY_HASH = "$argon2id$v=19$m=65536,t=3,p=4$g5nU8cWnpcuyqWaHrpDreA$oez7vRjrLHvfEFF7ntseOCV9TR9e3esfx/Q1wRawnKA"


async def hash_password(password: str) -> str:
    """The hash to store."""
    return await _in_thread(lambda: _hasher.hash(_normal(password)))


def nobodys_hash() -> str:
    """A hash to store for somebody who logs in elsewhere: of no password that anyone knows."""
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"{DUMMY_HASH.rpartition('$')[0].rpartition('$')[0]}${salt}${digest}"


async def verify(password: str, stored: str | None) -> tuple[bool, str | None]:
    """Whether the password is right, and a stronger hash to store when the stored one is out of date.

    Without a stored hash the answer is no, after the same time. Raises `Unavailable` when too many wait.
    """
    right, stronger = await _in_thread(lambda: _hasher.verify_and_update(_normal(password), stored or DUMMY_HASH))
    return (right, stronger) if stored is not None else (False, None)


def _normal(password: str) -> str:
    # The same letters typed on another keyboard can arrive as other code points.
    return unicodedata.normalize("NFKC", password)


async def _in_thread(work: Callable[[], Result]) -> Result:
    global _waiting
    if _waiting >= MAX_WAITING:
        raise Unavailable("Too many people log in at this moment; try again in a few seconds", retry_after=5)
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        _waiting -= 1
