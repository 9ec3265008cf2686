"""The routes of access."""

from app.identity.api import api_keys, auth, delegations, memberships, roles, units, users

routers = [
    auth.router,
    auth.me_router,
    users.router,
    memberships.router,
    delegations.router,
    roles.router,
    roles.permissions_router,
    units.router,
    api_keys.router,
]
