"""The SELECTs of access. What a person can ask for starts from what that person's permission reaches."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Date,
    Delete,
    FromClause,
    Select,
    Text,
    any_,
    cast,
    delete,
    exists,
    false,
    func,
    literal,
    select,
    true,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by, array

from app.core.db import Record
from app.identity.actor import Actor, Scope
from app.identity.models import (
    api_key,
    auth_session,
    delegation,
    org_unit,
    refresh_token,
    role,
    unit_membership,
    user_account,
    user_role,
)
from app.identity.scopes import within_scope

_NONE = false()
_NO_IDS = cast([], ARRAY(UuidType))
role_keys = (
    select(func.coalesce(func.array_agg(aggregate_order_by(role.c.key, role.c.key)), cast([], ARRAY(Text))))
    .select_from(user_role.join(role, role.c.id == user_role.c.role_id))
    .where(user_role.c.user_id == user_account.c.id)
    .correlate(user_account)
    .scalar_subquery()
)
_grants = (
    select(func.coalesce(func.jsonb_agg(role.c.permissions), cast([], JSONB)))
    .select_from(user_role.join(role, role.c.id == user_role.c.role_id))
    .where(user_role.c.user_id == user_account.c.id)
    .correlate(user_account)
    .scalar_subquery()
)
_user_columns = (
    user_account.c.id,
    user_account.c.username,
    user_account.c.name,
    user_account.c.email,
    user_account.c.active,
    user_account.c.unit_id,
    user_account.c.version,
    user_account.c.created_at,
    user_account.c.updated_at,
    role_keys.label("roles"),
)
_api_key_columns = tuple(column for column in api_key.c if "secret" not in column.info)


# who acts


def session_actor(session_id: UUID, user_id: UUID, at: datetime, day: date) -> Select[Any]:
    """The user behind a live session with roles, grants and units: all an actor needs, in one statement."""
    return (
        present_user(user_id, day)
        .add_columns(auth_session.c.expires_at)
        .join(auth_session, auth_session.c.user_id == user_account.c.id)
        .where(auth_session.c.id == session_id, auth_session.c.revoked_at.is_(None), auth_session.c.expires_at > at)
    )


def present_user(user_id: UUID, day: date) -> Select[Any]:
    """An active user with what this one may do on this day."""
    return select(*_rights(day)).select_from(user_account).where(user_account.c.id == user_id, user_account.c.active)


def _rights(day: date) -> list[ColumnElement[Any]]:
    """Who a user is and, on this day, what this one may do and where."""
    return [
        user_account.c.id,
        user_account.c.name,
        user_account.c.unit_id,
        user_account.c.for_customer,
        role_keys.label("roles"),
        _grants.label("grants"),
        _further_units(day).label("further_unit_ids"),
        _subtree_of(user_account, _is_further_unit(day)).label("subtree_ids"),
    ]


def unit_ids_of(row: Record) -> tuple[UUID, ...]:
    """The home unit, if there is one, and the further units of whom `session_actor` or `absent_user` found."""
    home = () if row["unit_id"] is None else (row["unit_id"],)
    return tuple(dict.fromkeys([*home, *row["further_unit_ids"]]))


def absent_user(absent_id: UUID, delegate_id: UUID, day: date) -> Select[Any]:
    """The active user for whom the other stands in on this day, as `session_actor` gives a user."""
    d = delegation.c
    colleagues = user_account.alias("colleagues")
    return (
        present_user(absent_id, day)
        .join(delegation, d.absent_id == user_account.c.id)
        .where(
            d.delegate_id == delegate_id,
            d.during.bool_op("@>")(literal(day, Date)),
            ~user_account.c.for_customer,
            # Nor does a customer ever stand in for somebody who works here.
            exists().where(colleagues.c.id == d.delegate_id, ~colleagues.c.for_customer),
        )
    )


def api_key_actor(which: ColumnElement[bool]) -> Select[Any]:
    """The API key for which this holds with its units, whatever its state."""
    return select(api_key, _subtree_of(api_key).label("subtree_ids")).where(which)


def _holds(day: date) -> ColumnElement[bool]:
    """Whether the membership is one of this day."""
    return unit_membership.c.during.bool_op("@>")(literal(day, Date))


def _further_units(day: date) -> ColumnElement[Any]:
    """The ids of the units that a user is in on this day besides the home unit, in the order they were made."""
    m = unit_membership.c
    return (
        select(func.coalesce(func.array_agg(aggregate_order_by(m.unit_id, m.id)), _NO_IDS))
        .where(m.user_id == user_account.c.id, _holds(day))
        .correlate(user_account)
        .scalar_subquery()
    )


def _is_further_unit(day: date) -> ColumnElement[bool]:
    m = unit_membership.c
    # Two levels below the user's row: unless it is told, this would ask for the memberships of every user.
    hers = select(m.unit_id).where(m.user_id == user_account.c.id, _holds(day)).correlate(user_account)
    return org_unit.c.id.in_(hers)


def _subtree_of(table: FromClause, further: ColumnElement[bool] = _NONE) -> ColumnElement[Any]:
    """The ids of the row's unit, of the further ones, and of all units below them."""
    below = (
        select(org_unit.c.id)
        .where((org_unit.c.id == table.c.unit_id) | further)
        .correlate(table)
        .cte("below", recursive=True, nesting=True)
    )
    child = org_unit.alias("child")
    below = below.union(select(child.c.id).join(below, child.c.parent_id == below.c.id))
    return select(func.coalesce(func.array_agg(below.c.id), _NO_IDS)).scalar_subquery()


