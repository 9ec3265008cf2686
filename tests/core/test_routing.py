"""A route is found by its path, with and without a prefix that a proxy puts before it, and by no other path."""

import httpx
import pytest
from fastapi import FastAPI

CASES = [
    ("", "GET", "/v1/me", 401),
    ("", "PUT", "/v1/me", 405),
    ("", "GET", "/v1/me/", 404),
    ("", "GET", "/v1/mee", 404),
    ("", "GET", "/behind/v1/me", 404),
    ("/behind", "GET", "/behind/v1/me", 401),
    ("/behind", "PUT", "/behind/v1/me", 405),
    ("/behind", "GET", "/behind/v1/mee", 404),
]


@pytest.mark.parametrize(("prefix", "method", "path", "status"), CASES)
async def test_a_route_is_found_by_its_path_alone(
    app: FastAPI, prefix: str, method: str, path: str, status: int
) -> None:
    transport = httpx.ASGITransport(app, root_path=prefix, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://strata.test") as client:
        assert (await client.request(method, path)).status_code == status
