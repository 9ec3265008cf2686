"""The contract of access: what is asked and what is answered."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, StringConstraints

from app.core import bounds
from app.core.bounds import Flag, In, Key, Line, Out, Printable, left_out
from app.identity import passwords
from app.identity.actor import EVERYTHING, Scope
from app.identity.permissions import known_permissions


def _names_of_permissions(schema: dict[str, Any]) -> None:
    schema["propertyNames"] = {"enum": sorted({EVERYTHING, *known_permissions()})}


def _lower(value: str) -> str:
    return value.lower()


Username = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{1,99}$", strip_whitespace=True),
    AfterValidator(_lower),
]
Password = Annotated[
    str, StringConstraints(min_length=passwords.MIN_LENGTH, max_length=passwords.MAX_LENGTH), Printable
]
PresentedPassword = Annotated[str, StringConstraints(min_length=1, max_length=passwords.MAX_LENGTH), Printable]
Email = Annotated[EmailStr, Field(max_length=254)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_-]+$")]
Permissions = Annotated[dict[str, Scope], Field(max_length=200, json_schema_extra=_names_of_permissions)]
MAX_GRACE_HOURS = 7 * 24
RoleKeys = Annotated[list[Key], Field(max_length=20)]


# tokens


class PasswordGrant(BaseModel):
    """The OAuth2 password form; only username and password matter."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"grant_type": "password", "username": "admin", "password": "a long enough phrase"}]
        },
    )

    username: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True), Printable]
    password: PresentedPassword
    grant_type: Literal["password"] = "password"
    scope: Annotated[str, StringConstraints(max_length=200)] = ""
    client_id: Annotated[str, StringConstraints(max_length=200)] | None = None
    client_secret: Annotated[str, StringConstraints(max_length=200)] | None = None


class RefreshIn(In):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"refresh_token": "0TbQPtqZ5W3r8u1mXcYdLhVnKs7JgEaRiBoF2wNx4Mk"}]}
    )

    refresh_token: Token


class InvitationIn(In):
    """An invitation, and the password to log in with from now on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": "0TbQPtqZ5W3r8u1mXcYdLh", "password": "a long enough phrase"}]}
    )

    token: Token
    password: Password


class TokenOut(Out):
    """Send the access token as `Authorization: Bearer …`; a refresh token works once."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int = Field(description="seconds")
    refresh_token: str


# oneself


class UnitRef(Out):
    id: UUID
    name: str


class MeOut(Out):
    """Who is logged in, and what that one may do."""

    id: UUID
    kind: Literal["user", "api_key"]
    name: str
    username: str | None
    roles: list[str]
    permissions: dict[str, Scope]
    units: list[UnitRef]
    on_behalf_of: UUID | None = Field(description="the absent user whose roles, permissions and units these are")


class SessionOut(Out):
    """Somebody logged in somewhere, and not out."""

    id: UUID
    created_at: datetime
    last_used_at: datetime = Field(description="when its tokens were last refreshed")
    expires_at: datetime
    current: bool = Field(description="whether this request belongs to it")


class SessionList(Out):
    """The latest first."""

    items: list[SessionOut]
    next_cursor: str | None


class PasswordChangeIn(In):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"current_password": "old and long enough", "new_password": "new and long enough"}]
        }
    )

    current_password: PresentedPassword
    new_password: Password


# users


class UserIn(In):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "username": "li.wei",
                    "name": "Li Wei",
                    "email": "li.wei@example.com",
                    "password": "a long enough phrase",
                    "unit_id": None,
                    "roles": ["sales"],
                }
            ]
        }
    )

    username: Username
    name: Line
    email: Email | None = None
    password: Password
    unit_id: UUID | None = None
    roles: RoleKeys = Field(default_factory=list)


class UserPatch(In):
    """Only the fields that are there change. A new password, or `active: false`, ends the user's sessions."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Li Wei", "roles": ["sales", "analyst"]}]})

    name: Line = left_out()
    email: Email | None = None
    password: Password = left_out()
    unit_id: UUID | None = None
    roles: RoleKeys = left_out()
    active: Flag = left_out()


class UserOut(Out):
    id: UUID
    username: str
    name: str
    email: str | None
    active: bool
    unit_id: UUID | None
    roles: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class UserList(Out):
    items: list[UserOut]
    next_cursor: str | None


# roles


class RoleIn(In):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "branch_auditor",
                    "title": "Branch auditor",
                    "permissions": {"users:read": "subtree", "units:read": "subtree"},
                }
            ]
        }
    )

    key: Key
    title: Line
    permissions: Permissions


class RolePatch(In):
    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Branch auditor"}]})

    title: Line = left_out()
    permissions: Permissions = left_out()


class RoleOut(Out):
    id: UUID
    key: str
    title: str
    permissions: dict[str, Scope]
    preset: bool
    version: int
    created_at: datetime
    updated_at: datetime


class RoleList(Out):
    items: list[RoleOut]
    next_cursor: str | None


class PermissionList(Out):
    """All of them."""

    items: list[str]
    next_cursor: None = None


# units


class UnitIn(In):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Sales East", "parent_id": None}]})

    name: Line
    parent_id: UUID | None = None


class UnitPatch(In):
    """A new `parent_id` moves the unit with everything below it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Sales East"}]})

    name: Line = left_out()
    parent_id: UUID | None = None


class UnitOut(Out):
    id: UUID
    parent_id: UUID | None
    name: str
    path: list[str] = Field(description="names from the root down to the unit itself")
    depth: int
    version: int
    created_at: datetime
    updated_at: datetime


class UnitList(Out):
    items: list[UnitOut]
    next_cursor: str | None


# API keys


class ApiKeyIn(In):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Web shop", "permissions": {"users:read": "all"}}]}
    )

    name: Line
    permissions: Permissions
    unit_id: UUID | None = None
    expires_at: bounds.Instant | None = None


class ApiKeyRotationIn(In):
    """How long both keys work, the new one and the one that it replaces."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grace_hours": 24}]})

    grace_hours: Annotated[int, Field(ge=0, le=MAX_GRACE_HOURS)] = 24


class ApiKeyOut(Out):
    id: UUID
    name: str
    prefix: str
    permissions: dict[str, Scope]
    unit_id: UUID | None
    created_by: UUID
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    previous_expires_at: datetime | None = Field(description="until when the key before the rotation works, too")
    version: int


class ApiKeyIssued(ApiKeyOut):
    """The only answer that shows the key."""

    key: str


class ApiKeyList(Out):
    items: list[ApiKeyOut]
    next_cursor: str | None
