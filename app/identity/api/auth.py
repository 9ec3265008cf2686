"""Logging in and out, and who one is."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response

from app.core.http.paging import Paging
from app.core.http.routes import REQUEST_ID, ReadSession, WriteSession, database_of
from app.core.http.routes import router as make_router
from app.identity import customer_accounts, queries, sessions, throttling, users
from app.identity.access import Authenticated, Public
from app.identity.actor import EVERYTHING, Actor, Scope
from app.identity.permissions import known_permissions
from app.identity.schemas import InvitationIn, MeOut, PasswordChangeIn, PasswordGrant, RefreshIn, SessionList, TokenOut
from app.identity.throttling import Attempt

LoggedIn = Annotated[Actor, Depends(Authenticated())]
Anyone = Depends(Public())

router: APIRouter = make_router(prefix="/auth", tag="Access")
me_router: APIRouter = make_router(prefix="/me", tag="Access")

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
_REFUSED: dict[int | str, dict[str, Any]] = {
    401: {"description": "Wrong username or password; a token that no longer works", "content": _PROBLEM},
}
_THROTTLED: dict[int | str, dict[str, Any]] = {
    429: {"description": "Too many attempts; wait as Retry-After says", "content": _PROBLEM},
}


@router.post("/token", response_model=TokenOut, responses={**_REFUSED, **_THROTTLED}, dependencies=[Anyone])
async def issue_token(request: Request, response: Response, form: Annotated[PasswordGrant, Form()]) -> Any:
    """Log in with username and password (OAuth2 password grant)."""
    response.headers["cache-control"] = "no-store"
    return await sessions.log_in(
        database_of(request),
        request.app.state.secret,
        username=form.username,
        password=form.password,
        address=_address(request),
        correlation_id=request.scope.get(REQUEST_ID),
    )


@router.post("/refresh", response_model=TokenOut, responses=_REFUSED, dependencies=[Anyone])
async def refresh_token(request: Request, response: Response, body: RefreshIn, session: WriteSession) -> Any:
    """Exchange a refresh token for new tokens. Each works once; a second use ends the session."""
    response.headers["cache-control"] = "no-store"
    return await sessions.refresh(session, request.app.state.secret, body.refresh_token)


@router.post("/invitations", status_code=204, responses=_THROTTLED, dependencies=[Anyone])
async def accept_invitation(request: Request, body: InvitationIn) -> None:
    """Set the password of an account to which one was invited; the invitation works once."""
    address = _address(request)
    attempt = Attempt.of(request.app.state.secret, username=address, address=address, purpose="invitation ")
    database, secret = database_of(request), request.app.state.secret
    await throttling.count_attempt(database, attempt)
    await customer_accounts.accept(
        database, secret, body.token, body.password, correlation_id=request.scope.get(REQUEST_ID)
    )


@router.post("/logout", status_code=204)
async def log_out(actor: LoggedIn, session: WriteSession) -> None:
    """End the session; its tokens stop working at once."""
    await sessions.log_out(session, actor)


@me_router.get("", response_model=MeOut)
async def read_me(actor: LoggedIn, session: ReadSession) -> Any:
    """Who I am, what I may do and where."""
    units = await session.all(queries.unit_names(actor.unit_ids)) if actor.unit_ids else []
    username = await session.scalar(queries.username_of(actor.id)) if actor.kind == "user" and actor.id else None
    everything = dict.fromkeys(sorted(known_permissions()), Scope.ALL)
    return {
        "id": actor.id,
        "kind": actor.kind,
        "name": actor.name,
        "username": username,
        "roles": actor.roles,
        "permissions": everything if EVERYTHING in actor.permissions else actor.permissions,
        "units": [dict(row) for row in units],
        "on_behalf_of": actor.on_behalf_of,
    }


@me_router.get("/sessions", response_model=SessionList)
async def list_my_sessions(actor: LoggedIn, session: ReadSession, page: Paging) -> Any:
    """Where I am logged in, the latest first; none for an API key."""
    return await sessions.page_of(session, actor, actor.id, page)


@me_router.delete("/sessions/{session_id}", status_code=204)
async def end_my_session(session_id: UUID, actor: LoggedIn, session: WriteSession) -> None:
    """Log me out of one session; its tokens stop working at once."""
    await sessions.end(session, actor, actor.id, session_id)


@me_router.post("/password", status_code=204, responses=_THROTTLED)
async def change_my_password(request: Request, actor: LoggedIn, body: PasswordChangeIn) -> None:
    """Change my password; my other sessions end."""
    attempt = Attempt.of(request.app.state.secret, username=f"id:{actor.id}", address=_address(request))
    await users.change_own_password(
        database_of(request),
        actor,
        attempt,
        current=body.current_password,
        new=body.new_password,
        correlation_id=request.scope.get(REQUEST_ID),
    )


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
