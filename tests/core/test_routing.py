"""A route is found by its path, with and without a prefix that a proxy puts before it, and by no other path."""

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Match

from app.core.http.routing import Branches

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


def test_a_branch_has_every_route_that_may_match(app: FastAPI) -> None:
    """Whatever the whole router would find, also for another method, is found among the routes of the branch."""
    branches = Branches(app.router)
    paths = {getattr(route, "path_format", "/") for route in app.router.routes}
    asked = {re.sub(r"{\w+}", value, path) for path in paths for value in ("x", "search", "batch", "a b", "")}
    asked |= {f"{path}/" for path in asked} | {f"{path}/more" for path in asked} | {"", "/", "//", "/v1", "/v1//x"}
    smaller = 0
    for path in sorted(asked):
        for method in ("GET", "POST", "TRACE"):
            scope: dict[str, Any] = {"type": "http", "path": path, "method": method, "headers": []}
            part = branches.responsible(scope)
            found, whole = ([each for each in it.routes if _matches(each, scope)] for it in (part, app.router))
            assert found == whole, (method, path)
            smaller += len(part.routes) < len(app.router.routes) / 4
    assert smaller > len(paths)


def _matches(route: BaseRoute, scope: dict[str, Any]) -> bool:
    return route.matches(scope)[0] is not Match.NONE
