"""Someone logged in, and the makers of people, units and roles that the fixtures hand out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

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

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)


LogIn = Callable[..., Awaitable[httpx.Response]]
MakePerson = Callable[..., Awaitable[Person]]
MakeUnit = Callable[..., Awaitable[str]]
MakeRole = Callable[[dict[str, str]], Awaitable[str]]
