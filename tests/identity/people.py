"""Someone logged in, and the makers of people, units and roles that the fixtures hand out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from app.identity import tokens
from tests.conftest import SECRET

PASSWORD = "a long enough phrase"


@dataclass
class Person:
    """Someone logged in: makes requests as that one."""

    http: httpx.AsyncClient
    id: str
    username: str
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens['access_token']}"}

    def keep_token(self) -> None:
        """Have an access token that is still good in two days, so that only rights end meanwhile."""
        claims = tokens.read_access_token(SECRET, self.tokens["access_token"])
        whose = {"user_id": claims.user_id, "session_id": claims.session_id}
        self.tokens["access_token"] = tokens.issue_access_token(SECRET, **whose, lifetime=timedelta(days=2))

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)


LogIn = Callable[..., Awaitable[httpx.Response]]
MakePerson = Callable[..., Awaitable[Person]]
MakeUnit = Callable[..., Awaitable[str]]
MakeRole = Callable[[dict[str, str]], Awaitable[str]]
