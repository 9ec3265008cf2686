"""Finding a request's route among hundreds.

A router asks its routes in turn: with hundreds of them that took 160 of the 580 µs that Python has to spend on a short
request. Hence the routes are divided into branches, by how their paths begin and how many parts they have, and only
those of the request's branch are asked, in their order.
"""

from copy import copy

from fastapi import APIRouter
from starlette.convertors import PathConvertor
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

Branch = tuple[str, int]


class Branches:
    """Hands each request to a router that knows the routes of its branch alone, or to the whole one without a branch.

    What a branch answers is what the whole router would: 404 and 405 included.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self._divided: dict[Branch, APIRouter] = {}
        self._routes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("router", self._router)
        await self.responsible(scope).app(scope, receive, send)

    def responsible(self, scope: Scope) -> APIRouter:
        """The router that has every route which may match. Behind a proxy's prefix, paths begin in other ways."""
        if scope["type"] != "http" or scope.get("root_path"):
            return self._router
        if self._routes != len(self._router.routes):
            self._divide()
        return self._divided.get(_branch_of(scope["path"]), self._router)

    def _divide(self) -> None:
        routes = self._router.routes
        self._routes, self._divided = len(routes), {}
        branches = [_branch_of_route(route) for route in routes]
        for branch in filter(None, branches):
            if branch not in self._divided:
                self._divided[branch] = part = copy(self._router)
                part.routes = [each for each, its in zip(routes, branches, strict=True) if its in (branch, None)]


def _branch_of(path: str) -> Branch:
    """How the path begins, as far as no parameter stands in it, and how many parts it has."""
    return "/".join(path.split("/", 3)[:3]), path.count("/")


def _branch_of_route(route: BaseRoute) -> Branch | None:
    """None for a route that may match paths of any branch: it is in all of them."""
    if not isinstance(route, Route) or any(isinstance(each, PathConvertor) for each in route.param_convertors.values()):
        return None
    branch = _branch_of(route.path_format)
    return None if "{" in branch[0] else branch