def credentials(username: str) -> Select[Any]:
    """What logging in needs to know of an account."""
    return select(user_account.c.id, user_account.c.password_hash, user_account.c.active).where(
        user_account.c.username == username
    )


def username_of(user_id: UUID) -> Select[Any]:
    """The name that a user logs in with."""
    return select(user_account.c.username).where(user_account.c.id == user_id)


def live_sessions(user_id: UUID | None, at: datetime) -> Select[Any]:
    """The sessions in which the user is logged in."""
    s = auth_session.c
    return select(s.id, s.created_at, s.last_used_at, s.expires_at).where(
        s.user_id == user_id, s.revoked_at.is_(None), s.expires_at > at
    )


def presented_refresh_token(token_hash: str) -> Select[Any]:
    """A refresh token with its session and user; locks both token and session."""
    return (
        select(
            refresh_token.c.id,
            refresh_token.c.session_id,
            refresh_token.c.used_at,
            refresh_token.c.expires_at,
            auth_session.c.user_id,
            auth_session.c.revoked_at,
            auth_session.c.expires_at.label("session_expires_at"),
            user_account.c.active,
        )
        .select_from(
            refresh_token.join(auth_session, auth_session.c.id == refresh_token.c.session_id).join(
                user_account, user_account.c.id == auth_session.c.user_id
            )
        )
        .where(refresh_token.c.token_hash == token_hash)
        .with_for_update(of=[refresh_token, auth_session])
    )


def every_delegation() -> Select[Any]:
    """Who stands in for whom, ever."""
    d = delegation.c
    days = [func.lower(d.during).label("starts_on"), (func.upper(d.during) - 1).label("ends_on")]
    return select(d.id, d.absent_id, d.delegate_id, *days, d.created_at, d.created_by)


def delegations_within(actor: Actor, permission: str) -> Select[Any]:
    """The delegations of the absent users whom the permission reaches, and those to the actor."""
    d = delegation.c
    reached = within_scope(actor, permission, owner=user_account.c.id, unit=user_account.c.unit_id)
    of_reached = d.absent_id.in_(select(user_account.c.id).where(reached))
    return every_delegation().where(of_reached | (d.delegate_id == actor.id))


# users and roles


def every_user() -> Select[Any]:
    """All users, for what was already found to be allowed."""
    return select(*_user_columns)


def active_user(user_id: UUID) -> Select[Any]:
    """The user, if it is one who can log in."""
    return select(user_account.c.id).where(user_account.c.id == user_id, user_account.c.active)


def users_within(actor: Actor, permission: str) -> Select[Any]:
    """The users that the actor's permission reaches."""
    return every_user().where(within_scope(actor, permission, owner=user_account.c.id, unit=user_account.c.unit_id))


def users_shown(actor: Actor, permission: str, day: date) -> Select[Any]:
    """The users whom the actor's permission reaches or who are, on this day, in a unit that it reaches."""
    scope = actor.scope(permission)
    if scope is None or scope in (Scope.OWN, Scope.ALL):
        return users_within(actor, permission)
    m = unit_membership.c
    member = exists(
        select(1)
        .where(m.user_id == user_account.c.id, _holds(day), _units_reached(actor, permission, m.unit_id))
        .correlate(user_account)
    )
    home = within_scope(actor, permission, owner=user_account.c.id, unit=user_account.c.unit_id)
    return every_user().where(home | member)


def memberships_of(user_id: UUID) -> Select[Any]:
    """The user's further units, past and to come."""
    m = unit_membership.c
    return select(
        m.id,
        m.unit_id,
        func.lower(m.during).label("starts_on"),
        (func.upper(m.during) - 1).label("ends_on"),
        m.version,
        m.created_at,
        m.updated_at,
    ).where(m.user_id == user_id)


