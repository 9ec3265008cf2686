"""Routes of those who let customers in: accounts, and the schemes that customers see."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request, Response

from app.core.bounds import Key
from app.core.http.routes import REQUEST_ID, ReadSession, WriteSession, router
from app.identity.access import Requires
from app.identity.actor import Actor
from app.self_service import accounts, changes, classes
from app.self_service.schemas import (
    AccountIn,
    AccountInvitationIn,
    AccountInvited,
    AccountOut,
    ProfileChangeOut,
    ShownSchemeList,
    ShownSchemeOut,
)

routes = router(tag="Self-service")

CanReadAccounts = Annotated[Actor, Depends(Requires(accounts.READ))]
CanWriteAccounts = Annotated[Actor, Depends(Requires(accounts.WRITE))]
CanDeliver = Annotated[Actor, Depends(Requires(changes.DELIVER))]
CanReadSchemes = Annotated[Actor, Depends(Requires(classes.SCHEMES_READ))]
CanShowSchemes = Annotated[Actor, Depends(Requires(classes.SHOW))]
CustomerId = Annotated[UUID, Path(description="customer id")]
SchemeKey = Annotated[Key, Path(description="scheme key, such as tier")]


@routes.get("/customers/{customer_id}/account", response_model=AccountOut)
async def read_customer_account(actor: CanReadAccounts, session: ReadSession, customer_id: CustomerId) -> object:
    """The account with which the customer uses self-service."""
    return await accounts.read(session, actor, customer_id)


@routes.post("/customers/{customer_id}/account", status_code=201, response_model=AccountInvited)
async def open_customer_account(
    actor: CanWriteAccounts,
    session: WriteSession,
    request: Request,
    customer_id: CustomerId,
    body: AccountIn,
    response: Response,
) -> object:
    """Let the customer in: an account, and an invitation to it: yours to send, or with `send` sent by e-mail."""
    response.headers["cache-control"] = "no-store"
    return await accounts.open_(session, actor, customer_id, body, secret=request.app.state.secret)


@routes.delete("/customers/{customer_id}/account", status_code=204)
async def close_customer_account(actor: CanWriteAccounts, session: WriteSession, customer_id: CustomerId) -> None:
    """Close the customer's account; its sessions end at once."""
    await accounts.remove(session, actor, customer_id)


@routes.post("/customers/{customer_id}/account/invitations", status_code=201, response_model=AccountInvited)
async def invite_to_customer_account(
    actor: CanWriteAccounts,
    session: WriteSession,
    request: Request,
    customer_id: CustomerId,
    body: AccountInvitationIn,
    response: Response,
) -> object:
    """Another invitation, for who lost the first one or the password. Setting a password uses up all of them."""
    response.headers["cache-control"] = "no-store"
    return await accounts.invite(session, actor, customer_id, body, secret=request.app.state.secret)


@routes.get("/customers/{customer_id}/profile-changes/{change_id}", response_model=ProfileChangeOut)
async def read_profile_change(
    actor: CanDeliver,
    session: ReadSession,
    request: Request,
    customer_id: CustomerId,
    change_id: Annotated[UUID, Path(description="as `customer.change_requested` names it")],
    response: Response,
) -> object:
    """The code that confirms a customer's new address or number, for whoever sends it there."""
    response.headers["cache-control"] = "no-store"
    return await changes.to_deliver(
        session,
        actor,
        customer_id,
        change_id,
        secret=request.app.state.secret,
        request_id=request.scope.get(REQUEST_ID),
    )


@routes.get("/shown-schemes", response_model=ShownSchemeList)
async def list_shown_schemes(actor: CanReadSchemes, session: ReadSession) -> object:
    """The schemes whose classes customers see of themselves."""
    return await classes.shown(session)


@routes.put("/shown-schemes/{key}", response_model=ShownSchemeOut)
async def show_scheme_to_customers(actor: CanShowSchemes, session: WriteSession, key: SchemeKey) -> object:
    """Let customers see their class of a published scheme, and what is missing to the next."""
    return await classes.show(session, actor, key)


@routes.delete("/shown-schemes/{key}", status_code=204)
async def hide_scheme_from_customers(actor: CanShowSchemes, session: WriteSession, key: SchemeKey) -> None:
    """Customers do not see their class of this scheme any more."""
    await classes.hide(session, actor, key)
