"""Keyset pages: a cursor is the last row's sort key, signed, and bound to the filter it came from."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from app.core.errors import Problem

MAX_CURSOR_LENGTH = 1024


class InvalidCursor(Problem):
    status = 422
    type = "invalid-cursor"
    title = "This cursor does not belong to this list; begin again without a cursor"


class CursorSigner:
    """Makes and reads cursors. `scope` is whatever the pages have in common: route, filter, sort order."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"cursor\0" + secret.encode()).digest()

    def sign(self, position: Sequence[Any], scope: Any) -> str:
        """The cursor after a row with these sort values (anything JSON or str() can say)."""
        body = json.dumps(list(position), default=str, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._seal(body, scope) + body).decode().rstrip("=")

    def read(self, cursor: str, scope: Any) -> list[Any]:
        """The sort values; raises `InvalidCursor` for another filter's, an altered or a foreign cursor."""
        if len(cursor) > MAX_CURSOR_LENGTH or not cursor.isascii():
            raise InvalidCursor
        try:
            data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidCursor from error
        seal, body = data[:16], data[16:]
        if not hmac.compare_digest(seal, self._seal(body, scope)):
            raise InvalidCursor
        position: list[Any] = json.loads(body)
        return position

    def _seal(self, body: bytes, scope: Any) -> bytes:
        context = json.dumps(scope, default=str, sort_keys=True, separators=(",", ":")).encode()
        return hmac.new(self._key, context + b"\0" + body, hashlib.sha256).digest()[:16]