def past_memberships(unit_id: UUID, day: date) -> Delete:
    """Forget who was in the unit before this day; the audit keeps it."""
    m = unit_membership.c
    return delete(unit_membership).where(m.unit_id == unit_id, func.upper(m.during) <= day)


def units_from(user_id: UUID, day: date) -> Select[Any]:
    """The units that the user is in on this day or will be later, besides the home unit."""
    m = unit_membership.c
    still = func.coalesce(func.upper(m.during) > day, true())
    return select(m.unit_id).where(m.user_id == user_id, still)


def holds_role(key: str) -> ColumnElement[bool]:
    """True for users who hold the role."""
    return exists(
        select(1)
        .select_from(user_role.join(role, role.c.id == user_role.c.role_id))
        .where(user_role.c.user_id == user_account.c.id, role.c.key == key)
        .correlate(user_account)
    )


def grants_of(user_id: UUID) -> Select[Any]:
    """The permissions of each of a user's roles."""
    return (
        select(role.c.permissions)
        .select_from(user_role.join(role, role.c.id == user_role.c.role_id))
        .where(user_role.c.user_id == user_id)
    )


def roles_of_keys(keys: list[str]) -> Select[Any]:
    """The roles of these keys, as many as exist, locked against deletion."""
    return (
        select(role.c.id, role.c.key, role.c.permissions)
        .where(role.c.key == any_(literal(keys, ARRAY(Text))))
        .order_by(role.c.id)
        .with_for_update(key_share=True, read=True)
    )


def other_active_holder(key: str, *, than: UUID) -> Select[Any]:
    """Some active user other than this one who holds the role."""
    others = (user_account.c.id != than, user_account.c.active, ~user_account.c.for_customer)
    return select(user_account.c.id).where(*others, holds_role(key)).limit(1)


# units


def unit_tree(actor: Actor, permission: str) -> Select[Any]:
    """The units that the actor's permission reaches, with depth and path from the root.

    `path_ids` orders parents before their children, children by age.
    """
    tree = (
        select(
            org_unit,
            array([org_unit.c.id]).label("path_ids"),
            array([org_unit.c.name]).label("path"),
            literal(0).label("depth"),
        )
        .where(org_unit.c.parent_id.is_(None))
        .cte("tree", recursive=True)
    )
    child = org_unit.alias("child")
    tree = tree.union_all(
        select(
            child,
            func.array_append(tree.c.path_ids, child.c.id),
            func.array_append(tree.c.path, child.c.name),
            tree.c.depth + 1,
        ).join(tree, child.c.parent_id == tree.c.id)
    )
    return select(tree).where(_units_reached(actor, permission, tree.c.id)).order_by(tree.c.path_ids)


def units_below(unit_id: UUID) -> Select[Any]:
    """The unit and all below it, with their depth relative to it."""
    below = (
        select(org_unit.c.id, literal(0).label("depth")).where(org_unit.c.id == unit_id).cte("below", recursive=True)
    )
    child = org_unit.alias("child")
    below = below.union_all(select(child.c.id, below.c.depth + 1).join(below, child.c.parent_id == below.c.id))
    return select(below)


def depth_of(unit_id: UUID) -> Select[Any]:
    """How many units lie above this one; no row when it does not exist."""
    above = select(org_unit.c.parent_id, literal(0).label("depth")).where(org_unit.c.id == unit_id)
    chain = above.cte("above", recursive=True)
    parent = org_unit.alias("parent")
    chain = chain.union_all(select(parent.c.parent_id, chain.c.depth + 1).join(chain, parent.c.id == chain.c.parent_id))
    return select(chain.c.depth).where(chain.c.parent_id.is_(None))


def unit_names(unit_ids: tuple[UUID, ...]) -> Select[Any]:
    """The units' ids and names."""
    return (
        select(org_unit.c.id, org_unit.c.name)
        .where(org_unit.c.id == any_(literal(list(unit_ids), ARRAY(UuidType))))
        .order_by(org_unit.c.id)
    )


def _units_reached(actor: Actor, permission: str, unit_id: ColumnElement[Any]) -> ColumnElement[bool]:
    scope = actor.scope(permission)
    if scope is None:
        return false()
    if scope is Scope.ALL:
        return true()
    reached = actor.subtree_ids if scope is Scope.SUBTREE else actor.unit_ids
    return unit_id == any_(literal(list(reached), ARRAY(UuidType)))


# API keys


def api_keys_within(actor: Actor, permission: str) -> Select[Any]:
    """The API keys that the actor's permission reaches: her own, those of her units, or all."""
    return select(*_api_key_columns).where(
        within_scope(actor, permission, owner=api_key.c.created_by, unit=api_key.c.unit_id)
    )
